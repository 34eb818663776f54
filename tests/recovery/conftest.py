"""Runs that the invariant checker watches to the end."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from tests.recovery.harness import Harness
from tests.recovery.invariants import InvariantChecker

MakeHarness = Callable[..., tuple[Harness, InvariantChecker]]


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Drop the log: a run writes thousands of lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
def make_harness() -> Iterator[MakeHarness]:
    """Return a function that makes a harness with an invariant checker."""
    checkers: list[InvariantChecker] = []

    def begin(
        *, after: Any = None, enrolled: Callable[[str], str] = lambda _name: "", **harness: Any
    ) -> tuple[Harness, InvariantChecker]:
        stage = Harness(**harness)
        checker = InvariantChecker(stage, after=after, enrolled=enrolled)
        checkers.append(checker)
        return stage, checker

    yield begin
    for checker in checkers:
        checker.check()
