"""As much of JSON Schema as the OpenAPI document uses: a keyword that is new here is an error."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
TEXTS = {"title", "description", "default", "$ref", "required", "format", "discriminator"}
"""Keywords that ask for nothing, or are read with others."""


def problems(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[str]:
    """Return what of *value* does not fit *schema*, whose references are into *root*."""
    return list(_problems(value, schema, root, "$"))


def _problems(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from _problems(value, target, root, at)
    for keyword in schema:
        if keyword not in TEXTS:
            yield from CHECKS[keyword](value, schema, root, at)
    if schema.get("format") == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            yield f"{at} is no time: {value!r}"


def _type(value: Any, schema: Any, _: Any, at: str) -> Iterator[str]:
    kinds = TYPES[schema["type"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield f"{at} is no {schema['type']}: {value!r}"


def _properties(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name} is missing"
    for name, one in value.items():
        if name in schema["properties"]:
            yield from _problems(one, schema["properties"][name], root, f"{at}.{name}")
        else:
            yield f"{at}.{name} is not declared"


def _additional(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    rest = schema["additionalProperties"]
    if isinstance(rest, Mapping) and isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from _problems(value[name], rest, root, f"{at}.{name}")


def _items(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, list) and isinstance(schema["items"], Mapping):
        for number, one in enumerate(value):
            yield from _problems(one, schema["items"], root, f"{at}[{number}]")


def _prefix(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    for number, (one, part) in enumerate(zip(value, schema["prefixItems"], strict=True)):
        yield from _problems(one, part, root, f"{at}[{number}]")


def _any_of(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    found = [list(_problems(value, one, root, at)) for one in schema["anyOf"]]
    if all(found):
        yield f"{at} fits none of {len(found)}: {min(found, key=len)[0]}"


def _enum(value: Any, schema: Any, _: Any, at: str) -> Iterator[str]:
    if value not in schema["enum"]:
        yield f"{at} is {value!r}"


def _nothing(*_: Any) -> Iterator[str]:
    return iter(())


CHECKS: Mapping[str, Callable[[Any, Any, Any, str], Iterator[str]]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _prefix,
    "anyOf": _any_of,
    "enum": _enum,
    "minItems": _nothing,
    "maxItems": _nothing,
    "minimum": lambda value, schema, _, at: iter(
        [f"{at} is {value}"] if value < schema["minimum"] else []
    ),
    "maximum": lambda value, schema, _, at: iter(
        [f"{at} is {value}"] if value > schema["maximum"] else []
    ),
    "exclusiveMinimum": lambda value, schema, _, at: iter(
        [f"{at} is {value}"] if value <= schema["exclusiveMinimum"] else []
    ),
    "maxLength": lambda value, schema, _, at: iter(
        [f"{at} is too long"] if len(value) > schema["maxLength"] else []
    ),
}
