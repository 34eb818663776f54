"""Builds the programs of a Kubernetes control plane, once, into a cache outside the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KUBERNETES = "1.36.3"
STAGING = "v0" + KUBERNETES[1:]
"""The version of Kubernetes' own libraries."""
KWOK = "v0.8.0"
OPERATOR = "v0.85.0"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-delete",
)
"""What kwok simulates: nodes and pods become ready at once, and pods end when they are deleted."""
CRDS = ("servicemonitors", "prometheusrules")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vergewatch/kubernetes")
GO = {**os.environ, "GOTOOLCHAIN": "local", "GOBIN": str(CACHE)}


class MissingError(Exception):
    """A program is missing and cannot be installed or built."""


def prepare() -> None:
    """Install etcd and build what is missing, in about half an hour of CPU. Raises MissingError."""
    for program in ("go", "openssl"):
        if not shutil.which(program):
            raise MissingError(f"{program} is missing: install it")
    if not shutil.which("etcd"):
        _run("etcd cannot be installed", str(ROOT / "deploy/apt-install"), "etcd-server")
    CACHE.mkdir(parents=True, exist_ok=True)
    missing = [name for name in CONTROL_PLANE if not (CACHE / name).exists()]
    if missing:
        module = _module()
        for name in missing:
            sys.stdout.write(f"Building {name} {KUBERNETES}\n")
            package = f"k8s.io/kubernetes/cmd/{name}"
            _run(
                f"{name} cannot be built",
                *("go", "build", "-trimpath", f"-ldflags={_version_flags()}", "-mod=mod"),
                *("-o", str(CACHE / name), package),
                cwd=module,
            )
    if not (CACHE / "kwok").exists():
        sys.stdout.write(f"Building kwok {KWOK}\n")
        _run("kwok cannot be built", "go", "install", f"sigs.k8s.io/kwok/cmd/kwok@{KWOK}")


def crds() -> tuple[Path, ...]:
    """Return the files that define the objects of Prometheus' operator."""
    folder = _downloaded("github.com/prometheus-operator/prometheus-operator", OPERATOR)["Dir"]
    place = Path(folder, "example/prometheus-operator-crd")
    return tuple(place / f"monitoring.coreos.com_{name}.yaml" for name in CRDS)


def stages() -> tuple[Path, ...]:
    """Return the files of what kwok simulates."""
    folder = Path(_downloaded("sigs.k8s.io/kwok", KWOK)["Dir"], "kustomize/stage")
    return tuple(folder / f"{name}.yaml" for name in STAGES)


def _module() -> Path:
    """
    Return a module in which `go build` builds Kubernetes.

    Kubernetes' own module replaces its libraries by folders of its repository; `go install`
    refuses that. Here, their published versions replace them.
    """
    module = CACHE / "module"
    module.mkdir(exist_ok=True)
    theirs = Path(_downloaded("k8s.io/kubernetes", f"v{KUBERNETES}")["GoMod"]).read_text()
    libraries = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", theirs, re.MULTILINE)
    (language,) = re.findall(r"^go \S+$", theirs, re.MULTILINE)
    lines = [
        "module programs",
        language,
        f"require k8s.io/kubernetes v{KUBERNETES}",
        *(f"replace {name} => {name} {STAGING}" for name in libraries),
        *(f"tool k8s.io/kubernetes/cmd/{name}" for name in CONTROL_PLANE),
    ]
    (module / "go.mod").write_text("\n".join([*lines, ""]), encoding="utf-8")
    _run("the libraries of Kubernetes cannot be fetched", "go", "mod", "tidy", cwd=module)
    return module


def _version_flags() -> str:
    """Return what the linker writes into the programs: Helm asks the API server its version."""
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    place = "k8s.io/component-base/version"
    return " ".join(["-s -w", *(f"-X {place}.{name}={value}" for name, value in values.items())])


def _downloaded(module: str, version: str) -> dict[str, str]:
    """Return where Go stored a module."""
    command = ("go", "mod", "download", "-json", f"{module}@{version}")
    answer: dict[str, str] = json.loads(_run(f"{module} cannot be fetched", *command))
    return answer


def _run(failure: str, *command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd or CACHE, env=GO, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingError(f"{failure}:\n{done.stderr or done.stdout}")
    return done.stdout
