"""What every class of settings shares: its options, its types, and the text of its errors."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from exporter.formatting import nearest
from exporter.inputs.files import CONTROL

STRICT = ConfigDict(
    defer_build=True,  # of the models in a model, most are never validated alone
    frozen=True,
    extra="forbid",
    use_attribute_docstrings=True,
    hide_input_in_errors=True,
    allow_inf_nan=False,  # no interval and no limit is infinite
)


def _usable(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("is empty")
    if CONTROL.search(secret.get_secret_value()):
        raise ValueError("contains a control character, such as a newline")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_usable)]
"""A secret that an HTTP header can carry."""


def check_alternatives(settings: object, *names: str) -> None:
    """Raise `ValueError` if one of the settings *names* and its ``_file`` are both set."""
    for name in names:
        if getattr(settings, name) and getattr(settings, f"{name}_file"):
            raise ValueError(f"{name} and {name}_file are both given: keep one")


# Both examples are valid in YAML and, for variables, in JSON.
_LIST = 'expected a list, such as ["one", "another"]'
_GROUP = 'expected a group of settings, such as {"name": "value"}'
_TEXTS: Mapping[str, str] = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _GROUP,
    "model_type": _GROUP,
    "dataclass_type": _GROUP,
    "model_attributes_type": _GROUP,
    "too_short": "is empty: give at least one entry, or leave the setting out",
}
"""Replacements for error messages of pydantic that name Python types."""


def error_text(error: ErrorDetails, place: tuple[int | str, ...], model: type) -> str:
    """
    Return one line: the setting and what is wrong with it. It does not contain the value.

    Args:
        place: Where the setting is, from the operator's point of view.
        model: The class that was validated.

    """
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        bare = ".".join(step for step in place if isinstance(step, str))
        return f"unknown setting {name}{nearest(bare, setting_names(model))}"
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])
    else:
        message = error["msg"]
        text = _TEXTS.get(error["type"], message[:1].lower() + message[1:])
    return f"{name}: {text}" if name else text


def setting_names(model: type) -> set[str]:
    """Return the dotted name of every setting and group under *model*, without list indexes."""
    names = {".".join(path) for path, _ in walk(model)}
    return names | {name.split(".")[0] for name in names}


def walk(model: type, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], FieldInfo]]:
    """Yield the path and field of every setting under *model*, a model or a dataclass."""
    for name, field in _fields(model).items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from walk(inner, (*path, name))
        else:
            yield (*path, name), field


def _fields(model: Any) -> Mapping[str, FieldInfo]:
    if issubclass(model, BaseModel):
        declared: Mapping[str, FieldInfo] = model.model_fields
        # A server's URL before how to log in there, and the proxy last, which settings inherit.
        return dict(sorted(declared.items(), key=_position))
    schema, types = TypeAdapter(model).json_schema(), get_type_hints(model, include_extras=True)
    return {
        field.name: FieldInfo(
            annotation=types[field.name],
            default=PydanticUndefined if field.default is MISSING else field.default,
            description=schema["properties"][field.name].get("description"),
        )
        for field in fields(model)
    }


def _position(field: tuple[str, FieldInfo]) -> tuple[bool, bool]:
    return field[0] not in ("url", "urls"), field[0].startswith("proxy")


def _model_in(annotation: Any) -> type | None:
    """Return the model or dataclass of a field or of its items."""
    if isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or is_dataclass(annotation)
    ):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
