"""
``make mutants``: break the core of recovery in one place at a time; some test must notice.

A copy of the package is broken, never the checkout. A mutant that no test kills shows a rule
that nobody holds us to; one whose text is not there any more is an error, so that the list
cannot rot.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
CORE = Path("exporter/recovery")
AT_ONCE = 2
SECONDS_EACH = 300.0
SUITE = (
    "test_edges.py",
    "test_states.py",
    "test_pace.py",
    "test_breaker.py",
    "test_picture.py",
    "test_enrolment.py",
    "test_evidence.py",
    "test_strangers.py",
    "test_orders.py",
    "test_guards.py",
    "test_last_moment.py",
    "test_logbook.py",
    "test_quiet.py",
    "test_wishes.py",
    "test_stories.py",
)
"""The quick part of the tests, what is cheapest first; those that are not there are left out."""


class Mutant(NamedTuple):
    """One thing broken."""

    file: str
    old: str
    """Found exactly once in the file."""
    new: str
    why: str
    """What would come of it."""


MUTANTS = (
    # What was seen.
    Mutant("picture", "if count < rules.min_rows_share * before", "if count < 0.5 * before",
           "half a list passes for the whole: every VM that is missing looks gone"),
    Mutant("picture", "not picture.vm_count or not picture.status_count", "not picture.vm_count",
           "an empty table of states is believed"),
    Mutant("picture", "if still > rules.frozen_after_seconds", "if still > rules.max_gap_seconds",
           "a frozen platform is believed for two minutes"),
    Mutant("picture", "- median(stamps) >", "- max(stamps) >",
           "one fresh row hides that all others are old"),
    Mutant("picture", "poll.took_seconds > poll.every_seconds", "poll.took_seconds > 3600",
           "a picture drawn over minutes passes for a moment"),
    Mutant("picture", "missing > max(rules", "missing > 10 * max(rules",
           "enrolled VMs without a row go unnoticed"),
    Mutant("picture", "word == Word.STOPPED and running is False", "word == Word.STOPPED",
           "a row that contradicts itself counts as down"),
    Mutant("picture", "and config.enabled is not False", "", "disabled VMs are started"),
    Mutant("picture", "and not config.service", "", "the platform's own VMs are started"),
    Mutant("picture", "        and not node.maintenance\n", "",
           "a node that is being emptied counts as well"),
    # Whether it crashed.
    Mutant("detect", "or _of_its_node(case, about, rules)\n", "\n",
           "recovery fights high availability over the VMs of a dead node"),
    Mutant("detect", "        or _of_its_way(case, about, rules)\n", "",
           "a VM seen stopping is taken for crashed"),
    Mutant("detect", "        or _of_our_sight(case, about, rules)\n", "",
           "what died while nobody looked is started"),
    Mutant("detect", "        or _of_its_duration(case, about, rules)\n", "",
           "one glimpse of a reboot is enough"),
    Mutant("detect", "case.times_observed >= rules.confirm_down_polls and lasted >= needed",
           "lasted >= needed", "a single picture is proof"),
    Mutant("detect", "lasted >= needed:", "lasted > needed:", "30 seconds are not enough"),
    Mutant("detect", "logs is None or logs.read_at < settled_at", "logs is None",
           "logs read at once miss rows that come late"),
    Mutant("detect", "if not logs.reading.complete:", "if False:",
           "a cut log passes for a silent one"),
    Mutant("detect", "logs.since_clock > up_clock - rules.log_before_seconds",
           "logs.since_clock > up_clock", "a stop that takes minutes is not looked for"),
    Mutant("testimony", "if row.at >= up_clock - rules.log_before_seconds]",
           "if row.at >= up_clock]",
           "a stop asked for before the last picture is overlooked"),
    Mutant("testimony", "case Meaning.STOP:\n", "case Meaning.STOP if False:\n",
           "what a person stops is started again"),
    Mutant("testimony", "case Meaning.TASK:\n            return Diagnosis(DiagnosisKind.STOPPED, "
           "Cause.STOPPED_BY_TASK, _told(row))\n        case Meaning.NODE:",
           "case Meaning.NODE:", "what a task stops is started again"),
    Mutant("testimony", "case Meaning.GUEST_STOP if policy is not Policy.ALWAYS",
           "case Meaning.GUEST_STOP if policy is Policy.ALWAYS",
           "a guest's shutdown is undone"),
    Mutant("testimony", "doubt = doubt or diagnosis", "doubt = None",
           "a row that nobody understands is ignored"),
    Mutant("detect", "if failed and about.on_power_loss == LEAVE_OFF", "if False",
           "a VM that is to be left off after a power loss is started"),
    Mutant("detect", "hung and case.observed is ObservedState.DOWN and not _was_killed(case)", "False",
           "a VM that the platform is restarting is started twice"),
    Mutant("detect", "if case.max_gap_seconds > rules.max_gap_seconds", "if case.max_gap_seconds > 1e9",
           "a VM stopped during an outage passes for crashed"),
    Mutant("course", "watched = moment.gap_seconds <= rules.max_gap_seconds", "watched = True",
           "two pictures an hour apart count as a row of them"),
    Mutant("course", "if vm.config.machine != case.machine or (", "if (",
           "another VM by the same uuid inherits a crash"),
    Mutant("testimony", "else OUR_ROW_SECONDS\n", "else 1e9\n",
           "somebody's later kill passes for ours"),
    # Whether to act.
    Mutant("decide", "if any(use.spent for use in facts.vm_uses):", "if False:",
           "a crash loop goes on for ever"),
    Mutant("decide", "if age > most:", "if age > 10 * most:", "old pictures are acted upon"),
    Mutant("decide", "len(facts.in_flight) >= most:", "len(facts.in_flight) > most:",
           "three at once where two are allowed"),
    Mutant("decide", "if facts.tags_problem:", "if False:",
           "a VM is started although its tags cannot be read"),
    Mutant("decide", "since < rules.breaker_probe_interval_seconds:", "since < 1.0:",
           "after a storm everything starts at once"),
    Mutant("decide", "action is Action.KILL and not facts.may_power_cycle", "False",
           "a VM is killed whose owner forbids it"),
    Mutant("decide", "facts.at < retry_at", "facts.at <= retry_at - 60",
           "no rest between two tries"),
    Mutant("decide", "len(recent) >= rules.capacity_refusals", "len(recent) > 99",
           "a full cluster is asked again and again"),
    Mutant("decide", "if diagnosis.kind is DiagnosisKind.CRASHED:",
           "if diagnosis.kind is not DiagnosisKind.STOPPED:", "what is unknown is started"),
    Mutant("decide", "    _enforcing,\n", "", "shadow mode acts"),
    # What came of it.
    # Who is only looked at.
    Mutant("course", " or (enrolled_now and not keeps)", "",
           "a tag given after the crash starts the VM"),
    Mutant("course", "policy=case.policy if enrolled_now and case.state in OPEN else",
           "policy=policy if True else",
           "a tag taken and given back while an action is open counts as if it had always been"),
    Mutant("course", "if case.state is not State.STOPPED:  #", "if True:  #",
           "nobody is told who stopped a VM that was seen stopping"),
    Mutant("enrolment", "denied = [one for one in policies if not one[0].acts]", "denied = []",
           "recovery/never forbids nothing"),
    Mutant("memory", "case.since == picture.at and case.policy.acts", "case.since == picture.at",
           "a VM that nobody enrolled brings a storm back"),
    Mutant("memory", "if not case.policy.acts and case.state not in OPEN:", "if False:",
           "VMs that nobody enrolled make a storm"),
    Mutant("memory", "for uuid, case in known.items() if case.policy.acts}",
           "for uuid, case in known.items()}",
           "VMs that nobody enrolled hide that many of the enrolled are missing"),
    Mutant("memory", "return case.node if case.observed is ObservedState.UP or unseen else None",
           "return None", "what fell with its node just before a restart is forgotten"),
    Mutant("memory", "breaker=vouched_for(memory.breaker, now=at)", "breaker=memory.breaker",
           "a person's word does not end a storm"),
    Mutant("decide", "if enrolment is None or not enrolment.policy.acts:", "if enrolment is None:",
           "whoever says no is acted upon"),
    Mutant("evidence", "at - self._read_for_others_at < self._rules.log_others_seconds", "False",
           "people who stop VMs all day use up the requests"),
    Mutant("evidence", "mark is not None and mark.at < since", "mark is not None",
           "a row vouches for what is older than itself"),
    Mutant("evidence", "mark if reading.complete else None", "mark",
           "a row that is lost is asked for again and again"),
    Mutant("course", "return case.state is State.HELD and not case.policy.acts", "return False",
           "whoever is told of a crash is told that it is over after each restart of ours"),
    Mutant("course", "if _is_proven_for_good(case) and diagnosis.kind is not DiagnosisKind.STOPPED:",
           "if _is_proven_for_good(case):",
           "a stop that is logged late does not take back the news of a crash"),
    Mutant("course", "if in_trouble else met", "if False else met",
           "whoever enrols a VM that is down silences its alert"),
    Mutant("engine", "self._enrolled_from = enrolled_from  #", "pass  #",
           "a tag that is lost in a picture that is not believed is never missed"),
    Mutant("memory", "poll.asked_at - memory.accepted_at <= rules.max_gap_seconds", "True",
           "a person's word counts for whatever is seen hours later"),
    Mutant("action_history", "one.reply not in NOT_ITS_FAULT", "True",
           "a VM is given up for what the platform refused"),
    Mutant("action_history", "if one.at >= case.forgiven_at", "if True",
           "a VM that a person cleared has no budget"),
    Mutant("verify", "if intent.action is Action.POWER_ON and case.observed in LEAVING:", "if False:",
           "who is stopped while its start is verified is started again"),
    Mutant("verify", "if at <= intent.sent_at:", "if at < intent.sent_at - 60:",
           "a picture from before the request judges it"),
    Mutant("verify", "outcome = Outcome.UNKNOWN if lost else Outcome.FAILED",
           "outcome = Outcome.FAILED", "nobody knows passes for failed"),
    Mutant("verify", "if on_its_way and not intent.extended:", "if on_its_way:",
           "an intent is extended for ever"),
    Mutant("verify", "lost and not on_its_way and waited", "lost and waited",
           "a VM that starts is given up for lost"),
    Mutant("verify", "ObservedState.DOWN if intent.action is Action.KILL else ObservedState.UP", "ObservedState.UP",
           "a kill is never seen to have worked"),
    # Who may become what.
    Mutant("states", "(State.QUARANTINED, Event.CLEARED): State.SUSPECT,",
           "(State.QUARANTINED, Event.CLEARED): State.SUSPECT,\n"
           "    (State.QUARANTINED, Event.CRASH_PROVEN): State.HELD,",
           "what was given up is tried again"),
    Mutant("states", "(State.ACTING, Event.REQUEST_REFUSED): State.SUSPECT",
           "(State.ACTING, Event.REQUEST_REFUSED): State.HELD",
           "a refusal is answered by asking again, on old evidence"),
    Mutant("states", "(State.QUARANTINED, Event.SEEN_UP): State.PROBATION",
           "(State.QUARANTINED, Event.SEEN_UP): State.BASELINE",
           "a person's start does not bring a VM back into care"),
    # When to stop, and how much is too much.
    Mutant("breaker", "max(rules.breaker_min_vms, rules.breaker_share * of)", "rules.breaker_share * of",
           "in a small cloud a single VM is a storm"),
    Mutant("breaker", "few = count.troubled < limit / 2", "few = count.troubled < limit",
           "the breaker flaps around its threshold"),
    Mutant("breaker", "now - calm_since >= breaker.hold_seconds", "calm_since is not None",
           "a storm ends with the first calm picture"),
    Mutant("breaker", "                and count.nodes_well\n", "",
           "a storm is probed while a node is down"),
    Mutant("breaker", "2 * breaker.hold_seconds", "breaker.hold_seconds",
           "a storm that comes back is held no longer than before"),
    Mutant("breaker", "            if count.dropped:\n", "            if False:\n",
           "new victims do not end the probing"),
    Mutant("pace", "bisect_right(taken, now - window.seconds)",
           "bisect_right(taken, now - window.seconds / 2)", "budgets last half as long"),
    Mutant("pace", "return self.used >= self.window.most", "return self.used > self.window.most",
           "one action more than allowed"),
    Mutant("pace", "2 ** min(attempts - 1, 30)", "min(attempts, 30)",
           "the pauses between tries do not double"),
    Mutant("nodes", ">= rules.node_failure_vms", ">= 10", "a node's crash is taken for its VMs'"),
    Mutant("health", "gap_seconds > rules.outage_seconds", "gap_seconds > 3600",
           "after an outage it acts at once"),
    Mutant("health", "bad = in_a_row >= rules.degraded_after_polls", "bad = False",
           "bad pictures are forgotten with the next good one"),
    Mutant("course", "unseen=before is ObservedState.GONE", "unseen=False",
           "what died while its row was missing counts as watched"),
    Mutant("course", "        return replace(_seen_not_up(case, moment), missing=0, observed=observed)",
           "        return None",
           "a crash is forgotten when its row is missing once"),
    Mutant("memory", "unseen = case.observed is ObservedState.GONE and case.up_at is not None",
           "unseen = False",
           "what fell while its row was missing does not count against its node"),
    Mutant("testimony", "        and row.at <= up_clock\n", "",
           "a start of ours hides whose stop is logged late"),
    Mutant("testimony", "case Meaning.NODE | Meaning.STOP:", "case Meaning.NODE:",
           "a node that somebody powers off leaves crashed VMs behind"),
    Mutant("testimony", 'about.own_user not in ("", row.user)', "False",
           "a VM that somebody else tries to start is started by two"),
    Mutant("testimony", "        del kills[1:]", "        pass",
           "a person's kill just after ours is taken for ours"),
    Mutant("testimony", "if row.machine == case.machine\n        and row.at <= up_clock",
           "if row.at <= up_clock", "another machine's start makes us forget who stopped a VM"),
    Mutant("logbook", "'reset' sent\", Meaning.RESET", "'reset' sent\", Meaning.START",
           "a reset makes us forget that somebody wants it down"),
    Mutant("testimony", "case Meaning.DOUBT | None as meaning if row.user not in NOBODY and",
           "case Meaning.DOUBT | None as meaning if False and",
           "what a person did to a node in words that nobody knows is nothing"),
    Mutant("testimony", "case Meaning.PLATFORM:\n", "case Meaning.PLATFORM if False:\n",
           "what the platform is starting is started twice"),
    Mutant("testimony", "case Meaning.MOVE:\n", "case Meaning.MOVE if False:\n",
           "a VM that moved unseen is judged by a node that it left"),
    Mutant("testimony", "if case.kill_unanswered and not about.own_user:", "if False:",
           "a person's kill passes for ours, which was lost"),
    Mutant("course", "case.trouble_at is None or lived", "case.trouble_at is None",
           "a life that nobody saw passes for seen"),
    Mutant("decide", "return kills and any(use.used + 1 >= use.window.most > 1 for use in uses)",
           "return False", "what is killed may not be started again"),
    Mutant("decide", "if facts.quiet_soon and", "if False and",
           "what is killed just before a quiet window stays dead through it"),
    Mutant("picture", "return clock < before - rules.log_before_seconds / 2", "return False",
           "a platform's clock that was set back hides who stopped what"),
    Mutant("enrolment", "policies.sort(key=lambda said: CAREFUL.index(said[0]))", "pass",
           "of two tags the fiercer holds"),
    Mutant("testimony", "if wish.at < started_at <= up_clock:", "if False:",
           "a VM that was started without a row passes for stopped, and nobody hears of its crash"),
    Mutant("testimony", "and not NEVER_OURS.search(row.text)", "",
           "somebody who uses our name cannot stop what we killed"),
    Mutant("testimony", " and row.at <= seen_down:", ":",
           "whoever looks after a node holds up the VMs that crashed on it"),
    Mutant("picture", "alive = [row for row in dated if row.running] or dated", "alive = dated",
           "the stamp of a VM that is off hides that the platform's clock was set back"),
    Mutant("aftermath", "case = replace(case, retry_at=at + rules.capacity_backoff_seconds)",
           "pass", "what is called off is tried again at once, for ever"),
    Mutant("course", "> (case.started or started_at or 0.0)",
           "> (case.up_clock or started_at or 0.0)",
           "a start of ours that did not last passes for a life that nobody saw"),
    Mutant("act", "age = max(", "age = min(", "a host that slept asks with an old look"),
    Mutant("act", "if enrolment.policy is not order.policy:", "if False:",
           "a policy that is lowered, or a tag that is lost, at the last moment does not count"),
    Mutant("act", "if order.action is Action.KILL and fresh", "if False and fresh",
           "whoever forbids power cycles at the last moment is not heard"),
    Mutant("enrolment", "(tag.casefold() for tag in tags)", "tags",
           "recovery/Never forbids nothing"),
    Mutant("enrolment", "for name in spoken if name not in KNOWN_TAGS", "for name in ()",
           "recovery/off forbids nothing"),
    Mutant("commands", "return self if self._lasts_longer_than(order) else", "return",
           "a short pause ends a long one"),
    Mutant("engine", "return self._switch or self.setup.kill_switch()",
           "return self.setup.kill_switch()",
           "a kill switch that is taken away in a round is not followed by a warm-up"),
    Mutant("engine", "goes_on = given.kind in", "goes_on = False and given.kind in",
           "whoever resumes in the middle of a round does without a warm-up"),
    Mutant("action_history", " and one.reply is not Reply.NOT_SENT", "",
           "requests that never left use up a VM's budget"),
)  # fmt: skip


class Fate(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    killer: str
    """The test that noticed; empty when none did."""
    problem: str = ""


def main(patterns: Sequence[str]) -> int:
    """Try the mutants whose file or reason contains one of *patterns*; all, without any."""
    chosen = [
        one
        for one in MUTANTS
        if not patterns or any(word in f"{one.file} {one.why}" for word in patterns)
    ]
    lost = [one for one in chosen if source(one).count(one.old) != 1]
    for one in lost:
        print(f"{one.file}.py has this {source(one).count(one.old)} times, not once: {one.old!r}")  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="vergewatch-mutants-") as directory:
        copies: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            copies.put(copy(Path(directory) / str(number)))
        whole = copies.get()
        survivor = run(whole)
        copies.put(whole)
        if survivor.killer or survivor.problem:
            print(f"the tests fail without a mutant: {survivor.killer}{survivor.problem}")  # noqa: T201
            return 1
        with ThreadPoolExecutor(AT_ONCE) as pool:
            fates = list(pool.map(lambda one: attempt(one, copies), set(chosen) - set(lost)))
    fates.sort(key=lambda fate: MUTANTS.index(fate.mutant))
    survived = [fate for fate in fates if not fate.killer]
    Console(width=150).print(table(fates))
    print(f"{len(fates) - len(survived)} killed, {len(survived)} survived, {len(lost)} lost")  # noqa: T201
    return 1 if survived or lost else 0


def source(mutant: Mutant) -> str:
    return (ROOT / CORE / f"{mutant.file}.py").read_text(encoding="utf-8")


def copy(to: Path) -> Path:
    """Copy what the tests need, and return where to."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "exporter", to / "exporter", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "recovery", to / "tests" / "recovery", ignore=ignored)
    for file in ("pyproject.toml", "tests/__init__.py", "tests/fakes.py"):
        shutil.copy(ROOT / file, to / file)
    return to


def attempt(mutant: Mutant, copies: "Queue[Path]") -> Fate:
    """Break one of the copies, and mend it again."""
    place = copies.get()
    file = place / CORE / f"{mutant.file}.py"
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
        return run(place)._replace(mutant=mutant)
    finally:
        file.write_text(whole, encoding="utf-8")
        copies.put(place)


def run(place: Path) -> Fate:
    """Run the tests of a copy up to the first that fails."""
    tests = Path("tests/recovery")
    files = [str(tests / name) for name in SUITE if (place / tests / name).exists()]
    arguments = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments, *files],
            cwd=place,
            # Bytecode is told apart by whole seconds and sizes, and mutants may share both.
            env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS_EACH,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Fate(MUTANTS[0], "out of time")
    found = re.search(r"^(?:FAILED|ERROR) tests/recovery/(\S+)", done.stdout, re.MULTILINE)
    if found is not None:
        return Fate(MUTANTS[0], found[1])
    return Fate(MUTANTS[0], "", "" if done.returncode == 0 else done.stdout[-500:] + done.stderr)


def table(fates: Sequence[Fate]) -> Table:
    rendered_in = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("file", "what would come of it", "killed by"):
        rendered_in.add_column(column)
    for fate in fates:
        killer = fate.killer or f"NOBODY: IT SURVIVED {fate.problem}"
        rendered_in.add_row(fate.mutant.file, fate.mutant.why, killer.replace("[", "\\["))
    return rendered_in


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
