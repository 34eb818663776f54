"""What the daemon tells systemd: that it is ready, alive and stopping, and its status line."""

import os
import socket
from collections.abc import Callable, Mapping

from exporter.clock import Clock

STATUS_EVERY_SECONDS = 5.0


async def notify_status_forever(
    clock: Clock, status: Callable[[], str], environ: Mapping[str, str] = os.environ
) -> None:
    """Send *status*, one line, to systemd when it has changed: ``systemctl status`` shows it."""
    sent = ""
    while environ.get("NOTIFY_SOCKET"):
        line = status()
        if line != sent:
            notify(f"STATUS={line}", environ)
            sent = line
        await clock.sleep(STATUS_EVERY_SECONDS)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """
    Send *state*, such as ``READY=1``, to systemd, if it started the daemon.

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
            return  # the watchdog of systemd detects a missing notification
