"""Templates that become harmless by experience, and what takes that back."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.recovery.detect.experience import (
    AUTHOR_SECONDS,
    LEARNING_SECONDS,
    MAX_TEMPLATES,
    REPEATED_SECONDS,
    STAYS_UP_SECONDS,
    SUSPECT_SECONDS,
    TIMES_NEEDED,
    Experience,
    UnknownRow,
    after_diagnosis,
    after_read,
    is_learned,
    learned,
    resumed,
)
from exporter.recovery.model.cases import Case, Cause, Diagnosis, DiagnosisKind, ObservedState
from exporter.recovery.model.limits import HOUR, Limits
from exporter.recovery.model.log_templates import RowSource, Sightings, TemplateHistory
from exporter.recovery.model.states import State
from exporter.recovery.observe.node_history import NodeHistory
from tests.fakes import START

LIMITS = Limits()
TEXT = "Flux of <name> at <n>"
CRASHED = Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED)
UNCLEAR = Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR, "“x” by y", TEXT)
STOPPED_BY_ROW = Diagnosis(
    DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "“x”", "VM action 'kill' sent"
)
SEEN_STOPPING = Diagnosis(DiagnosisKind.STOPPED, Cause.SEEN_STOPPING, "seen stopping")
PLATFORM = Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE)
PENDING = Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH)


class Site:
    """VMs whose log is read every two minutes, and what is learned from it."""

    def __init__(self, vms: int = 2, experience: Experience | None = None) -> None:
        self.at = 10_000.0
        self.cases = {f"u{number}": self._case(f"u{number}") for number in range(vms)}
        self.experience = experience or Experience()
        self.node = NodeHistory(0.0)
        """The node of all VMs."""
        self.read()

    def _case(self, uuid: str) -> Case:
        return Case(
            uuid=uuid, key=1, machine=1, name=f"vm-{uuid}", state=State.HEALTHY, since=0.0,
            observed=ObservedState.UP, node=1,
        )  # fmt: skip

    def row(self, uuid: str = "u0", source: RowSource = RowSource.SYSTEM) -> UnknownRow:
        return UnknownRow(TEXT, source, uuid, text="Flux of vm at 7")

    def read(self, *rows: UnknownRow) -> None:
        self.experience = after_read(self.experience, rows, self.cases, LIMITS, at=self.at)

    def poll(self) -> None:
        self.experience = after_diagnosis(
            self.experience, self.cases, LIMITS, at=self.at, time=START, nodes={1: self.node}
        )

    def wait(self, seconds: float) -> None:
        """Let time pass with polls and reads that bring nothing."""
        until = self.at + seconds
        while self.at < until:
            self.at = min(until, self.at + 60.0)
            if self.at - self.experience.read_at >= LIMITS.log_read_seconds:
                self.read()
            self.poll()

    def sight(
        self,
        times: int,
        *,
        over: float = LEARNING_SECONDS + 60.0,
        source: RowSource = RowSource.SYSTEM,
    ) -> None:
        """Let rows appear *times* at regular intervals, and the last ten minutes pass."""
        uuid = "" if source is RowSource.MANY else "u0"
        for number in range(times):
            self.read(self.row(uuid, source))
            self.wait(over / (times - 1) if number < times - 1 else STAYS_UP_SECONDS + 60.0)

    def down(self, diagnosis: Diagnosis, uuid: str = "u0", *, trouble: bool = True) -> None:
        """Let a VM be found down, and be diagnosed."""
        case = self.cases[uuid]
        state = State.STOPPED if diagnosis.kind is DiagnosisKind.STOPPED else State.UNKNOWN
        self.cases[uuid] = replace(
            case,
            observed=ObservedState.DOWN,
            state=state if diagnosis.kind is not DiagnosisKind.PENDING else State.SUSPECT,
            since=self.at,
            up_at=self.at - 20.0,
            trouble_at=(case.trouble_at or self.at) if trouble else None,
            diagnosis=diagnosis,
        )
        self.poll()

    def up(self, uuid: str = "u0", state: State = State.HEALTHY) -> None:
        self.cases[uuid] = replace(self._case(uuid), since=self.at, state=state)
        self.poll()

    def is_learned(self, source: RowSource = RowSource.SYSTEM) -> bool:
        return TEXT.casefold() in learned(self.experience)[source]

    @property
    def history(self) -> TemplateHistory:
        found = self.experience.history(TEXT)
        assert found is not None
        return found


@pytest.mark.parametrize("source", RowSource)
def test_template_is_learned_from_enough_rows_over_a_day(source: RowSource) -> None:
    site = Site()

    site.sight(TIMES_NEEDED[source] - 1, source=source)
    assert not site.is_learned(source)

    site.sight(2, over=120.0, source=source)
    assert site.is_learned(source)
    assert [one for one in RowSource if site.is_learned(one)] == [source]


def test_numbers_are_those_of_the_documentation() -> None:
    assert (STAYS_UP_SECONDS, SUSPECT_SECONDS, LEARNING_SECONDS) == (600.0, 120.0, 24 * HOUR)
    assert (MAX_TEMPLATES, list(TIMES_NEEDED.values())) == (2000, [5, 20, 20])
    assert (REPEATED_SECONDS, AUTHOR_SECONDS) == (60.0, 60.0)


@pytest.mark.parametrize(
    ("times", "seconds", "expected"),
    [
        (5, LEARNING_SECONDS, True),
        (4, LEARNING_SECONDS, False),
        (5, LEARNING_SECONDS - 1, False),
    ],
)
def test_exactly_enough_is_enough(times: int, seconds: float, *, expected: bool) -> None:
    seen = TemplateHistory(
        template=TEXT, sightings={RowSource.SYSTEM: Sightings(times, 100.0, 100.0 + seconds)}
    )

    assert is_learned(seen, RowSource.SYSTEM) is expected


def test_rows_by_persons_are_not_learned_from_rows_of_the_platform() -> None:
    site = Site()

    site.sight(30)
    site.sight(5, source=RowSource.PERSON)

    assert site.is_learned(RowSource.SYSTEM)
    assert not site.is_learned(RowSource.PERSON)


def test_rows_within_less_than_a_day_are_not_enough() -> None:
    site = Site()

    site.sight(100, over=LEARNING_SECONDS - 300.0)

    assert not site.is_learned()


def test_row_counts_only_if_its_vm_stays_up_for_ten_minutes() -> None:
    site = Site()
    site.read(site.row("u0"), site.row("u1"))
    site.wait(300.0)
    site.down(PENDING)
    site.up()
    site.wait(STAYS_UP_SECONDS)

    assert site.history.times == 1


def test_row_counts_only_if_its_vm_was_up_since_the_read_before() -> None:
    site = Site()
    site.wait(120.0)
    site.down(CRASHED)
    site.at += 60.0
    site.up()
    site.at += 60.0
    site.read(site.row())

    site.wait(STAYS_UP_SECONDS + 60.0)

    assert site.experience.history(TEXT) is None


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"state": State.PROBATION}, True),
        ({"observed": ObservedState.GONE}, False),
        ({"state": State.SUSPECT}, False),
        ({"since": 10_000.0}, True),
        ({"since": 10_001.0}, False),
    ],
)
def test_row_counts_by_the_state_of_its_vm(changed: dict[str, Any], *, counts: bool) -> None:
    site = Site()
    site.cases["u0"] = replace(site.cases["u0"], **changed)
    site.at += 100.0

    site.read(site.row())
    site.wait(STAYS_UP_SECONDS + 60.0)

    assert (site.experience.history(TEXT) is not None) is counts


def test_row_about_a_vm_that_is_not_known_does_not_count() -> None:
    site = Site()

    site.read(site.row("gone"))
    site.wait(STAYS_UP_SECONDS + 60.0)

    assert site.experience.history(TEXT) is None


@pytest.mark.parametrize(("seconds", "counts"), [(240.0, True), (241.0, False)])
def test_row_after_a_time_without_reads_does_not_count(seconds: float, *, counts: bool) -> None:
    site = Site()
    until = site.at + seconds
    while site.at < until:
        site.at = min(until, site.at + 60.0)
        site.poll()

    site.read(site.row())
    site.wait(STAYS_UP_SECONDS + 60.0)

    assert (site.experience.history(TEXT) is not None) is counts


def test_rows_of_both_logs_about_one_event_count_once() -> None:
    site = Site()
    site.wait(120.0)
    site.read(site.row(), site.row())
    site.at += 40.0
    site.read(site.row())

    site.wait(STAYS_UP_SECONDS + 60.0)

    assert site.history.times == 1


def test_rows_around_a_time_without_polls_do_not_count() -> None:
    site = Site()
    site.poll()
    site.read(site.row("u0"))
    site.at += LIMITS.max_gap_seconds + LIMITS.log_read_seconds + 1
    site.read(site.row("u1"))

    site.wait(STAYS_UP_SECONDS + 60.0)

    assert site.experience.history(TEXT) is None


def learned_site() -> Site:
    site = Site()
    site.sight(6)
    assert site.is_learned()
    return site


@pytest.mark.parametrize(
    "diagnosis",
    [
        UNCLEAR,
        replace(UNCLEAR, cause=Cause.START_FAILED, template=""),
        Diagnosis(DiagnosisKind.STOPPED, Cause.POWERED_OFF_AS_DESIRED),
    ],
    ids=lambda one: one.cause,
)
def test_template_is_unlearned_at_once_when_it_precedes_a_stop(diagnosis: Diagnosis) -> None:
    site = learned_site()
    site.read(site.row())
    site.at += 100.0

    site.down(diagnosis)

    assert not site.is_learned()
    assert site.history.marks == 1
    assert site.history.last_mark.startswith("vm-u0 at ")


UNOBSERVED = replace(UNCLEAR, cause=Cause.WENT_DOWN_UNOBSERVED, template="")


def test_downtime_that_only_was_not_observed_unlearns_nothing() -> None:
    site = learned_site()
    site.read(site.row())
    site.at += 100.0

    site.down(UNOBSERVED)

    assert site.is_learned()


def test_downtime_that_was_not_observed_marks_what_is_not_learned() -> None:
    site = Site()
    site.sight(4)
    site.read(site.row())
    site.at += 100.0

    site.down(UNOBSERVED)

    assert site.history.marks == 1


@pytest.mark.parametrize("with_its_node", [True, False])
def test_stop_of_a_whole_node_unlearns_nothing(*, with_its_node: bool) -> None:
    site = learned_site()
    site.read(site.row())
    site.at += 100.0

    site.down(SEEN_STOPPING)
    if with_its_node:
        site.node = NodeHistory(None, failed_at=site.at)
    site.wait(AUTHOR_SECONDS + LIMITS.log_read_seconds)

    assert site.is_learned() is with_its_node


def test_marked_template_is_never_learned_again() -> None:
    site = learned_site()
    site.read(site.row())
    site.down(UNCLEAR)
    site.up()
    site.wait(600.0)

    site.sight(50, over=5 * LEARNING_SECONDS)

    assert not site.is_learned()


def test_forgotten_template_begins_anew() -> None:
    site = learned_site()
    site.read(site.row())
    site.down(UNCLEAR)
    site.up()
    site.experience = site.experience.without(TEXT.upper())
    site.wait(600.0)
    assert site.experience.history(TEXT) is None

    site.sight(6)

    assert site.is_learned()


@pytest.mark.parametrize("diagnosis", [CRASHED, STOPPED_BY_ROW], ids=lambda one: one.cause)
def test_template_is_innocent_of_a_crash_and_of_a_stop_by_another_row(
    diagnosis: Diagnosis,
) -> None:
    site = learned_site()
    site.read(site.row())

    site.down(PENDING)
    site.down(PLATFORM)
    site.down(diagnosis)
    site.wait(600.0)

    assert site.is_learned()
    assert not site.history.marks


@pytest.mark.parametrize(("after", "is_undone"), [(STOPPED_BY_ROW, True), (CRASHED, False)])
def test_template_is_unlearned_when_a_start_is_undone(after: Diagnosis, *, is_undone: bool) -> None:
    site = learned_site()
    site.read(site.row())
    site.down(CRASHED)
    site.up(state=State.PROBATION)
    site.wait(300.0)

    site.down(after)

    assert site.is_learned() is not is_undone


def test_stop_long_after_a_start_blames_no_row_before_the_crash() -> None:
    site = learned_site()
    site.read(site.row())
    site.down(CRASHED)
    site.up()
    site.wait(600.0)

    site.down(STOPPED_BY_ROW)

    assert site.is_learned()


def test_stop_that_was_seen_waits_for_the_row_of_its_author() -> None:
    site = learned_site()
    site.read(site.row())
    site.down(SEEN_STOPPING)
    assert site.is_learned()

    site.wait(180.0)

    assert not site.is_learned()


def test_row_that_arrives_after_the_vm_is_down_counts_against_its_template() -> None:
    site = learned_site()
    site.down(PENDING)
    site.read(site.row())

    site.down(UNCLEAR)

    assert not site.is_learned()


@pytest.mark.parametrize("cause", [Cause.LOGS_UNREAD, Cause.UUID_SHARED])
def test_unknown_that_blames_no_row_is_no_mark(cause: Cause) -> None:
    site = learned_site()
    site.read(site.row())

    site.down(Diagnosis(DiagnosisKind.UNKNOWN, cause))

    assert site.is_learned()


def test_row_after_a_downtime_was_judged_is_innocent() -> None:
    site = learned_site()
    site.down(UNCLEAR)
    site.read(site.row())
    site.wait(300.0)

    assert site.is_learned()


def test_next_process_judges_no_downtime_twice_and_a_pending_one_once() -> None:
    site = learned_site()
    site.down(UNCLEAR, "u0")
    site.down(PENDING, "u1")
    later = Site(experience=resumed(site.experience.templates.values(), site.cases.values()))
    later.cases = site.cases

    later.read(later.row("u0"))
    later.poll()
    assert later.is_learned()
    later.read(later.row("u1"))
    later.down(UNCLEAR, "u1")

    assert not later.is_learned()


def test_vm_that_is_deleted_while_down_is_forgotten() -> None:
    site = learned_site()
    site.down(PENDING)
    del site.cases["u0"]

    site.read(site.row())
    site.poll()

    assert site.is_learned()
    assert not site.experience.downtimes


def test_stop_that_was_seen_before_any_trouble_blames_rows_before_it() -> None:
    site = learned_site()
    site.read(site.row())
    site.down(SEEN_STOPPING, trouble=False)

    site.wait(180.0)

    assert not site.is_learned()


@pytest.mark.parametrize(
    ("text", "is_marked"),
    [
        ("Stop of 'other' (anna's), 'vm-u0'", True),
        ("Stop of 'other' and old-u0", True),
        ("Stop of 'other' and vm-u00", False),
        ("Stop of 'other'".ljust(299, "."), False),
        ("Stop of 'other'".ljust(300, "."), True),  # its end, which may name the VM, is not kept
    ],
)
def test_row_that_names_the_vm_beside_others_is_marked_however_it_is_quoted(
    text: str, *, is_marked: bool
) -> None:
    site = Site()
    site.sight(25, source=RowSource.MANY)
    site.cases["u0"] = replace(site.cases["u0"], former_names=("old-u0",))
    site.read(UnknownRow(TEXT, RowSource.MANY, "", frozenset({"other"}), text))

    site.down(UNCLEAR)

    assert site.is_learned(RowSource.MANY) is not is_marked


@pytest.mark.parametrize("name", ["vm-u0", "old-u0"])
def test_row_that_names_the_vm_among_many_is_marked(name: str) -> None:
    site = Site()
    site.sight(25, source=RowSource.MANY)
    site.cases["u0"] = replace(site.cases["u0"], former_names=("old-u0",))
    site.read(UnknownRow(TEXT, RowSource.MANY, "", frozenset({name, "other"})))

    site.down(UNCLEAR)

    assert not site.is_learned(RowSource.MANY)


def test_blocked_template_keeps_the_text_of_a_row() -> None:
    site = Site()
    site.wait(120.0)
    site.read(site.row()._replace(text="the first"))
    site.down(UNCLEAR)
    assert site.history.example == "the first"

    site.wait(STAYS_UP_SECONDS)
    site.read(site.row("u1")._replace(text="another"))
    site.down(UNCLEAR, "u1")

    assert site.history.example == "the first"


@pytest.mark.parametrize("changed", [{"up_at": None}, {"diagnosis": None}])
def test_vm_that_was_never_up_or_is_not_diagnosed_blames_no_row(changed: dict[str, Any]) -> None:
    site = learned_site()
    site.read(site.row())
    site.cases["u0"] = replace(
        site.cases["u0"],
        **{"state": State.BASELINE, "up_at": 1.0, "diagnosis": STOPPED_BY_ROW, **changed},
    )

    site.poll()
    site.wait(180.0)

    assert site.is_learned()


def test_only_an_unclear_row_blocks() -> None:
    site = Site()

    site.down(STOPPED_BY_ROW, "u0")
    site.down(replace(UNCLEAR, template=""), "u1")

    assert not site.experience.templates


def test_rows_about_two_vms_count_twice_and_the_newest_text_is_the_example() -> None:
    site = Site()
    site.wait(120.0)
    site.read(site.row("u0")._replace(text="older"), site.row("u1")._replace(text="newer"))
    site.wait(STAYS_UP_SECONDS - 60.0)
    site.read(site.row("u0")._replace(text=""))
    site.wait(60.0)

    assert site.history.times == 2
    assert site.history.example == "newer"


def test_row_long_before_or_about_another_vm_is_innocent() -> None:
    site = learned_site()
    site.read(site.row("u0"), site.row("u1"))
    site.wait(121.0)
    site.read(site.row("u1"))

    site.down(UNCLEAR)

    assert site.is_learned()


def test_row_about_no_single_object_is_marked_by_any_vm_that_it_may_mean() -> None:
    site = Site()
    site.sight(25, source=RowSource.MANY)
    of_another = UnknownRow(TEXT, RowSource.MANY, "", frozenset({"vm-u1"}))
    site.read(of_another)
    site.down(UNCLEAR)
    assert site.is_learned(RowSource.MANY)
    site.wait(600.0)

    site.up()
    site.read(site.row("", RowSource.MANY))
    site.down(UNCLEAR)

    assert not site.is_learned(RowSource.MANY)


def test_blocked_diagnoses_are_counted_once_for_each_time_a_vm_is_down() -> None:
    site = Site()
    for uuid in ("u0", "u1", "u0"):
        site.down(UNCLEAR, uuid)
        site.wait(120.0)
        site.up(uuid)

    assert site.history.blocked == 3


def test_next_process_continues_and_counts_nothing_twice() -> None:
    site = learned_site()
    site.down(UNCLEAR)
    before = site.history

    later = Site(experience=resumed(site.experience.templates.values(), site.cases.values()))
    later.cases = site.cases
    later.poll()

    assert later.history == before
    assert later.is_learned()


def test_next_process_does_without_what_was_forgotten_after_the_last_write() -> None:
    site = learned_site()

    later = resumed(site.experience.templates.values(), (), forgotten=[TEXT])

    assert later.history(TEXT) is None


def history(number: int, *, times: int = 1, marks: int = 0) -> TemplateHistory:
    return TemplateHistory(
        template=f"row {number:05}",
        sightings={RowSource.SYSTEM: Sightings(times, 0.0, float(number))},
        marks=marks,
    )


def test_templates_that_were_seen_least_are_forgotten_first_and_marks_last() -> None:
    blocked = replace(history(2, times=0), blocked=1)
    kept = [history(0, times=9), history(1, times=0, marks=1), blocked]
    rest: Iterable[TemplateHistory] = [history(number) for number in range(3, MAX_TEMPLATES)]
    site = Site(experience=resumed([*kept, *rest], ()))

    site.sight(1)

    templates = site.experience.templates
    assert len(templates) == MAX_TEMPLATES
    assert {one.template.casefold() for one in kept} <= templates.keys()
    assert "row 00003" not in templates


def counted(site: Site) -> int:
    history = site.experience.history(TEXT)
    return history.times if history is not None else 0


@pytest.mark.parametrize(
    ("seconds", "times"), [(59.9, 1), (60.0, 2), (120.0, 2), (STAYS_UP_SECONDS, 2)]
)
def test_next_row_about_the_vm_is_a_sighting_of_its_own_after_a_minute(
    seconds: float, times: int
) -> None:
    site = Site()
    site.read(site.row())
    site.wait(seconds)
    site.read(site.row())

    site.wait(STAYS_UP_SECONDS)

    assert counted(site) == times


def test_rows_that_differ_in_template_source_or_vm_are_sightings_of_their_own() -> None:
    site = Site()
    other = site.row()._replace(template="Another row")

    site.read(site.row(), site.row("u1"), site.row(source=RowSource.PERSON), other)
    site.wait(STAYS_UP_SECONDS)

    assert site.history.sightings[RowSource.SYSTEM].times == 2
    assert site.history.sightings[RowSource.PERSON].times == 1
    assert site.experience.templates["another row"].times == 1


def test_sighting_counts_when_its_ten_minutes_are_over_and_not_before() -> None:
    site = Site()
    read_at = site.at
    site.read(site.row())
    site.wait(STAYS_UP_SECONDS - 0.1)
    assert counted(site) == 0

    site.wait(0.1)

    assert counted(site) == 1
    assert site.history.sightings[RowSource.SYSTEM] == Sightings(1, read_at, read_at)


def test_first_and_last_sighting_are_kept_with_the_newest_text_that_is_known() -> None:
    site = Site()
    first_at = site.at
    site.read(site.row()._replace(text="the text"))
    site.wait(STAYS_UP_SECONDS + 120.0)
    last_at = site.at
    site.read(site.row()._replace(text=""))
    site.wait(STAYS_UP_SECONDS)

    assert site.history.sightings[RowSource.SYSTEM] == Sightings(2, first_at, last_at)
    assert site.history.example == "the text"


def test_forgotten_template_loses_its_rows_of_the_last_minutes_and_no_other_does() -> None:
    site = Site(experience=resumed([history(1), history(2)], ()))
    site.read(site.row(), site.row()._replace(template="Row 00001"))

    site.experience = site.experience.without(TEXT.upper()).without("ROW 00002")
    site.wait(STAYS_UP_SECONDS)

    assert {key: one.times for key, one in site.experience.templates.items()} == {"row 00001": 2}


@pytest.mark.parametrize(("gap", "times"), [(120.0, 1), (120.1, 0)])
def test_rows_before_a_gap_between_polls_count_up_to_two_minutes(gap: float, times: int) -> None:
    site = Site()
    site.poll()
    site.read(site.row())
    site.at += gap
    site.poll()

    site.wait(STAYS_UP_SECONDS)

    assert counted(site) == times


@pytest.mark.parametrize(
    ("seconds", "marks"), [(SUSPECT_SECONDS, 1), (SUSPECT_SECONDS + 0.1, 0), (0.0, 1)]
)
def test_row_is_suspect_for_two_minutes(seconds: float, marks: int) -> None:
    site = learned_site()
    site.read(site.row())
    site.at += seconds

    site.down(UNCLEAR)

    assert site.history.marks == marks


def test_row_is_suspect_by_when_the_trouble_began() -> None:
    site = learned_site()
    site.read(site.row())
    site.at += 200.0
    site.cases["u0"] = replace(site.cases["u0"], trouble_at=site.at - 90.0)

    site.down(UNCLEAR)

    assert site.history.marks == 1


def test_downtime_that_was_judged_suspects_no_further_row() -> None:
    site = Site()
    site.down(UNCLEAR, "u0")
    site.down(PENDING, "u1")

    site.read(site.row("u0"), site.row("u1"))

    suspects = {uuid: one.suspects for uuid, one in site.experience.downtimes.items()}
    assert suspects == {"u0": frozenset(), "u1": {TEXT}}


def test_vm_on_probation_since_before_the_start_has_no_downtime() -> None:
    site = Site()

    site.up(state=State.PROBATION)

    assert not site.experience.downtimes


def test_unobserved_downtime_marks_a_template_that_was_never_seen_before() -> None:
    site = Site()
    site.read(site.row())

    site.down(UNOBSERVED)

    assert (site.history.marks, site.history.times) == (1, 0)


@pytest.mark.parametrize(("node", "is_excused"), [(1, True), (2, False), (None, False)])
def test_only_the_failure_of_its_own_node_excuses_rows(
    node: int | None, *, is_excused: bool
) -> None:
    site = learned_site()
    site.read(site.row())
    site.cases["u0"] = replace(site.cases["u0"], node=node)
    site.node = NodeHistory(None, failed_at=site.at)

    site.down(replace(SEEN_STOPPING, cause=Cause.POWERED_OFF_AS_DESIRED))

    assert site.is_learned() is is_excused


@pytest.mark.parametrize(("cause"), [Cause.SEEN_STOPPING, Cause.HIBERNATED])
@pytest.mark.parametrize(("seconds", "is_judged"), [(59.9, False), (60.0, True)])
def test_row_of_the_author_is_awaited_for_a_minute(
    seconds: float, cause: Cause, *, is_judged: bool
) -> None:
    site = learned_site()
    site.read(site.row())
    site.down(replace(SEEN_STOPPING, cause=cause))
    site.at += seconds

    site.read()
    site.poll()

    assert site.is_learned() is not is_judged


@pytest.mark.parametrize(
    ("diagnosis", "up_at", "is_judged"),
    [
        (CRASHED, 1.0, True),
        (UNCLEAR, 1.0, True),
        (STOPPED_BY_ROW, 1.0, True),
        (replace(UNCLEAR, cause=Cause.LOGS_UNREAD), 1.0, False),
        (SEEN_STOPPING, 1.0, False),
        (PENDING, 1.0, False),
        (PLATFORM, 1.0, False),
        (CRASHED, None, False),
    ],
)
def test_next_process_takes_over_which_downtimes_were_judged(
    diagnosis: Diagnosis, up_at: float | None, *, is_judged: bool
) -> None:
    case = Site().cases["u0"]
    down = replace(case, state=State.UNKNOWN, diagnosis=diagnosis, up_at=up_at)

    downtimes = resumed((), [down, replace(case, uuid="u1")]).downtimes

    assert [(uuid, one.is_judged) for uuid, one in downtimes.items()] == [("u0", is_judged)]


@pytest.mark.parametrize("state", [State.HEALTHY, State.PROBATION])
def test_next_process_takes_over_no_downtime_of_a_vm_that_is_up(state: State) -> None:
    case = replace(Site().cases["u0"], state=state, diagnosis=CRASHED, up_at=1.0)

    assert not resumed((), [case]).downtimes


def let_time_pass(site: Site, _: str) -> None:
    site.at += HOUR / 6
    site.poll()


STEPS: list[Callable[[Site, str], None]] = [
    lambda site, uuid: site.read(site.row(uuid)),
    lambda site, uuid: site.read(site.row(uuid, RowSource.PERSON)),
    lambda site, _: site.read(site.row("", RowSource.MANY)),
    lambda site, uuid: site.down(SEEN_STOPPING, uuid),
    lambda site, uuid: site.down(UNCLEAR, uuid),
    lambda site, uuid: site.down(CRASHED, uuid),
    Site.up,
    let_time_pass,
]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(["u0", "u1"])), max_size=40))
def test_marked_template_is_not_learned_whatever_happens(
    steps: list[tuple[Callable[[Site, str], None], str]],
) -> None:
    site = Site()
    for step, uuid in steps:
        step(site, uuid)
        for one in site.experience.templates.values():
            for source in RowSource:
                if is_learned(one, source):
                    assert not one.marks
                    assert one.sightings[source].times >= TIMES_NEEDED[source]
