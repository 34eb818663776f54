"""Runs tests in a forked process, which has imported pytest and the libraries already."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.mutant import ROOT

LIBRARIES = (
    *("aiohttp.web", "alembic.command", "hypothesis", "prometheus_client", "pydantic_settings"),
    *("pytest_asyncio", "re2", "sqlalchemy.ext.asyncio", "structlog", "yaml"),
)
OWN = ("exporter", "tests", "tools")
OPTIONS = (
    *("-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins are imported already
)
NOT_IN_TIME = "timeout"
DIED = "end of the process"


def import_libraries() -> None:
    """Import what the tests need apart from this repository: each fork has it at once."""
    for name in LIBRARIES:
        importlib.import_module(name)


class Fork:
    """
    A forked process without input and output that does *work* with one end of a pipe.

    It and all that it starts end with the context.
    """

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_run, args=(work, other))
        self._process.start()
        other.close()

    def __enter__(self) -> Connection:
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.join()


def _run(work: Callable[[Connection], Any], connection: Connection) -> None:
    os.setpgid(0, 0)  # with what the tests start, so that nothing of it stays
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    work(connection)


def enter(place: Path) -> None:
    """Take the modules of this repository from the checkout *place* from now on."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]
    os.chdir(place)
    sys.path[:] = [str(place), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(place)


def run_forked(place: Path, work: Callable[[], Any], *, seconds: float) -> Any:
    """
    Return what *work* returns in a fork whose modules come from the checkout *place*.

    Raises:
        TimeoutError: It took longer than *seconds*.
        EOFError: The process ended without a result.

    """

    def work_there(connection: Connection) -> None:
        enter(place)
        connection.send(work())

    with Fork(work_there) as connection:
        if not connection.poll(seconds):
            raise TimeoutError
        return connection.recv()


class FirstFailure:
    """A plugin of pytest that remembers which test failed."""

    test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.test = report.nodeid


def first_failure(place: Path, tests: Sequence[str], *, seconds: float) -> str:
    """Return which of *tests* failed first, or an empty string if all passed."""

    def work() -> str:
        sys.dont_write_bytecode = True  # a cached file could be that of another mutant
        failure = FirstFailure()
        code = pytest.main([*OPTIONS, *tests], plugins=[failure])
        return failure.test or ("" if code == pytest.ExitCode.OK else f"pytest: {code!r}")

    try:
        return str(run_forked(place, work, seconds=seconds))
    except TimeoutError:
        return NOT_IN_TIME
    except EOFError:
        return DIED
