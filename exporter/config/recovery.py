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
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from exporter.recovery.detect.log_patterns import compile_log_pattern
from exporter.recovery.model.limits import DAY, HOUR, WEEK

STRICT = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
)
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_WINDOW_HOURS = 7 * 24

Share = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


def _unquoted(word: str) -> BeforeValidator:
    """Return a validator for *word*, which unquoted YAML reads as false."""
    return BeforeValidator(lambda value: word if value is False else value)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


ModeName = Annotated[Literal["off", "shadow", "enforce"], _unquoted("off")]
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


def _pattern(text: str) -> str:
    compile_log_pattern(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone such as Europe/Berlin") from None
    return name


class Limits(BaseModel):
    """The limits of recovery."""

    model_config = STRICT

    inventory_age_seconds: PositiveFloat = 30
    """Maximum age of an inventory for an action."""
    reread_age_seconds: PositiveFloat = 5
    """The VM is read again at most this long before an action."""
    min_rows_share: Share = 0.8
    """A table with a smaller share of its previous rows is rejected."""
    max_missing_rows: NonNegativeInt = 3
    """Enrolled VMs whose rows may be missing, or `max_missing_share` of them, whichever is more."""
    max_missing_share: Share = 0.05
    """See `max_missing_rows`."""
    frozen_after_seconds: PositiveFloat = 30
    """VergeOS is considered frozen if it updates no status row for this long."""
    max_lag_seconds: PositiveFloat = 60
    """Maximum lag of the median row of running VMs behind the newest row."""
    max_gap_seconds: PositiveFloat = 120
    """After a longer gap between valid inventories, the stop of a VM counts as not observed."""
    warmup_seconds: Seconds = 600
    """Time without actions after a start, an outage or a pause."""
    warmup_polls: NonNegativeInt = 10
    """Valid inventories that the warm-up needs as well."""
    confirm_down_seconds: Seconds = 30
    """Time that a VM must be down before an action."""
    confirm_down_polls: PositiveInt = 2
    """Consecutive valid inventories that must show it down."""
    confirm_hung_seconds: Seconds = 300
    """Time that a VM must be unresponsive before an action."""
    platform_seconds: Seconds = 300
    """Time that VergeOS' own high availability has to restart a VM."""
    log_settle_seconds: Seconds = 10
    """Maximum delay of a row in the VergeOS log."""
    log_others_seconds: PositiveFloat = 120
    """Interval between log reads for monitored VMs."""
    log_before_seconds: Seconds = 600
    """How long before a VM went down its stop may have been requested."""
    degraded_after_polls: PositiveInt = 2
    """Consecutive rejected inventories after which recovery is degraded."""
    stable_after_polls: PositiveInt = 5
    """Consecutive valid inventories that end the degraded state."""
    outage_seconds: PositiveFloat = 60
    """A longer time without a valid inventory is followed by a warm-up."""
    max_per_hour: PositiveInt = 3
    """Restart budget of a VM per hour; a VM that exceeds it is quarantined."""
    max_per_day: PositiveInt = 6
    """Restart budget of a VM per day."""
    max_per_week: PositiveInt = 10
    """Restart budget of a VM per week."""
    system_max_per_10_minutes: PositiveInt = 5
    """Rate limit of all actions on one system per ten minutes."""
    system_max_per_day: PositiveInt = 30
    """Rate limit of all actions on one system per day."""
    max_concurrent_actions: PositiveInt = 2
    """Maximum number of open actions on one system."""
    backoff_seconds: Seconds = 60
    """Pause after the first action on a VM; it doubles with each action."""
    backoff_max_seconds: Seconds = 1800
    """Maximum pause between actions on a VM."""
    backoff_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Random share by which a pause is longer or shorter."""
    probation_seconds: PositiveFloat = 600
    """Time that a VM must stay up to count as recovered."""
    hard_reset_every_seconds: Seconds = HOUR
    """Minimum time between two hard resets of a VM."""
    breaker_min_vms: PositiveInt = 3
    """VMs down together that open the breaker, or `breaker_share`, whichever is more."""
    breaker_share: Share = 0.15
    """Share of the enrolled VMs; see `breaker_min_vms`."""
    breaker_close_seconds: PositiveFloat = 300
    """Time without a mass outage that closes the breaker; doubled each time it reopens at once."""
    breaker_probe_interval_seconds: Seconds = 60
    """Minimum time between two actions while the breaker is half open."""
    breaker_max_open_seconds: PositiveFloat = HOUR
    """Maximum of the doubled `breaker_close_seconds`."""
    breaker_probe_after_seconds: PositiveFloat = 900
    """With all nodes healthy and no further VM down for this long, the breaker is half opened."""
    breaker_auto_probe: bool = True
    """Whether the breaker half opens like this; if not, it waits until fewer VMs are down."""
    node_failure_vms: PositiveInt = 2
    """VMs of one node that go down together and so count as a node failure."""
    node_failure_window_seconds: PositiveFloat = 120
    """Time within which they go down together."""
    capacity_refusals: PositiveInt = 3
    """Starts refused for lack of resources after which all starts pause."""
    capacity_window_seconds: PositiveFloat = 600
    """Time over which these refusals are counted."""
    capacity_backoff_seconds: Seconds = 300
    """Pause after a refusal for lack of resources."""
    verify_power_on_seconds: PositiveFloat = 120
    """Time for a start to take effect."""
    verify_reset_seconds: PositiveFloat = 180
    """Time for a reset or kill to take effect."""
    verify_extension_seconds: Seconds = 120
    """Additional time while the VM changes its state."""
    verify_lost_seconds: PositiveFloat = 60
    """Time for the effect of an action whose response was lost."""
    dependency_timeout_seconds: Seconds = 600
    """Maximum time that a VM waits for the VMs in `after`."""


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


class LogPatternSettings(BaseModel):
    """A log pattern: a text in the VergeOS log and its meaning."""

    model_config = STRICT

    pattern: Annotated[str, AfterValidator(_pattern)]
    """A regular expression (RE2 syntax), searched anywhere in the text; case is ignored."""
    means: Literal[
        "stop",
        "guest-stop",
        "task",
        "node",
        "start",
        "reset",
        "move",
        "platform",
        "doubt",
        "harmless",
    ]
    """The meaning; `harmless` does not affect the diagnosis."""


class RecoverySettings(BaseModel):
    """Automatic restart of crashed VMs."""

    model_config = STRICT

    mode: ModeName = "shadow"
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
    powerstate: Literal["unknown", "observed", "desired"] = "unknown"
    """Whether `machine_status.powerstate` is the observed or the desired state in your release."""
    rules: tuple[EnrolmentRuleSettings, ...] = ()
    """Rules that enrol VMs, besides tags of the category `recovery`."""
    maintenance_windows: tuple[MaintenanceWindowSettings, ...] = ()
    """Weekly windows without actions."""
    log_patterns: tuple[LogPatternSettings, ...] = ()
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


WINDOWS = ((HOUR, "max_per_hour"), (DAY, "max_per_day"), (WEEK, "max_per_week"))
SYSTEM_WINDOWS = ((600.0, "system_max_per_10_minutes"), (DAY, "system_max_per_day"))
"""The length in seconds of the window of each limit."""
