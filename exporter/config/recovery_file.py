"""The recovery settings of a settings file, without its secrets and systems: for a backtest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from exporter.config.loader import SINGLE_SYSTEM, read_settings_file
from exporter.config.recovery import ModeName, RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.config.settings import BaseURL, Settings
from exporter.errors import ConfigError
from exporter.formatting import nearest
from exporter.inputs.validation import error_text, setting_names
from exporter.recovery.model.limits import Mode
from exporter.recovery.recovery_config import RecoveryConfig


class RecoveryFile(NamedTuple):
    """The recovery settings of a file."""

    path: Path
    settings: RecoverySettings
    urls: Mapping[str, str]
    """The URL of each system that the file names."""
    modes: Mapping[str, Mode]
    """The mode of each system that has its own, by URL."""

    def config(self, url: str) -> RecoveryConfig:
        """
        Return the settings of the system at *url*.

        Raises:
            ConfigError: They contradict each other, or recovery is off.

        """
        mode = self.modes.get(url, self.settings.mode)
        if mode is Mode.OFF:
            raise ConfigError(
                f"{self.path}: recovery.mode is off for {url}, so nothing would be done; set "
                "shadow, ask or enforce"
            )
        try:
            return recovery_setup(self.settings, mode)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None


def read_recovery_file(path: Path) -> RecoveryFile:
    """
    Return the recovery settings of a settings file.

    Raises:
        ConfigError: The file cannot be read, or one line for each invalid recovery setting.

    """
    values = read_settings_file(path)
    known = {*Settings.model_fields, *SINGLE_SYSTEM, "url"}
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{path}: unknown setting {name}{nearest(name, setting_names(Settings))}"
            )
    given = values.get("recovery", {})
    try:
        settings = RecoverySettings.model_validate({} if given is None else given)
    except ValidationError as errors:
        raise ConfigError(
            "\n".join(
                f"{path}: {error_text(one, ('recovery', *one['loc']), Settings)}"
                for one in errors.errors()
            )
        ) from None
    listed = values.get("systems") or [values]
    systems = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    located = [(_url(one["url"]), one) for one in systems if one.get("url")]
    return RecoveryFile(
        path,
        settings,
        {str(one.get("name") or urlsplit(url).netloc): url for url, one in located},
        {url: _mode(path, one) for url, one in located if one.get("recovery_mode") is not None},
    )


def _url(text: object) -> str:
    """Return a URL as the daemon writes it to its journal."""
    try:
        url: str = TypeAdapter(BaseURL).validate_python(text)
    except ValidationError:
        return str(text)  # it counts only where a system is chosen by its name
    return url


def _mode(path: Path, system: Mapping[str, Any]) -> Mode:
    try:
        mode: Mode = TypeAdapter(ModeName).validate_python(system["recovery_mode"])
    except ValidationError as errors:
        text = error_text(errors.errors()[0], ("recovery_mode",), Settings)
        raise ConfigError(f"{path}: {text}") from None
    return mode
