"""The CPU time of one polling cycle by stage, from the bytes of the responses to the page."""

import gc
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import aiohttp
from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import SecretStr

from exporter.collectors.inventory import join
from exporter.collectors.registry import FAMILIES
from exporter.config.recovery import RecoverySettings
from exporter.config.settings import Settings, SystemSettings
from exporter.config.systems import resolve_systems
from exporter.doctor.doctor import Doctor
from exporter.exposition.collector import Kind
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.exposition.view import RenderView
from exporter.model import IDENTITY, Identity, Inventory, SystemReport
from exporter.polling.schedule import next_due
from exporter.recovery.model.limits import Mode
from exporter.simulator import Simulator
from exporter.vergeos.tables import Table
from tests.bench.platform import world_of
from tests.fakes import START, FakeClock

TICKS = 12
"""Four minutes of polling, in which every table is read several times."""
REPORT = SystemReport(
    system_name="bench",
    url="",
    identity=None,
    up=True,
    authenticated=True,
    taken_at=START,
    tables=(),
    requests_remaining=0,
    requests_per_hour=0,
    recent_errors=(),
)


class Cost(NamedTuple):
    """The costs in CPU milliseconds; the first cycle, which reads every table, is separate."""

    samples: int
    page_bytes: int
    gzip_bytes: int
    first: float
    mean: float
    worst: float
    stages: Mapping[str, float]
    """Mean of each stage."""
    ours_ms: float
    """Rendering everything without a cache, plain and gzip."""
    theirs_ms: float
    """The same families rendered by prometheus_client, plain only."""


async def measure(vms: int) -> Cost:
    """Poll a simulated system with *vms* VMs, on a simulated clock."""
    clock = FakeClock()
    world = world_of(vms)
    async with Simulator(world=world, clock=clock) as system, aiohttp.ClientSession() as http:
        return await _measure(system, http, clock)


async def _measure(system: Simulator, http: aiohttp.ClientSession, clock: FakeClock) -> Cost:
    renderer, builder, doctor = Renderer(FAMILIES), PageBuilder(FAMILIES), Doctor()
    rows: dict[str, Any] = {IDENTITY: Identity("bench", "26"), "identity": Identity("bench", "26")}
    totals, stages = [], defaultdict[str, list[float]](list)
    resolved = resolve_systems(
        Settings(
            systems=(SystemSettings(url=system.url, api_key=SecretStr(system.api_key)),),
            recovery=RecoverySettings(mode=Mode.OFF),
        )
    )[0]
    schedule = {one.table: one for one in resolved.schedules}
    due = dict.fromkeys(schedule, 0.0)
    bodies: dict[str, bytes] = {}
    for _ in range(TICKS):
        read = [table for table in resolved.tables if due[table.name] <= clock.elapsed]
        fresh = {table: await _fetch(system, http, table) for table in read}
        for table in read:
            due[table.name] = next_due(schedule[table.name], now=clock.elapsed)
        gc.collect()
        spent = _cycle(renderer, builder, doctor, rows, fresh, bodies)
        totals.append(sum(spent.values()))
        for stage, seconds in spent.items():
            stages[stage].append(seconds)
        clock.elapsed += 20
    inventory = _join(rows)
    page = builder.page([renderer.render(inventory, REPORT)], Format.CLASSIC)
    plain = page.plain(b"").read()
    return Cost(
        samples=sum(not line.startswith(b"#") for line in plain.splitlines()),
        page_bytes=len(plain),
        gzip_bytes=len(page.gzipped(b"", page.deflated()).read()),
        first=totals[0] * 1000,
        mean=_mean(totals[1:]) * 1000,
        worst=max(totals[1:]) * 1000,
        stages={stage: _mean(spent[1:]) * 1000 for stage, spent in stages.items()},
        ours_ms=_best(lambda: Renderer(FAMILIES).render(inventory, REPORT)),
        theirs_ms=_best(lambda: generate_latest(_ClientCollector(inventory))),
    )


async def _fetch(system: Simulator, http: aiohttp.ClientSession, table: Table) -> bytes:
    where = table.condition(now=START.timestamp())
    query = {"fields": ",".join(table.fields), **({"filter": where} if where else {})}
    headers = {"Authorization": f"Bearer {system.api_key}"}
    async with http.get(system.url + table.path, params=query, headers=headers) as response:
        return await response.read()


def _cycle(
    renderer: Renderer,
    builder: PageBuilder,
    doctor: Doctor,
    rows: dict[str, Any],
    fresh: Mapping[Table, bytes],
    bodies: dict[str, bytes],
) -> dict[str, float]:
    """Process the responses of a cycle; return the CPU seconds of each stage."""
    began = time.process_time()
    for table, body in fresh.items():
        if bodies.get(table.name) != body:
            rows[table.name] = table.decode(body).rows
            bodies[table.name] = body
    decoded = time.process_time()
    inventory = _join(rows)
    joined = time.process_time()
    report = doctor.examine(inventory, REPORT, now=START)
    examined = time.process_time()
    rendered = renderer.render(inventory, report)
    rendered_in = time.process_time()
    for form in Format:
        builder.page([rendered], form)
    bound = time.process_time()
    return {
        "decode": decoded - began,
        "join": joined - decoded,
        "doctor": examined - joined,
        "render and gzip": rendered_in - examined,
        "bind": bound - rendered_in,
    }


def _join(rows: Mapping[str, Any]) -> Inventory:
    return join(dict(rows), system_name="bench", identity=rows[IDENTITY], taken_at=START)


class _ClientCollector(Collector):
    """The same families as a collector of prometheus_client."""

    def __init__(self, inventory: Inventory) -> None:
        self._view = RenderView(inventory, REPORT)

    def collect(self) -> Iterable[Metric]:
        for family in FAMILIES:
            make = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            items = family.group.items(self._view)
            columns = [label.read(items.objects) for label in family.info_labels]
            values = family.read(items.objects)
            for identity, value, *words in zip(items.identities, values, *columns, strict=True):
                if value is not None:
                    metric.add_metric([*identity, *words], value)
            yield metric


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _best(work: Any, times: int = 3) -> float:
    """Return the CPU milliseconds of *work*, the best of several runs."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) * 1000
