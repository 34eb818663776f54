"""
Switching off any principle of the evidence breaks an invariant, or leaves a crash unrestarted.

Each has a number and a sentence in the comments below.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from exporter.config.kill_switch import KillSwitch
from exporter.recovery.act.last_look import LastLook
from exporter.recovery.detect import experience, log_evidence
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import JudgedRow
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.detect.rivals import RivalFinder
from exporter.recovery.detect.templates import template
from exporter.recovery.model.cases import Cause, Diagnosis, DiagnosisKind
from exporter.recovery.model.commands import CommandKind, Lesson
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.observe import inventory_checks
from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.world.machines import VM
from tests.recovery.clock_skew import MICRO, Rows, retell
from tests.recovery.harness import CONNECTED, ENFORCE, EVERY, Harness, at_once
from tests.recovery.invariants import InvariantChecker
from tests.recovery.test_scenarios import ENOUGH

OURS = LogUsers(frozenset({USERNAME}))

NOT_STARTED = "not started"
"""What breaks if a plain crash is not acted on."""
Patch = pytest.MonkeyPatch


class Play(NamedTuple):
    """A system with the checker, and one VM that the play is about."""

    harness: Harness
    checker: InvariantChecker
    name: str

    @property
    def vm(self) -> VM:
        return self.harness.world.vm(self.name)

    def write(self, text: str, *, user: str = "system", **where: Any) -> None:
        about = {"name": self.name, "machine": self.vm.machine.key, **where}
        now = self.harness.world.now
        self.harness.world.platform_log.write(text, at=now, user=user, **about)

    def stop(self, text: str, *, user: str = "anna") -> None:
        """Stop the VM on purpose, with a row that no log pattern knows as a stop."""
        self.write(text, user=user)
        self.checker.remember_stop(self.vm.key)
        self.harness.world.crash(self.name)

    def crash(self) -> None:
        self.harness.world.crash(self.name)

    def advance(self, seconds: float = ENOUGH) -> None:
        self.harness.advance(seconds)


def begin(name: str = "web-01", **harness: Any) -> Play:
    system = Harness(**{"setup": ENFORCE._replace(log_users=OURS), **harness})
    if name != "web-01":
        system.world.renames("web-01", name)
    checker = InvariantChecker(system)
    return Play(system.warm(), checker, name)


# 1. Silence needs positive proof.


def without_proof_of_a_stop(patch: Patch) -> None:
    def stopped(judged: JudgedRow) -> Diagnosis:
        return Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "", judged.template)

    patch.setattr(log_evidence, "_unclear", stopped)


def crash_with_an_unknown_row() -> Play:
    play = begin()
    play.write("VM process was killed (signal 9)")
    play.crash()
    play.advance()
    return play


# 2. Starting needs proof that there was no stop request.


def without_proof_of_a_crash(patch: Patch) -> None:
    patch.setattr(log_evidence, "_unclear", lambda _: None)


def stop_in_unknown_words() -> Play:
    play = begin()
    play.stop("Power schedule night applied")
    play.advance()
    return play


# 3. A stop request comes before its effect.


def without_order_of_cause_and_effect(patch: Patch) -> None:
    judge = log_evidence._diagnosis

    def as_before(judged: JudgedRow, *about: Any) -> Diagnosis | None:
        return judge(judged._replace(after_down=False), *about)

    patch.setattr(log_evidence, "_diagnosis", as_before)


def crash_that_is_logged_after_it() -> Play:
    play = begin()
    play.crash()
    play.advance(40)
    play.write("Machine is off: exit code 7")
    play.advance()
    return play


# 4. Names are data.


def without_replacing_names(patch: Patch) -> None:
    patch.setattr(log_evidence, "template", lambda text, *_names: template(text, ()))


def crash_of_a_vm_named_off() -> Play:
    play = begin("off")
    play.write("VM 'off' is responsive again")
    play.advance(60)
    play.crash()
    play.advance()
    return play


# 5. Patterns match whole templates.


def with_patterns_that_match_a_part(patch: Patch) -> None:
    def meaning(self: LogClassifier, template: str) -> Meaning | None:
        return next((means for one, means in self._compiled if one.search(template)), None)

    patch.setattr(LogClassifier, "_meaning", meaning)


def stop_that_begins_like_a_harmless_row() -> Play:
    play = begin()
    play.stop("VM 'web-01' renamed to 'parked' and parked")
    play.advance()
    return play


# 6. Order, not clocks.


def with_rows_chosen_by_their_time(patch: Patch) -> None:
    judge = log_evidence._judged

    def recent(rows: Any, case: Any, about: Any, limits: Any, known: Any) -> list[JudgedRow]:
        since = (case.up_clock or 0.0) - limits.log_before_seconds
        judged = judge(rows, case, about, limits, known)
        return [one for one in judged if one.row.at >= since]

    patch.setattr(log_evidence, "_judged", recent)


def stop_in_a_log_that_is_behind() -> Play:
    play = begin()

    def behind(rows: Rows, _: object) -> Rows:
        return [{**row, "timestamp": row["timestamp"] - 900 * MICRO} for row in rows]

    retell(play.harness, "/machine_logs", behind)
    retell(play.harness, "/logs", behind)
    play.advance(60)
    play.harness.world.operator_stops(play.name, graceful=False)
    play.advance()
    return play


# 7. Actors count.


def with_every_user_a_system_user(patch: Patch) -> None:
    patch.setattr(LogUsers, "is_system", lambda _self, _user: True)


def stop_that_is_logged_late_by_a_person() -> Play:
    play = begin()
    play.crash()
    play.checker.remember_stop(play.vm.key)
    play.advance(40)
    play.write("Power schedule night applied", user="anna")
    play.advance()
    return play


# 8. Experience counts, and only enough of it.


def with_one_sighting_as_experience(patch: Patch) -> None:
    patch.setattr(experience, "TIMES_NEEDED", dict.fromkeys(RowSource, 1))
    patch.setattr(experience, "LEARNING_SECONDS", 0.0)


def stop_with_a_row_that_was_seen_once() -> Play:
    play = begin()
    play.write("Power schedule night applied", user="anna")
    play.advance(1200)
    play.stop("Power schedule night applied")
    play.advance()
    return play


def without_experience(patch: Patch) -> None:
    patch.setattr(experience, "is_learned", lambda _history, _source: False)


def crash_with_a_row_that_is_seen_every_hour() -> Play:
    play = begin(vms=4)
    play.harness.every = 60.0  # a day is long
    for _ in range(26):
        play.write("Flux capacitor calibrated")
        play.advance(3600)
    play.harness.every = EVERY
    play.write("Flux capacitor calibrated")
    play.crash()
    play.advance()
    return play


# 9. Teaching takes one command.


def without_teaching(patch: Patch) -> None:
    taught = LogClassifier.with_templates
    patch.setattr(
        LogClassifier, "with_templates", lambda self, _taught, learned: taught(self, {}, learned)
    )


def stop_in_words_that_were_taught() -> Play:
    play = begin()
    lesson = Lesson("Tag '<name>' assigned to '<name>'", "stop")
    command = play.harness.recovery.command
    at_once(command(CommandKind.TEACH, owner="anna", reason="it stops the VM", lesson=lesson))
    play.stop("Tag 'night' assigned to 'web-01'")
    play.advance()
    return play


# 10. Doubt is confined to what it concerns.


def with_one_clock_for_all_nodes(patch: Patch) -> None:
    def most_rows_lag(clocks: Any, statuses: Any, limits: Any) -> bool:
        newest = max(clocks.values())
        lag_seconds: float = median(newest - row.updated_at for row in statuses)
        return bool(lag_seconds > limits.max_lag_seconds)

    patch.setattr(inventory_checks, "_all_nodes_lag", most_rows_lag)


def crash_beside_a_node_with_another_clock() -> Play:
    play = begin()
    node = next(
        vm.machine.status.node
        for vm in play.harness.world.live_vms()
        if vm.machine.status.node != play.vm.machine.status.node
    )

    def ahead(rows: Rows, _: object) -> Rows:
        for row in rows:
            if row.get("node") == node and row.get("last_update"):
                row["last_update"] += 600
        return rows

    retell(play.harness, "/machine_status", ahead)
    play.advance(300)
    play.crash()
    play.advance()
    return play


# 11. The last look is per action, at the last moment.


def without_a_last_look(patch: Patch) -> None:
    async def nothing(_: LastLook) -> str:
        return ""

    patch.setattr(LastLook, "on_connection", nothing)


def kill_switch_during_the_handshake() -> Play:
    switch = [""]
    play = begin(setup=ENFORCE._replace(kill_switch=lambda: switch[0]))

    def connect(step: str) -> None:
        if step == CONNECTED:
            switch[0] = "/run/vergewatch/stop"

    play.checker.on_wire = connect
    play.crash()
    play.advance()
    return play


# 12. A rival is noticed.


def without_looking_for_rivals(patch: Patch) -> None:
    patch.setattr(RivalFinder, "rows_of_rivals", lambda *_args, **_kwargs: [])


def crash_beside_a_rival() -> Play:
    play = begin()
    play.harness.world.operator_stops("web-02")
    play.advance(100)
    play.harness.world.operator_starts("web-02", user=USERNAME)
    play.advance(100)
    play.checker.rival_until = play.harness.clock.elapsed + 3600
    play.crash()
    play.advance()
    return play


# 13. Forbidding fails safe.


def without_remembering_the_kill_switch(patch: Patch) -> None:
    patch.setattr(KillSwitch, "_reason_to_stay_set", lambda _: "")


def kill_switch_whose_directory_is_gone(directory: Path) -> Play:
    place = directory / "run"
    place.mkdir()
    switch = KillSwitch(place / "stop", directory / "seen")
    play = begin(setup=ENFORCE._replace(kill_switch=switch))
    forbidden = play.checker._forbidden
    play.checker._forbidden = lambda: "the switch is set" if is_set else forbidden()  # type: ignore[method-assign]
    switch.path.touch()
    is_set = True
    play.advance(100)
    place.rename(directory / "unmounted")
    play.crash()
    play.advance()
    return play


# 14. The platform's own cycles are left alone.


def without_time_for_the_platform(patch: Patch) -> None:
    patch.setattr(log_evidence, "_by_vm_row", lambda *_: None)


def reset_that_takes_long() -> Play:
    play = begin()
    play.write("VM has reset")
    play.crash()
    play.advance(400)
    return play


class Example(NamedTuple):
    """How a principle is switched off, and what then breaks in which play."""

    principle: int
    switch_off: Callable[[Patch], None]
    play: Callable[..., Play]
    breaks: str


EXAMPLES = (
    Example(1, without_proof_of_a_stop, crash_with_an_unknown_row, "I24"),
    Example(2, without_proof_of_a_crash, stop_in_unknown_words, "I9"),
    Example(3, without_order_of_cause_and_effect, crash_that_is_logged_after_it, NOT_STARTED),
    Example(4, without_replacing_names, crash_of_a_vm_named_off, NOT_STARTED),
    Example(5, with_patterns_that_match_a_part, stop_that_begins_like_a_harmless_row, "I9"),
    Example(6, with_rows_chosen_by_their_time, stop_in_a_log_that_is_behind, "I9"),
    Example(7, with_every_user_a_system_user, stop_that_is_logged_late_by_a_person, "I9"),
    Example(8, with_one_sighting_as_experience, stop_with_a_row_that_was_seen_once, "I9"),
    Example(8, without_experience, crash_with_a_row_that_is_seen_every_hour, NOT_STARTED),
    Example(9, without_teaching, stop_in_words_that_were_taught, "I9"),
    Example(10, with_one_clock_for_all_nodes, crash_beside_a_node_with_another_clock, NOT_STARTED),
    Example(11, without_a_last_look, kill_switch_during_the_handshake, "I14"),
    Example(12, without_looking_for_rivals, crash_beside_a_rival, "I14"),
    Example(13, without_remembering_the_kill_switch, kill_switch_whose_directory_is_gone, "I14"),
    Example(14, without_time_for_the_platform, reset_that_takes_long, "I12"),
)


def broken_in(example: Example, directory: Path) -> set[str]:
    """Return the invariants that break in a play, and whether a crash was not acted on."""
    takes_directory = example.play is kill_switch_whose_directory_is_gone
    play = example.play(directory) if takes_directory else example.play()
    broken = play.checker.broken
    if example.breaks == NOT_STARTED and not play.harness.asked(play.name):
        broken = broken | {NOT_STARTED}
    return broken


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda one: f"{one.principle}-{one.play.__name__}"
)
def test_switching_off_a_principle_breaks_an_invariant(
    example: Example, monkeypatch: Patch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert broken_in(example, tmp_path_factory.mktemp("on")) == set()

    example.switch_off(monkeypatch)

    assert example.breaks in broken_in(example, tmp_path_factory.mktemp("off"))


def test_every_principle_has_an_example() -> None:
    assert {one.principle for one in EXAMPLES} == set(range(1, 15))
