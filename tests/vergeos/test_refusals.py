"""Refused credentials are remembered across restarts, without giving them away."""

import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from exporter.daemon.refusal_file import RefusalFile
from exporter.inputs.files import stamp
from exporter.vergeos.credentials import Credentials
from exporter.vergeos.refusals import RefusalMemory
from tests.fakes import FakeClock

URL = "https://verge.example.com"
WAIT = 1800.0
KEY = Credentials(api_key=SecretStr("a-refused-key"))
LOGIN = Credentials(username="monitor", password=SecretStr("an-expired-password"))
CHANGED = Credentials(username="monitor", password=SecretStr("a-new-password"))


def started(folder: Path, clock: FakeClock, *, asks_anyway: bool = False) -> RefusalMemory:
    """Return the memory of a process that has just started."""
    return RefusalMemory(clock, RefusalFile(folder, URL, "poll"), asks_anyway=asks_anyway)


async def objection(memory: RefusalMemory, credentials: Credentials) -> str:
    return await memory.objection(credentials, wait_seconds=WAIT)


@pytest.mark.parametrize("credentials", [KEY, LOGIN])
async def test_refused_credentials_are_not_tried_after_a_restart(
    tmp_path: Path, credentials: Credentials
) -> None:
    clock = FakeClock()
    first = started(tmp_path, clock)
    assert await objection(first, credentials) == ""
    await first.remember(credentials, "401 (Login required)", wait_seconds=WAIT)
    for _ in range(5):
        clock.elapsed += 100
        text = await objection(started(tmp_path, clock), credentials)
        assert text.startswith("401 (Login required); not asking again for ")
    clock.elapsed += WAIT
    assert await objection(started(tmp_path, clock), credentials) == ""


async def test_changed_secret_is_tried_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    await started(tmp_path, clock).remember(LOGIN, "401", wait_seconds=WAIT)
    memory = started(tmp_path, clock)
    assert await objection(memory, LOGIN)
    assert await objection(memory, CHANGED) == ""
    assert await objection(started(tmp_path, clock), CHANGED) == ""


async def test_success_of_another_process_ends_the_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    daemon = started(tmp_path, clock)
    await daemon.remember(KEY, "401", wait_seconds=WAIT)
    assert await objection(daemon, KEY)

    check = started(tmp_path, clock, asks_anyway=True)
    assert await objection(check, KEY) == ""
    await check.forget()

    assert await objection(daemon, KEY) == ""


async def test_failed_retry_of_an_operator_is_remembered_too(tmp_path: Path) -> None:
    clock = FakeClock()
    check = started(tmp_path, clock, asks_anyway=True)
    await check.remember(KEY, "401", wait_seconds=WAIT)
    assert await objection(check, KEY)
    assert await objection(started(tmp_path, clock), KEY)


async def test_stored_refusal_gives_no_secret_away(tmp_path: Path) -> None:
    clock = FakeClock()
    for name in ("a", "b"):
        await started(tmp_path / name, clock).remember(KEY, "401", wait_seconds=WAIT)
    first, second = (next((tmp_path / name).rglob("*.json")) for name in ("a", "b"))
    assert b"refused-key" not in first.read_bytes()
    assert first.read_bytes() != second.read_bytes()  # salted
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


async def test_clock_that_was_set_back_prolongs_no_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.elapsed = 10 * WAIT
    await started(tmp_path, clock).remember(KEY, "401", wait_seconds=WAIT)
    clock.elapsed = 0.0
    memory = started(tmp_path, clock)
    assert await objection(memory, KEY)
    clock.elapsed = WAIT
    assert await objection(memory, KEY) == ""


async def test_directory_that_cannot_be_written_leaves_the_memory_of_the_process(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    (tmp_path / "systems").write_text("a file")
    memory = started(tmp_path, clock)
    with capture_logs() as logs:
        for _ in range(2):
            await memory.remember(KEY, "401", wait_seconds=WAIT)
            assert await objection(memory, KEY)
    assert [entry["event"] for entry in logs if "refusal" in entry["event"]] == [
        "refusal.not_written"
    ]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"salt": 1}'])
async def test_damaged_file_is_no_refusal(tmp_path: Path, text: bytes) -> None:
    file = RefusalFile(tmp_path, URL, "poll")
    file.path.parent.mkdir()
    file.path.write_bytes(text)
    assert await objection(started(tmp_path, FakeClock()), KEY) == ""


async def test_retry_allows_one_attempt_and_ten_allow_no_more(tmp_path: Path) -> None:
    clock = FakeClock()
    memory = started(tmp_path, clock)
    assert memory.retry() is None
    await memory.remember(KEY, "401", wait_seconds=WAIT)
    clock.elapsed += 90
    assert await objection(memory, KEY)
    assert {memory.retry() for _ in range(10)} == {0.0}
    assert await objection(memory, KEY) == ""
    assert await objection(memory, KEY)  # another client, meanwhile
    await memory.remember(KEY, "401", wait_seconds=WAIT)

    for _ in range(10):
        clock.elapsed += 5
        memory.retry()
        assert await objection(memory, KEY)
    clock.elapsed += 10
    assert await objection(memory, KEY) == ""


async def test_retry_waits_for_the_rest_of_the_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    memory = started(tmp_path, clock)
    await memory.remember(KEY, "401", wait_seconds=WAIT)
    clock.elapsed += 18
    assert memory.retry() == 42
    clock.elapsed += 41
    assert await objection(memory, KEY)
    clock.elapsed += 1
    assert await objection(memory, KEY) == ""


async def test_retry_after_a_restart_knows_the_last_attempt(tmp_path: Path) -> None:
    clock = FakeClock()
    await started(tmp_path, clock).remember(KEY, "401", wait_seconds=WAIT)
    clock.elapsed += 20
    memory = started(tmp_path, clock)
    assert await objection(memory, KEY)
    assert memory.retry() == 40


async def test_attempt_without_an_answer_is_not_repeated_within_a_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    memory = started(tmp_path, clock)
    await memory.remember(KEY, "401", wait_seconds=WAIT)
    clock.elapsed += WAIT
    assert await objection(memory, KEY) == ""
    clock.elapsed += 59
    assert await objection(memory, KEY)
    clock.elapsed += 1
    assert await objection(memory, KEY) == ""


async def test_touched_secret_file_allows_one_attempt(tmp_path: Path) -> None:
    clock = FakeClock()
    memory = started(tmp_path, clock)
    secret = tmp_path / "secret"
    secret.write_text("a-refused-key")
    before = Credentials(api_key=KEY.api_key, stamps=(stamp(secret),))
    await memory.remember(before, "401", wait_seconds=WAIT)
    clock.elapsed += 100
    assert await objection(memory, before)

    os.utime(secret, ns=(1, 1))
    touched = Credentials(api_key=KEY.api_key, stamps=(stamp(secret),))
    assert await objection(memory, touched) == ""
    await memory.remember(touched, "401", wait_seconds=WAIT)
    clock.elapsed += 100
    assert await objection(memory, touched)
