"""Recovery's setup, built from the settings: limits, rules, windows, token, journal directory."""

import os
from pathlib import Path

from pydantic import SecretStr

from exporter.config.kill_switch import SEEN, KillSwitch
from exporter.config.recovery import RecoverySettings, token_problem
from exporter.errors import ConfigError
from exporter.formatting import lasting
from exporter.inputs.files import SecretFile
from exporter.recovery.decide.budgets import endless_loops
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_patterns import LOG_PATTERNS, LogClassifier
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.observe.enrolment import circle_among
from exporter.recovery.recovery_config import RecoveryConfig

KILL_SWITCH = "kill-switch"


def recovery_setup(settings: RecoverySettings, mode: Mode) -> RecoveryConfig:
    """
    Return the recovery setup of a system that runs in *mode*.

    Raises:
        ConfigError: The limits allow an endless crash loop, or the `after` rules form a cycle.

    """
    if not settings.i_accept_endless_restarts:
        _check_crash_loops_end(settings.limits)
    cycle = circle_among(settings.rules)
    if cycle:
        raise ConfigError(f"recovery.rules form a dependency cycle: {' after '.join(cycle)}")
    state = directory(settings)
    kill_switch = KillSwitch(settings.kill_switch_file or state / KILL_SWITCH, state / SEEN)
    return RecoveryConfig(
        limits=settings.limits,
        mode=mode,
        powerstate=settings.powerstate,
        enrolment_rules=settings.rules,
        classifier=LogClassifier((*settings.log_patterns, *LOG_PATTERNS)),
        log_users=LogUsers(
            own=frozenset(user.casefold() for user in settings.own_user),
            system=frozenset(user.casefold() for user in settings.system_users),
        ),
        maintenance_windows=settings.maintenance_windows,
        kill_switch=kill_switch,
        kill_switch_file=str(kill_switch.path),
    )


class RecoveryToken:
    """The token that recovery commands require; its file is read again when it changes."""

    def __init__(self, settings: RecoverySettings) -> None:
        self.apply(settings)

    def apply(self, settings: RecoverySettings) -> None:
        """Require the token of *settings* from now on."""
        self._token = settings.token
        self._path = settings.token_file
        self._file = SecretFile(self._path) if self._path is not None else None

    def __call__(self) -> SecretStr | None:
        """
        Return the token; None if commands are not accepted.

        Raises:
            ConfigError: The token file cannot be read, or the token is too short. Commands are not
                accepted.

        """
        found = self._file.read() if self._file is not None else self._token
        if found is not None and (problem := token_problem(found)):
            raise ConfigError(f"{self._path or 'recovery.token'} {problem}")
        return found


def directory(settings: RecoverySettings) -> Path:
    """Return the directory of the journal."""
    if settings.directory is not None:
        return settings.directory
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path("~/.local/state").expanduser()) / "vergewatch"


def _check_crash_loops_end(limits: Limits) -> None:
    endless = endless_loops(limits)
    if not endless:
        return
    lines = "\n".join(
        f"  a VM that crashes {lasting(loop.dies_after_seconds)} after each start is started "
        f"{loop.restarts} times a week, every week"
        for loop in endless
    )
    raise ConfigError(
        f"recovery.limits allow endless crash loops:\n{lines}\n"
        "  lower max_per_hour, max_per_day or max_per_week, or set "
        "recovery.i_accept_endless_restarts"
    )
