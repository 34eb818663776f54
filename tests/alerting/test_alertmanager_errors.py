"""Failing and broken Alertmanagers: errors, logs, and no effect on the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from exporter.alerting.alerting import Alerting
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError, make_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.clock import Clock
from exporter.errors import ConfigError
from tests.alerting.real_alertmanager import REAL, eventually
from tests.alerting.samples import RecordingMeter, report
from tests.fakes import START, FakeClock
from tests.vergeos.scripted import Answer, reset_connection, respond, serving, truncated_body

SECRET = "a-secret-token"
TOKEN = SecretStr(SECRET)


def settings_for(*urls: str, **more: Any) -> AlertmanagerSettings:
    return AlertmanagerSettings(urls=urls, token=TOKEN, **more)


async def responds_late(request: web.Request) -> web.StreamResponse:
    await REAL.sleep(5.0)
    return web.Response()


async def never_ends(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 2**20)


async def echoes(request: web.Request) -> web.StreamResponse:
    return web.Response(status=400, text=str(request.headers))


BROKEN: dict[str, tuple[Answer, str]] = {
    "an HTML page": (respond(b"<html>Sign in</html>"), "bad_reply"),
    "a redirect": (
        respond(status=302, Location=f"https://elsewhere.example/{SECRET}"),
        "bad_reply",
    ),
    "401": (respond(status=401), "unauthorized"),
    "403": (respond(status=403), "unauthorized"),
    "404": (respond(status=404), "bad_reply"),
    "500": (respond(b'"it is full"', status=500), "bad_reply"),
    "an error that repeats the request": (echoes, "bad_reply"),
    "a timeout": (responds_late, "unreachable"),
    "a closed connection": (reset_connection, "unreachable"),
    "half a response": (truncated_body, "unreachable"),
}
NOT_A_LIST: dict[str, tuple[Answer, str]] = {
    "an empty body": (respond(b""), "bad_reply"),
    "an object": (respond(b"{}"), "bad_reply"),
    "half a list": (respond(b'[{"id": "x"'), "bad_reply"),
    "no UTF-8": (respond(b"\xff\xfe"), "bad_reply"),
    "deep nesting": (respond(b"[" * 100_000), "bad_reply"),
    "an endless body": (never_ends, "bad_reply"),
}


@asynccontextmanager
async def client(
    settings: AlertmanagerSettings, clock: Clock = REAL
) -> AsyncIterator[Alertmanager]:
    async with make_session(settings) as session:
        yield Alertmanager(settings.urls[0], session, settings, clock)


async def error_of(
    answer: Answer, request: Callable[[Alertmanager], Awaitable[object]]
) -> AlertmanagerError:
    patience = 0.5 if answer is responds_late else 4.5  # a busy machine answers late as well
    async with (
        serving(answer) as script,
        client(settings_for(script.url, timeout_seconds=patience)) as alertmanager,
    ):
        with pytest.raises(AlertmanagerError) as caught:
            await request(alertmanager)
        assert str(caught.value).startswith(script.url)
    return caught.value


@pytest.mark.parametrize("what", [*BROKEN, *NOT_A_LIST])
async def test_invalid_response_to_a_poll_of_silences_is_an_error(what: str) -> None:
    answer, outcome = {**BROKEN, **NOT_A_LIST}[what]

    error = await error_of(answer, lambda alertmanager: alertmanager.silences())

    assert error.outcome == outcome
    assert SECRET not in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize("what", BROKEN)
async def test_failed_post_is_an_error(what: str) -> None:
    answer, outcome = BROKEN[what]

    error = await error_of(answer, lambda alertmanager: alertmanager.post(b"[]"))

    assert error.outcome == outcome
    assert SECRET not in str(error)


async def test_requests_carry_the_credentials_and_keep_the_path_prefix() -> None:
    async with (
        serving(respond(b"[]")) as script,
        client(settings_for(f"{script.url}/prefix/")) as alertmanager,
    ):
        await alertmanager.silences()
        await alertmanager.post(b"[]")

    assert [one.path for one in script.asked] == [
        "/prefix/api/v2/silences", "/prefix/api/v2/alerts",
    ]  # fmt: skip
    assert {one.headers["Authorization"] for one in script.asked} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    "date",
    ["", "yesterday", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
     "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"],
)  # fmt: skip
async def test_response_without_a_valid_date_gets_the_time_of_our_clock(date: str) -> None:
    async with (
        serving(respond(b"[]", Date=date)) as script,
        client(settings_for(script.url), FakeClock()) as alertmanager,
    ):
        response = await alertmanager.silences()

    assert response.time == START


async def test_silence_that_cannot_be_decoded_holds_all_vms_where_unknown_silences_hold(
    tmp_path: Path,
) -> None:
    meter = RecordingMeter()
    async with serving(respond(b'[{"id": "4f0c"}]')) as script:
        settings = settings_for(script.url, silences_every_seconds=0.05, unreachable="hold")
        alerting = Alerting(settings, tmp_path, REAL, meter)
        task = asyncio.create_task(alerting.run(lambda: ()))
        await eventually(lambda: meter.up.get(script.url))
        held = alerting.silences.hold_reason({"vm_name": "web-01"})
        task.cancel()

    assert held == f"1 silence of {script.url} cannot be decoded"


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_alertmanager_does_not_affect_another_and_is_logged_once(
    tmp_path: Path, what: str
) -> None:
    answer, outcome = BROKEN[what]
    meter = RecordingMeter()
    with structlog.testing.capture_logs() as logs:
        async with serving(answer) as broken, serving(respond(b"[]")) as working:
            settings = settings_for(
                broken.url, working.url, post_every_seconds=0.05, evaluate_every_seconds=0.02,
                silences_every_seconds=0.05, timeout_seconds=0.5,
            )  # fmt: skip
            alerting = Alerting(settings, tmp_path, REAL, meter)
            task = asyncio.create_task(alerting.run(lambda: (report(authenticated=False),)))
            await eventually(lambda: meter.posts[broken.url, outcome] > 1)
            await eventually(lambda: meter.posts[working.url, "ok"] > 2)
            await eventually(lambda: meter.known.get(working.url))
            assert not task.done()
            assert b"VergeAuthenticationFailed" in b"".join(working.bodies)
            assert not meter.up[broken.url]
            task.cancel()
            await asyncio.wait([task])

    events = [one["event"] for one in logs]
    assert events.count("alertmanager.post_failed") == 1
    assert events.count("silences.poll_failed") == 1
    assert SECRET not in str(logs)


async def test_recovered_alertmanager_is_logged(tmp_path: Path) -> None:
    meter = RecordingMeter()
    with structlog.testing.capture_logs() as logs:
        async with serving(respond(status=500), respond(status=500), respond(b"[]")) as script:
            settings = settings_for(
                script.url, post_every_seconds=0.05, evaluate_every_seconds=0.02,
                silences_every_seconds=0.05,
            )  # fmt: skip
            alerting = Alerting(settings, tmp_path, REAL, meter)
            task = asyncio.create_task(alerting.run(lambda: ()))
            await eventually(lambda: meter.posts[script.url, "ok"] and meter.known)
            await eventually(lambda: meter.known[script.url])
            task.cancel()
            await asyncio.wait([task])

    events = {one["event"] for one in logs}
    assert events & {"alertmanager.post_failed", "silences.poll_failed"}
    assert events & {"alertmanager.post_recovered", "silences.poll_recovered"}


@pytest.mark.parametrize("content", [None, b"", b"\n", b"a\x00b", b"\xff"])
async def test_unusable_secret_file_is_an_error_with_the_outcome_unauthorized(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    settings = AlertmanagerSettings(urls=("http://127.0.0.1:1",), token_file=file)
    async with client(settings) as alertmanager:
        with pytest.raises(AlertmanagerError, match="token") as caught:
            await alertmanager.silences()
    assert caught.value.outcome == "unauthorized"


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_unusable_ca_file_is_a_configuration_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    settings = AlertmanagerSettings(urls=("https://127.0.0.1:1",), ca_file=file)

    with pytest.raises(ConfigError, match=r"alertmanager\.ca_file"):
        Alerting(settings, tmp_path, REAL, RecordingMeter())


async def test_more_alerts_than_fit_in_one_request_are_posted_in_several(tmp_path: Path) -> None:
    meter = RecordingMeter()
    many = [
        report(url=f"https://{n}", system_name=str(n), authenticated=False) for n in range(1100)
    ]
    async with serving(respond(b"")) as script:
        settings = AlertmanagerSettings(urls=(script.url,), silences=False)
        task = asyncio.create_task(Alerting(settings, tmp_path, REAL, meter).run(lambda: many))
        await eventually(lambda: meter.alerts.get(script.url) == 1100)
        task.cancel()
        await asyncio.wait([task])

    assert [body.count(b"startsAt") for body in script.bodies][-3:] == [500, 500, 100]
