"""Processes that are set up as the daemon is."""

import logging
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import structlog

from exporter.daemon.app import tune_interpreter

T = TypeVar("T")


def in_a_new_process(measure: Callable[[int], T], vms: int) -> T:
    """Measure as in a daemon: the heap of earlier measurements makes later ones slower."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=as_the_daemon) as process:
        return process.submit(measure, vms).result()


def as_the_daemon() -> None:
    """Tune the interpreter, and log nothing."""
    tune_interpreter()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
