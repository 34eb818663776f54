"""Tables read from a simulated VergeOS, whole and page by page."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stamina
from pydantic import SecretStr

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.config.settings import APISettings, Settings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import connect, make_session
from exporter.errors import BadReplyError, ConfigError, UnauthorizedError, UnreachableError
from exporter.simulator import Simulator, create_world
from exporter.simulator.world.machines import Member
from exporter.telemetry import Telemetry
from exporter.vergeos.source import IDENTITY, VergeOSSource
from tests.fakes import START, FakeClock

TABLES = tables_of(COLLECTORS)
REQUESTS = {table.request for table in TABLES}


def resolved(url: str, api_key: str, *, page_rows: int = 0) -> ResolvedSystem:
    system = SystemSettings(url=url, api_key=SecretStr(api_key))
    return resolve_systems(Settings(systems=(system,), api=APISettings(page_rows=page_rows)))[0]


@asynccontextmanager
async def reading(page_rows: int = 0) -> AsyncIterator[tuple[VergeOSSource, Simulator]]:
    clock = FakeClock(hurried=True)
    world = create_world(seed=1, vms=20, start=START.timestamp())
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = resolved(system.url, system.api_key, page_rows=page_rows)
        client = connect(settings, session, Telemetry().meter("cloud"), clock)
        yield VergeOSSource(client, settings.tables, page_rows=page_rows), system


async def test_every_table_is_one_request_whatever_its_size() -> None:
    async with reading() as (source, system):
        for table in TABLES:
            assert (await source.read(table.name)).skipped == 0

        assert len(system.requests) == len(REQUESTS) < len(TABLES)


@pytest.mark.parametrize("page_rows", [1, 7, 20, 1000])
async def test_pages_put_together_are_the_whole(page_rows: int) -> None:
    async with reading() as (whole, system), reading(page_rows) as (paged, _):
        system.world.catch_up()
        for name in ("vms", "machine_drives", "clusters", "vm_snapshots", "tags"):
            assert (await paged.read(name)).rows == (await whole.read(name)).rows


async def test_a_page_that_fails_fails_the_whole() -> None:
    with stamina.set_testing(True, attempts=1):
        async with reading(7) as (source, system):
            await source.read("vms")
            system.faults.turn_on("reset", path="vms", probability=0.5)

            with pytest.raises(UnreachableError):
                await read_often(source)


async def read_often(source: VergeOSSource) -> None:
    for _ in range(20):
        assert len((await source.read("vms")).rows) == 21


async def test_an_answer_that_is_the_last_one_again_is_the_very_same_rows() -> None:
    async with reading() as (source, system):
        first = (await source.read("vms")).rows
        again = (await source.read("vms")).rows
        system.world.renames(first[0].key, "another")
        renamed = (await source.read("vms")).rows

        assert again is first
        assert renamed is not first
        assert renamed[0].name == "another"


async def test_tags_of_vms_are_told_from_all_others_where_the_filter_is_ignored() -> None:
    async with reading() as (source, system):
        world = system.world
        tag = world.tag_named("recovery", "auto")
        world.tag_members[9999] = Member(9999, tag, "nodes/1")
        told = (await source.read("tags")).rows
        original = source._client.read

        async def unfiltered(path: str, query: Mapping[str, str], *, endpoint: str) -> bytes:
            return await original(path, {"fields": query["fields"]}, endpoint=endpoint)

        source._client.read = unfiltered  # type: ignore[assignment]
        reading_of_all = await source.read("tags")

        assert told == reading_of_all.rows
        assert told == {vm.key: world.tags_of(vm) for vm in world.live_vms() if world.tags_of(vm)}
        assert reading_of_all.skipped == 0


async def test_says_which_cloud_it_is() -> None:
    async with reading() as (source, system):
        identity = (await source.read(IDENTITY)).rows

        assert identity.cloud_name == system.world.system_name
        assert identity.version.startswith("26.")


async def test_a_cloud_that_hides_its_settings_is_read_all_the_same() -> None:
    async with reading() as (source, system):
        system.faults.turn_on("status", path="settings", code=403)

        identity = (await source.read(IDENTITY)).rows

        assert identity.cloud_name == ""
        assert identity.version.startswith("26.")


@pytest.mark.parametrize("code", [500, 503])
async def test_a_name_that_cannot_be_had_now_is_no_empty_name(code: int) -> None:
    with stamina.set_testing(True, attempts=1):
        async with reading() as (source, system):
            system.faults.turn_on("status", path="settings", code=code)

            with pytest.raises(BadReplyError):
                await source.read(IDENTITY)


async def test_a_row_that_vanishes_between_pages_hides_no_other() -> None:
    async with reading(3) as (source, system):
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


async def test_a_refused_key_is_told_by_the_first_request() -> None:
    async with reading() as (source, system):
        system.faults.turn_on("reject_key")

        with pytest.raises(UnauthorizedError):
            await source.read(IDENTITY)

        assert len(system.requests) == 1


def test_a_ca_file_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "empty.pem").write_text("nothing")

    with pytest.raises(ConfigError, match="holds no certificate"):
        make_session(TLSSettings(ca_file=folder / "empty.pem"))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        make_session(TLSSettings(ca_file=folder / "absent.pem"))
