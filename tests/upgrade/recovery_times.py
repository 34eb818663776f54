"""How soon recovery is ready, and starts the VMs of a site that crash."""

from collections.abc import Callable

from tests.daemon_process import Daemon
from tests.upgrade.site import NORTH, Site, status_of

START_SECONDS = 12.0
"""A VM is started at most so long after it crashed, also on a busy machine."""

Say = Callable[[str], None]


def tell_starts(place: Site, phase: str, within_seconds: float, say: Say) -> None:
    """Say how soon VMs that crashed in a *phase* were started, and check that it was in time."""
    waited = [place.seconds_to_start(one) for one in place.crashes if one.phase == phase]
    seconds = [one for one in waited if one is not None]
    assert len(seconds) == len(waited), f"{len(waited) - len(seconds)} were not started"
    say(
        f"{phase}: crashed VMs: {len(seconds)}, started after {min(seconds):.1f} to "
        f"{max(seconds):.1f} s (limit {within_seconds:.0f} s)"
    )
    assert max(seconds) <= within_seconds


async def until_ready(place: Site, daemon: Daemon) -> None:
    """Return when recovery would act on a crash."""

    async def is_ready() -> bool:
        return bool((await status_of(daemon, NORTH))["readiness"] == "active")

    await place.until(is_ready, "recovery is ready")
