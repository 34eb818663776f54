"""Alerting with real Alertmanagers: posts, restarts, silences, TLS and passwords."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from exporter.alerting.alerting import FILE, Alerting
from exporter.alerting.config import AlertmanagerSettings
from exporter.model import SystemReport
from exporter.recovery.model.ports import VMLocation
from tests.alerting.real_alertmanager import (
    REAL,
    Real,
    alertmanagers,
    equal,
    eventually,
    locked_alertmanager,
    start,
)
from tests.alerting.samples import (
    STARTING,
    RecordingMeter,
    last_action,
    recovery,
    report,
    vm,
    with_vm,
)
from tests.real_prometheus import free_port
from tests.web.conftest import Certificates, certificates

__all__ = ["certificates"]

HEALTHY = report()
REFUSED = report(authenticated=False)
WEB = VMLocation(1, "web-01", "node1", "Workloads")
FAST: dict[str, Any] = {
    "post_every_seconds": 0.3,
    "evaluate_every_seconds": 0.05,
    "silences_every_seconds": 0.1,
    "after_silence_seconds": 0.5,
    "timeout_seconds": 2.0,
    "runbooks": "https://docs.example/runbooks",
}


class Running:
    """The alerting of a daemon, and the reports that it evaluates."""

    def __init__(self, settings: AlertmanagerSettings, folder: Path) -> None:
        self.meter = RecordingMeter()
        self.alerting = Alerting(settings, folder, REAL, self.meter)
        self.reports: Sequence[SystemReport] = (HEALTHY,)

    @property
    def held(self) -> str:
        silences = self.alerting.silences_of(lambda: ["production"])
        assert silences is not None
        return silences.holding(WEB)


@asynccontextmanager
async def running(
    settings: AlertmanagerSettings, folder: Path, *reports: SystemReport
) -> AsyncIterator[Running]:
    daemon = Running(settings, folder)
    daemon.reports = reports or daemon.reports
    task = asyncio.create_task(daemon.alerting.run(lambda: daemon.reports))
    try:
        yield daemon
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


def settings_for(*reals: Real, **more: Any) -> AlertmanagerSettings:
    return settings_for_urls(*(one.url for one in reals), **more)


def settings_for_urls(*urls: str, **more: Any) -> AlertmanagerSettings:
    return AlertmanagerSettings.model_validate({**FAST, "urls": urls, **more})


async def shows(real: Real, *names: str) -> bool:
    return sorted(await real.alerts()) == sorted(names)


async def test_alert_is_posted_and_resolved(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        running(settings_for(real), tmp_path / "state") as daemon,
    ):
        await eventually(lambda: daemon.meter.posts[real.url, "ok"] > 1)
        assert await shows(real)

        daemon.reports = (report(recovery=recovery(vms=(vm(1, "quarantined"),))), REFUSED)

        await eventually(
            lambda: shows(real, "VergeAuthenticationFailed", "VergeRecoveryQuarantined web-01")
        )
        posted = (await real.alerts())["VergeRecoveryQuarantined web-01"]
        assert posted["labels"] == {
            "alertname": "VergeRecoveryQuarantined", "severity": "critical", "layer": "recovery",
            "system_name": "production", "vm_id": "1", "vm_name": "web-01",
        }  # fmt: skip
        assert posted["annotations"]["runbook_url"].endswith("/VergeRecoveryQuarantined.md")
        daemon.reports = (HEALTHY,)
        await eventually(lambda: shows(real))
        assert daemon.meter.up == {real.url: True}
        assert daemon.meter.alerts == {real.url: 0}


async def test_alert_that_the_rules_still_have_goes_on_when_the_daemon_resolves_it(
    tmp_path: Path,
) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        running(settings_for(real), tmp_path / "state", REFUSED) as daemon,
    ):
        await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
        labels = (await real.alerts())["VergeAuthenticationFailed"]["labels"]
        later = (REAL.now() + timedelta(hours=1)).isoformat()
        body = [{"labels": labels, "endsAt": later}]
        async with real.http.post(f"{real.url}/api/v2/alerts", json=body) as response:
            assert response.status == 200

        daemon.reports = (HEALTHY,)

        await eventually(lambda: daemon.meter.alerts == {real.url: 0})
        await REAL.sleep(1.5)  # longer than the daemon's own would live
        assert await shows(real, "VergeAuthenticationFailed")


async def test_alert_fires_while_it_is_posted_and_expires_when_the_daemon_stops(
    tmp_path: Path,
) -> None:
    async with alertmanagers(tmp_path) as (real,):
        async with running(settings_for(real), tmp_path / "state", REFUSED):
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
        settings = settings_for(one, dead, other)
        async with running(settings, tmp_path / "state", REFUSED) as daemon:
            await eventually(lambda: shows(one, "VergeAuthenticationFailed"))
            await eventually(lambda: shows(other, "VergeAuthenticationFailed"))
            await eventually(lambda: daemon.meter.posts[dead.url, "unreachable"] > 1)
            assert daemon.meter.up == {one.url: True, other.url: True, dead.url: False}

            late = await start(tmp_path / "late", one.http, port)
            try:
                await eventually(lambda: shows(late, "VergeAuthenticationFailed"))
                await eventually(lambda: daemon.meter.up[late.url])
                daemon.reports = (HEALTHY,)
                for each in (one, other, late):
                    await eventually(lambda real=each: shows(real))  # type: ignore[misc]
            finally:
                await late.stop()


async def test_restarted_alertmanager_without_its_data_gets_the_alerts_again(
    tmp_path: Path,
) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        running(settings_for(real), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
        await real.stop()
        port = int(real.url.rpartition(":")[2])
        again = await start(tmp_path / "again", real.http, port)
        try:
            await eventually(lambda: shows(again, "VergeAuthenticationFailed"))
        finally:
            await again.stop()


async def test_restart_of_the_daemon_keeps_firing_alerts_and_resolves_the_others(
    tmp_path: Path,
) -> None:
    before = report(
        authenticated=False,
        recovery=recovery(vms=(vm(1, "quarantined"), vm(2, "backoff")),
                          last_actions=(last_action(2, "failed"),)),
    )  # fmt: skip
    everything = (
        "VergeAuthenticationFailed",
        "VergeRecoveryFailed web-02",
        "VergeRecoveryQuarantined web-01",
    )
    lasting = {"post_every_seconds": 2.0}
    async with alertmanagers(tmp_path) as (real,):
        async with running(settings_for(real, **lasting), tmp_path / "state", before):
            await eventually(lambda: shows(real, *everything))
            began = {name: one["startsAt"] for name, one in (await real.alerts()).items()}
            await eventually((tmp_path / "state" / FILE).exists)

        async with running(settings_for(real, **lasting), tmp_path / "state", STARTING) as daemon:
            await eventually(lambda: daemon.meter.posts[real.url, "ok"] > 0)
            assert {name: one["startsAt"] for name, one in (await real.alerts()).items()} == began
            daemon.reports = (with_vm("quarantined"),)
            await eventually(lambda: shows(real, "VergeRecoveryQuarantined web-01"))


NO_TIME_ZONE = b"""[{"alert": {"url": "", "name": "VergeSystemDataStale", "labels": {},
 "annotations": {}}, "starts_at": "2026-01-01T00:00:00"}]"""


@pytest.mark.parametrize("left", [b"", b"{", b"[{}]", b"\xff", b"[1]", b'{"a": 1}', NO_TIME_ZONE])
async def test_unreadable_file_is_logged_and_ignored(tmp_path: Path, left: bytes) -> None:
    (tmp_path / FILE).write_bytes(left)
    with structlog.testing.capture_logs() as logs:
        async with running(settings_for_urls("http://127.0.0.1:1"), tmp_path) as daemon:
            await eventually(lambda: daemon.meter.posts)

    assert [one["event"] for one in logs].count("alerts.load_failed") == 1


async def test_alert_without_labels_in_the_file_is_posted_and_resolved(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(NO_TIME_ZONE.replace(b"00:00:00", b"00:00:00Z"))
    async with alertmanagers(tmp_path) as (real,):
        nameless = report(identity=None, up=False, named=False)
        async with running(settings_for(real), tmp_path, nameless) as daemon:
            await eventually(lambda: daemon.meter.posts)
            daemon.reports = (HEALTHY,)
            await eventually(lambda: not daemon.alerting.store.firing)


async def test_alerts_are_posted_if_the_directory_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with (
        alertmanagers(tmp_path) as (real,),
        running(settings_for(real), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(real, "VergeAuthenticationFailed"))


async def test_silence_holds_a_vm_until_some_time_after_it_expires(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path, 2) as (one, other),
        running(settings_for(one, other), tmp_path / "state") as daemon,
    ):
        await eventually(lambda: len(daemon.meter.silences) == 2)
        assert not daemon.held
        status, silence = await other.silence([equal("vm_name", "web-01")])
        assert status == 200

        await eventually(lambda: daemon.held)
        assert daemon.held.startswith("it is silenced by alice until 2")
        assert daemon.held.endswith(f"UTC: a new disk (silence {silence})")
        assert daemon.meter.silences == {one.url: 0, other.url: 1}

        await other.expire(silence)

        await eventually(lambda: daemon.held.startswith("the silence of alice ended"))
        await eventually(lambda: not daemon.held)


async def test_silence_that_ends_stops_holding_without_another_poll(tmp_path: Path) -> None:
    async with alertmanagers(tmp_path) as (real,):
        await real.silence([equal("node_name", "node1")], seconds=2.5)
        settings = settings_for(real, silences_every_seconds=60.0)
        async with running(settings, tmp_path / "state") as daemon:
            await eventually(lambda: "it is silenced by alice" in daemon.held)
            await eventually(lambda: "the silence of alice ended" in daemon.held)
            await eventually(lambda: not daemon.held)


async def test_silence_of_an_alertmanager_that_is_down_still_holds(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path) as (real,),
        running(settings_for(real, timeout_seconds=0.3), tmp_path / "state") as daemon,
    ):
        await real.silence([equal("vm_id", "1")])
        await eventually(lambda: daemon.held)

        await real.stop()

        await eventually(lambda: not daemon.meter.known[real.url])
        assert daemon.held.startswith("it is silenced by alice")


@pytest.mark.parametrize("hold", [True, False])
async def test_unreachable_alertmanager_holds_vms_only_if_configured(
    tmp_path: Path, hold: bool
) -> None:
    dead = "http://127.0.0.1:1"
    async with alertmanagers(tmp_path) as (real,):
        unreachable = "hold" if hold else "go_on"
        settings = settings_for_urls(real.url, dead, unreachable=unreachable)
        async with running(settings, tmp_path / "state") as daemon:
            await eventually(lambda: daemon.meter.known == {real.url: True, dead: False})

            assert bool(daemon.held) is hold
            if hold:
                assert dead in daemon.held
                assert "cannot connect" in daemon.held


async def test_neither_polls_silences_nor_posts_alerts_when_switched_off(
    tmp_path: Path,
) -> None:
    async with alertmanagers(tmp_path) as (real,):
        without_silences = Alerting(
            settings_for(real, silences=False), tmp_path, REAL, RecordingMeter()
        )
        assert not without_silences.pollers
        assert without_silences.silences_of(lambda: ["production"]).unknown == ""
        async with running(settings_for(real, post=False), tmp_path / "state", REFUSED) as daemon:
            await eventually(lambda: daemon.meter.silences)
            await REAL.sleep(0.2)
            assert await shows(real)
    assert not (tmp_path / "state").exists()


async def test_runs_nothing_without_an_alertmanager(tmp_path: Path) -> None:
    alerting = Alerting(AlertmanagerSettings(), tmp_path, REAL, RecordingMeter())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await alerting.run(lambda: (REFUSED,))

    assert not (tmp_path / FILE).exists()


PASSWORD = "correct horse battery staple"


async def test_tls_and_a_password_file_that_changes(
    tmp_path: Path, certificates: Certificates
) -> None:
    chain, secret = certificates.server, tmp_path / "password"
    secret.write_text("not yet\n")
    with structlog.testing.capture_logs() as logs:
        async with locked_alertmanager(tmp_path / "am", chain.cert, chain.key, PASSWORD) as real:
            login = {"username": "vergewatch", "password_file": secret, "ca_file": chain.cert}
            async with running(settings_for(real, **login), tmp_path / "s", REFUSED) as daemon:
                await eventually(lambda: daemon.meter.posts[real.url, "unauthorized"])
                assert not daemon.meter.up[real.url]

                secret.write_text(f"{PASSWORD}\n")

                await eventually(lambda: shows(real, "VergeAuthenticationFailed"))
                await eventually(lambda: daemon.meter.known == {real.url: True})
                secret.unlink()
                await eventually(lambda: not daemon.meter.up[real.url])
                secret.write_text(PASSWORD)
            login = {"username": "vergewatch", "password": SecretStr(PASSWORD)}
            untrusting = settings_for(real, **login)
            async with running(untrusting, tmp_path / "s") as daemon:
                await eventually(lambda: daemon.meter.posts[real.url, "unreachable"])
            async with running(settings_for(real, **login, verify=False), tmp_path / "s") as daemon:
                await eventually(lambda: daemon.meter.posts[real.url, "ok"])

    text = str(logs)
    assert "check the password" in text
    assert "is not trusted" in text
    assert "alertmanager.ca_file" in text
    assert PASSWORD not in text
    assert "Basic" not in text
    assert PASSWORD not in repr(untrusting)


async def test_alert_starts_at_the_same_time_in_every_alertmanager(tmp_path: Path) -> None:
    async with (
        alertmanagers(tmp_path, 2) as (one, other),
        running(settings_for(one, other), tmp_path / "state", REFUSED),
    ):
        await eventually(lambda: shows(one, "VergeAuthenticationFailed"))
        await eventually(lambda: shows(other, "VergeAuthenticationFailed"))

        began = {
            datetime.fromisoformat((await real.alerts())["VergeAuthenticationFailed"]["startsAt"])
            for real in (one, other)
        }

        assert len(began) == 1
