"""Sample reports of systems, and a meter that records what is measured."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec

from exporter.model import (
    Identity,
    LastAction,
    OpenQuestion,
    RecoveryReport,
    RecoveryVM,
    SystemReport,
    TableReport,
)
from exporter.recovery.act.journal_writer import NOT_OPEN
from exporter.telemetry import AlertmanagerMeter
from tests.fakes import START

LONG_AGO = START - timedelta(days=1)
URL = "https://verge.example"


def table(**changed: Any) -> TableReport:
    default = TableReport(
        table="vms",
        every_seconds=20.0,
        success=True,
        fresh=True,
        last_success_at=START,
        duration_seconds=0.1,
        rows=12,
        rows_skipped=0,
        failures_total=0,
        rows_skipped_total=0,
        error=None,
    )
    return msgspec.structs.replace(default, **changed)


def recovery(**changed: Any) -> RecoveryReport:
    default = RecoveryReport(
        mode="enforce",
        readiness="active",
        because="no guard holds",
        ready=True,
        vms=(vm(1), vm(2)),
        budgets_remaining=(),
        last_actions=(),
        open_actions=0,
        journal_problem="",
        inventory_at=START,
        breaker="closed",
    )
    return msgspec.structs.replace(default, **changed)


def vm(
    key: int,
    state: str = "healthy",
    since: datetime = LONG_AGO,
    *,
    policy: str = "on-failure",
    **changed: Any,
) -> RecoveryVM:
    return RecoveryVM(key, f"web-{key:02}", policy, state, since, **changed)


def down(state: str, since: datetime = LONG_AGO, **changed: Any) -> SystemReport:
    """Return a report of a VM that is down, in mode shadow unless *changed* says otherwise."""
    mode = changed.pop("mode", "shadow")
    one = vm(1, state, since, **{"down_since": since, **changed})
    return report(recovery=recovery(vms=(one, vm(2)), mode=mode))


def last_action(key: int, outcome: str, at: datetime = START) -> LastAction:
    return LastAction(key, f"web-{key:02}", "poweron", outcome, at)


def question(key: int) -> OpenQuestion:
    return OpenQuestion(17, key, f"web-{key:02}", "poweron", "crashed", "it died", START, START)


def report(**changed: Any) -> SystemReport:
    default = SystemReport(
        system_name="production",
        url=URL,
        identity=Identity("production", "26.1"),
        up=True,
        authenticated=True,
        taken_at=START,
        tables=(table(),),
        requests_remaining=900,
        requests_per_hour=1000,
        recent_errors=(),
        recovery=recovery(),
    )
    return msgspec.structs.replace(default, **changed)


def with_vm(state: str, since: datetime = LONG_AGO, **changed: Any) -> SystemReport:
    return report(recovery=recovery(vms=(vm(1, state, since), vm(2)), **changed))


STARTING = report(
    system_name="verge.example",
    identity=None,
    named=False,
    up=False,
    taken_at=None,
    tables=(table(success=None),),
    recovery=recovery(
        readiness="journal_down", because=NOT_OPEN, vms=(), journal_problem=NOT_OPEN,
        inventory_at=None, breaker=None,
    ),
)  # fmt: skip
"""The report of a daemon that has just started."""


class RecordingMeter(AlertmanagerMeter):
    """A meter that keeps the last values and counts posts."""

    def __init__(self) -> None:
        self.up: dict[str, bool] = {}
        self.posts: Counter[tuple[str, str]] = Counter()
        self.alerts: dict[str, int] = {}
        self.silences: dict[str, int] = {}
        self.known: dict[str, bool] = {}

    def forget(self, alertmanager: str) -> None:
        self.up.pop(alertmanager, None)

    def set_up(self, alertmanager: str, *, up: bool) -> None:
        self.up[alertmanager] = up

    def count_post(self, alertmanager: str, outcome: str) -> None:
        self.posts[alertmanager, outcome] += 1

    def set_alerts(self, alertmanager: str, alerts: int, time: float) -> None:
        self.alerts[alertmanager] = alerts

    def set_silences(self, alertmanager: str, silences: int, time: float) -> None:
        self.silences[alertmanager] = silences

    def set_silences_known(self, alertmanager: str, *, known: bool) -> None:
        self.known[alertmanager] = known
