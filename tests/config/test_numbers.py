"""Which numbers the settings accept."""

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import TypeAdapter

from exporter.config.loader import load
from exporter.config.settings import Settings
from exporter.config.systems import resolve_systems
from exporter.daemon.recovery_worker import JournalHandle
from exporter.errors import ConfigError
from exporter.inputs.validation import walk
from exporter.vergeos.budget import RequestBudget
from tests.fakes import START, FakeClock

Place = tuple[str, ...]

QUERY = 'up{vm="{{vm}}"}[{{window}}]'
BASE: dict[str, Any] = {
    "systems": [{"name": "a", "url": "http://127.0.0.1:1", "api_key": "k"}],
    "poll": {"tables": {"machine_nics": 120}},
    "recovery": {
        "confirm": {"url": "http://127.0.0.1:3", "query": QUERY},
        "maintenance_windows": [{"start": "01:00", "hours": 1, "reason": "x"}],
        "rules": [{"names": ["x"], "policy": "no"}],
    },
}
"""One entry of each list whose entries have numbers."""
NOT_NUMBERS: Mapping[Place, object] = {
    ("recovery", "maintenance_windows", "start"): "a time of day, which YAML may read as a number"
}


def is_number(annotation: Any) -> bool:
    if annotation in (int, float):
        return True
    return any(map(is_number, get_args(annotation)))


def numbers() -> Iterator[Place]:
    """Yield the place of every setting that is a number, or a mapping to numbers."""
    for place, field in walk(Settings):
        if is_number(field.annotation) or place in NOT_NUMBERS:
            yield place


PLACES = sorted(numbers())
FIELDS = dict(walk(Settings))
ABSURD = (1e300, 10**400)


def bound(schema: Any, name: str) -> float | None:
    """Return the bound of the number in a JSON schema: *name* is `maximum` or `minimum`."""
    if isinstance(schema, list):
        return next((found for one in schema if (found := bound(one, name)) is not None), None)
    if not isinstance(schema, dict):
        return None
    exclusive = schema.get(f"exclusive{name.capitalize()}")
    if exclusive is not None:
        step = 1.0 if schema.get("type") == "integer" else 1e-6
        return float(exclusive + (step if name == "minimum" else -step))
    if name in schema:
        return float(schema[name])
    return bound(list(schema.values()), name)


def extreme(place: Place, name: str) -> float | None:
    field = FIELDS[place]
    annotation: Any = field.annotation
    for one in field.metadata:
        annotation = Annotated[annotation, one]
    return bound(TypeAdapter(annotation).json_schema(), name)


def with_number(place: Place, value: float) -> dict[str, Any]:
    raw: Any = deepcopy(BASE)
    group = raw
    for step in place[:-1]:
        group = group.setdefault(step, {})
        group = group[0] if isinstance(group, list) else group
    inner = group.get(place[-1])
    group[place[-1]] = dict.fromkeys(inner, value) if isinstance(inner, dict) else value
    return dict(raw)


def loaded(folder: Path, raw: Mapping[str, Any]) -> Settings:
    config = folder / "vergewatch.yaml"
    text = json.dumps(raw)  # which is YAML, but for the words of numbers that are not finite
    config.write_text(text.replace("Infinity", ".inf").replace("NaN", ".nan"))
    return load(config)


def test_all_numbers_of_the_settings_are_found() -> None:
    assert len(PLACES) > 80
    assert {
        ("poll", "fast_seconds"),
        ("poll", "tables"),
        ("systems", "api", "reserve"),
        ("recovery", "limits", "max_per_hour"),
        ("recovery", "maintenance_windows", "hours"),
    } <= {*PLACES}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_number_that_is_not_finite_is_refused_with_its_place(tmp_path: Path, value: float) -> None:
    wrong = []
    for place in PLACES:
        try:
            loaded(tmp_path, with_number(place, value))
        except ConfigError as error:
            named = ".".join(place).removeprefix("systems.")
            if named.split(".")[-1] not in str(error):
                wrong.append(f"{named}: {error}")
        except Exception as error:  # noqa: BLE001 - which would end the daemon
            wrong.append(f"{place}: {error!r}")
        else:
            wrong.append(f"{place}: accepted")

    assert not wrong, "\n".join(wrong)


def refusal(folder: Path, place: Place, value: float) -> str:
    """Return why *value* is refused, empty if it is not, after what computes with it was run."""
    try:
        settings = loaded(folder, with_number(place, value))
        (system,) = resolve_systems(settings)
    except ConfigError as error:
        return str(error)
    system.schedules_for({"vms": 9}, is_running=True)
    system.wanted_seconds()
    api, clock = system.api, FakeClock()
    budget = RequestBudget(api.requests_per_hour, reserve=api.reserve)
    budget.take(at=clock.monotonic())
    return ""


@pytest.mark.parametrize("absurd", ABSURD)
def test_absurd_number_is_refused_with_its_place(tmp_path: Path, absurd: float) -> None:
    wrong = []
    for place in PLACES:
        why = refusal(tmp_path, place, absurd)
        if place[-1] not in why:
            wrong.append(f"{'.'.join(place)}: {why or 'accepted'}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_schedule_can_be_computed_with_each_number_at_its_bound(tmp_path: Path, name: str) -> None:
    unbounded = []
    for place in PLACES:
        if place in NOT_NUMBERS:
            continue
        value = extreme(place, name)
        if value is None:
            unbounded.append(".".join(place))
            continue
        refusal(tmp_path, place, int(value) if value == int(value) else value)

    assert not unbounded


class FakeJournal:
    """Notes until when records were deleted."""

    def __init__(self) -> None:
        self.pruned: list[datetime] = []

    async def prune(self, before: datetime) -> int:
        self.pruned.append(before)
        return 0


async def test_journal_is_tidied_with_the_longest_retention(tmp_path: Path) -> None:
    place = ("recovery", "retention_days")
    settings = loaded(tmp_path, with_number(place, extreme(place, "maximum") or 10**9))
    handle, journal = JournalHandle(settings.recovery, FakeClock()), FakeJournal()
    handle.journal = journal  # type: ignore[assignment]

    await handle._tidy()

    assert journal.pruned == [START - handle.retention]
