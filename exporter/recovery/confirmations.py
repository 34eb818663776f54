"""Asks Prometheus about the VMs that recovery would act on, and after its actions."""

from collections.abc import Iterable, Mapping

import structlog

from exporter.recovery.act.journal_writer import JournalWriter
from exporter.recovery.model.cases import Action, Case, Intent
from exporter.recovery.model.confirmation import ConfirmationQuery, TimedConfirmation
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import Confirmer, Meter
from exporter.recovery.model.states import OPEN
from exporter.recovery.observe.lifecycle import UP

log = structlog.get_logger()

MAX_WINDOW_SECONDS = 300
"""Samples of an outage that are older say nothing about now."""
SERVICE_SECONDS = 1800.0
"""How long after an action the service of its VM is waited for."""


class Confirmations:
    """The answers of Prometheus about VMs that are down."""

    def __init__(self, confirmer: Confirmer | None, limits: Limits) -> None:
        self._confirmer = confirmer
        self._limits = limits
        self.by_vm: Mapping[str, TimedConfirmation] = {}
        """By VM UUID; those that are too old to act on are dropped at the next question."""
        self.problem = ""
        """Why Prometheus could not be asked, where recovery does not act without it."""
        self._probed_at = float("-inf")

    async def probe(self, *, at: float) -> None:
        """Find out from time to time whether Prometheus answers, before a VM needs it."""
        confirmer = self._confirmer
        if confirmer is None or confirmer.goes_on:
            return
        if at - self._probed_at >= self._limits.log_read_seconds:
            self._probed_at, self.problem = at, await confirmer.find_problem()

    def use(self, confirmer: Confirmer | None, limits: Limits) -> None:
        """Ask another Prometheus or other queries; answers to the old ones count no more."""
        self._confirmer, self._limits = confirmer, limits
        self.by_vm = {}

    async def ask(self, cases: Iterable[Case], *, at: float) -> None:
        """
        Ask about *cases*, about all at once.

        Args:
            at: Now, in seconds of monitored time: an answer is as old as its question.

        """
        if self._confirmer is None:
            return
        asked = [
            ConfirmationQuery(case.name, case.uuid, window)
            for case in cases
            if self._confirmer.is_needed(case.name)
            if (window := _window(case.trouble_at, at=at))
        ]
        if not asked:
            return
        found = await self._confirmer.ask(asked)
        fresh = self._limits.reread_age_seconds
        kept = {uuid: one for uuid, one in self.by_vm.items() if at - one.at <= fresh}
        answered = zip(asked, found, strict=True)
        self.by_vm = kept | {query.uuid: TimedConfirmation(one, at) for query, one in answered}


class ServiceWatch:
    """
    Measures how long after an action the service of its VM works again.

    It only observes: nothing is decided by it. A restart of the daemon ends a measurement.
    """

    def __init__(
        self, confirmer: Confirmer | None, journal_writer: JournalWriter, meter: Meter
    ) -> None:
        self._confirmer = confirmer
        self._journal_writer = journal_writer
        self._meter = meter
        self._waiting: dict[str, Intent] = {}
        """The last action on each VM whose service is waited for, by VM UUID."""

    def use(self, confirmer: Confirmer | None) -> None:
        """Ask another Prometheus or other queries."""
        self._confirmer = confirmer

    def begin(self, intent: Intent) -> None:
        """Wait for the service of the VM of *intent*, which was just carried out."""
        self._waiting.pop(intent.uuid, None)
        starts = intent.action is not Action.KILL and intent.outcome is None
        if starts and self._confirmer is not None and self._confirmer.is_needed(intent.name):
            self._waiting[intent.uuid] = intent

    async def look(self, cases: Mapping[str, Case], *, at: float) -> None:
        """Ask about the VMs that run again; record the time of those whose service works."""
        asked = []
        for uuid, intent in list(self._waiting.items()):
            case, sent_at = cases.get(uuid), intent.sent_at
            over = sent_at is None or at - sent_at > SERVICE_SECONDS
            if case is None or over or case.state not in (*OPEN, *UP):
                del self._waiting[uuid]
            elif case.state in UP and (window := _window(sent_at, at=at)):
                asked.append(ConfirmationQuery(case.name, uuid, window))
        if not asked or self._confirmer is None or not self._journal_writer.is_open:
            return
        for query, found in zip(asked, await self._confirmer.ask(asked), strict=True):
            if found.is_up:
                await self._record(self._waiting[query.uuid], at=at)

    async def _record(self, intent: Intent, *, at: float) -> None:
        assert intent.sent_at is not None  # noqa: S101 - only such are asked about
        seconds = at - intent.sent_at
        if await self._journal_writer.write(
            lambda store: store.save_time_to_service(intent, seconds)
        ):
            del self._waiting[intent.uuid]
            self._meter.service_returned(seconds)
            log.info(
                "recovery.service_returned",
                vm=intent.name,
                vm_id=intent.vm_key,
                action=str(intent.action),
                intent=intent.id,
                seconds=round(seconds),
            )


def _window(since: float | None, *, at: float) -> int:
    """Return how many whole seconds ago a sample may be of; 0 if none counts."""
    return int(min(at - since, MAX_WINDOW_SECONDS)) if since is not None and at > since else 0
