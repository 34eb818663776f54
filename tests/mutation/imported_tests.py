"""Runs tests for one mutant after another, in forks of a process that has imported them all."""

import ast
import gc
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path

import pytest

from tests.mutation.forked_tests import DIED, OPTIONS, FirstFailure, Fork, enter
from tests.mutation.functions import ImportedFunctions, changed_functions
from tests.mutation.mutant import Mutant

SPARE_SECONDS = 10
"""A test may take so much longer than measured, and so many times as long."""


class ImportedTests:
    """
    The tests of a checkout, imported once.

    It knows only mutants that change functions: their code is replaced where they are imported.
    """

    def __init__(self, place: Path, files: Sequence[str]) -> None:
        fork = Fork(partial(_serve, place, files))
        self._connection = fork.connection
        Finalize(None, fork.__exit__, exitpriority=1)  # this process would wait for it at its end

    def first_failure(self, mutant: Mutant | None, tests: Mapping[str, float]) -> str:
        """
        Return which of *tests* fails first with *mutant*.

        Args:
            mutant: None runs the tests without a change.
            tests: How many seconds each takes.

        Returns:
            An empty string if none fails, or if *mutant* changes more than functions.

        """
        self._connection.send((mutant, tests))
        return str(self._connection.recv())


def _serve(place: Path, files: Sequence[str], connection: Connection) -> None:
    enter(place)
    pytest.main([*OPTIONS, *files], plugins=[_Server(place, connection)])


class _Server:
    """A plugin of pytest that runs tests on demand instead of all."""

    def __init__(self, place: Path, connection: Connection) -> None:
        self._place = place
        self._connection = connection

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self._functions = ImportedFunctions()
        gc.collect()
        gc.freeze()  # a collection in a fork would copy every page
        while True:
            try:
                mutant, tests = self._connection.recv()
            except EOFError:
                return True
            seconds = {items[name]: seconds for name, seconds in tests.items()}
            self._connection.send(self._first_failure(mutant, seconds))

    def _first_failure(self, mutant: Mutant | None, tests: Mapping[pytest.Item, float]) -> str:
        def work(connection: Connection) -> None:
            changed = mutant is None or self._change(mutant)
            connection.send(_run(tests) if changed else "")

        with Fork(work) as connection:
            try:
                return str(connection.recv())
            except EOFError:
                return DIED

    def _change(self, mutant: Mutant) -> bool:
        file = self._place / mutant.file
        before = ast.unparse(ast.parse(file.read_text(encoding="utf-8")))
        codes = changed_functions(before, mutant.text)
        return bool(codes) and self._functions.replace(str(file), codes)


def _run(tests: Mapping[pytest.Item, float]) -> str:
    """Run *tests* until one fails; return its name. One that takes too long ends the process."""
    failure = FirstFailure()
    items = list(tests)
    for item, following in zip(items, [*items[1:], None], strict=True):
        if item is items[0]:
            item.config.pluginmanager.register(failure)
        signal.alarm(SPARE_SECONDS + int(SPARE_SECONDS * tests[item]))
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failure.test:
            break
    return failure.test
