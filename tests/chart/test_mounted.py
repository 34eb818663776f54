"""The real daemon, with what the chart mounts, as Kubernetes mounts it."""

from pathlib import Path

import yaml

from tests.chart.helm import config_of, container_of, rendered, values_named
from tests.daemon_process import HASTE, running, simulating

PLACE = "/etc/vergewatch"


def mount(directory: Path, version: str, **files: str) -> None:
    """Write *files* as the kubelet does: into a new folder, to which a link is then swapped."""
    (directory / version).mkdir(parents=True)
    for name, text in files.items():
        (directory / version / name).write_text(text)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..data.new").symlink_to(version)
    (directory / "..data.new").replace(directory / "..data")


async def test_daemon_runs_and_reloads_from_the_mounted_files(tmp_path: Path) -> None:
    async with simulating(api_key="key-of-the-operator") as simulator:
        more = ("--set", f"config.url={simulator.url}", "--set", "config.name=berlin")
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
            await daemon.until_up(system_name="berlin")
            for probe in ("livenessProbe", "readinessProbe"):
                status, _ = await daemon.get(container[probe]["httpGet"]["path"])
                assert status == 200, probe

            changed = yaml.safe_dump({**yaml.safe_load(text), "name": "vienna"})
            mount(tmp_path / "config", "..2", **{"vergewatch.yaml": changed})
            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                assert answer.status == 200
            await daemon.until_up(system_name="vienna")
