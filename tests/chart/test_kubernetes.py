"""What the chart renders is valid in the oldest and the newest Kubernetes of the validator."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.chart.helm import (
    CHART,
    HELMS,
    RELEASE,
    VALUES,
    Object,
    container_of,
    helm,
    pod_of,
    rendered,
    values_named,
    workload,
)

VERSIONS = tuple(kubernetes_validate.utils.all_versions()[end] for end in (0, -1))
OF_OPERATOR = {"ServiceMonitor", "PrometheusRule"}
"""Kubernetes has no schema of these: `make kubernetes` applies them to the CRDs."""
NAME_LENGTH = 63
LONG = "a-release-with-the-longest-name-that-helm-permits-53x"

by_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


def problems(objects: tuple[Object, ...], version: str) -> list[str]:
    found = []
    for object_ in objects:
        try:
            kubernetes_validate.validate(object_, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{object_['kind']}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            if object_["kind"] not in OF_OPERATOR:
                raise
    return found


@by_values
@pytest.mark.parametrize("version", VERSIONS)
def test_rendering_is_valid(values: Path, version: str) -> None:
    assert problems(rendered(values), version) == []


@by_values
def test_helm_3_and_4_render_the_same(values: Path) -> None:
    assert rendered(values, HELMS[0]) == rendered(values, HELMS[1])


@by_values
@pytest.mark.parametrize("program", HELMS)
def test_helm_lint_finds_nothing(values: Path, program: str) -> None:
    helm(program, "lint", str(CHART), "--strict", "--values", str(values))


def test_misspelt_field_is_found() -> None:
    changed: Any = copy.deepcopy(workload(rendered(values_named("sqlite"))))
    spec = changed["spec"]["template"]["spec"]
    spec["containers"][0]["livenesProbe"] = spec["containers"][0].pop("livenessProbe")
    for version in VERSIONS:
        assert "livenesProbe" in "".join(problems((changed,), version))


@by_values
def test_names_are_short_enough(values: Path) -> None:
    assert len(LONG) == 53
    for object_ in rendered(values, release=LONG):
        if object_["kind"] != "ConfigMap":  # 253 characters
            assert len(object_["metadata"]["name"]) <= NAME_LENGTH, object_["kind"]


def test_names_are_those_of_the_release() -> None:
    values = values_named("sqlite-operator")
    assert {object_["metadata"]["name"] for object_ in rendered(values)} >= {RELEASE}
    other = rendered(values, release="lab")
    assert all(object_["metadata"]["name"].startswith("lab-vergewatch") for object_ in other)


@by_values
def test_each_pod_is_restricted(values: Path) -> None:
    """Kubernetes' own admission judges them in `make kubernetes`."""
    objects = rendered(values)
    test = next(object_ for object_ in objects if object_["kind"] == "Pod")
    for spec in (pod_of(objects), test["spec"]):
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "configMap", "secret"}


@by_values
def test_each_volume_is_mounted_and_each_mount_has_a_volume(values: Path) -> None:
    objects = rendered(values)
    claims = workload(objects)["spec"].get("volumeClaimTemplates", [])
    volumes = {claim["metadata"]["name"] for claim in claims}
    volumes |= {volume["name"] for volume in pod_of(objects)["volumes"]}
    assert volumes == {mount["name"] for mount in container_of(objects)["volumeMounts"]}
