"""
``make fuzz``: thousands of runs of `test_state_machine`, with new seeds each time.

A failure is printed with its seed and its run; ``--seed SEED --plays 100`` repeats it.
"""

import argparse
import logging
import os
import random
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.recovery.test_state_machine import STEPS, Everything

RUNS_PER_SEED = 100


def main() -> int:
    """Play the seeds and print the plays that broke an invariant; return 1 if one did."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--plays", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = arguments.parse_args()
    count = max(1, given.plays // RUNS_PER_SEED)
    seeds = range(given.seed, given.seed + count)
    say(f"{count * RUNS_PER_SEED:,} runs of {STEPS} steps, seeds {seeds[0]} to {seeds[-1]}")
    failed = 0
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for done, failure in enumerate(workers.map(what_fails, seeds), 1):
            failed += bool(failure)
            if failure or done % 20 == 0 or done == count:
                say(f"{failure}{done} of {count} seeds done, {failed} failed")
    return int(failed > 0)


def what_fails(number: int) -> str:
    """Return what went wrong in the runs of a seed, with the run; empty if nothing did."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        run_state_machine_as_test(
            seed(number)(type("Seeded", (Everything,), {})),
            settings=settings(
                max_examples=RUNS_PER_SEED,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # shrinking takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception:  # noqa: BLE001 - whatever it is, it is told with its seed
        return f"seed {number}\n{traceback.format_exc()}"
    return ""


say = partial(print, file=sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
