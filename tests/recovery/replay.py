"""
``make replay``: a month of operation in some minutes, and an account of it.

The same month without recovery, and with a script that starts whatever is off, are the baselines.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from types import MappingProxyType

from exporter.recovery.model.limits import Mode
from exporter.vergeos import decoding
from tests.recovery.activity import ACTIVITIES
from tests.recovery.archive import journal_on_disk
from tests.recovery.ground_truth import US, Crash, WrongAction
from tests.recovery.harness import EVERY
from tests.recovery.month import (
    QUIET_STEP,
    Month,
    MonthJournal,
    RecordedMonthJournal,
    WithoutDiagnosis,
    WithoutRecovery,
    be_silent,
)
from tests.recovery.workload import DAY, MINUTE

ORDINARY = tuple(zip(ACTIVITIES[:7], (30, 20, 20, 10, 10, 5, 5), strict=True))
"""What goes on in the log about how many VMs of a hundred."""
LEARNING_DAYS = 25 / 24
RECALL_BAR = 0.99
EXCUSES = {
    "within_rate_limit": "the rate limit of the system was reached",
    "within_restart_budget": "its budget was used up: a crash loop",
    "backoff_elapsed": "the pause after the last try was not over",
    "not_paused": "recovery was paused",
    "flapping": "it went down again and again",
    "went_down_unobserved": "no valid poll when it went down",
    "never_seen_up": "it was never seen up before it died",
    "not_seen": "no valid poll for most of the time",
    "inventory_stable": "no valid poll for most of the time",
    "inventory_fresh": "no valid poll for most of the time",
    "warmed_up": "recovery was warming up after an outage or a pause",
    "node_in_trouble": "its node was in trouble",
    "node_stable": "its node lost several VMs",
    "migrated_shortly_before": "it was being migrated",
    "start_failed": "it died on its way up",
    "stopped_by_person": "a user had requested a stop shortly before",
    "stopped_by_task": "a task had asked for a stop shortly before",
    "stopped_by_guest": "its guest had shut down shortly before",
}
SIMPLIFIED = """\
What was simplified: where nothing happens or is going on, two polls of three are left out
(--every-poll takes them all). Tables were read straight from the simulated world, not through
JSON and the decoders (a test holds the two against each other); logs, second looks and requests
went through the simulated API. Polls take no time. The platform's log is kept for 3 days instead
of 45. Rows of the log come at most 30 s late. The journal is one in memory."""


def account(
    month: Month, *, cpu_seconds: float, baselines: Mapping[str, Month] = MappingProxyType({})
) -> Iterator[str]:
    """Tell what happened, in lines."""
    ground_truth, crashes, recovered = month.ground_truth, month.crashes, month.recovered
    counted = ground_truth.counted
    yield (
        f"{month.days:g} days of {len(ground_truth.enrolled_keys):,} enrolled VMs "
        f"on {month.nodes} nodes, "
        f"mode {month.mode}, seed {month.seed}"
    )
    cadence = f", every {QUIET_STEP:g} s while nothing happens" if month.hurried else ""
    if month.learning:
        yield f"after {month.learning:g} days in which rows of the log were learned"
    yield (
        f"{month.polls:,} polls, one every {EVERY:g} s{cadence}; "
        f"{cpu_seconds / 60:.1f} minutes of CPU, "
        f"{1000 * cpu_seconds / max(1, month.polls):.1f} ms each"
    )
    yield ""
    yield fill(
        f"People and guests: {counted['action_sent'] - len(month.asked())} actions by hand, "
        f"{counted['task_ran']} by tasks, {counted['guest_shut_down']} shutdowns and "
        f"{counted['guest_rebooted']} reboots from inside, {counted['migrated']} migrations, "
        f"{counted['node_maintenance']} maintenances and {counted['node_failed']} failures of "
        f"nodes, {counted['ha_restarted']} restarts by VergeOS itself, {counted['hung']} hangs.",
        width=96,
    )
    yield ""
    strangers = len(ground_truth.crashes) - len(crashes)
    yield from _line("crashes", len(crashes), f"and {strangers} of VMs that are none of its own")
    asked = [one for one in crashes if one.asked_at is not None]
    if month.mode is Mode.SHADOW:
        yield from _line("it would have started", len(asked), "")
    yield from _line("started by Vergewatch", len(recovered), _times(recovered))
    others = [one for one in crashes if one.back_at is not None and one.back_by != US]
    first = [one for one in others if one.asked_at is None and not one.held_by]
    yield from _line("started by another user", len(others), f"{len(first)} within the hour")
    rest = len(crashes) - len(recovered) - len(others)
    yield from _line("never came back of themselves", rest, "died again, or down at the end")
    yield from _line("held for over an hour", len(month.held), "")
    for reason, number in Counter(one.held_by for one in month.held).most_common():
        yield f"{number:>14}  {reason}: {EXCUSES.get(reason, reason)}"
    loops = ", ".join(sorted(month.quarantined))
    yield from _line("given up as crash loops", len(month.quarantined), loops)
    yield from _line("most actions in an hour", month.most_in_an_hour, "")
    invalid = ", ".join(f"{number:,} {reason}" for reason, number in month.invalid.most_common())
    yield from _line("rejected inventories", sum(month.invalid.values()), invalid)
    yield from _line("restarts of the daemon", month.fate.restarts, "")
    jumps = sum(told[0] == "clock_jumped" for told in month.tally.measured)
    yield from _line("jumps of a clock noticed", jumps, "")
    yield ""
    yield f"{month.precision:>7.1%}  precision: actions that were right"
    yield f"{month.recall:>7.1%}  recall: acted on, of the crashes that should have been"
    yield "Minutes of downtime of crashed VMs:"
    for what, one in {"with Vergewatch": month, **baselines}.items():
        wrong = len(one.wrong_actions)
        yield f"{one.downtime_minutes:>9,.0f}  {what}, {wrong:,} wrong starts"
    yield ""
    yield from _listed("WRONG STARTS", month, ground_truth.wrong_starts)
    yield from _listed("REQUESTS FOR OTHERS' VMs", month, ground_truth.not_ours)
    late = [
        WrongAction(one.at, one.vm.name, f"an hour later it was {one.held_by}")
        for one in month.missed
    ]
    yield from _listed("MISSED CRASHES", month, late)
    yield ""
    yield SIMPLIFIED


def _line(what: str, number: int, more: str) -> Iterator[str]:
    yield f"{number:>7,}  {what}{f' ({more})' if more else ''}"


def _listed(what: str, month: Month, found: Sequence[WrongAction]) -> Iterator[str]:
    yield f"{len(found):>7,}  {what}"
    for one in found:
        day, seconds = divmod(one.at - month.world.started_at, DAY)
        hour, minute = divmod(int(seconds / MINUTE), 60)
        yield f"         day {day:.0f}, {hour:02.0f}:{minute:02d}  {one.name}: {one.what}"


def _times(recovered: Sequence[Crash]) -> str:
    if not recovered:
        return ""
    took = {one: (one.back_at or one.at) - one.at for one in recovered}
    worst = max(took, key=took.__getitem__)
    return (
        f"median {median(took.values()):.0f} s, worst {took[worst] / MINUTE:.0f} min: "
        f"{worst.vm.name}, {_longest(worst)}"
    )


def _longest(crash: Crash) -> str:
    return max(crash.reasons, key=crash.reasons.__getitem__, default="")


async def write_journal(month: Month, directory: Path) -> None:
    """Write the journal of a month to a file, with the times of its records."""
    await (await journal_on_disk(month, directory)).close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay a month of recovery against the simulator")
    parser.add_argument("--vms", type=int, default=1000)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=("enforce", "shadow"), default="enforce")
    parser.add_argument("--busy", type=float, default=1.0, help="times as much as usual happens")
    every = f"take every poll of {EVERY:g} s, also while nothing happens"
    parser.add_argument("--every-poll", action="store_true", help=every)
    parser.add_argument("--silent-log", action="store_true", help="no ordinary rows in the log")
    record = "write a journal there, for vergewatch backtest"
    parser.add_argument("--record", type=Path, metavar="DIRECTORY", help=record)
    wanted = parser.parse_args()
    be_silent()
    decoding.SMALL_BODY_BYTES = sys.maxsize  # the harness has no event loop to decode in a thread
    settings = {"vms": wanted.vms, "days": wanted.days, "seed": wanted.seed, "busy": wanted.busy}
    settings |= {"mode": Mode(wanted.mode), "hurried": not wanted.every_poll}
    activities, learning = ((), 0.0) if wanted.silent_log else (ORDINARY, LEARNING_DAYS)
    began = time.process_time()
    journal = RecordedMonthJournal() if wanted.record else MonthJournal()
    month = Month(**settings, activities=activities, learning=learning, journal=journal)
    month.simulate(tell=True)
    cpu_seconds = time.process_time() - began
    baselines = {
        "with operators alone": WithoutRecovery(**settings).simulate(),
        "with a script that starts whatever is off": WithoutDiagnosis(**settings).simulate(),
    }
    print("\n".join(account(month, cpu_seconds=cpu_seconds, baselines=baselines)))  # noqa: T201
    if wanted.record:
        asyncio.run(write_journal(month, wanted.record))
    return 1 if month.wrong_actions or month.recall < RECALL_BAR else 0


if __name__ == "__main__":
    sys.exit(main())
