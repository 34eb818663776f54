"""Builds one monitored system from its settings, and changes it while it runs."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import aiohttp
import structlog

from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.collectors import doctor
from exporter.collectors.inventory import join
from exporter.config.recovery_setup import recovery_setup
from exporter.config.systems import ResolvedSystem
from exporter.console.system_history import SystemHistory
from exporter.daemon.clients import (
    connect,
    credential_source,
    limits_of,
    make_budget,
    refusal_file,
)
from exporter.daemon.page_publisher import PagePublisher
from exporter.daemon.poll_plan import PollPlan
from exporter.daemon.recovery_worker import JournalHandle, RecoveryWorker
from exporter.daemon.replica import Replica
from exporter.daemon.request_memory import RequestMemory
from exporter.daemon.saved_history import add_saved_history
from exporter.daemon.secret_watch import SecretWatch, secret_files
from exporter.daemon.shared_key import SharedKey
from exporter.daemon.shared_kill_switch import share_kill_switch
from exporter.daemon.system_memory import SystemMemory
from exporter.daemon.system_names import SystemName
from exporter.daemon.vendor_page import VendorPage
from exporter.daemon.watched_system import WatchedSystem
from exporter.doctor.doctor import Doctor
from exporter.exposition.cache import PageCache
from exporter.exposition.collector import Family
from exporter.polling.key_share import ALONE, KeyShare
from exporter.polling.poller import Poller
from exporter.polling.schedule import requests_per_hour
from exporter.prometheus.client import PrometheusConfirmer
from exporter.recovery.leadership import ONLY_REPLICA
from exporter.recovery.model.ports import JournalStore
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.telemetry import SystemMeter, Telemetry
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import VergeOSSource
from exporter.vergeos.transport import ACTION_SECONDS

log = structlog.get_logger()


class SystemBuilder:
    """
    Starts systems in the daemon's task group, on its page and with its journal.

    Args:
        tasks: The task group of all pollers: a bug in one of them ends the process.
        journal: The journal of recovery.
        alerting: Provides the silences that hold recovery.
        vendor: The page with the vendor's names.

    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        cache: PageCache,
        telemetry: Telemetry,
        clock: Clock,
        journal: JournalHandle,
        alerting: Alerting,
        vendor: VendorPage,
    ) -> None:
        self._tasks = tasks
        self._cache = cache
        self._telemetry = telemetry
        self._clock = clock
        self._journal = journal
        self._alerting = alerting
        self._vendor = vendor

    def start(
        self,
        settings: ResolvedSystem,
        sessions: Sequence[aiohttp.ClientSession],
        memory: SystemMemory,
        name: SystemName,
        meter: SystemMeter,
        former: WatchedSystem | None,
        history: SystemHistory,
    ) -> WatchedSystem:
        """Start a system and its tasks; it continues *former*, which has stopped."""
        system, directory = settings.system, self._journal.directory
        _warn_of_tls(settings)
        budget = make_budget(settings.api)
        keys = self._keys(settings, budget)
        clients = self._clients(settings, sessions, meter, budget, keys)
        client = clients[0]
        request_memory = RequestMemory(memory, directory, system.url, client.budget, self._clock)
        same = former if former is not None and former.settings.system.url == system.url else None
        if same is not None:
            client.carry_on(same.client)
            for key, before in zip(keys, same.keys, strict=False):
                key.carry_on(before)
        else:
            request_memory.resume(ahead=_requests_at_start(settings))
        _share_refusals(settings, clients)
        replica = self._replica(settings)
        worker = self._recovery_worker(settings, clients, sessions[3:], meter, name, replica)
        recovery = worker.recovery if worker is not None else None
        publisher = PagePublisher(
            _families(settings),
            self._cache,
            meter,
            self._clock,
            recovery,
            _doctor(settings, memory),
            also=self._vendor.publisher(meter),
            history=history,
        )
        source = _source(client, settings, same.source if same is not None else None)
        plan = PollPlan(settings, source, partial(_share, keys, replica))
        poller = Poller(
            source,
            join,
            publisher,
            plan.current(),
            name=meter.system_name,
            named=name.is_known,
            url=system.url,
            clock=self._clock,
            rename=lambda cloud_name: meter.rename(name.reported(cloud_name)),
            requests_remaining=lambda: client.budget.left(at=self._clock.monotonic()),
            on_poll=worker.enqueue if worker is not None else None,
            former=former.poller if former is not None else None,
        )
        follow = partial(plan.follow, poller)
        running = {
            "poll": _poll(poller, keys, follow, ahead=_requests_at_start(settings)),
            "remember requests": request_memory.save_forever(),
            **{f"share key {number}": key.run(follow) for number, key in enumerate(keys)},
        }
        if worker is not None:
            running["recovery"] = worker.run()
            if replica is not None:
                running["lease"] = replica.run(
                    partial(_leader_changed, worker, follow),
                    may_lead=lambda: not worker.recovery.bug,
                )
                running["kill switch"] = share_kill_switch(
                    replica.name,
                    worker.recovery.read_kill_switch,
                    partial(self._journal.fenced_store, system.url, 0),
                    self._clock,
                )
            running["saved history"] = add_saved_history(
                history, worker.recovery, self._journal, self._clock
            )
        return WatchedSystem(
            settings,
            poller,
            source,
            publisher,
            clients,
            sessions,
            meter,
            memory,
            request_memory,
            name,
            recovery,
            replica,
            keys,
            plan,
            history,
            SecretWatch(secret_files(settings), partial(poller.retry_refused, in_seconds=0.0)),
            self._run(system.url, running),
        )

    def _run(
        self, url: str, running: Mapping[str, Coroutine[Any, Any, None]]
    ) -> Sequence[asyncio.Task[None]]:
        return [
            self._tasks.create_task(work, name=f"{kind} {url}") for kind, work in running.items()
        ]

    async def change(
        self,
        watched: WatchedSystem,
        settings: ResolvedSystem,
        confirming: Sequence[aiohttp.ClientSession] | None,
    ) -> WatchedSystem:
        """Put *settings* in force in a system that goes on running; it keeps rows and series."""
        before = watched.settings
        if settings.api != before.api:
            watched.client.budget.use(settings.api.requests_per_hour, reserve=settings.api.reserve)
            for client in watched.clients:
                client.use(limits_of(settings.api))
        if settings.collectors != before.collectors:
            watched.publisher.use(_families(settings), _doctor(settings, watched.memory))
        if _tables(settings) != _tables(before):
            watched = watched._replace(source=_source(watched.client, settings, watched.source))
        if _polled(settings) != _polled(before):
            watched.plan.use(settings, watched.source, watched.poller)
        if watched.recovery is None or _rules(settings) == _rules(before):
            return watched._replace(settings=settings)
        if watched.replica is not None:
            watched.replica.former_seconds = _former_seconds(settings)
        sessions = watched.sessions
        if confirming is not None:
            sessions = (*watched.sessions[:3], *confirming)
        await watched.recovery.use(
            self._recovery_config(settings, sessions[3:], watched.meter, watched.name)
        )
        for session in set(watched.sessions) - set(sessions):
            await session.close()
        return watched._replace(settings=settings, sessions=sessions)

    def _clients(
        self,
        settings: ResolvedSystem,
        sessions: Sequence[aiohttp.ClientSession],
        meter: SystemMeter,
        budget: RequestBudget,
        keys: Sequence[SharedKey],
    ) -> Sequence[VergeOSClient]:
        """Return the client to poll and, with recovery, those to read again and to act."""
        opened = partial(
            connect,
            settings,
            meter=meter,
            clock=self._clock,
            budget=budget,
            state=self._journal.directory,
        )
        polls, acts = (keys[0].refusals, keys[-1].refusals) if keys else (None, None)
        client = opened(sessions[0], store=polls)
        if not settings.recovers:
            return (client,)
        reader = opened(sessions[1], store=polls)
        return client, reader, opened(sessions[2], acts=True, store=acts)

    def _keys(self, settings: ResolvedSystem, budget: RequestBudget) -> Sequence[SharedKey]:
        """Return the keys of a system that other replicas may use too, the polling one first."""
        if not self._journal.is_shared:
            return ()
        system, state = settings.system, self._journal.directory
        opened = partial(
            SharedKey, self._journal.replica, system.url, open_uses=self._journal.key_uses
        )
        polls = opened(
            source=credential_source(system, acts=False),
            file=refusal_file(system, state),
            clock=self._clock,
            budget=budget,
            planned=lambda: requests_per_hour([*settings.schedules, *settings.besides]),
        )
        if not (settings.recovers and system.acts_with_another_key):
            return (polls,)
        acts = opened(
            source=credential_source(system, acts=True),
            file=refusal_file(system, state, acts=True),
            clock=self._clock,
        )
        return polls, acts

    def _recovery_worker(
        self,
        settings: ResolvedSystem,
        clients: Sequence[VergeOSClient],
        to_prometheus: Sequence[aiohttp.ClientSession],
        meter: SystemMeter,
        name: SystemName,
        replica: Replica | None,
    ) -> RecoveryWorker | None:
        """Return the recovery of a system; its own connections never wait for polling."""
        if not settings.recovers:
            return None
        from exporter.recovery.engine import Recovery  # noqa: PLC0415 - only where recovery is on

        _, reader, actor = clients
        url = settings.system.url
        return RecoveryWorker(
            Recovery(
                url,
                partial(self._store, url, replica),
                Operations(reader, actor, self._clock),
                self._recovery_config(settings, to_prometheus, meter, name),
                self._clock,
                random=random.random,
                meter=self._telemetry.recovery_meter(meter),
                leadership=replica or ONLY_REPLICA,
                open_for_leader=(
                    partial(self._journal.fenced_store, url, 0) if replica is not None else None
                ),
            )
        )

    async def _store(self, url: str, replica: Replica | None) -> JournalStore:
        if replica is None:
            return await self._journal.store(url)
        return await self._journal.fenced_store(url, replica.term or 0)

    def _replica(self, settings: ResolvedSystem) -> Replica | None:
        """Return this replica's part in leading the recovery of a system, if there are others."""
        if not settings.recovers or not self._journal.is_shared:
            return None
        return Replica(
            self._journal.replica,
            partial(self._journal.lease, settings.system.url),
            self._clock,
            former_seconds=_former_seconds(settings),
        )

    def _recovery_config(
        self,
        settings: ResolvedSystem,
        to_prometheus: Sequence[aiohttp.ClientSession],
        meter: SystemMeter,
        name: SystemName,
    ) -> RecoveryConfig:
        """Return the setup of a system's recovery."""
        confirmers = [
            PrometheusConfirmer(settings.recovery.confirm, session, lambda: meter.system_name)
            for session in to_prometheus
        ]
        return recovery_setup(settings.recovery, settings.recovery_mode)._replace(
            silences=self._alerting.silences_of(lambda: name.silenced_names),
            confirmer=next(iter(confirmers), None),
        )


async def _poll(
    poller: Poller, keys: Sequence[SharedKey], follow: Callable[[], None], *, ahead: int
) -> None:
    """Poll until cancelled, once it is known what other replicas have sent and were refused."""
    if keys:
        await asyncio.gather(keys[0].first(ahead=ahead), *(key.first() for key in keys[1:]))
        follow()
    await poller.run()


def _requests_at_start(settings: ResolvedSystem) -> int:
    return sum(one.requests for one in settings.schedules)


def _share(keys: Sequence[SharedKey], replica: Replica | None) -> KeyShare:
    """Return the part of this replica in the use of the polling key."""
    if not keys:
        return ALONE
    return keys[0].share(leads=None if replica is None else replica.term is not None)


def _leader_changed(worker: RecoveryWorker, follow: Callable[[], None]) -> None:
    worker.leader_changed()
    follow()


def _former_seconds(settings: ResolvedSystem) -> float:
    """Return how long after the end of its lease the last action of another replica may arrive."""
    return settings.recovery.limits.reread_age_seconds + ACTION_SECONDS


def _share_refusals(settings: ResolvedSystem, clients: Sequence[VergeOSClient]) -> None:
    """Let a refused key cost one request, not one per client."""
    with_another_key = clients[2:] if settings.system.acts_with_another_key else ()
    for client in clients[1:]:
        if client not in with_another_key:
            client.share_refusals(clients[0])


def _warn_of_tls(settings: ResolvedSystem) -> None:
    system = settings.system
    if not system.tls.verify:
        log.warning("tls.unverified", url=system.url, risk="the network can read the API key")
    elif system.url.startswith("http://") and not settings.is_on_this_machine:
        log.warning("tls.absent", url=system.url, risk="the network can read the API key")


def _rules(settings: ResolvedSystem) -> object:
    """Return what recovery decides by."""
    apart = {"token": None, "token_file": None, "retention_days": 0}
    return settings.recovery.model_copy(update=apart), settings.recovery_mode


def _tables(settings: ResolvedSystem) -> object:
    """Return what the source of the tables works by."""
    return settings.collectors, settings.api.page_rows


def _polled(settings: ResolvedSystem) -> object:
    """Return what the poller works by; its schedules are fitted to the limits of the API."""
    return settings.schedules, settings.besides, settings.collectors, settings.poll, settings.api


def _families(settings: ResolvedSystem) -> list[Family]:
    return [family for one in settings.collectors for family in one.families]


def _doctor(settings: ResolvedSystem, memory: SystemMemory) -> Doctor | None:
    """Return a doctor that goes on with the findings in *memory*; None if it is off."""
    if doctor.COLLECTOR not in settings.collectors:
        return None
    return Doctor(
        since=memory.remembered.findings,
        remember=lambda findings: memory.remember(findings=findings),
    )


def _source(
    client: VergeOSClient, settings: ResolvedSystem, former: VergeOSSource | None
) -> VergeOSSource:
    """Return a source that knows what *former*, of the same system, has learned."""
    source = VergeOSSource(client, settings.tables, page_rows=settings.api.page_rows)
    if former is not None:
        source.carry_on(former)
    return source
