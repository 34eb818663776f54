"""Finds out which tests run a line, and how long each takes."""

import hashlib
import pickle
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from coverage import Coverage

from tests.mutation.forked_tests import OPTIONS, run_forked
from tests.mutation.mutant import ROOT, Mutant

KEPT = ROOT / ".mutation_cache"
"""Holds what was measured, until the mutated code or the test file changes."""
TIMEOUT_SECONDS = 900.0
AT_IMPORT = ""
"""The name of no test: what ran before the first one."""


class Measured(NamedTuple):
    """What the tests of a file need and run."""

    seconds: Mapping[str, float]
    """By test."""
    lines: Mapping[str, Mapping[int, tuple[str, ...]]]
    """Tests by file and line."""
    failed: str


def measure(place: Path, test_file: str, code: str) -> Measured:
    """Run *test_file* in the checkout *place*, unless that is known for *code*, what is mutated."""
    name = test_file.replace("/", ".")
    digest = hashlib.sha256(code.encode() + (ROOT / test_file).read_bytes()).hexdigest()[:16]
    kept = KEPT / f"{name}-{digest}"
    if not kept.exists():
        found = run_forked(place, lambda: _measure(place, test_file), seconds=TIMEOUT_SECONDS)
        KEPT.mkdir(exist_ok=True)
        for old in KEPT.glob(f"{name}-*"):
            old.unlink()
        kept.write_bytes(pickle.dumps(found))
    return Measured(*pickle.loads(kept.read_bytes()))  # noqa: S301  written by this module


def _measure(place: Path, test_file: str) -> tuple[object, ...]:
    coverage = Coverage(data_file=None, include=[f"{place}/exporter/recovery/*"], config_file=False)
    recorder = _Recorder(coverage)
    coverage.start()
    pytest.main([*OPTIONS, test_file], plugins=[recorder])
    coverage.stop()
    data = coverage.get_data()
    lines = {
        str(Path(file).relative_to(place)): {
            line: tuple(tests) for line, tests in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return recorder.seconds, lines, recorder.failed


class _Recorder:
    """Tells *coverage* which test runs."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid


class Covering:
    """The tests by the lines that they run."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        self.seconds: dict[str, float] = {}
        self._tests: dict[str, dict[int, set[str]]] = {}
        for some in measured:
            self.seconds.update(some.seconds)
            for file, by_line in some.lines.items():
                known = self._tests.setdefault(file, {})
                for line, tests in by_line.items():
                    known.setdefault(line, set()).update(tests)

    def of(self, mutant: Mutant) -> set[str]:
        """
        Return the tests that run a changed line.

        Of a line that an import runs: all tests of its file, and those in the test files that are
        named after it or its folder.
        """
        by_line = self._tests.get(str(mutant.file), {})
        found = set[str]().union(*(by_line.get(line, ()) for line in mutant.lines))
        if AT_IMPORT not in found:
            return found
        names = {f"test_{mutant.file.stem}.py", f"test_{mutant.file.parent.name}.py"}
        named = {test for test in self.seconds if Path(test.partition("::")[0]).name in names}
        return named.union(*by_line.values()) - {AT_IMPORT}
