"""Tables read from a simulated VergeOS, whole and page by page."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stamina
from pydantic import SecretStr

from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, table_schedules
from exporter.daemon.clients import connect, make_session
from exporter.errors import BadReplyError, ConfigError, UnauthorizedError, UnreachableError
from exporter.polling.schedule import requests_per_hour
from exporter.simulator import Simulator, found_world
from exporter.simulator.world.machines import Member
from exporter.telemetry import Telemetry
from exporter.vergeos.source import IDENTITY, VergeOSSource
from exporter.vergeos.tables import TABLES, TAG_MEMBERS
from tests.fakes import START, FakeClock

NAMES = [table.name for table in (*TABLES, TAG_MEMBERS)]


@asynccontextmanager
async def reading(page_rows: int = 0) -> AsyncIterator[tuple[VergeOSSource, Simulator]]:
    clock = FakeClock(hurried=True)
    world = found_world(seed=1, vms=20, start=START.timestamp())
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = ResolvedSystem(
            SystemSettings(url=system.url, api_key=SecretStr(system.api_key)),
            PollSettings(),
            APISettings(page_rows=page_rows),
        )
        client = connect(settings, session, Telemetry().meter("cloud"), clock)
        yield VergeOSSource(client, page_rows=page_rows), system


async def test_every_table_is_one_request_whatever_its_size() -> None:
    async with reading() as (source, system):
        for name in NAMES:
            assert (await source.read(name)).skipped == 0

        assert len(system.requests) == len(NAMES)


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
        world.items[9999] = Member(9999, tag, "nodes/1")
        told = (await source.read("tags")).rows
        original = source._client.read

        async def unfiltered(path: str, query: Mapping[str, str], *, endpoint: str) -> bytes:
            return await original(path, {"fields": query["fields"]}, endpoint=endpoint)

        source._client.read = unfiltered  # type: ignore[assignment]
        reading_of_all = await source.read("tags")

        assert told == reading_of_all.rows
        assert told == {vm.key: world.tags_of(vm) for vm in world.live_vms() if world.tags_of(vm)}
        assert reading_of_all.skipped == 0


def test_tags_are_on_the_schedule_only_where_they_are_wanted() -> None:
    plain, tagged = table_schedules(PollSettings()), table_schedules(PollSettings(), tags=True)

    assert requests_per_hour(plain) == 698
    assert tagged[: len(plain)] == plain
    (extra,) = tagged[len(plain) :]
    assert (extra.table, extra.every_seconds, extra.phase_seconds) == ("tags", 60, 40)


async def test_says_which_cloud_it_is() -> None:
    async with reading() as (source, system):
        identity = (await source.read(IDENTITY)).rows

        assert identity.cloud_name == system.world.cloud_name
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
