"""The effective configuration as lines of YAML, without its secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import time
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr

from exporter.config.settings import CommonSystemSettings, Settings
from exporter.console.daemon_facts import SettingLine

HIDDEN = "(hidden)"
_LOGIN_IN_URL = re.compile(r"//[^/@\s]*@")
_PLAIN = re.compile(
    r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[A-Za-z/](?:[\w./:-]*[\w./-])?",
    re.IGNORECASE | re.ASCII,
)
"""What YAML reads as the same text without quotes."""
_FIRST = ("name", "url")
_TOP_LEVEL_OF_SYSTEM = frozenset({*CommonSystemSettings.model_fields, "url"})
"""Of a single system: `systems` has them too."""


def setting_lines(settings: Settings) -> tuple[SettingLine, ...]:
    """Return every setting that has a value: what is not set, or empty, is left out."""
    shown = {
        name: getattr(settings, name)
        for name in type(settings).model_fields
        if name not in _TOP_LEVEL_OF_SYSTEM
    }
    return tuple(_group(shown, 0))


def _group(items: Mapping[str, Any], depth: int) -> Iterator[SettingLine]:
    for name, value in items.items():
        if value is None or value in ("", (), {}):
            continue
        parts = _parts(value)
        if parts is not None:
            yield SettingLine(depth, f"{name}:")
            yield from _group(parts, depth + 1)
        elif isinstance(value, tuple) and any(_parts(item) is not None for item in value):
            yield SettingLine(depth, f"{name}:")
            yield from _items(value, depth + 1)
        else:
            yield SettingLine(depth, f"{name}: {_scalar(value)}")


def _items(values: tuple[Any, ...], depth: int) -> Iterator[SettingLine]:
    for value in values:
        parts = _parts(value)
        if parts is None:
            yield SettingLine(depth, f"- {_scalar(value)}")
            continue
        first = True
        for line in _group(parts, depth + 1):
            yield SettingLine(depth, f"- {line.text}") if first else line
            first = False


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return the settings in a group; None if *value* is no group."""
    if isinstance(value, BaseModel):
        names = sorted(type(value).model_fields, key=lambda name: name not in _FIRST)
        return {name: getattr(value, name) for name in names}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else None


def _scalar(value: Any) -> str:
    """Return *value* as YAML. What is of no known type may have a secret: it is hidden."""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Enum):
        return _scalar(value.value)
    if isinstance(value, bool | int | float):
        return f"{value:g}" if isinstance(value, float) else json.dumps(value)
    if isinstance(value, str | PurePath | time):
        text = _LOGIN_IN_URL.sub(f"//{HIDDEN}@", str(value))
        return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
    if isinstance(value, tuple | frozenset | list):
        items = sorted(value, key=str) if isinstance(value, frozenset) else value
        return f"[{', '.join(map(_scalar, items))}]"
    return HIDDEN
