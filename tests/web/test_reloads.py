"""Reloads by request are rare, and every request gets the result of a later one."""

import asyncio

from exporter.errors import ConfigError
from exporter.web.ports import Reloaded
from exporter.web.reloads import EVERY_SECONDS, Reloads
from tests.web.samples import HandClock
from tests.web.site import StubReload


class PatientClock(HandClock):
    """A clock on which a sleep ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.wake = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds > 0:
            await self.wake.wait()
            self.seconds += seconds


async def test_first_reload_is_made_at_once() -> None:
    clock, reload = PatientClock(), StubReload()

    await Reloads(reload, clock)()

    assert reload.calls == 1
    assert max(clock.slept) <= 0


async def test_reloads_within_seconds_share_a_later_one() -> None:
    clock, reload = PatientClock(), StubReload()
    reloads = Reloads(reload, clock)
    await reloads()
    clock.seconds += 1

    crowd = [asyncio.create_task(reloads()) for _ in range(100)]
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - lets the tasks begin
    assert reload.calls == 1
    clock.wake.set()
    await asyncio.gather(*crowd)

    assert reload.calls == 2
    assert clock.slept[-1] == EVERY_SECONDS - 1


async def test_reload_after_a_pause_is_made_at_once() -> None:
    clock, reload = PatientClock(), StubReload()
    reloads = Reloads(reload, clock)
    await reloads()
    clock.seconds += EVERY_SECONDS

    await reloads()

    assert reload.calls == 2


async def test_error_reaches_every_request_and_the_next_reload_works() -> None:
    clock, reload = HandClock(), StubReload("no such file")
    reloads = Reloads(reload, clock)

    for outcome in await asyncio.gather(reloads(), reloads(), return_exceptions=True):
        assert isinstance(outcome, ConfigError)
    reload.error = None

    assert await reloads() == Reloaded()
    assert reload.calls == 2
