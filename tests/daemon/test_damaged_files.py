"""A file that the daemon wrote and that was damaged counts as absent, and stops nothing."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from exporter.alerting.alert_store import AlertStore
from exporter.alerting.alerting import FILE as ALERTS
from exporter.alerting.alerting import Alerting
from exporter.alerting.config import AlertLimits, AlertmanagerSettings
from exporter.cli.daemon_client import DaemonClient
from exporter.cli.daemon_url import DEFAULT_URL, found_url
from exporter.config.kill_switch import SEEN, KillSwitch
from exporter.daemon.refusal_file import RefusalFile
from exporter.daemon.request_memory import RequestMemory
from exporter.daemon.system_memory import Remembered, SystemMemory
from exporter.inputs.live_file import FileWatch
from exporter.model import LISTEN_FILE, DaemonAddress
from exporter.telemetry import Telemetry
from exporter.vergeos.budget import RequestBudget, Spent
from exporter.vergeos.credentials import Credentials
from exporter.vergeos.refusals import StoredRefusal
from tests.alerting.samples import with_vm
from tests.alerting.test_alert_store import HEALTHY, LINKS, settled
from tests.fakes import START, FakeClock

URL = "https://verge.example"
MINUTE = int(START.timestamp() // 60)
IN_NO_TEXT = 0xFF
"""A byte that UTF-8 never has."""


def use_memory(folder: Path) -> bool:
    memory, clock = SystemMemory(folder, URL), FakeClock()
    budget = RequestBudget(1000, reserve=0.15)
    RequestMemory(memory, folder, URL, budget, clock).resume(ahead=3)
    found = SystemMemory(folder, URL).remembered.findings
    for since in [time for one in found.values() for time in one.values()]:
        assert START - since is not None  # as the doctor compares
    return memory.remembered.system_name == memory.remembered.wait_because == ""


def write_memory(folder: Path) -> Path:
    memory = SystemMemory(folder, URL)
    memory.remember(
        system_name="prod",
        used_names=("old", "prod"),
        requests={MINUTE: Spent(3, 4)},
        wait_until=START.timestamp() + 60,
        wait_because="/api/v4/vms answered 429",
        findings={"drives": {"node1": START, "node2": START + timedelta(microseconds=123_456)}},
    )
    return memory.path


def write_refusal(folder: Path) -> Path:
    file = RefusalFile(folder, URL, "poll")
    stored = StoredRefusal("ab" * 16, "cd" * 64, START.timestamp() + 60, "it answered 401", 5.0)
    assert file.write(stored)
    return file.path


def use_refusal(folder: Path) -> bool:
    found = RefusalFile(folder, URL, "poll").read()
    if found is not None:
        assert not found.is_of(Credentials(api_key=SecretStr("other")))
    return found is None


def write_address(folder: Path) -> Path:
    path = folder / LISTEN_FILE
    path.write_bytes(msgspec.json.encode(DaemonAddress("192.0.2.1", 9888, tls=False, pid=1)))
    return path


def use_address(folder: Path) -> bool:
    url = found_url({"STATE_DIRECTORY": str(folder)})
    DaemonClient(url)
    return url == DEFAULT_URL


def write_alerts(folder: Path) -> Path:
    store = settled(with_vm("quarantined"))
    path = folder / ALERTS
    path.write_bytes(store.to_json())
    return path


async def load_alerts(folder: Path) -> AlertStore:
    meter = Telemetry().alertmanager_meter()
    files = FileWatch(FakeClock(), lambda _: None)
    alerting = Alerting(AlertmanagerSettings(), folder, FakeClock(), meter, files)
    await alerting._load()
    return alerting.store


def write_kill_switch(folder: Path) -> Path:
    (folder / "switch").touch()
    assert KillSwitch(folder / "switch", folder / SEEN)()
    (folder / "switch").unlink()
    return folder / SEEN


def use_kill_switch(folder: Path) -> bool:
    return KillSwitch(folder / "switch", folder / SEEN)() == ""


class File(NamedTuple):
    write: Callable[[Path], Path]
    is_absent: Callable[[Path], bool]
    """Use the file as the daemon or a command does."""
    text: bytes
    """Some of a text in it."""


FILES: Mapping[str, File] = {
    "memory": File(write_memory, use_memory, b"429"),
    "refusal": File(write_refusal, use_refusal, b"401"),
    "address": File(write_address, use_address, b"192"),
    "kill switch": File(write_kill_switch, use_kill_switch, b"switch"),
}


def damage(path: Path, position: int, byte: int) -> None:
    body = bytearray(path.read_bytes())
    body[position % len(body)] = byte
    path.write_bytes(bytes(body))


@pytest.mark.parametrize("name", FILES)
def test_file_with_a_byte_of_no_text_counts_as_absent(tmp_path: Path, name: str) -> None:
    file = FILES[name]
    path = file.write(tmp_path)
    damage(path, path.read_bytes().index(file.text), IN_NO_TEXT)

    assert file.is_absent(tmp_path)


@pytest.mark.parametrize("name", FILES)
@given(position=st.integers(0, 2000), byte=st.integers(0, 255) | st.sampled_from(b'9Zg"{-.e'))
def test_nothing_is_raised_whatever_byte_of_a_file_is_damaged(
    name: str, position: int, byte: int
) -> None:
    file = FILES[name]
    with TemporaryDirectory() as folder:
        damage(file.write(Path(folder)), position, byte)

        file.is_absent(Path(folder))


@given(position=st.integers(0, 2000), byte=st.integers(0, 255) | st.sampled_from(b'9Zg"{-.e'))
async def test_alerts_go_on_whatever_byte_of_their_file_is_damaged(
    position: int, byte: int
) -> None:
    with TemporaryDirectory() as folder:
        damage(write_alerts(Path(folder)), position, byte)

        store = await load_alerts(Path(folder))

    after = store.evaluate([HEALTHY], AlertLimits(), LINKS, now=START, at=0.0)
    assert after.to_json()


def test_remembered_time_without_a_zone_is_refused() -> None:
    text = b'{"findings": {"drives": {"node1": "2026-01-01T00:00:00.1234567"}}}'

    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Remembered)
