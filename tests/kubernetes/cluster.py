"""
A Kubernetes control plane on the loopback interface, with two nodes that are simulated: objects are
admitted, scheduled and replaced as in any cluster, and no container runs.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.chart.helm import BIN
from tests.kubernetes.programs import CACHE, crds, stages

START_SECONDS = 120
PAUSE_SECONDS = 0.5
TOKEN = "token-of-the-administrator"
NODES = ("node-1", "node-2")
NODE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"annotations": {"kwok.x-k8s.io/node": "fake"}},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "32"}},
}
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "by-hand",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


class CommandError(Exception):
    """A command failed; what it printed."""


class Cluster(NamedTuple):
    """A running control plane."""

    kubeconfig: Path

    def kubectl(self, *args: str, given: object = None) -> str:
        """Run kubectl with *given* as its input; return its output. Raises CommandError."""
        return self._run("kubectl", args, json.dumps(given))

    def helm(self, program: str, *args: str) -> str:
        """Run Helm; return its output. Raises CommandError."""
        return self._run(program, args, "")

    def get(self, *args: str) -> Any:
        """Return objects, as `kubectl get` does."""
        return json.loads(self.kubectl("get", *args, "--output", "json"))

    def create_volume(self, name: str) -> None:
        """Create a volume that a claim of one pod can be bound to."""
        spec = {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": "by-hand",
            "hostPath": {"path": f"/nowhere/{name}"},
        }
        metadata = {"name": name}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": metadata,
            "spec": spec,
        }
        self.kubectl("apply", "--filename", "-", given=volume)

    def _run(self, program: str, args: tuple[str, ...], given: str) -> str:
        done = subprocess.run(
            [BIN / program, *args],
            input=given,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"{program} {' '.join(args)}:\n{done.stderr}{done.stdout}")
        return done.stdout


@contextmanager
def running() -> Iterator[Cluster]:
    """Run a control plane with two nodes and the CRDs of Prometheus' operator."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        cluster = Cluster(folder / "kubeconfig")
        for name, command in _commands(folder, cluster.kubeconfig).items():
            stack.enter_context(_process(command, folder / f"{name}.log"))
            if name == "kube-apiserver":
                until(lambda: cluster.kubectl("get", "--raw", "/readyz"), START_SECONDS)
        for path in crds():
            cluster.kubectl("create", "--filename", str(path))
        cluster.kubectl("apply", "--filename", "-", given=STORAGE_CLASS)
        for name in NODES:
            metadata = {
                "name": name,
                "labels": {"kubernetes.io/hostname": name},
                **NODE["metadata"],
            }
            cluster.kubectl("apply", "--filename", "-", given={**NODE, "metadata": metadata})
        nodes = tuple(f"node/{name}" for name in NODES)
        ready = ("wait", "--for=condition=Ready", f"--timeout={START_SECONDS}s")
        cluster.kubectl(*ready, *nodes)
        yield cluster


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Try until *holds* returns something true; raise CommandError or TimeoutError in the end."""
    problem: Exception = TimeoutError(f"not within {seconds:g} s")
    for _ in range(int(seconds / PAUSE_SECONDS)):
        try:
            if holds():
                return
        except CommandError as error:
            problem = error
        time.sleep(PAUSE_SECONDS)
    raise problem


def _commands(folder: Path, kubeconfig: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the command of each program, and write the files that they read."""
    etcd, peer, api, *others = (_free_port() for _ in range(6))
    key, tokens = folder / "service-accounts.pem", folder / "tokens.csv"
    make_key = ("openssl", "genrsa", "-out", str(key), "2048")
    subprocess.run(make_key, check=True, capture_output=True)
    tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
    server = f"https://127.0.0.1:{api}"
    kubeconfig.write_text(json.dumps(_kubeconfig(server)))  # which is YAML
    client = (f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1")
    return {
        "etcd": (
            *("etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync"),
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
        ),
        "kube-apiserver": (
            str(CACHE / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            *("--bind-address=127.0.0.1", f"--secure-port={api}", f"--cert-dir={folder}"),
            *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"),
            *("--authorization-mode=RBAC", f"--token-auth-file={tokens}"),
            *(f"--service-account-issuer={server}", f"--service-account-key-file={key}"),
            f"--service-account-signing-key-file={key}",
        ),
        "kube-controller-manager": (
            str(CACHE / "kube-controller-manager"),
            *(*client, f"--secure-port={others[0]}", f"--cert-dir={folder}"),
            f"--service-account-private-key-file={key}",
            # kwok is late on a busy machine, and does not mark a pod ready again.
            "--node-monitor-grace-period=1h",
        ),
        "kube-scheduler": (
            str(CACHE / "kube-scheduler"),
            *(*client, f"--secure-port={others[1]}", f"--cert-dir={folder}"),
        ),
        "kwok": (
            *(str(CACHE / "kwok"), f"--kubeconfig={kubeconfig}", "--manage-all-nodes=true"),
            *(f"--config={path}" for path in stages()),
            f"--server-address=127.0.0.1:{others[2]}",
        ),
    }


def _kubeconfig(server: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "own", "cluster": {"server": server, "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "admin"}}],
        "current-context": "own",
    }


@contextmanager
def _process(command: tuple[str, ...], log: Path) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
