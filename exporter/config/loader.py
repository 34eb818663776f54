"""
The sources of the settings, their precedence, and the errors for invalid values.

From highest to lowest precedence: command line, ``VERGEWATCH_*`` variables (``__`` between levels),
``VERGE_*`` variables, the YAML file. Read only at start-up and on reload.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import EnvSettingsSource, SettingsError

from exporter.config.settings import PREFIX, CommonSystemSettings, Settings, SystemSettings
from exporter.errors import ConfigError
from exporter.formatting import nearest

CONFIG_FILE_VARIABLE = "VERGEWATCH_CONFIG_FILE"
SECRETS_DIR_VARIABLES = ("VERGEWATCH_SECRETS_DIR", "CREDENTIALS_DIRECTORY")
"""The second is systemd's, set by ``LoadCredential=``."""
SIMULATOR_KEY_VARIABLE = "VERGEWATCH_SIMULATOR_API_KEY"
"""The key that `vergewatch simulate` accepts; not a setting of the daemon."""
DAEMON_URL_VARIABLE = "VERGEWATCH_DAEMON_URL"
"""Where `vergewatch explain` and `recovery` look for the daemon; not a setting of the daemon."""
VENDOR_VARIABLES = {
    "VERGE_URL": "url",
    "VERGE_API_KEY": "api_key",
    "VERGE_USERNAME": "username",
    "VERGE_PASSWORD": "password",
}
ALTERNATIVES = (
    ("api_key", "api_key_file"),
    ("password", "password_file"),
    ("action_api_key", "action_api_key_file"),
    ("token", "token_file"),
)
"""Alternative settings: one from a source replaces the other from sources of lower precedence."""
RECOVERY_TOKEN = "recovery_token"  # noqa: S105 - the name of a file
"""In the secrets directory: the token of recovery commands."""
SINGLE_SYSTEM = frozenset({"url", *CommonSystemSettings.model_fields})


def load(
    config_file: Path | None = None,
    command_line: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """
    Return the settings, merged from all sources.

    Args:
        config_file: A YAML file; without it, the one that ``VERGEWATCH_CONFIG_FILE`` names, if any.
        command_line: Nested values that override all others.
        environ: The names of the variables; values come from `os.environ`.

    Raises:
        ConfigError: One line for each invalid setting, with its source.

    """
    named = environ.get(CONFIG_FILE_VARIABLE)
    path = config_file or (Path(named) if named else None)
    values: dict[str, Any] = {}
    for source in (
        _from_file(path) if path else {},
        {setting: environ[name] for name, setting in VENDOR_VARIABLES.items() if environ.get(name)},
        _from_environment(),
        command_line or {},
    ):
        values = _merged(values, source)
    values.pop("config_file", None)
    single = {key: values.pop(key) for key in sorted(SINGLE_SYSTEM) if key in values}
    if single:
        if values.get("systems"):
            raise ConfigError(
                f"{', '.join(single)}: for a single system, but systems is set; "
                "move it into its entry of systems"
            )
        values["systems"] = [single]
    if not values.get("systems") or ("url" in single and not single["url"]):
        for name in sorted(values.keys() - Settings.model_fields.keys()):
            said = f"{path}: " if path else ""
            raise ConfigError(f"{said}unknown setting {name}{nearest(name, _known_names())}")
        raise ConfigError(
            "no VergeOS system configured: set VERGEWATCH_URL and VERGEWATCH_API_KEY, or list "
            "systems in a file named by --config; `vergewatch demo` needs neither"
        )
    _find_secrets(values, environ, single=bool(single))
    try:
        return Settings(**values, config_file=path)
    except ValidationError as errors:
        formatter = _ErrorFormatter(path, environ, single=bool(single))
        raise ConfigError(
            "\n".join(formatter.explain(error) for error in errors.errors())
        ) from None


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """
    Return a warning for each ``VERGEWATCH_*`` variable that is not a setting.

    Not an error, because Kubernetes injects variables such as ``VERGEWATCH_PORT``.
    """
    known = _known_variables()
    return [
        f"{name} sets nothing{nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known
        and name not in (*SECRETS_DIR_VARIABLES, SIMULATOR_KEY_VARIABLE, DAEMON_URL_VARIABLE)
        and not any(name.startswith(f"{group}__") for group in known)
    ]


def _known_variables() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        known.add(f"{PREFIX}{name.upper()}")
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            known |= {f"{PREFIX}{name.upper()}__{inner.upper()}" for inner in kind.model_fields}
    return known


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} cannot be read: it is not text") from None
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: a value cannot be converted, such as an invalid date") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or "it is not YAML"
        raise ConfigError(f"{path}{line}: {what}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of `name: value` lines")
    _check_names(values, path)
    return values


class _Loader(yaml.SafeLoader):
    """Safe YAML loader that rejects duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key_node.value} is given twice", problem_mark=key_node.start_mark
                )
            if isinstance(key_node.value, str):
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _check_names(values: Any, path: Path) -> None:
    """Raise `ConfigError` unless every key is a setting name."""
    if isinstance(values, dict):
        for name, value in values.items():
            if not isinstance(name, str) or name.startswith("_"):
                raise ConfigError(f"{path}: {name!r} is not a setting name")
            _check_names(value, path)
    elif isinstance(values, list):
        for value in values:
            _check_names(value, path)


class _Environment(EnvSettingsSource):
    """Reads variables; a list may be JSON or a single value."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _from_environment() -> dict[str, Any]:
    try:
        return _Environment(Settings)()
    except SettingsError as problem:
        raise ConfigError(f"in the environment: {problem}") from None


def _merged(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(weak)
    for pair in ALTERNATIVES:
        if any(key in strong for key in pair):
            for key in pair:
                values.pop(key, None)
    for key, value in strong.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = _merged(values[key], value) if both else value
    return values


def _find_secrets(values: dict[str, Any], environ: Mapping[str, str], *, single: bool) -> None:
    """Use the files of the secrets directory for secrets that are not set."""
    named = [values.get("secrets_dir"), *(environ.get(name) for name in SECRETS_DIR_VARIABLES)]
    directory = next((Path(name) for name in named if isinstance(name, str) and name), None)
    systems = values["systems"]
    if directory is None or not isinstance(systems, list):
        return
    for system in systems:
        if not isinstance(system, dict):
            continue
        prefix = "" if single else f"{system.get('name')}."
        for plain, file in ALTERNATIVES:
            path = directory / f"{prefix}{plain}"
            if (
                file in SystemSettings.model_fields
                and not any(key in system for key in (plain, file))
                and path.exists()
            ):
                system[file] = path
    recovery, path = values.get("recovery", {}), directory / RECOVERY_TOKEN
    unsaid = isinstance(recovery, dict) and not recovery.keys() & {"token", "token_file"}
    if unsaid and path.exists():
        values["recovery"] = {**recovery, "token_file": path}


_LIST = 'expected a list: [one, another], or in a variable ["one", "another"]'
_GROUP = "expected a group of settings: `name: value` lines, or in a variable JSON"
WANTED: Mapping[str, str] = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _GROUP,
    "model_type": _GROUP,
    "dataclass_type": _GROUP,
    "model_attributes_type": _GROUP,
}
"""Replacements for error messages of pydantic that name Python types."""


class _ErrorFormatter:
    """Turns validation errors into messages that name the source."""

    def __init__(self, path: Path | None, environ: Mapping[str, str], *, single: bool) -> None:
        self._path = path
        self._environ = environ
        self._single = single

    def explain(self, error: Mapping[str, Any]) -> str:
        """Return one line: the source, the setting and the problem."""
        place = tuple(error["loc"])
        if self._single and place[:2] == ("systems", 0):
            place = place[2:]
        name = _dotted(place)
        if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            bare = ".".join(step for step in place if isinstance(step, str))
            return f"{self._source(place)}unknown setting {name}{nearest(bare, _known_names())}"
        message = WANTED.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        return (
            f"{self._source(place)}{name}{': ' if name else ''}{message[:1].lower()}{message[1:]}"
        )

    def _source(self, place: tuple[Any, ...]) -> str:
        variable = PREFIX + "__".join(str(step).upper() for step in place)
        if variable in self._environ:
            return f"{variable}: "
        return f"{self._path}: " if self._path else ""


def _dotted(place: Iterable[Any]) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _known_names() -> set[str]:
    """Return every setting's dotted name, without list indexes."""
    names = {".".join(path) for path, _ in walk(Settings)}
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
        return declared
    schema, types = TypeAdapter(model).json_schema(), get_type_hints(model, include_extras=True)
    return {
        field.name: FieldInfo(
            annotation=types[field.name],
            default=PydanticUndefined if field.default is MISSING else field.default,
            description=schema["properties"][field.name].get("description"),
        )
        for field in fields(model)
    }


def _model_in(annotation: Any) -> type | None:
    """Return the model or dataclass of a field or of its items."""
    if isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or is_dataclass(annotation)
    ):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
