"""Everything an operator can set about recovery; docs/recovery.md explains the numbers."""

import re
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
    """Return what takes YAML's false for the *word* that somebody wrote: it reads it so."""
    return BeforeValidator(lambda value: word if value is False else value)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


ModeName = Annotated[Literal["off", "shadow", "enforce"], _unquoted("off")]
PolicyName = Annotated[
    Literal["no", "on-failure", "unless-stopped", "always", "ignore"], _unquoted("no")
]
HOURS = 24
Patterns = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One may be given by itself."""


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("is empty; leave it out where nobody is to steer recovery")
    return secret


def _time_of_day(value: Any) -> Any:
    """Return a time of day as it was written: without quotes, YAML takes 22:00 for 22 * 60."""
    if isinstance(value, str):
        return f"0{value}" if value[1:2] == ":" else value
    if not isinstance(value, int | float):
        return value
    rest, seconds = divmod(int(value), 60) if value >= HOUR else (int(value), 0)
    hours, minutes = divmod(rest, 60)
    if value != int(value) or not 1 <= hours < HOURS:
        raise ValueError('is no time of day such as "22:00"')
    return time(hours, minutes, seconds)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"is no regular expression: {problem}") from None
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone such as Europe/Berlin") from None
    return name


class Limits(BaseModel):
    """How careful to be."""

    model_config = STRICT

    inventory_age_seconds: PositiveFloat = 30
    """An older picture is not acted upon."""
    reread_age_seconds: PositiveFloat = 5
    """The VM is looked at once more, at most this long before the request."""
    min_rows_share: Share = 0.8
    """A list shorter than this share of the one before is not believed."""
    max_missing_rows: NonNegativeInt = 3
    """Rows of enrolled VMs that may be missing, or `max_missing_share` of them, whichever is more."""
    max_missing_share: Share = 0.05
    """See `max_missing_rows`."""
    frozen_after_seconds: PositiveFloat = 30
    """By then the platform must have touched one of its status rows, or it is frozen."""
    max_lag_seconds: PositiveFloat = 60
    """By how much half of the running rows may be behind the newest."""
    max_gap_seconds: PositiveFloat = 120
    """Without a valid picture for longer, a VM that went down meanwhile died unseen."""
    warmup_seconds: Seconds = 600
    """After a start, after blindness and after a pause nothing is done for so long."""
    warmup_polls: NonNegativeInt = 10
    """And until so many valid pictures were seen."""
    confirm_down_seconds: Seconds = 30
    """A VM must be seen down for so long."""
    confirm_down_polls: PositiveInt = 2
    """And in so many valid pictures in a row."""
    confirm_hung_seconds: Seconds = 300
    """A VM must be seen unresponsive for so long."""
    platform_seconds: Seconds = 300
    """How long VergeOS' own high availability is left alone with a VM."""
    log_settle_seconds: Seconds = 10
    """How late a row of the log may be."""
    log_others_seconds: PositiveFloat = 120
    """Between two readings of the log for VMs that are only looked at."""
    log_before_seconds: Seconds = 600
    """How long before a VM's end its stop may have been asked for."""
    degraded_after_polls: PositiveInt = 2
    """RejectedInventory pictures in a row that make recovery step back."""
    stable_after_polls: PositiveInt = 5
    """Valid ones in a row that end it."""
    outage_seconds: PositiveFloat = 60
    """Without a valid picture for longer, there is a warm-up."""
    max_per_hour: PositiveInt = 3
    """Actions on one VM within an hour; then it is quarantined."""
    max_per_day: PositiveInt = 6
    """The same within a day."""
    max_per_week: PositiveInt = 10
    """The same within a week."""
    system_max_per_10_minutes: PositiveInt = 5
    """Actions on all VMs together within ten minutes."""
    system_max_per_day: PositiveInt = 30
    """The same within a day."""
    max_concurrent_actions: PositiveInt = 2
    """Actions whose outcome is not known yet."""
    backoff_seconds: Seconds = 60
    """The pause after the first action on a VM; it doubles with each."""
    backoff_max_seconds: Seconds = 1800
    """The longest pause."""
    backoff_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """By which share a pause is longer or shorter, by chance."""
    probation_seconds: PositiveFloat = 600
    """A VM that stays up for so long has recovered."""
    hard_reset_every_seconds: Seconds = HOUR
    """Between two hard resets of one VM."""
    breaker_min_vms: PositiveInt = 3
    """VMs down at once that are a storm, or `breaker_share` of the enrolled, whichever is more."""
    breaker_share: Share = 0.15
    """See `breaker_min_vms`."""
    breaker_close_seconds: PositiveFloat = 300
    """Calm that ends a storm; doubled each time it comes back at once."""
    breaker_probe_interval_seconds: Seconds = 60
    """Between two actions while a storm is only half over."""
    breaker_max_open_seconds: PositiveFloat = HOUR
    """The longest calm that is asked for."""
    breaker_probe_after_seconds: PositiveFloat = 900
    """Without a new victim for so long, and all nodes well, a storm is probed."""
    breaker_auto_probe: bool = True
    """Whether it is; without, only fewer VMs down end a storm."""
    node_failure_vms: PositiveInt = 2
    """VMs of one node that go down together, which makes it the node's trouble."""
    node_failure_window_seconds: PositiveFloat = 120
    """How close together that is."""
    capacity_refusals: PositiveInt = 3
    """Refusals for want of resources after which nothing is started for a while."""
    capacity_window_seconds: PositiveFloat = 600
    """How long they are counted."""
    capacity_backoff_seconds: Seconds = 300
    """The pause of a VM that was refused for want of resources."""
    verify_power_on_seconds: PositiveFloat = 120
    """How long a start may take to show."""
    verify_reset_seconds: PositiveFloat = 180
    """The same for a reset or a kill."""
    verify_extension_seconds: Seconds = 120
    """How much longer when the VM is on its way."""
    verify_lost_seconds: PositiveFloat = 60
    """How long to look for the effect of a request whose answer was lost."""
    dependency_timeout_seconds: Seconds = 600
    """How long a VM waits for those that go before it."""


class EnrolmentRuleSettings(BaseModel):
    """A rule of who is looked after; every condition that is given must fit, and none fits all."""

    model_config = STRICT

    names: Patterns = ()
    """Patterns such as `web-*`."""
    clusters: Patterns = ()
    """Patterns of cluster names."""
    ha_groups: Patterns = ()
    """Patterns of HA groups."""
    tags: Patterns = ()
    """Tags as `category/name`, of which one is enough."""
    policy: PolicyName | None = None
    """When to start the VM again. `no` and `ignore` win over everything else."""
    on_hang: Literal["alert", "reset", "power-cycle"] | None = None
    """What to do when VergeOS calls it unresponsive."""
    tier: Annotated[int, Field(ge=0, le=4)] | None = None
    """0 goes first, 4 last."""
    after: Patterns = ()
    """Patterns of the VMs that have to be up before it."""


class MaintenanceWindowSettings(BaseModel):
    """Hours of the week in which nothing is done."""

    model_config = STRICT

    days: tuple[Day, ...] = DAYS
    """On which it begins."""
    start: Annotated[time, BeforeValidator(_time_of_day)]
    """Such as `22:00`."""
    hours: Annotated[float, Field(gt=0, le=LONGEST_WINDOW_HOURS)]
    """How long it lasts."""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of `start`."""
    names: Patterns = ()
    """Patterns of the VMs it is for; all when it is empty."""
    reason: Annotated[str, Field(min_length=1)]
    """What `vergewatch explain` says."""


class LogPatternSettings(BaseModel):
    """What a text in the platform's log means."""

    model_config = STRICT

    pattern: Annotated[str, AfterValidator(_pattern)]
    """A regular expression, found anywhere in the text, whatever the case."""
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
    """What then was wanted; `harmless` when nothing was."""


class RecoverySettings(BaseModel):
    """Whether and how VMs that crashed are started again."""

    model_config = STRICT

    mode: ModeName = "shadow"
    """`shadow` decides and writes down what it would do, and never acts."""
    directory: Path | None = None
    """Where the journal is. Without it: `$STATE_DIRECTORY`, which systemd sets, else
    `vergewatch` in `$XDG_STATE_HOME` or `~/.local/state`."""
    retention_days: Annotated[int, Field(ge=8)] = 90
    """How long the journal keeps what it needs no more."""
    token: Annotated[SecretStr, AfterValidator(_not_empty)] | None = None
    """Whoever has it may pause, arm, disarm, accept and clear. Without one, nobody can."""
    token_file: Path | None = None
    """A file with the token. Without it: `recovery_token` in `secrets_dir`, if that is there."""
    kill_switch_file: Path | None = None
    """While this file is there, nothing is done. Without it: `kill-switch` in `directory`."""
    own_user: str = ""
    """Who we are in the platform's log, where that is known."""
    powerstate: Literal["unknown", "observed", "desired"] = "unknown"
    """What `machine_status.powerstate` means on your release: what is, or what is wanted."""
    rules: tuple[EnrolmentRuleSettings, ...] = ()
    """Who is looked after, besides the VMs with tags of the category `recovery`."""
    maintenance_windows: tuple[MaintenanceWindowSettings, ...] = ()
    """Hours in which nothing is done."""
    log_patterns: tuple[LogPatternSettings, ...] = ()
    """What texts in your platform's log mean; these come before the ones that are built in."""
    limits: Limits = Limits()
    """How careful to be."""
    i_accept_endless_restarts: bool = False
    """Whether limits that never end a crash loop are let through."""

    @model_validator(mode="after")
    def _one_token(self) -> "RecoverySettings":
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both given: keep one")
        return self


WINDOWS = ((HOUR, "max_per_hour"), (DAY, "max_per_day"), (WEEK, "max_per_week"))
SYSTEM_WINDOWS = ((600.0, "system_max_per_10_minutes"), (DAY, "system_max_per_day"))
"""Which limits are counted over how many seconds."""
