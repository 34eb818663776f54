"""Tables read from a simulated VergeOS: at once, in pages, and with shared requests."""

import gc
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.config.recovery import RecoverySettings
from exporter.config.settings import APISettings, Settings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon import clients
from exporter.daemon.clients import connect, make_session
from exporter.errors import (
    BadReplyError,
    ConfigError,
    ForbiddenError,
    UnauthorizedError,
    UnreachableError,
)
from exporter.http import ssl_context
from exporter.model import IDENTITY, Identity
from exporter.prometheus.config import ConfirmationSettings
from exporter.recovery.model.limits import Mode
from exporter.simulator import Simulator, create_world
from exporter.simulator.world.machines import Member
from exporter.telemetry import Telemetry
from exporter.vergeos.source import VergeOSSource
from exporter.vergeos.tables import Table
from tests.fakes import START, FakeClock
from tests.vergeos.scripted import Answer, respond, serving

TABLES = tables_of(COLLECTORS)
REQUESTS = {table.request for table in TABLES}


def resolved(url: str, api_key: str, *, page_rows: int = 0) -> ResolvedSystem:
    system = SystemSettings(url=url, api_key=SecretStr(api_key))
    return resolve_systems(Settings(systems=(system,), api=APISettings(page_rows=page_rows)))[0]


@asynccontextmanager
async def simulated(page_rows: int = 0) -> AsyncIterator[tuple[VergeOSSource, Simulator]]:
    clock = FakeClock(hurried=True)
    world = create_world(seed=1, vms=20, start=START.timestamp(), gpus=2)
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = resolved(system.url, system.api_key, page_rows=page_rows)
        client = connect(settings, session, Telemetry().meter("system"), clock)
        yield VergeOSSource(client, settings.tables, page_rows=page_rows), system


async def test_each_request_reads_a_whole_table() -> None:
    async with simulated() as (source, system):
        for table in TABLES:
            assert (await source.read(table.name)).skipped == 0

        assert len(system.requests) == len(REQUESTS) < len(TABLES)


async def test_reading_tables_again_leaves_no_reference_cycles() -> None:
    async with simulated() as (source, _):
        for table in TABLES:
            await source.read(table.name)
        gc.collect()

        for table in TABLES:
            await source.read(table.name)

        assert gc.collect() == 0


HIDEABLE = [table for table in TABLES if table.may_be_hidden]


@pytest.mark.parametrize("status", [403, 404, 405, 422])
@pytest.mark.parametrize("table", HIDEABLE, ids=lambda table: table.name)
async def test_table_that_may_be_hidden_and_is_has_no_rows(table: Table, status: int) -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("status", path=table.endpoint, code=status)
        hidden = await source.read(table.name)
        system.faults.clear()

        assert (hidden.rows, hidden.count) == ({}, 0)
        assert (await source.read(table.name)).count > 0


@pytest.mark.parametrize(
    ("table", "status"), [("cluster_tiers", 500), ("vms", 404), ("nodes", 403)]
)
async def test_table_that_fails_or_must_be_there_is_an_error(table: str, status: int) -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("status", path=table, code=status)

        with pytest.raises((BadReplyError, ForbiddenError)):
            await source.read(table)


@pytest.mark.parametrize("page_rows", [1, 7, 20, 1000])
async def test_table_read_in_pages_has_the_same_rows(page_rows: int) -> None:
    async with simulated() as (whole, system), simulated(page_rows) as (paged, _):
        system.world.catch_up()
        for name in ("vms", "machine_drives", "clusters", "snapshot_profiles", "tags"):
            assert (await paged.read(name)).rows == (await whole.read(name)).rows


async def test_failed_page_fails_the_whole_table() -> None:
    async with simulated(7) as (source, system):
        await source.read("vms")
        system.faults.turn_on("reset", path="vms", probability=0.5)

        with pytest.raises(UnreachableError):
            await read_repeatedly(source)


async def read_repeatedly(source: VergeOSSource) -> None:
    for _ in range(20):
        assert len((await source.read("vms")).rows) == 21


async def test_unchanged_answer_returns_the_identical_rows_object() -> None:
    async with simulated() as (source, system):
        first = (await source.read("vms")).rows
        again = (await source.read("vms")).rows
        system.world.renames(first[0].key, "another")
        renamed = (await source.read("vms")).rows

        assert again is first
        assert renamed is not first
        assert renamed[0].name == "another"


async def test_tags_of_other_objects_are_left_out_when_the_filter_is_ignored() -> None:
    async with simulated() as (source, system):
        world = system.world
        tag = world.tag_named("recovery", "auto")
        world.tag_members[9999] = Member(9999, tag, "nodes/1")
        filtered = (await source.read("tags")).rows
        original = source._client.read

        async def without_filter(path: str, query: Mapping[str, str], *, endpoint: str) -> bytes:
            return await original(path, {"fields": query["fields"]}, endpoint=endpoint)

        source._client.read = without_filter  # type: ignore[assignment]
        unfiltered = await source.read("tags")

        assert unfiltered.rows == filtered
        assert filtered == {
            vm.key: world.tags_of(vm) for vm in world.live_vms() if world.tags_of(vm)
        }
        assert unfiltered.skipped == 0


# Tables that share a request


async def test_two_tables_with_one_request_are_read_with_one_request() -> None:
    async with simulated() as (source, system):
        clusters = await source.read("clusters")
        statuses = await source.read("cluster_status")

        assert len(system.requests) == 1
        assert clusters.rows.keys() == statuses.rows.keys() != set()
        assert all(cluster.name for cluster in clusters.rows.values())
        assert all(status.total_nodes for status in statuses.rows.values())


@pytest.mark.parametrize("third", ["clusters", "cluster_status"])
@pytest.mark.parametrize("page_rows", [0, 1000])
async def test_shared_answer_is_used_once_per_table(page_rows: int, third: str) -> None:
    async with simulated(page_rows) as (source, system):
        await source.read("clusters")
        await source.read("cluster_status")
        before = len(system.requests)  # the first read in pages needs one more
        await source.read("clusters")
        await source.read("cluster_status")
        assert len(system.requests) == before + 1

        await source.read(third)

        assert len(system.requests) == before + 2


@pytest.mark.parametrize("table", ["clusters", "cluster_status"])
async def test_table_read_twice_asks_again(table: str) -> None:
    async with simulated() as (source, system):
        await source.read(table)
        await source.read(table)

        assert len(system.requests) == 2


async def test_renamed_cluster_is_in_the_next_answer() -> None:
    async with simulated() as (source, system):
        await source.read("clusters")
        await source.read("cluster_status")
        key, cluster = next(iter(system.world.clusters.items()))
        cluster.name = "renamed"

        assert (await source.read("clusters")).rows[key].name == "renamed"
        assert (await source.read("cluster_status")).rows[key].name == "renamed"


async def test_failed_shared_request_is_sent_again_for_the_next_table() -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("status", path="clusters", code=500, times=1)
        with pytest.raises(BadReplyError):
            await source.read("clusters")

        statuses = await source.read("cluster_status")
        clusters = await source.read("clusters")

        assert len(system.requests) == 2
        assert clusters.rows.keys() == statuses.rows.keys() != set()


# Identity


async def test_identity_has_the_name_and_version_of_the_system() -> None:
    async with simulated() as (source, system):
        identity = (await source.read(IDENTITY)).rows

        assert identity.cloud_name == system.world.system_name
        assert identity.version.startswith("26.")


async def test_forbidden_settings_leave_the_name_empty() -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("status", path="settings", code=403)

        identity = (await source.read(IDENTITY)).rows

        assert identity.cloud_name == ""
        assert identity.version.startswith("26.")


@pytest.mark.parametrize("code", [500, 503])
async def test_failing_settings_request_is_an_error_and_not_an_empty_name(code: int) -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("status", path="settings", code=code)

        with pytest.raises(BadReplyError):
            await source.read(IDENTITY)


@pytest.mark.parametrize("kind", ["status", "drop"])
async def test_name_is_known_although_the_version_cannot_be_read(kind: str) -> None:
    async with simulated() as (source, system):
        before = (await source.read(IDENTITY)).rows
        if kind == "status":
            system.faults.turn_on("status", path="/version.json", code=503)
        else:
            system.faults.turn_on("reset", path="/version.json")

        found = await source.read(IDENTITY)

        assert found.rows == before
        assert found.skipped == 1
        assert found.problem is not None
        assert "version.json" in found.problem


async def test_row_deleted_between_two_pages_hides_no_other_row() -> None:
    async with simulated(3) as (source, system):
        keys = [vm.key for vm in (await source.read("vms")).rows]
        world, first = system.world, keys[0]
        world.operator_stops(first, graceful=False)
        asked = len(system.requests)
        original = source._client.read

        async def read(path: str, query: Mapping[str, str], *, endpoint: str) -> bytes:
            if len(system.requests) == asked + 1:
                world.advance(world.now + 60)
                world.deletes(first)
            return await original(path, query, endpoint=endpoint)

        source._client.read = read  # type: ignore[assignment]

        found = [vm.key for vm in (await source.read("vms")).rows]

        assert set(keys[1:]) <= set(found)


async def test_rejected_api_key_costs_one_request() -> None:
    async with simulated() as (source, system):
        system.faults.turn_on("reject_key")

        with pytest.raises(UnauthorizedError):
            await source.read(IDENTITY)

        assert len(system.requests) == 1


def test_unusable_ca_file_is_refused_when_the_session_is_made(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "empty.pem").write_text("nothing")

    with pytest.raises(ConfigError, match="holds no certificate"):
        make_session(TLSSettings(ca_file=folder / "empty.pem"))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        make_session(TLSSettings(ca_file=folder / "absent.pem"))


async def test_unusable_ca_file_of_prometheus_leaves_no_session_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[object]()
    monkeypatch.setattr(clients, "_make_session", lambda *_, **__: made.append("session"))
    absent = tmp_path / "absent.pem"
    confirm = ConfirmationSettings(
        url="https://p", query='max_over_time(up{vm="{{vm}}"}[{{window}}])', ca_file=absent
    )
    recovers = resolved("https://verge.example", "key")._replace(
        recovery=RecoverySettings(confirm=confirm), recovery_mode=Mode.SHADOW
    )

    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        clients.make_sessions(recovers)

    assert made == []


def test_certificates_of_the_operating_system_are_loaded_once() -> None:
    first, second = (ssl_context(None, verify=True, section="tls") for _ in range(2))

    assert isinstance(first, ssl.SSLContext)
    assert first is second
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname


# Values and rows that cannot be read

ODD_VMS = (
    b'\xef\xbb\xbf[{"$key":1,"machine":2,"name":"a","ha_group":0},'
    b'{"$key":3,"machine":4,"name":"\\ud800","x":NaN},'
    b'{"$key":5,"machine":6,"name":7}]'
)


async def test_value_that_cannot_be_read_is_counted_at_each_poll() -> None:
    telemetry = Telemetry()
    async with serving(respond(ODD_VMS)) as script, make_session(TLSSettings()) as session:
        settings = resolved(script.url, "key")
        client = connect(settings, session, telemetry.meter("system"), FakeClock(hurried=True))
        source = VergeOSSource(client, settings.tables)

        for _ in range(3):
            found = await source.read("vms")

    assert [vm.name for vm in found.rows] == ["a", "", ""]
    assert found.skipped == 0
    counted = telemetry["table_fields_skipped_total"]
    assert counted.labels("system", "vms", "name")._value.get() == 6
    assert counted.labels("system", "vms", "ha_group")._value.get() == 3
    assert {field: one.number for field, one in found.skipped_values.items()} == {
        "ha_group": 1,
        "name": 2,
    }
    assert found.skipped_values["name"].problem.startswith("/api/v4/vms: row 3: ")


async def test_name_of_the_system_that_cannot_be_read_is_counted() -> None:
    telemetry = Telemetry()
    settings_rows = respond(b'[{"key":"x","value":NaN},{"key":"cloud_name","value":["prod"]}]')
    version = respond(b'{"hash":"\\ud800","version":"26.1"}')
    async with (
        serving(settings_rows, version) as script,
        make_session(TLSSettings()) as session,
    ):
        settings = resolved(script.url, "key")
        client = connect(settings, session, telemetry.meter("system"), FakeClock(hurried=True))

        found = await VergeOSSource(client, settings.tables).read(IDENTITY)

    assert found.rows == Identity("", "26.1")
    counted = telemetry["table_fields_skipped_total"]
    assert counted.labels("system", "identity", "value")._value.get() == 1


def page(*keys: object) -> Answer:
    rows = ", ".join(f'{{"$key":{key},"machine":{100 + n}}}' for n, key in enumerate(keys))
    return respond(f"[{rows}]".encode())


@pytest.mark.parametrize(
    ("pages", "keys", "skipped"),
    [
        ([page(4, "NaN", 2), page(1), page()], [1, 2, 4], 1),
        ([page(4, 2, "NaN"), page("NaN", 1), page()], [1, 2, 4], 1),
        ([page(4, 2, "NaN"), page("NaN")], [2, 4], 1),
        ([page(9, "NaN", "[]"), page("NaN", "[]", 1), page()], [1, 9], 2),
    ],
)
async def test_row_without_a_readable_key_at_the_end_of_a_page_hides_no_other(
    pages: list[Answer], keys: list[int], skipped: int
) -> None:
    async with serving(*pages) as script, make_session(TLSSettings()) as session:
        settings = resolved(script.url, "key", page_rows=3)
        meter = Telemetry().meter("system")
        client = connect(settings, session, meter, FakeClock(hurried=True))

        found = await VergeOSSource(client, settings.tables, page_rows=3).read("vms")

    assert [vm.key for vm in found.rows] == keys
    assert found.skipped == skipped
