"""What differs between two versions of the settings, by the name of each setting."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from exporter.config.settings import Settings, SystemSettings

Place = tuple[str, ...]
M = TypeVar("M", bound=BaseModel)


def values_by_place(settings: Settings) -> dict[Place, Any]:
    """Return the value of every single setting, by the steps that lead to it."""
    return dict(_walk(settings, ()))


def changed_names(before: Settings, after: Settings) -> Sequence[str]:
    """
    Return the names of the settings that differ, such as ``recovery.limits.max_per_day``, sorted.

    Those of a system have its name or its host in them; one that is new or gone is one name.
    """
    old, new = values_by_place(before), values_by_place(after)
    systems = {place[:2] for place in old} ^ {place[:2] for place in new}
    found = {
        place[:2] if place[:2] in systems else place
        for place in old.keys() | new.keys()
        if place not in old or place not in new or old[place] != new[place]
    }
    return sorted(map(".".join, found))


def is_within(name: str, groups: Sequence[str]) -> bool:
    """Return whether the setting *name* is one of *groups*, or in one of them."""
    return any(name == group or name.startswith(f"{group}.") for group in groups)


def with_values_of(before: Settings, after: Settings, names: Sequence[str]) -> Settings:
    """Return *after* with the values that the settings *names* have in *before*."""
    for name in names:
        after = _with_value_of(before, after, name.split("."))
    return after


def _with_value_of(before: M, after: M, place: Sequence[str]) -> M:
    """Return *after* with the value that the setting at *place* has in *before*."""
    name, *rest = place
    value = getattr(before, name)
    if rest:
        value = _with_value_of(value, getattr(after, name), rest)
    return after.model_copy(update={name: value})


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Yield the place and the value of each setting in *value*."""
    if isinstance(value, tuple) and value and isinstance(value[0], SystemSettings):
        for system in value:
            yield from _walk(system, (*place, system.name or urlsplit(system.url).netloc))
        return
    if isinstance(value, BaseModel):
        names = list(type(value).model_fields)
    elif is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
    else:
        yield place, value
        return
    for name in names:
        yield from _walk(getattr(value, name), (*place, name))
