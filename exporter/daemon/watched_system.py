"""One monitored system that runs."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import msgspec

from exporter.config.systems import ResolvedSystem
from exporter.console.system_history import SystemHistory
from exporter.daemon.page_publisher import PagePublisher
from exporter.daemon.poll_plan import PollPlan
from exporter.daemon.replica import Replica
from exporter.daemon.request_memory import RequestMemory
from exporter.daemon.secret_watch import SecretWatch
from exporter.daemon.shared_key import SharedKey
from exporter.daemon.system_memory import SystemMemory
from exporter.daemon.system_names import SystemName
from exporter.model import SystemReport
from exporter.polling.poller import Poller
from exporter.telemetry import SystemMeter
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.source import VergeOSSource

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery


class WatchedSystem(NamedTuple):
    """One monitored system with its tasks and connections."""

    settings: ResolvedSystem
    poller: Poller
    source: VergeOSSource
    publisher: PagePublisher
    clients: Sequence[VergeOSClient]
    sessions: Sequence[aiohttp.ClientSession]
    meter: SystemMeter
    memory: SystemMemory
    request_memory: RequestMemory
    name: SystemName
    recovery: "Recovery | None"
    replica: Replica | None
    """Its part in leading recovery, where replicas share the journal."""
    keys: Sequence[SharedKey]
    """Its keys, the polling one first, where replicas share the journal."""
    plan: PollPlan
    history: SystemHistory
    secrets: SecretWatch
    tasks: Sequence[asyncio.Task[Any]]

    @property
    def client(self) -> VergeOSClient:
        """The polling client."""
        return self.clients[0]

    def report(self) -> SystemReport:
        """Return the state of its polling, of its recovery, and what the doctor found."""
        return msgspec.structs.replace(
            self.poller.report,
            recovery=self.recovery.report if self.recovery is not None else None,
            doctor=tuple(self.publisher.examined),
        )

    def stays(self, settings: ResolvedSystem) -> bool:
        """Return whether it goes on running by *settings*: same name, address, trust and login."""
        before = self.settings
        if settings == before:
            return True
        same = _identity(before) == _identity(settings) and before.recovers is settings.recovers
        return same and not (self.recovery is not None and self.recovery.bug)

    def retry_refused(self) -> float | None:
        """
        Try credentials that VergeOS refused once more.

        Returns:
            In how many seconds: no system is asked more than once a minute. None if none is
            refused.

        """
        waits = [wait for one in self.clients if (wait := one.retry_refused()) is not None]
        if not waits:
            return None
        self.poller.retry_refused(in_seconds=min(waits))
        return min(waits)

    async def end(self) -> None:
        """Stop its tasks, release its lease, remember its requests, and close its connections."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)  # the task group handles their errors
        if self.replica is not None:
            await self.replica.end()
        for client in self.clients:
            await client.close()
        self.request_memory.save()
        for session in self.sessions:
            await session.close()


def _identity(settings: ResolvedSystem) -> object:
    """Return what a system is restarted for when it changes."""
    apart = {"poll": None, "api": None, "recovery_mode": None}
    return settings.system.model_copy(update=apart)
