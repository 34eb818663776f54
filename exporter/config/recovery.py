"""The settings of recovery; docs/recovery.md explains the defaults."""

from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from exporter.recovery.detect.log_patterns import LogPattern
from exporter.recovery.model.limits import HOUR, Limits, Mode, PowerState

STRICT = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
)
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_WINDOW_HOURS = 7 * 24


def _unquoted(word: str) -> BeforeValidator:
    """Return a validator for *word*, which unquoted YAML reads as false."""
    return BeforeValidator(lambda value: word if value is False else value)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


ModeName = Annotated[Mode, _unquoted("off")]
PolicyName = Annotated[
    Literal["no", "on-failure", "unless-stopped", "always", "ignore"], _unquoted("no")
]
HOURS = 24
Patterns = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""A single pattern needs no list."""


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
        raise ValueError('is not a time of day such as "22:00"')
    return time(hours, minutes, seconds)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone such as Europe/Berlin") from None
    return name


class EnrolmentRuleSettings(BaseModel):
    """A rule that enrols the VMs that match all its conditions."""

    model_config = STRICT

    names: Patterns = ()
    """Patterns such as `web-*`."""
    clusters: Patterns = ()
    """Patterns of cluster names."""
    ha_groups: Patterns = ()
    """Patterns of HA groups."""
    tags: Patterns = ()
    """Tags as `category/name`; a VM needs one of them."""
    policy: PolicyName | None = None
    """When to restart the VM. `no` and `ignore` override every other rule and tag."""
    on_hang: Literal["alert", "reset", "power-cycle"] | None = None
    """What to do when VergeOS reports the VM as unresponsive."""
    tier: Annotated[int, Field(ge=0, le=4)] | None = None
    """Start order: 0 is first, 4 is last."""
    after: Patterns = ()
    """Patterns of the VMs that must run before this one starts."""


class MaintenanceWindowSettings(BaseModel):
    """A weekly maintenance window, during which recovery sends no action."""

    model_config = STRICT

    days: tuple[Day, ...] = DAYS
    """Days on which the window starts."""
    start: Annotated[time, BeforeValidator(_time_of_day)]
    """Start time, such as `22:00`."""
    hours: Annotated[float, Field(gt=0, le=LONGEST_WINDOW_HOURS)]
    """Duration in hours."""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of `start`."""
    names: Patterns = ()
    """Patterns of the VMs that the window applies to; empty for all."""
    reason: Annotated[str, Field(min_length=1)]
    """The reason that `vergewatch explain` shows."""


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
    powerstate: PowerState = PowerState.UNKNOWN
    """Whether `machine_status.powerstate` is the observed or the desired state in your release."""
    rules: tuple[EnrolmentRuleSettings, ...] = ()
    """Rules that enrol VMs, besides tags of the category `recovery`."""
    maintenance_windows: tuple[MaintenanceWindowSettings, ...] = ()
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
