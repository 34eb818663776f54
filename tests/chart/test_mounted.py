"""The real daemon, with what the chart mounts, as Kubernetes mounts it."""

import sys
from pathlib import Path

import yaml

from tests.chart.helm import ROOT, Object, config_of, container_of, one, rendered, values_named
from tests.daemon.test_daemon import output_of
from tests.daemon_process import HASTE, Daemon, running, simulating

PLACE = "/etc/vergewatch"
IMAGE = "/opt/vergewatch"
"""Where the image has the script of its health check."""


def mount(directory: Path, version: str, **files: str) -> None:
    """Write *files* as the kubelet does: into a new folder, to which a link is then swapped."""
    (directory / version).mkdir(parents=True)
    for name, text in files.items():
        (directory / version / name).write_text(text)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..data.new").symlink_to(version)
    (directory / "..data.new").replace(directory / "..data")


async def helm_test_passes(objects: tuple[Object, ...], daemon: Daemon) -> bool:
    """Run the command of the pod of `helm test`, with the daemon's address as the Service's."""
    (container,) = one(objects, "Pod")["spec"]["containers"]
    _, *command = [
        word.replace(IMAGE, str(ROOT / "deploy/docker")) for word in container["command"]
    ]
    assert command[-1] == container_of(objects)["readinessProbe"]["httpGet"]["path"]
    (address,) = container["env"]
    assert address["value"] == f"{one(objects, 'Service')['metadata']['name']}:9888"
    own = {address["name"]: daemon.url.removeprefix("http://"), "STATE_DIRECTORY": "/nowhere"}
    code, _ = await output_of([sys.executable, *command], **own)
    return code == 0


async def test_daemon_runs_and_reloads_from_the_mounted_files(tmp_path: Path) -> None:
    async with simulating(api_key="key-of-the-operator") as simulator:
        more = ("--set", f"config.url={simulator.url}")
        objects = rendered(values_named("sqlite"), more=more)
        container = container_of(objects)
        env = {
            entry["name"]: entry["value"].replace(PLACE, str(tmp_path))
            for entry in container["env"]
            if entry["name"] != "VERGEWATCH_WEB__LISTEN_ADDRESS"
        }
        mounts = {mount_["mountPath"] for mount_ in container["volumeMounts"]}
        assert {f"{PLACE}/config", f"{PLACE}/secrets"} <= mounts
        text = config_of(objects)
        mount(tmp_path / "config", "..1", **{"vergewatch.yaml": text})
        mount(tmp_path / "secrets", "..1", api_key="key-of-the-operator")
        async with running({**HASTE, **env}) as daemon:
            await daemon.page_where(lambda page: page.get("vergewatch_up") == [1])
            for probe in ("livenessProbe", "readinessProbe"):
                status, _ = await daemon.get(container[probe]["httpGet"]["path"])
                assert status == 200, probe
            assert await helm_test_passes(objects, daemon)

            changed = yaml.safe_dump({**yaml.safe_load(text), "vm_tag_categories": ["team"]})
            mount(tmp_path / "config", "..2", **{"vergewatch.yaml": changed})
            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                assert "vm_tag_categories" in await answer.text()
                assert answer.status == 200
