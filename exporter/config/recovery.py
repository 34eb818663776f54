"""The settings of recovery; docs/recovery.md explains the defaults."""

from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.log_patterns import LogPattern
from exporter.recovery.model.cases import Policy
from exporter.recovery.model.limits import HOUR, Limits, Mode, PowerState
from exporter.recovery.observe.enrolment import EnrolmentRule

STRICT = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
)


def _unquoted(word: str) -> BeforeValidator:
    """Return a validator for *word*, which unquoted YAML reads as false."""
    return BeforeValidator(lambda value: word if value is False else value)


ModeName = Annotated[Mode, _unquoted("off")]
HOURS = 24


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("is empty; remove it to disable recovery commands")
    return secret


def _time_of_day(value: Any) -> Any:
    """Return a time of day; YAML reads an unquoted 22:00 as 22 * 60."""
    if isinstance(value, str):
        return f"0{value}" if value[1:2] == ":" else value
    if not isinstance(value, int | float):
        return value
    rest, seconds = divmod(int(value), 60) if value >= HOUR else (int(value), 0)
    hours, minutes = divmod(rest, 60)
    if value != int(value) or not 1 <= hours < HOURS:
        raise ValueError('start is not a time of day such as "22:00"')
    return time(hours, minutes, seconds)


def _lists(*names: str) -> BeforeValidator:
    """Return a validator that accepts a single pattern without a list in the fields *names*."""

    def listed(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            key: (item,) if key in names and isinstance(item, str) else item
            for key, item in value.items()
        }

    return BeforeValidator(listed)


def _policy(value: Any) -> Any:
    """Return the rule with policy `no`, which unquoted YAML reads as false."""
    unquoted = isinstance(value, Mapping) and value.get("policy") is False
    return {**value, "policy": Policy.NO} if unquoted else value


def _start(value: Any) -> Any:
    """Return the window with a time of day as its start."""
    if not isinstance(value, Mapping) or "start" not in value:
        return value
    return {**value, "start": _time_of_day(value["start"])}


class RecoverySettings(BaseModel):
    """Automatic restart of crashed VMs."""

    model_config = STRICT

    mode: ModeName = Mode.SHADOW
    """`shadow` decides and journals but sends no action."""
    directory: Path | None = None
    """Directory of the journal. Default: `$STATE_DIRECTORY`, which systemd sets, else
    `vergewatch` in `$XDG_STATE_HOME` or `~/.local/state`."""
    retention_days: Annotated[int, Field(ge=8)] = 90
    """How long the journal keeps old records."""
    token: Annotated[SecretStr, AfterValidator(_not_empty)] | None = None
    """The token that recovery commands require. Without a token, commands are refused."""
    token_file: Path | None = None
    """A file with the token. Default: `recovery_token` in `secrets_dir`, if it exists."""
    kill_switch_file: Path | None = None
    """While this file exists, recovery sends no action. Default: `kill-switch` in `directory`."""
    own_user: str = ""
    """The name of our VergeOS user in the VergeOS log, if known."""
    system_users: tuple[str, ...] = ("system",)
    """The names under which VergeOS itself writes log rows; case is ignored."""
    powerstate: PowerState = PowerState.UNKNOWN
    """Whether `machine_status.powerstate` is the observed or the desired state in your release."""
    rules: tuple[
        Annotated[
            EnrolmentRule,
            BeforeValidator(_policy),
            _lists("names", "clusters", "ha_groups", "tags", "after"),
        ],
        ...,
    ] = ()
    """Rules that enrol VMs, besides tags of the category `recovery`."""
    maintenance_windows: tuple[
        Annotated[MaintenanceWindow, BeforeValidator(_start), _lists("names")], ...
    ] = ()
    """Weekly windows without actions."""
    log_patterns: tuple[LogPattern, ...] = ()
    """Log patterns of this site; they precede the built-in ones."""
    limits: Limits = Limits()
    """The limits of recovery."""
    i_accept_endless_restarts: bool = False
    """Whether to accept limits that allow endless crash loops."""

    @model_validator(mode="after")
    def _one_token(self) -> "RecoverySettings":
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both given: keep one")
        return self
