"""Runs Helm on the chart of deploy/helm."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/vergewatch"
BIN = ROOT / ".venv/bin"
HELMS = ("helm-3", "helm-4")
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
"""All modes of the chart."""
RELEASE = "vergewatch"
NAMESPACE = "monitoring"

Object = Mapping[str, Any]


class RefusedError(Exception):
    """Helm refuses the values; what it says."""


def helm(program: str, *args: str) -> str:
    """Run Helm; return its output. Skips the test without Helm, but fails it in CI."""
    if not (BIN / program).exists():
        reason = f"{program} is missing: run python -m tools.helm"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [BIN / program, *args], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


@cache
def rendered(
    values: Path, program: str = "helm-4", release: str = RELEASE, more: tuple[str, ...] = ()
) -> tuple[Object, ...]:
    """
    Return the objects that the chart is for *values*.

    Args:
        more: Options, such as ``--set``.

    Raises:
        RefusedError: The values are not valid.

    """
    output = helm(
        program,
        *("template", release, str(CHART), "--namespace", NAMESPACE, "--values", str(values)),
        *more,
    )
    return tuple(object_ for object_ in yaml.load_all(output, yaml.CSafeLoader) if object_)


def values_named(name: str) -> Path:
    (path,) = (path for path in VALUES if path.stem == name)
    return path


def of_kind(objects: tuple[Object, ...], kind: str) -> Iterator[Object]:
    return (object_ for object_ in objects if object_["kind"] == kind)


def one(objects: tuple[Object, ...], *kinds: str) -> Object:
    """Return the only object of *kinds*."""
    (found,) = (object_ for kind in kinds for object_ in of_kind(objects, kind))
    return found


def workload(objects: tuple[Object, ...]) -> Object:
    return one(objects, "StatefulSet", "Deployment")


def pod_of(objects: tuple[Object, ...]) -> Any:
    """Return the specification of the daemon's pod."""
    return workload(objects)["spec"]["template"]["spec"]


def container_of(objects: tuple[Object, ...]) -> Any:
    (container,) = pod_of(objects)["containers"]
    return container


def config_of(objects: tuple[Object, ...]) -> str:
    """Return the settings file of the daemon."""
    (text,) = (
        object_["data"]["vergewatch.yaml"]
        for object_ in of_kind(objects, "ConfigMap")
        if "vergewatch.yaml" in object_["data"]
    )
    return str(text)
