"""The settings of recovery; docs/recovery.md explains the defaults."""

from collections.abc import Callable, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from exporter.inputs.validation import STRICT, Secret, check_alternatives
from exporter.prometheus.config import ConfirmationSettings
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.log_patterns import LogPattern
from exporter.recovery.model.cases import Policy
from exporter.recovery.model.limits import DAY, HOUR, Limits, Mode, PowerState
from exporter.recovery.observe.enrolment import CONDITIONS, EFFECTS, EnrolmentRule


def _unquoted(word: str) -> Callable[[Any], Any]:
    """Return a validator for *word*, which unquoted YAML reads as false."""
    return lambda value: word if value is False else value


ModeName = Annotated[Mode, BeforeValidator(_unquoted(Mode.OFF))]
HOURS = 24
NO_TIME_OF_DAY = 'start is not a time of day such as "22:00"'
MIN_TOKEN_CHARACTERS = 16
MAX_RETENTION_DAYS = 365_000


def _time_of_day(value: Any) -> Any:
    """Return a time of day; YAML reads an unquoted 22:00 as 22 * 60."""
    if isinstance(value, str):
        return f"0{value}" if value[1:2] == ":" else value
    if not isinstance(value, int | float):
        return value
    if not 0 <= value < DAY:  # such as inf, which is no int
        raise ValueError(NO_TIME_OF_DAY)
    rest, seconds = divmod(int(value), 60) if value >= HOUR else (int(value), 0)
    hours, minutes = divmod(rest, 60)
    if value != int(value) or not 1 <= hours < HOURS:
        raise ValueError(NO_TIME_OF_DAY)
    return time(hours, minutes, seconds)


def _adjusted(**validators: Callable[[Any], Any]) -> BeforeValidator:
    """Return a validator of a mapping that applies one of *validators* to each field."""

    def adjust(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: validators.get(key, lambda same: same)(item) for key, item in value.items()}

    return BeforeValidator(adjust)


def _listed(value: Any) -> Any:
    """Return a single pattern as a list."""
    return (value,) if isinstance(value, str) else value


def _users(value: Any) -> Any:
    """Return a single user as a list, and none for an empty text."""
    return tuple(filter(None, [value])) if isinstance(value, str) else value


def _complete(rule: EnrolmentRule) -> EnrolmentRule:
    """Refuse a rule that would enrol every VM because a condition was forgotten, or do nothing."""
    if not any(getattr(rule, name) for name in CONDITIONS):
        listed = ", ".join(CONDITIONS)
        raise ValueError(f'has no condition ({listed}); for every VM, write names: ["*"]')
    if all(getattr(rule, name) in (None, ()) for name in EFFECTS):
        raise ValueError(f"changes nothing: give at least one of {', '.join(EFFECTS)}")
    return rule


class RecoverySettings(BaseModel):
    """Automatic restart of crashed VMs."""

    model_config = STRICT

    mode: ModeName = Mode.SHADOW
    """`shadow` decides and journals but sends no action. `ask` asks before each action, and sends
    it when an operator approves. `enforce` sends it."""
    directory: Path | None = None
    """Directory of the journal. Default: `$STATE_DIRECTORY`, which systemd sets, else
    `vergewatch` in `$XDG_STATE_HOME` or `~/.local/state`."""
    retention_days: Annotated[int, Field(ge=8, le=MAX_RETENTION_DAYS)] = 90
    """How long the journal keeps old records."""
    token: Secret | None = None
    """The token that recovery commands require. Without a token, commands are refused."""
    token_file: Path | None = None
    """A file with the token. Default: `recovery_token` in `secrets_dir`, if it exists."""
    kill_switch_file: Path | None = None
    """While this file exists, recovery sends no action. Default: `kill-switch` in `directory`. The
    daemon must be able to list its directory."""
    own_user: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_users)
    ] = ()
    """The name of our VergeOS user in the VergeOS log, if known and used by nothing else; a list if
    replicas have users of their own. Without it, other instances that act on the system are not
    noticed."""
    system_users: tuple[str, ...] = ("system",)
    """The names under which VergeOS itself writes log rows; case is ignored."""
    powerstate: PowerState = PowerState.UNKNOWN
    """Whether `machine_status.powerstate` is the observed or the desired state in your release."""
    rules: tuple[
        Annotated[
            EnrolmentRule,
            _adjusted(
                policy=_unquoted(Policy.NO),
                names=_listed,
                clusters=_listed,
                ha_groups=_listed,
                tags=_listed,
                after=_listed,
            ),
            AfterValidator(_complete),
        ],
        ...,
    ] = ()
    """Rules that enrol VMs, besides tags of the category `recovery`."""
    maintenance_windows: tuple[
        Annotated[MaintenanceWindow, _adjusted(start=_time_of_day, names=_listed)], ...
    ] = ()
    """Weekly windows without actions."""
    log_patterns: tuple[LogPattern, ...] = ()
    """Log patterns of this site; they precede the built-in ones."""
    confirm: ConfirmationSettings = ConfirmationSettings()
    """Confirmation by Prometheus: a query that must agree that a VM is down."""
    limits: Limits = Limits()
    """The limits of recovery."""
    i_accept_endless_restarts: bool = False
    """Whether to accept limits that allow endless crash loops."""

    @model_validator(mode="after")
    def _one_token(self) -> "RecoverySettings":
        check_alternatives(self, "token")
        if self.token is not None and (problem := token_problem(self.token)):
            raise ValueError(f"token {problem}")
        return self


def token_problem(token: SecretStr) -> str:
    """Return why *token* could be guessed; empty if it could not."""
    if len(token.get_secret_value()) >= MIN_TOKEN_CHARACTERS:
        return ""
    return (
        f"is shorter than {MIN_TOKEN_CHARACTERS} characters, so it could be guessed; "
        "make a token with: openssl rand -hex 32"
    )
