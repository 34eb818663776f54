"""Two daemons with one key and one journal on PostgreSQL: one polls everything, until it ends."""

from collections.abc import Mapping
from pathlib import Path

from tests.daemon_process import HASTE, Page, pointing_at, running, simulating
from tests.forking import bare_environment, told
from tests.postgres import Postgres

STANDBY = {"identity", "vms", "machine_status"}


def tables(page: Page) -> set[str]:
    series = page.samples.get("vergewatch_table_interval_seconds", {})
    return {dict(labels)["table"] for labels in series} | {"identity"}


async def check(env: Mapping[str, str]) -> str:
    """Return what `vergewatch check` writes."""
    environ = {**bare_environment(), "COLUMNS": "200", **HASTE, **env}
    code, output = await told("check", env=environ)
    assert code == 0, output
    return output


async def test_standby_polls_little_until_it_leads(tmp_path: Path, postgres: Postgres) -> None:
    place = postgres.new_database()
    async with simulating() as system:

        def settings(name: str) -> dict[str, str]:
            return {
                **pointing_at(system),
                "VERGEWATCH_RECOVERY__MODE": "shadow",
                "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / name),
                "VERGEWATCH_JOURNAL__URL": place.url,
                "VERGEWATCH_JOURNAL__REPLICA": name,
            }

        assert "has no tables yet" in await check(settings("c"))
        async with running(settings("a")) as first:
            await first.page_where(lambda page: page.get("vergewatch_recovery_leader") == [1.0])
            async with running(settings("b")) as second:
                standby = await second.page_where(lambda page: page.get("vergewatch_up") == [1])
                assert tables(standby) == STANDBY
                assert standby.get("vergewatch_recovery_leader") == [0.0]
                assert len(tables(await first.page())) > len(STANDBY) * 5
                status, why = await second.get("/sd/guests")
                assert (status, "is a standby" in why) == (503, True)

                assert "2 replicas with the same key (a, b)" in await check(settings("c"))

                await first.end()
                await second.page_where(lambda page: len(tables(page)) > len(STANDBY) * 5)
                await second.page_where(
                    lambda page: page.get("vergewatch_recovery_leader") == [1.0]
                )
