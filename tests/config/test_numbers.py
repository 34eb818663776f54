"""Which numbers the settings accept."""

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest

from exporter.config.loader import load
from exporter.config.settings import Settings
from exporter.errors import ConfigError
from exporter.inputs.validation import walk

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
