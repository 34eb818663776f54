"""Alertmanagers that change while the daemon runs, and silences that hold through the change."""

import asyncio
import ssl
from pathlib import Path

import pytest

from exporter.alerting.alerting import Alerting
from exporter.alerting.alertmanager import make_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.silences import SilencesResponse, decode_silences
from exporter.errors import ConfigError
from exporter.inputs.live_file import FileWatch
from exporter.prometheus.client import make_session as make_prometheus_session
from exporter.prometheus.config import ConfirmationSettings
from exporter.recovery.model.ports import VMLocation
from tests.alerting.samples import RecordingMeter
from tests.daemon.test_daemon import self_signed
from tests.fakes import START, FakeClock

VM = VMLocation(vm_key=1, vm_name="web-01", node="node1", cluster="one")
SILENCE = b"""[{"id": "1", "status": {"state": "active"}, "comment": "c", "createdBy": "anna",
"startsAt": "2025-12-31T00:00:00Z", "endsAt": "2026-01-02T00:00:00Z", "updatedAt":
"2025-12-31T00:00:00Z", "matchers": [{"name": "vm_name", "value": "web-01", "isRegex": false,
"isEqual": true}]}]"""


def answered(body: bytes) -> SilencesResponse:
    silences, invalid = decode_silences(body)
    return SilencesResponse(silences, invalid, START, 0.0)


def settings(*urls: str, **more: object) -> AlertmanagerSettings:
    return AlertmanagerSettings.model_validate({"urls": urls, **more})


def alerting_with_silence(folder: Path) -> Alerting:
    alerting = Alerting(settings("http://old:9093"), folder, FakeClock(), RecordingMeter())
    alerting.pollers[0].accept(answered(SILENCE))
    return alerting


def put_in_force(alerting: Alerting, wanted: AlertmanagerSettings) -> None:
    alerting.apply(wanted, alerting.check(wanted))


def held(alerting: Alerting) -> str:
    return alerting.silences_of(lambda: ["production"]).holding(VM)


def test_silence_of_a_moved_alertmanager_holds_until_the_new_one_has_answered(
    tmp_path: Path,
) -> None:
    alerting = alerting_with_silence(tmp_path)
    put_in_force(alerting, settings("http://new:9093", "http://other:9093"))
    assert "anna" in held(alerting)
    alerting.pollers[0].accept(answered(b"[]"))
    assert "anna" in held(alerting)
    alerting.pollers[1].accept(answered(b"[]"))
    assert held(alerting) == ""


def test_silence_of_an_alertmanager_that_stays_is_kept(tmp_path: Path) -> None:
    alerting = alerting_with_silence(tmp_path)
    put_in_force(alerting, settings("http://old:9093", timeout_seconds=3))
    assert "anna" in held(alerting)
    put_in_force(alerting, settings("http://old:9093", "http://added:9093"))
    alerting.pollers[1].accept(answered(b"[]"))
    assert "anna" in held(alerting)


@pytest.mark.parametrize("after", [{"urls": ()}, {"urls": ["http://old:9093"], "silences": False}])
def test_silences_end_where_the_settings_read_none(
    tmp_path: Path, after: dict[str, object]
) -> None:
    alerting = alerting_with_silence(tmp_path)
    put_in_force(alerting, AlertmanagerSettings.model_validate(after))
    assert held(alerting) == ""


async def test_added_alertmanager_is_asked_at_once(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        writer.close()
        asked.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        alerting = Alerting(AlertmanagerSettings(), tmp_path, FakeClock(), RecordingMeter())
        running = asyncio.create_task(alerting.run(lambda: ()))
        await asyncio.sleep(0)  # noqa: TID251 - a turn for the others
        put_in_force(alerting, settings(f"http://{host}:{port}"))
        async with asyncio.timeout(5):
            await asked.wait()
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.parametrize("kind", ["alertmanager", "prometheus"])
async def test_renewed_ca_is_used_at_the_next_connection(tmp_path: Path, kind: str) -> None:
    certificates = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        certificates.append(self_signed(tmp_path / name)[0])
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(certificates[0].read_text())
    watch = FileWatch(FakeClock(), lambda _: None)
    if kind == "alertmanager":
        session = make_session(settings("https://a:9093", ca_file=str(ca_file)), watch)
    else:
        confirm = {"url": "https://p:9090", "query": 'up{vm="{{vm}}"}[{{window}}]'}
        wanted = ConfirmationSettings.model_validate({**confirm, "ca_file": str(ca_file)})
        session = make_prometheus_session(wanted, watch)
    connector = session.connector
    assert connector is not None
    context = connector._ssl  # type: ignore[attr-defined]

    def trusted() -> set[bytes]:
        return set(context.current().get_ca_certs(binary_form=True))

    def der(path: Path) -> bytes:
        return ssl.PEM_cert_to_DER_cert(path.read_text())

    assert der(certificates[0]) in trusted()
    ca_file.write_text("half a certificate")
    watch.check()
    assert "holds no certificate" in watch.problems[0]
    assert der(certificates[0]) in trusted()
    ca_file.write_text(certificates[1].read_text())
    assert der(certificates[1]) in trusted()
    assert der(certificates[0]) not in trusted()
    watch.check()
    assert not watch.problems
    await session.close()


def test_invalid_ca_file_is_found_before_anything_changes(tmp_path: Path) -> None:
    alerting = alerting_with_silence(tmp_path)
    with pytest.raises(ConfigError, match=r"alertmanager\.ca_file"):
        alerting.check(settings("https://a:9093", ca_file=str(tmp_path / "missing")))


async def test_ca_file_that_is_replaced_during_a_reload_ends_nothing(tmp_path: Path) -> None:
    alerting = alerting_with_silence(tmp_path)
    running = asyncio.create_task(alerting.run(lambda: ()))
    await asyncio.sleep(0)  # noqa: TID251 - a turn for the others
    ca_file, _ = self_signed(tmp_path)
    wanted = settings("https://127.0.0.1:9", ca_file=str(ca_file))
    sessions = alerting.check(wanted)
    ca_file.write_text("half a certificate")

    alerting.apply(wanted, sessions)
    ended, _ = await asyncio.wait([running], timeout=0.5)

    assert not ended
    running.cancel()
    await asyncio.wait([running])
