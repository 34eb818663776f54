"""What a reload does with an error that no check foresaw."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from exporter.config.loader import load
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem
from exporter.daemon.reload import Reload
from exporter.errors import ConfigError
from exporter.inputs.live_file import FileWatch
from exporter.telemetry import Telemetry
from tests.fakes import FakeClock, settle

GAUGE = "vergewatch_config_last_reload_successful"


class FakeParts:
    """Takes any settings but those with *breaks_at* as the shortest interval."""

    def __init__(self, breaks_at: float = 0) -> None:
        self.breaks_at = breaks_at
        self.applied: list[float] = []

    async def apply(self, settings: Settings, _: Sequence[ResolvedSystem]) -> None:
        self.applied.append(settings.poll.fast_seconds)
        if settings.poll.fast_seconds == self.breaks_at:
            raise OverflowError("of no check")


class Loader:
    """Reads settings, or fails as *error* does."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.error: Exception | None = None

    def __call__(self) -> Settings:
        if self.error is not None:
            raise self.error
        return load(self.config)

    def write(self, fast_seconds: float) -> None:
        self.config.write_text(
            f"{{url: 'http://a', api_key: k, poll: {{fast_seconds: {fast_seconds}}}}}"
        )


class Daemon:
    def __init__(self, folder: Path, parts: FakeParts) -> None:
        self.telemetry = Telemetry()
        self.load = Loader(folder / "vergewatch.yaml")
        self.load.write(20)
        clock = FakeClock()
        self.reload = Reload(
            parts,
            self.load,
            self.load(),
            FileWatch(clock, lambda _: None),
            self.telemetry,
            clock,
        )

    def succeeded(self) -> bool:
        return f"{GAUGE} 1.0" in self.telemetry.text(openmetrics=False).decode()


@pytest.mark.parametrize("error", [OverflowError("x"), OSError(5, "x"), KeyError("x")])
async def test_unexpected_error_of_a_reload_by_signal_ends_nothing(
    tmp_path: Path, error: Exception
) -> None:
    parts = FakeParts()
    daemon = Daemon(tmp_path, parts)
    before, daemon.load.error = daemon.reload.in_force, error

    with structlog.testing.capture_logs() as logged:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.reload.quietly())

    failed, rejected = logged
    assert (failed["event"], failed["type"]) == ("config.reload_failed", type(error).__name__)
    assert rejected["event"] == "config.rejected"
    assert not daemon.succeeded()
    assert type(error).__name__ in daemon.reload.problem
    assert daemon.reload.in_force is before
    assert parts.applied == []

    daemon.load.error = None
    await daemon.reload.quietly()
    assert daemon.succeeded()
    assert daemon.reload.problem == ""


async def test_unexpected_error_is_a_config_error_for_who_asked(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, FakeParts())
    daemon.load.error = KeyError("x")

    with pytest.raises(ConfigError, match="KeyError"):
        await daemon.reload()

    assert daemon.reload.last is not None
    assert "KeyError" in daemon.reload.last.error


async def test_bug_while_settings_are_put_in_force_ends_the_daemon(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, FakeParts(breaks_at=30))
    daemon.load.write(30)

    with pytest.raises(OverflowError):  # half of them may be in force
        await daemon.reload.quietly()


async def test_reload_that_is_cancelled_is_not_taken_for_an_error(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, FakeParts())
    parts_wait = asyncio.Event()

    async def wait(*_: object) -> None:
        await parts_wait.wait()

    daemon.reload._parts.apply = wait  # type: ignore[method-assign]
    task = asyncio.create_task(daemon.reload.quietly())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert daemon.succeeded()
