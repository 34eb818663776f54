"""Which stops undo an action of recovery, and when too many do."""

from typing import Any

import pytest

from exporter.recovery.model.cases import Case, Cause, Diagnosis, DiagnosisKind
from exporter.recovery.model.commands import Command, CommandKind, ControlState
from exporter.recovery.model.limits import WEEK, Limits
from exporter.recovery.observe.error_budget import overspent, with_undone
from tests.recovery.inventory_values import TIME, case

AT = WEEK + 5000.0
STOPPED = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON)
FALLBACK = Command(kind=CommandKind.FALL_BACK, owner="", reason="", at=1.0, time=TIME)


def stopped(**fields: Any) -> Case:
    """Return the case of a VM that recovery started, and that a person stopped."""
    own = {"diagnosis": STOPPED, "helped_at": AT - 700, "up_at": AT - 100}
    return case(**{**own, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"helped_at": None},
        {"diagnosis": None},
        *(
            {"diagnosis": Diagnosis(DiagnosisKind.STOPPED, cause)}
            for cause in Cause
            if cause is not Cause.STOPPED_BY_PERSON
        ),
    ],
)
def test_only_the_stop_by_a_person_after_an_action_undoes_it(fields: dict[str, Any]) -> None:
    before = stopped(**fields)

    assert with_undone(before, at=AT) is before


@pytest.mark.parametrize(
    ("up_at", "helped_at", "undoes"),
    [
        (AT - 100, AT - 700, True),
        (AT - 99, AT - 700, False),  # it ran for more than ten minutes
        (None, AT - 600, True),  # it was still being verified
        (None, AT - 601, False),
    ],
)
def test_stop_within_ten_minutes_undoes_the_action_once(
    up_at: float | None, helped_at: float, undoes: bool
) -> None:
    after = with_undone(stopped(up_at=up_at, helped_at=helped_at), at=AT)

    assert after.helped_at is None
    assert after.undone == ((AT,) if undoes else ())


def test_undone_actions_are_kept_for_a_week() -> None:
    before = stopped(undone=(AT - WEEK, AT - WEEK + 1, AT - 5))

    assert with_undone(before, at=AT).undone == (AT - WEEK + 1, AT - 5, AT)


@pytest.mark.parametrize(
    ("undone", "most", "fields", "too_many"),
    [
        ([AT], 2, {}, False),
        ([AT, AT - 5], 2, {}, True),
        ([AT, AT - WEEK + 1], 2, {}, True),
        ([AT, AT - WEEK], 2, {}, False),
        ([AT], 1, {}, True),
        ([], 1, {}, False),
        ([], 0, {}, False),  # never
        ([AT, AT - 5], 0, {}, False),
        ([AT, AT - 5], 2, {"fallback": FALLBACK}, False),  # it asks already
        ([AT, AT - 5], 2, {"fell_back_at": AT - 6}, True),
        ([AT, AT - 5], 2, {"fell_back_at": AT - 5}, False),  # it counts anew since
        ([AT, AT - WEEK], 2, {"fell_back_at": 3.0}, False),
    ],
)
def test_recovery_asks_after_so_many_undone_actions_within_a_week(
    undone: list[float], most: int, fields: dict[str, Any], too_many: bool
) -> None:
    cases = {f"u{number}": case(number, undone=(at,)) for number, at in enumerate(undone)}

    why = overspent(cases, ControlState(**fields), Limits(undone_actions=most), at=AT)

    assert bool(why) is too_many
    if too_many:
        assert f"{len(undone)} times" in why


def test_each_vm_whose_start_was_undone_is_named_once_in_order() -> None:
    cases = {"u1": case(1, undone=(AT - 9, AT - 2)), "u2": case(2, undone=(AT - 5,))}

    assert overspent(cases, ControlState(), Limits(), at=AT).endswith("3 times: web-1, web-2")


def test_actions_of_the_first_week_count() -> None:
    cases = {"u1": case(1, undone=(0.5, 1.0))}

    assert overspent(cases, ControlState(), Limits(), at=2.0)
