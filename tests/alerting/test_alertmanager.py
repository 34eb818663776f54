"""Real Alertmanagers: what they are told, what they are told again, and what they say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from exporter.alerting.alerting import FILE, Alerting
from exporter.alerting.config import Access
from exporter.model import SystemReport
from exporter.recovery.model.ports import VMLocation
from tests.alerting.real_alertmanager import (
    REAL,
    Real,
    alertmanagers,
    equal,
    eventually,
    free_port,
    locked_alertmanager,
    start,
)
from tests.alerting.samples import STARTING, RecordingMeter, done, recovery, report, vm, with_vm
from tests.web.conftest import Certificates, certificates

__all__ = ["certificates"]

WELL = report()
REFUSED = report(authenticated=False)
WEB = VMLocation(1, "web-01", "node1", "Workloads")
HASTE = AlertmanagerSettings(
    post_every_seconds=0.3,
    look_every_seconds=0.05,
    silences_every_seconds=0.1,
    after_silence_seconds=0.5,
    timeout_seconds=2.0,
    runbooks="https://docs.example/runbooks",
)


class Site:
    """A daemon's alerting at work, and what it gets to see."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.meter = RecordingMeter()
        self.alerting = Alerting(plan, folder, REAL, self.meter)
        self.reports: Sequence[SystemReport] = (WELL,)

    @property
    def held(self) -> str:
        silences = self.alerting.silences_of(lambda: "production")
        assert silences is not None
        return silences.holding(WEB)


@asynccontextmanager
async def at_work(plan: Plan, folder: Path, *reports: SystemReport) -> AsyncIterator[Site]:
    site = Site(plan, folder)
    site.reports = reports or site.reports
    task = asyncio.create_task(site.alerting.run(lambda: site.reports))
    try:
        yield site
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


def plan_for(*reals: Real, **changed: Any) -> Plan:
    return HASTE._replace(urls=tuple(one.url for one in reals), **changed)


async def shows(real: Real, *names: str) -> bool:
    return sorted(await real.alerts()) == sorted(names)


async def test_what_is_so_is_told_and_that_it_is_over_too(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        at_work(plan_for(real), tmp_path / "state") as site,
    ):
        await eventually(lambda: site.meter.posts[real.url, "ok"] > 1)
        assert await shows(real)

        site.reports = (report(recovery=recovery(vms=(vm(1, "quarantined"),))), REFUSED)

        await eventually(
            lambda: shows(real, "VergeAuthenticationFailed", "VergeRecoveryQuarantined web-01")
        )
        told = (await real.alerts())["VergeRecoveryQuarantined web-01"]
        assert told["labels"] == {
            "alertname": "VergeRecoveryQuarantined", "severity": "critical", "layer": "recovery",
            "source": "vergewatch", "system_name": "production", "vm_id": "1", "vm_name": "web-01",
        }  # fmt: skip
        assert told["annotations"]["runbook_url"].endswith("/VergeRecoveryQuarantined.md")
        site.reports = (WELL,)
        await eventually(lambda: shows(real))
        assert site.meter.up == {real.url: True}
        assert site.meter.alerts == {real.url: 0}


async def test_an_alert_lives_as_long_as_it_is_repeated_and_no_longer(tmp_path: Path) -> None:
    async with alertmanagers(tmp_path) as (real,):
        async with at_work(plan_for(real), tmp_path / "state", REFUSED):
            await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
            began = (await real.alerts())["VergeAuthenticationFailed"]["startsAt"]
            await REAL.sleep(1.5)  # longer than it would live
            assert (await real.alerts())["VergeAuthenticationFailed"]["startsAt"] == began

        await eventually(lambda: shows(real))


async def test_each_alertmanager_gets_each_alert_and_one_that_is_down_gets_it_later(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with alertmanagers(tmp_path, 2) as (one, other):
        dead = Real(f"http://127.0.0.1:{port}", one.process, one.http)
        plan = plan_for(one, dead, other)
        async with at_work(plan, tmp_path / "state", REFUSED) as site:
            await eventually(lambda: shows(one, "VergeAuthenticationFailed"))
            await eventually(lambda: shows(other, "VergeAuthenticationFailed"))
            await eventually(lambda: site.meter.posts[dead.url, "unreachable"] > 1)
            assert site.meter.up == {one.url: True, other.url: True, dead.url: False}

            late = await start(tmp_path / "late", one.http, port)
            try:
                await eventually(lambda: shows(late, "VergeAuthenticationFailed"))
                await eventually(lambda: site.meter.up[late.url])
                site.reports = (WELL,)
                for each in (one, other, late):
                    await eventually(lambda real=each: shows(real))  # type: ignore[misc]
            finally:
                await late.stop()


async def test_an_alertmanager_that_forgot_everything_is_told_again(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        at_work(plan_for(real), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
        await real.stop()
        port = int(real.url.rpartition(":")[2])
        again = await start(tmp_path / "again", real.http, port)
        try:
            await eventually(lambda: shows(again, "VergeAuthenticationFailed"))
        finally:
            await again.stop()


async def test_a_restart_loses_no_alert_and_ends_what_is_over(tmp_path: Path) -> None:
    before = report(
        authenticated=False,
        recovery=recovery(vms=(vm(1, "quarantined"), vm(2, "backoff")),
                          last_actions=(done(2, "failed"),)),
    )  # fmt: skip
    everything = (
        "VergeAuthenticationFailed", "VergeRecoveryFailed web-02", "VergeRecoveryQuarantined web-01",
    )  # fmt: skip
    lasting = {"post_every_seconds": 2.0}
    async with alertmanagers(tmp_path) as (real,):
        async with at_work(plan_for(real, **lasting), tmp_path / "state", before):
            await eventually(lambda: shows(real, *everything))
            began = {name: one["startsAt"] for name, one in (await real.alerts()).items()}
            await eventually((tmp_path / "state" / FILE).exists)

        async with at_work(plan_for(real, **lasting), tmp_path / "state", STARTING) as site:
            await eventually(lambda: site.meter.posts[real.url, "ok"] > 0)
            assert {name: one["startsAt"] for name, one in (await real.alerts()).items()} == began
            site.reports = (with_vm("quarantined"),)
            await eventually(lambda: shows(real, "VergeRecoveryQuarantined web-01"))


async def test_that_it_is_over_is_told_by_the_next_process_if_this_one_could_not(
    tmp_path: Path,
) -> None:
    lasting = {"post_every_seconds": 60.0}  # so that nothing is over by itself
    async with alertmanagers(tmp_path) as (real,):
        async with at_work(plan_for(real, **lasting), tmp_path / "state", REFUSED):
            await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
            await eventually((tmp_path / "state" / FILE).exists)
        nowhere = HASTE._replace(urls=("http://127.0.0.1:1",))
        async with at_work(nowhere, tmp_path / "state") as site:
            await eventually(lambda: site.alerting.roll.entries and not site.alerting.roll.firing)
            await eventually(lambda: b"endsAt" not in (tmp_path / "state" / FILE).read_bytes())
            await REAL.sleep(0.1)
        assert await shows(real, "VergeAuthenticationFailed")

        async with at_work(plan_for(real, **lasting), tmp_path / "state"):
            await eventually(lambda: shows(real))


NAIVE = b"""[{"alert": {"url": "", "name": "VergeSystemDataStale", "labels": {}, "annotations": {}},
 "starts_at": "2026-01-01T00:00:00"}]"""


@pytest.mark.parametrize("left", [b"", b"{", b"[{}]", b"\xff", b"[1]", b'{"a": 1}', NAIVE])
async def test_a_file_that_cannot_be_read_is_told_of_and_done_without(
    tmp_path: Path, left: bytes
) -> None:
    (tmp_path / FILE).write_bytes(left)
    with structlog.testing.capture_logs() as logs:
        async with at_work(HASTE._replace(urls=("http://127.0.0.1:1",)), tmp_path) as site:
            await eventually(lambda: site.meter.posts)

    assert [one["event"] for one in logs].count("alerts.forgotten") == 1


async def test_a_file_that_somebody_wrote_by_hand_ends_nobody(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(NAIVE.replace(b"00:00:00", b"00:00:00Z"))
    async with alertmanagers(tmp_path) as (real,):
        nameless = report(identity=None, up=False)
        async with at_work(plan_for(real), tmp_path, nameless) as site:
            await eventually(lambda: site.meter.posts)
            site.reports = (WELL,)
            await eventually(lambda: not site.alerting.roll.firing)


async def test_a_directory_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with (
        alertmanagers(tmp_path) as (real,),
        at_work(plan_for(real), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(real, "VergeAuthenticationFailed"))


async def test_a_silence_holds_and_lets_go(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path, 2) as (one, other),
        at_work(plan_for(one, other), tmp_path / "state") as site,
    ):
        await eventually(lambda: len(site.meter.silences) == 2)
        assert not site.held
        status, silence = await other.silence([equal("vm_name", "web-01")])
        assert status == 200

        await eventually(lambda: site.held)
        assert site.held.startswith("it is silenced by alice until 2")
        assert site.held.endswith(f"UTC: a new disk (silence {silence})")
        assert site.meter.silences == {one.url: 0, other.url: 1}

        await other.expire(silence)

        await eventually(lambda: site.held.startswith("the silence of alice ended"))
        await eventually(lambda: not site.held)


async def test_a_silence_that_ends_by_itself_lets_go_without_being_read(tmp_path: Path) -> None:
    async with alertmanagers(tmp_path) as (real,):
        await real.silence([equal("node", "node1")], seconds=2.5)
        plan = plan_for(real, silences_every_seconds=60.0)
        async with at_work(plan, tmp_path / "state") as site:
            await eventually(lambda: "it is silenced by alice" in site.held)
            await eventually(lambda: "the silence of alice ended" in site.held)
            await eventually(lambda: not site.held)


async def test_what_one_silenced_still_counts_when_it_is_down(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        at_work(plan_for(real, timeout_seconds=0.3), tmp_path / "state") as site,
    ):
        await real.silence([equal("vm_id", "1")])
        await eventually(lambda: site.held)

        await real.stop()

        await eventually(lambda: not site.meter.known[real.url])
        assert site.held.startswith("it is silenced by alice")


@pytest.mark.parametrize("hold", [True, False])
async def test_where_nobody_knows_what_is_silenced_the_settings_say_what_to_do(
    tmp_path: Path, hold: bool
) -> None:
    dead = "http://127.0.0.1:1"
    async with alertmanagers(tmp_path) as (real,):
        plan = plan_for(real, hold_when_unknown=hold)
        plan = plan._replace(urls=(real.url, dead))
        async with at_work(plan, tmp_path / "state") as site:
            await eventually(lambda: site.meter.known == {real.url: True, dead: False})

            assert bool(site.held) is hold
            if hold:
                assert dead in site.held
                assert "cannot connect" in site.held


async def test_who_does_not_listen_is_not_held_and_who_does_not_tell_tells_nothing(
    tmp_path: Path,
) -> None:
    async with alertmanagers(tmp_path) as (real,):
        deaf = Alerting(plan_for(real, silences=False), tmp_path, REAL, RecordingMeter())
        assert deaf.silences_of(lambda: "production") is None
        async with at_work(plan_for(real, post=False), tmp_path / "state", REFUSED) as site:
            await eventually(lambda: site.meter.silences)
            await REAL.sleep(0.2)
            assert await shows(real)
    assert not (tmp_path / "state").exists()


async def test_without_an_alertmanager_there_is_nothing_to_do(tmp_path: Path) -> None:
    await Alerting(AlertmanagerSettings(), tmp_path, REAL, RecordingMeter()).run(lambda: (REFUSED,))

    assert not (tmp_path / FILE).exists()


PASSWORD = "correct horse battery staple"


async def test_gets_in_with_tls_and_a_password_that_is_read_anew_when_it_changes(
    tmp_path: Path, certificates: Certificates
) -> None:
    chain, secret = certificates.server, tmp_path / "password"
    secret.write_text("not yet\n")
    with structlog.testing.capture_logs() as logs:
        async with locked_alertmanager(tmp_path / "am", chain.cert, chain.key, PASSWORD) as real:
            access = Access(username="vergewatch", password_file=secret, ca_file=chain.cert)
            async with at_work(plan_for(real, access=access), tmp_path / "s", REFUSED) as site:
                await eventually(lambda: site.meter.posts[real.url, "unauthorized"])
                assert not site.meter.up[real.url]

                secret.write_text(f"{PASSWORD}\n")

                await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
                await eventually(lambda: site.meter.known == {real.url: True})
                secret.unlink()
                await eventually(lambda: not site.meter.up[real.url])
                secret.write_text(PASSWORD)
            untrusted = Access(username="vergewatch", password=SecretStr(PASSWORD))
            async with at_work(plan_for(real, access=untrusted), tmp_path / "s") as site:
                await eventually(lambda: site.meter.posts[real.url, "unreachable"])
            trusting = Access(username="vergewatch", password=SecretStr(PASSWORD), verify=False)
            async with at_work(plan_for(real, access=trusting), tmp_path / "s") as site:
                await eventually(lambda: site.meter.posts[real.url, "ok"])

    said = str(logs)
    assert "check the password" in said
    assert "its certificate is not trusted" in said
    assert PASSWORD not in said
    assert "Basic" not in said
    assert PASSWORD not in repr(access) + repr(untrusted)


async def test_the_day_it_began_is_the_same_for_all(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path, 2) as (one, other),
        at_work(plan_for(one, other), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(one, "VergeAuthenticationFailed"))
        await eventually(lambda: shows(other, "VergeAuthenticationFailed"))

        began = {
            datetime.fromisoformat((await real.alerts())["VergeAuthenticationFailed"]["startsAt"])
            for real in (one, other)
        }

        assert len(began) == 1
