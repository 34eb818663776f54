"""Proof of life: how late the event loop is, and a sign to systemd that it still turns."""

import os
import socket
from collections.abc import Callable, Mapping

from exporter.clock import Clock

EVERY_SECONDS = 0.5


async def measure_lag_forever(clock: Clock, observe_lag: Callable[[float], None]) -> None:
    """
    Measure the event loop's lag, in seconds, for as long as it turns.

    Each beat also pets systemd's watchdog, where there is one: a loop that hangs is restarted.
    """
    while True:
        before = clock.monotonic()
        await clock.sleep(EVERY_SECONDS)
        observe_lag(max(0.0, clock.monotonic() - before - EVERY_SECONDS))
        notify("WATCHDOG=1")


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """
    Tell systemd *state*, such as ``READY=1``; without systemd, nobody listens.

    See sd_notify(3): one datagram to the socket named by ``NOTIFY_SOCKET``.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux' abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
        try:
            out.sendto(state.encode(), address)
        except OSError:
            return  # systemd notices silence by itself
