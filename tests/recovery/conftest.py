"""Runs that the invariant checker watches to the end."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from tests.recovery.harness import Theatre
from tests.recovery.invariants import Observer

Play = Callable[..., tuple[Theatre, Observer]]


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Keep the log to ourselves: thousands of lines of a play are of no use to anybody."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
def play() -> Iterator[Play]:
    """Return what makes a theatre with an observer in it."""
    observers: list[Observer] = []

    def begin(
        *, after: Any = None, enrolled: Callable[[str], str] = lambda _name: "", **theatre: Any
    ) -> tuple[Theatre, Observer]:
        stage = Theatre(**theatre)
        observer = Observer(stage, after=after, enrolled=enrolled)
        observers.append(observer)
        return stage, observer

    yield begin
    for observer in observers:
        observer.check()
