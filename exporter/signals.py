"""
Handles the signals of the daemon from the first moment of its process to the last.

As PID 1 of a container, a process never sees a signal that it has no handler for; elsewhere, such
a signal kills it. So the handlers are there before anything that takes time is imported, and stay
until the process has ended. This module imports nothing of the product.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = signal.SIGHUP


class _Receiver:
    """What a signal does at the moment."""

    def __init__(self) -> None:
        self.stop: Callable[[], object] = _exit
        self.reload: Callable[[], object] = self.remember
        self.is_reload_wanted = False
        """Whether a reload was asked for before the daemon could."""

    def remember(self) -> None:
        self.is_reload_wanted = True


def _exit() -> None:
    """End the process: nothing has begun yet that would have to be ended in order."""
    os._exit(0)


_receiver = _Receiver()


def install() -> None:
    """Handle the signals from now on: until the daemon has begun, one that stops it ends it."""
    for number in STOP:
        signal.signal(number, lambda *_: _receiver.stop())
    signal.signal(RELOAD, lambda *_: _receiver.reload())
    unblock()


def unblock() -> None:
    """Receive the signals that the image blocks, so that none is lost before there are handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, RELOAD})


@contextmanager
def stopping_with(stop: Callable[[], object]) -> Iterator[None]:
    """Inside the block, call *stop* when the daemon is to end; after it, ignore every signal."""
    install()
    _receiver.stop = stop
    try:
        yield
    finally:
        for number in (*STOP, RELOAD):  # Python gives up handlers before the process has ended
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def reloading_with(reload: Callable[[], object]) -> Iterator[None]:
    """Inside the block, call *reload* on SIGHUP, and at once if one came before."""
    _receiver.reload = reload
    if _receiver.is_reload_wanted:
        _receiver.is_reload_wanted = False
        reload()
    try:
        yield
    finally:
        _receiver.reload = _receiver.remember
