"""Runs the mutation tests and prints the survivors."""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

import tests.mutation
from tests.mutation.covering import Covering, measure
from tests.mutation.forked_tests import first_failure, import_libraries
from tests.mutation.imported_tests import ImportedTests
from tests.mutation.mutant import ROOT, Mutant
from tests.mutation.python_code import python_mutants
from tests.mutation.rules import killed_by_cases, rule_mutants

CORE = ("observe", "detect", "decide", "model", "verify.py")
"""What is mutated of exporter/recovery."""
TESTS = ("alerting", "backtest", "cli", "collectors", "config", "journal", "recovery", "web")
"""The folders of tests that may notice."""
SLOW_SECONDS = 10.0
"""A test that takes longer is not run for mutants."""
FIRST = 30
"""So many tests run first, in a process of their own that imports little."""
MOST_SECONDS = 60.0
"""A mutant survives when its tests have run for about so long."""
ACCEPTED = Path(__file__).with_name("accepted.yml")
"""Survivors that change no behavior, and why."""
NOT_COPIED = (".*", "node_modules", "dist", "htmlcov")


class Judge:
    """Runs tests for mutants in copies of the checkout."""

    def __init__(self, first: Path, own: Path, covering: Covering) -> None:
        self._own = own
        self._covering = covering
        self._kills: Counter[str] = Counter()
        self._sound: dict[str, bool] = {}
        """By test: whether it passes among imported tests when nothing is changed."""
        self._imported = ImportedTests(
            first, sorted({test.partition("::")[0] for test in covering.seconds})
        )

    def killer(self, mutant: Mutant) -> str:
        """Return the test that fails for *mutant*, or an empty string."""
        tests = self._in_order(mutant)
        killer = self._killer_of_imported(mutant, tests) or self._killer_of_file(mutant, tests)
        self._kills[killer] += 1
        return killer

    def _killer_of_imported(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """Return the test that fails with the changed function; fast, but no proof if none does."""
        seconds = {
            test: self._covering.seconds[test] for test in tests if self._sound.get(test, True)
        }
        killer = self._imported.first_failure(mutant, seconds) if seconds else ""
        if killer in seconds and killer not in self._sound:
            alone = {killer: seconds[killer]}
            self._sound[killer] = not self._imported.first_failure(None, alone)
            if not self._sound[killer]:
                return self._killer_of_imported(mutant, tests)
        return killer

    def _killer_of_file(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """Return the test that fails when it imports the changed file."""
        file = self._own / mutant.file
        file.write_text(mutant.text, encoding="utf-8")
        try:
            for some in (tests[:FIRST], tests[FIRST:]):
                expected = sum(self._covering.seconds[test] for test in some)
                if some and (killer := first_failure(self._own, some, seconds=60 + 5 * expected)):
                    return killer
            return ""
        finally:
            shutil.copy2(ROOT / mutant.file, file)  # with its time: its bytecode stays valid

    def _in_order(self, mutant: Mutant) -> list[str]:
        """Return the tests for *mutant*: those that killed many first, then the fast ones."""
        seconds = self._covering.seconds
        tests = [one for one in self._covering.of(mutant) if seconds[one] <= SLOW_SECONDS]
        tests.sort(key=lambda one: (-self._kills[one], seconds[one], one))
        spent = 0.0
        for number, test in enumerate(tests):
            spent += seconds[test]
            if spent > MOST_SECONDS:
                return tests[:number]
        return tests


_judge: Judge
"""Of this process of the pool."""


def _prepare(folder: Path, covering: Covering) -> None:
    global _judge  # noqa: PLW0603  how a pool passes something to its processes once
    place = folder / str(os.getpid())
    shutil.copytree(folder / "first", place)
    _judge = Judge(folder / "first", place, covering)


def _killer(mutant: Mutant) -> str:
    return killed_by_cases(mutant) if mutant.file.suffix == ".yml" else _judge.killer(mutant)


def all_mutants() -> Iterator[Mutant]:
    for file in _core():
        yield from python_mutants(file.relative_to(ROOT))
    yield from rule_mutants()


def _core() -> Iterator[Path]:
    recovery = ROOT / "exporter" / "recovery"
    for file in sorted(recovery.rglob("*.py")):
        if file.relative_to(recovery).parts[0] in CORE:
            yield file


def covering_of(place: Path, jobs: int) -> Covering:
    """
    Run the tests of the core once in the checkout *place*.

    Raises:
        SystemExit: A test fails without a mutant.

    """
    found = (file for folder in TESTS for file in (place / "tests" / folder).glob("test_*.py"))
    files = sorted(str(file.relative_to(place)) for file in found)
    code = "".join(file.read_text(encoding="utf-8") for file in _core())
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        measured = list(pool.map(measure, [place] * len(files), files, [code] * len(files)))
    if failed := next((some.failed for some in measured if some.failed), ""):
        sys.exit(f"without a mutant, {failed} fails")
    return Covering(measured)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=tests.mutation.__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only mutants with this text")
    parser.add_argument("--sample", type=int, default=0, help="number of mutants (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    mutants = [one for one in all_mutants() if options.pattern in one.key]
    if options.sample:
        mutants = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    import_libraries()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        first = folder / "first"
        shutil.copytree(ROOT, first, ignore=shutil.ignore_patterns(*NOT_COPIED))
        core = any(one.file.suffix == ".py" for one in mutants)
        covering = covering_of(first, options.jobs) if core else Covering([])
        survivors = list(_survivors(folder, covering, mutants, options.jobs))
    print(f"{len(mutants)} mutants, {len(survivors)} survive that should not")  # noqa: T201
    return int(bool(survivors))


def _survivors(
    folder: Path, covering: Covering, mutants: list[Mutant], jobs: int
) -> Iterator[Mutant]:
    """Print the mutants that no test kills; yield those that are not accepted."""
    listed = yaml.safe_load(ACCEPTED.read_text(encoding="utf-8"))
    known = {one["mutant"]: one["because"] for one in listed}
    with ProcessPoolExecutor(
        jobs, get_context("fork"), initializer=_prepare, initargs=(folder, covering)
    ) as pool:
        killers = enumerate(pool.map(_killer, mutants))
        for (done, killer), mutant in zip(killers, mutants, strict=True):
            if done and done % 200 == 0:
                print(f"{done} of {len(mutants)} mutants done", flush=True)  # noqa: T201
            if not killer:
                where = f"line {mutant.lines.start} of " if mutant.lines else ""
                print(where + mutant.key, known.get(mutant.key, ""), flush=True)  # noqa: T201
                if mutant.key not in known:
                    yield mutant


if __name__ == "__main__":
    sys.exit(main())
