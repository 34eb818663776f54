"""The page and the API of one VM, as a browser and as a program read them: real server."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.alerting.alerting import Alerting
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.definitions import AlertName
from exporter.console.system_history import SystemHistory
from exporter.console.timeline_strip import WIDTH
from exporter.errors import JournalError, PrometheusError
from exporter.model import SystemReport, SystemState
from exporter.prometheus.vm_resources import ResourceMeans
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.views import UnknownNameError
from exporter.recovery.service import RecoveryService
from exporter.telemetry import Telemetry
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.exposition.builders import AT
from tests.recovery.archive import journal_on_disk, stage
from tests.recovery.harness import Harness
from tests.web.fleets import Systems, fleet
from tests.web.page_text import PageText
from tests.web.samples import HandClock, system
from tests.web.site import Reply, ServerUnderTest, StubPages, StubReload

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "`code` <b>",
    "a/b?c=d&e#f",
    "\u202egpj.exe",
    "x" * 255,
)
LINKS = {
    "prometheus": "https://prometheus.example/graph?g0.expr={vm_name}-{system}",
    "vergeos": "https://verge.example/#/vms/{vm_id}",
}
Serve = Callable[..., Awaitable[ServerUnderTest]]


class Watched(Systems):
    """Systems whose histories last from one request to the next."""

    def __init__(self, *states: SystemState, hours: int = 24) -> None:
        super().__init__(*states)
        self.kept = {state.report.system_name: SystemHistory(hours) for state in states}
        for state in states:
            if state.inventory is not None:
                self.kept[state.report.system_name].record(state.inventory, state.report.recovery)

    def histories(self) -> dict[str, SystemHistory]:
        return self.kept


class Failing:
    """Recovery whose queries fail."""

    is_on = True

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def explain(self, *_: object) -> Any:
        raise self.error

    async def timeline(self, *_: object) -> Any:
        raise self.error


@pytest.fixture
async def serve(clock: HandClock) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(systems: Systems, service: Any = None, **more: Any) -> ServerUnderTest:
            app = make_app(StubPages(), systems, StubReload(), clock=clock, service=service, **more)
            where = await stack.enter_async_context(serving(app, Listen("127.0.0.1", 0)))
            return ServerUnderTest(where.port, None, [], tls=False)

        yield start


def told(reply: Reply) -> PageText:
    return PageText(reply.text)


async def test_page_says_how_the_vm_is_and_links_to_its_lists(serve: Serve) -> None:
    server = await serve(Systems(fleet("web-1", "db-1", down=["web-1"])))

    page = told(await server.request("/vms/production/1"))

    assert page.title.startswith("web-1 down \N{EN DASH} Vergewatch")
    assert {"down", "stopped", "00000000-0000-4000-8000-000000000001"} <= set(page.words)
    assert "/vms?system=production" in page.links
    assert {f"?zoom={zoom}" for zoom in ("1h", "6h", "24h", "7d")} <= set(page.links)


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_text(serve: Serve, name: str) -> None:
    server = await serve(Systems(fleet(name, name=name, down=[name])), links=LINKS)
    path = "/vms/" + "".join(f"%{byte:02X}" for byte in name.encode()) + "/1"

    reply = await server.request(path)

    page = told(reply)
    harmless = told(await (await serve(Systems(fleet("web", down=["web"])), links=LINKS)).request(
        "/vms/production/1"
    ))  # fmt: skip
    assert reply.status == 200
    assert "".join(name.split()) in "".join(page.words)
    assert (page.tags, page.attributes) == (harmless.tags, harmless.attributes)
    assert not any(link.startswith("javascript:") for link in page.links)
    external = [link for link in page.links if link.startswith("https://prometheus.example/")]
    assert len(external) == 1
    assert not set("<>\"'` ") & set(external[0])


async def test_links_of_the_settings_are_those_of_alerts_too(
    serve: Serve, clock: HandClock, tmp_path: Path
) -> None:
    settings = AlertmanagerSettings(
        runbooks="https://wiki.example/runbooks/", dashboards="https://grafana.example"
    )
    alerting = Alerting(settings, tmp_path, clock, Telemetry().alertmanager_meter())
    systems = Systems(fleet("web-1", "db-1", down=["web-1"]))
    server = await serve(systems, links=LINKS, alerts=alerting)

    down = told(await server.request("/vms/production/1")).links
    runs = told(await server.request("/vms/production/2")).links

    vm_down = {"system_name": "production", "vm_name": "web-1"}
    assert settings.links.dashboard_of(AlertName.VM_DOWN, vm_down) in down
    assert settings.links.runbook(AlertName.VM_DOWN) in down
    assert "https://verge.example/#/vms/1" in down
    alerting.apply(AlertmanagerSettings(runbooks="", dashboards=""), None)
    await clock.sleep(2)  # pages are shared for a second
    without = told(await server.request("/vms/production/1")).links
    assert not any("grafana" in link or "VergeVMDown" in link for link in without)
    assert not any("runbooks" in link for link in runs)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/vms/production/1", 200),
        ("/vms/production/1?zoom=7d", 200),
        ("/vms/production/1?zoom=2d", 400),
        ("/vms/production/9", 404),
        ("/vms/production/x", 404),
        ("/vms/production/-1", 404),
        ("/vms/production/%D9%A1", 404),
        ("/vms/production/" + "9" * 400, 404),
        ("/vms/elsewhere/1", 404),
        ("/api/v1/vms/production/1", 200),
        ("/api/v1/vms/production/1/history", 200),
        ("/api/v1/vms/production/9", 404),
        ("/api/v1/vms/production/9/history", 404),
        ("/api/v1/vms/elsewhere/1/history", 404),
    ],
)
async def test_only_vms_that_were_known_have_a_page(serve: Serve, path: str, status: int) -> None:
    server = await serve(Watched(fleet("web-1")))

    reply = await server.request(path)

    assert reply.status == status
    if path.startswith("/api"):
        assert ("error" in json.loads(reply.body)) == (status == 404)


async def test_systems_that_are_being_started_are_no_reason_to_forget_a_vm(serve: Serve) -> None:
    server = await serve(Systems())

    assert (await server.request("/vms/production/1")).status == 503


async def test_vm_that_is_gone_keeps_its_page_without_recovery(
    serve: Serve, clock: HandClock
) -> None:
    systems = Watched(fleet("web-1", "db-1"))
    later = fleet("web-1")
    assert later.inventory is not None
    inventory = msgspec.structs.replace(later.inventory, taken_at=AT + timedelta(minutes=1))
    systems.kept["production"].record(inventory, None)
    systems._states = (later,)
    server = await serve(systems)

    reply = await server.request("/vms/production/2")
    api = json.loads((await server.request("/api/v1/vms/production/2")).body)

    assert reply.status == 200
    assert "gone" in told(reply).words
    assert (api["vm"], api["last_seen"]) == (None, AT.isoformat().replace("+00:00", "Z"))
    assert (await server.request("/api/v1/vms/production/2/history")).status == 200


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [
        (UnknownNameError("recovery is off"), False),
        (JournalError("the disk is <b>full</b>"), True),
    ],
)
async def test_page_is_there_without_recovery_or_journal(
    serve: Serve, error: Exception, is_shown: bool
) -> None:
    server = await serve(Systems(fleet("web-1")), Failing(error))

    reply = await server.request("/vms/production/1")
    api = json.loads((await server.request("/api/v1/vms/production/1")).body)

    assert reply.status == 200
    assert ("the disk is &lt;b&gt;full" in reply.text) == is_shown
    assert (api["vm"]["name"], api["explanation"]) == ("web-1", None)
    assert api["problem"] == (str(error) if is_shown else "")


async def test_timeline_begins_with_what_was_observed(serve: Serve, clock: HandClock) -> None:
    server = await serve(Watched(fleet("web-1")))
    chosen = []
    for hours in (0.4, 5, 20):
        clock.seconds = 1000.0 + hours * 3600
        text = (await server.request("/vms/production/1")).text
        chosen.append(text.split('" aria-current="true">')[1].split("</a>")[0])

    assert chosen == ["1 h", "6 h", "24 h"]


async def test_columns_of_the_history_have_the_same_length(serve: Serve) -> None:
    server = await serve(Watched(fleet("web-1"), hours=2))

    found = json.loads((await server.request("/api/v1/vms/production/1/history")).body)

    assert len(found["times"]) == len(found["cpu_ratios"]) == len(found["memory_ratios"]) == 24
    assert found["times"] == sorted(found["times"])


class Recovering(Systems):
    """The system of a harness."""

    def __init__(self, harness: Harness) -> None:
        super().__init__()
        self._harness = harness

    def reports(self) -> list[SystemReport]:
        report = self._harness.recovery.report
        return [msgspec.structs.replace(system(), recovery=report)]

    def states(self) -> list[SystemState]:
        checked = self._harness.recovery.state.inventory
        inventory = checked.reported if checked is not None else None
        return [SystemState(inventory, report) for report in self.reports()]

    def histories(self) -> dict[str, SystemHistory]:
        return {}


async def test_crash_that_was_recovered_is_told(
    serve: Serve, clock: HandClock, tmp_path: Path
) -> None:
    harness = stage(mode=Mode.ENFORCE)
    harness.world.crash("web-01")
    harness.advance(300)
    journal = await journal_on_disk(harness, tmp_path / "state")
    clock.seconds += (harness.clock.now() - clock.now()).total_seconds()
    service = RecoveryService(lambda: {"production": harness.recovery}, lambda: journal, clock)
    key = harness.case("web-01").key
    try:
        server = await serve(Recovering(harness), service)
        reply = await server.request(f"/vms/production/{key}?zoom=1h")
        api = json.loads((await server.request(f"/api/v1/vms/production/{key}")).body)
    finally:
        await journal.close()

    page = told(reply)
    assert api["explanation"]["sentence"] in page.text
    assert api["explanation"]["state"] == "probation"
    assert len(api["explanation"]["guards"]) == reply.text.count('<th scope="row">')
    kinds = {event["kind"] for event in api["events"]}
    assert {"change", "decision", "action"} <= kinds
    assert reply.text.count('class="mark ') == len(api["events"])
    assert reply.text.count('<li id="event-') == len(api["events"])
    conditions = reply.text.split('<g class="history">')[1].split("</g>")[0]
    assert 'class="down"' in conditions
    assert 'class="running"' in conditions
    widths = [float(part.split('"')[0]) for part in conditions.split('width="')[1:]]
    assert sum(widths) == pytest.approx(WIDTH, abs=1)


class Charts:
    """Prometheus, as far as charts ask it."""

    def __init__(self, cpu: float | None = 0.25, problem: str = "") -> None:
        self.cpu, self.problem = cpu, problem
        self.asked: list[tuple[str, int]] = []

    async def means(self, system: str, vm_key: int, *, until: float) -> ResourceMeans:
        self.asked.append((system, vm_key))
        if self.problem:
            raise PrometheusError(self.problem)
        hour = range(int(until) - 3600, int(until), 300)
        return ResourceMeans(hour, [self.cpu] * 12, [None] * 12)


async def test_charts_are_those_of_prometheus_and_it_is_asked_once_a_minute(
    serve: Serve, clock: HandClock
) -> None:
    charts = Charts()
    server = await serve(Watched(fleet("web-1")), prometheus=charts)

    page = told(await server.request("/vms/production/1"))
    api = json.loads((await server.request("/api/v1/vms/production/1/history")).body)
    assert "25 %" in page.text
    assert (api["cpu_ratios"], api["problem"]) == ([0.25] * 12, "")
    assert charts.asked == [("production", 1)]

    await clock.sleep(60)
    await server.request("/vms/production/1")
    assert charts.asked == [("production", 1)] * 2


@pytest.mark.parametrize(
    ("charts", "problem"), [(Charts(None), ""), (Charts(problem="it is down"), "it is down")]
)
async def test_charts_are_those_in_memory_where_prometheus_has_none(
    serve: Serve, charts: Charts, problem: str
) -> None:
    server = await serve(Watched(fleet("web-1")), prometheus=charts)

    page = told(await server.request("/vms/production/1"))
    api = json.loads((await server.request("/api/v1/vms/production/1/history")).body)

    assert ("it is down" in page.text) == bool(problem)
    assert (len(api["cpu_ratios"]), api["problem"]) == (288, problem)
