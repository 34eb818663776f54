"""
The sources of the settings, their precedence, and the errors for invalid values.

From highest to lowest precedence: command line, ``VERGEWATCH_*`` variables (``__`` between levels),
``VERGE_*`` variables, the YAML file. Read only at start-up and on reload.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from exporter.config.settings import PREFIX, CommonSystemSettings, Settings, SystemSettings
from exporter.errors import ConfigError, system_reason
from exporter.formatting import nearest
from exporter.inputs.files import read_text
from exporter.inputs.validation import error_text, setting_names

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
    ("proxy_login", "proxy_login_file"),
)
"""Alternative settings: one from a source replaces the other from sources of lower precedence."""
GROUP_SECRETS = (
    ("recovery", "token", "recovery_token"),
    ("journal", "password", "journal_password"),
)
"""Secrets of the daemon: the group of settings, the setting, the file in the secrets directory."""
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
        read_settings_file(path) if path else {},
        {setting: environ[name] for name, setting in VENDOR_VARIABLES.items() if environ.get(name)},
        _from_environment(),
        command_line or {},
    ):
        values = merged(values, source)
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
            place = f"{path}: " if path else ""
            raise ConfigError(
                f"{place}unknown setting {name}{nearest(name, setting_names(Settings))}"
            )
        raise ConfigError(
            "no VergeOS system configured: set VERGEWATCH_URL and VERGEWATCH_API_KEY, or list "
            "systems in a file named by --config; `vergewatch demo` needs neither"
        )
    _find_secrets(values, environ, single=bool(single))
    try:
        return Settings(**values, config_file=path)
    except ValidationError as errors:
        raise ConfigError(
            "\n".join(
                _explain(error, path, environ, single=bool(single)) for error in errors.errors()
            )
        ) from None


def _explain(
    error: ErrorDetails, path: Path | None, environ: Mapping[str, str], *, single: bool
) -> str:
    """Return one line: the source, the setting and the problem."""
    place = error["loc"]
    if single and place[:2] == ("systems", 0):
        place = place[2:]
    variable = PREFIX + "__".join(str(step).upper() for step in place)
    source = variable if variable in environ else path
    text = error_text(error, place, Settings)
    return f"{source}: {text}" if source else text


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """
    Return a warning for each ``VERGEWATCH_*`` variable that is not a setting.

    Not an error, because Kubernetes injects variables such as ``VERGEWATCH_PORT``.
    """
    known = {f"{PREFIX}{name.upper().replace('.', '__')}" for name in setting_names(Settings)}
    others = (*SECRETS_DIR_VARIABLES, SIMULATOR_KEY_VARIABLE, DAEMON_URL_VARIABLE)
    return [
        f"{name} sets nothing{nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known.union(others)
        and not any(name.startswith(f"{group}__") for group in known)
    ]


def read_settings_file(path: Path) -> dict[str, Any]:
    """
    Return the settings of a YAML file, not validated.

    Raises:
        ConfigError: It cannot be read, or is no mapping of settings.

    """
    from exporter.inputs.yaml_file import parse_yaml  # noqa: PLC0415 - most containers have no file

    values = parse_yaml(read_text(path), path)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of `name: value` lines")
    for name in values:
        if not isinstance(name, str) or name.startswith("_"):
            raise ConfigError(f"{path}: {name!r} is not a setting name")
    return values


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


def merged(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings in which *strong* precedes *weak*."""
    values = dict(weak)
    for pair in ALTERNATIVES:
        if any(key in strong for key in pair):
            for key in pair:
                values.pop(key, None)
    for key, value in strong.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = merged(values[key], value) if both else value
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
                and _is_there(path)
            ):
                system[file] = path
    for group, secret, file_name in GROUP_SECRETS:
        given, path = values.get(group, {}), directory / file_name
        unsaid = isinstance(given, dict) and not given.keys() & {secret, f"{secret}_file"}
        if unsaid and _is_there(path):
            values[group] = {**given, f"{secret}_file": path}


def _is_there(secret: Path) -> bool:
    """
    Return whether a secret is in the secrets directory.

    Raises:
        ConfigError: It cannot be told. `Path.exists` raises an error that differs by release of
            Python, or counts the secret as absent.

    """
    try:
        secret.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(
            f"{secret} cannot be looked for: {system_reason(error)}; let the user that runs "
            "Vergewatch enter every directory above it, or set another secrets_dir"
        ) from None
    return True
