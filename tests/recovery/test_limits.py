"""The limits of recovery: which values the configuration accepts, and what follows from them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.recovery.model.limits import Limits, Mode
from tests.recovery.harness import Harness

CONFIGURED = TypeAdapter(Limits)

NOT_NUMBERS: tuple[object, ...] = ("many", None, [])
SHARE = "min_rows_share"
SECONDS = "warmup_seconds"
POSITIVE_SECONDS = "outage_seconds"
POSITIVE_NUMBER = "confirm_down_polls"
NUMBER = "warmup_polls"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((SHARE, value) for value in (0.001, 0.5, 1)),
        *((SECONDS, value) for value in (0, 0.5, 1e6)),
        *((POSITIVE_SECONDS, value) for value in (0.001, 1, 1e6)),
        *((POSITIVE_NUMBER, value) for value in (1, 1000)),
        *((NUMBER, value) for value in (0, 1, 1000)),
    ],
)
def test_limit_within_its_range_is_accepted(name: str, value: float) -> None:
    assert getattr(CONFIGURED.validate_python({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((SHARE, value) for value in (-0.1, 0, 1.001, *NOT_NUMBERS)),
        *((SECONDS, value) for value in (-0.001, *NOT_NUMBERS)),
        *((POSITIVE_SECONDS, value) for value in (-1, 0, *NOT_NUMBERS)),
        *((POSITIVE_NUMBER, value) for value in (-1, 0, 1.5, *NOT_NUMBERS)),
        *((NUMBER, value) for value in (-1, 0.5, *NOT_NUMBERS)),
    ],
)
def test_limit_outside_its_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        CONFIGURED.validate_python({name: value})


def test_budgets_are_for_an_hour_a_day_and_a_week() -> None:
    limits = Limits(max_per_hour=1, max_per_day=2, max_per_week=3)

    assert limits.vm_windows == ((3600, 1), (86_400, 2), (604_800, 3))


def test_rate_limits_are_for_ten_minutes_and_a_day() -> None:
    limits = Limits(system_max_per_10_minutes=4, system_max_per_day=5)

    assert limits.system_windows == ((600, 4), (86_400, 5))


def test_recovery_acts_in_the_modes_ask_and_enforce_only() -> None:
    assert {mode for mode in Mode if mode.acts} == {Mode.ASK, Mode.ENFORCE}


SCHEMA = CONFIGURED.json_schema()["properties"]
NUMBERS = [name for name in SCHEMA if SCHEMA[name]["type"] in ("number", "integer")]


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
@pytest.mark.parametrize("mode", [Mode.ASK, Mode.ENFORCE])
@pytest.mark.parametrize("name", NUMBERS)
def test_recovery_works_with_each_limit_at_its_bound(name: str, mode: Mode, bound: str) -> None:
    schema = SCHEMA[name]
    value = schema.get(bound, schema.get(f"exclusive{bound.capitalize()}"))
    assert value is not None, f"{name} has no {bound}"
    beside = 1 if schema["type"] == "integer" else 1e-6
    if bound not in schema:
        value += beside if bound == "minimum" else -beside
    harness = Harness(vms=4, mode=mode, limits=Limits(**{name: value}))
    harness.advance(900)

    harness.world.crash(harness.names[0])
    harness.advance(300)

    assert harness.recovery.report.mode is mode
