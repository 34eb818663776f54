"""Answers that no Alertmanager should give: they disturb nobody, and are told of once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from exporter.alerting.alerting import Alerting
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError, make_session
from exporter.alerting.config import Access
from exporter.errors import ConfigError
from tests.alerting.real_alertmanager import REAL, eventually
from tests.alerting.samples import RecordingMeter, report
from tests.fakes import START, FakeClock
from tests.vergeos.scripted import Answer, hangs_up, says, serving, stops_half_way

SECRET = "a-token-that-nobody-else-knows"
ACCESS = Access(token=SecretStr(SECRET))


async def is_slow(request: web.Request) -> web.StreamResponse:
    await REAL.sleep(5.0)
    return web.Response()


async def never_ends(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 2**20)


async def echoes(request: web.Request) -> web.StreamResponse:
    return web.Response(status=400, text=str(request.headers))


MAD: dict[str, tuple[Answer, str]] = {
    "a page": (says(b"<html>Sign in</html>"), "bad_reply"),
    "a redirect": (says(status=302, Location=f"https://elsewhere.example/{SECRET}"), "bad_reply"),
    "401": (says(status=401), "unauthorized"),
    "403": (says(status=403), "unauthorized"),
    "404": (says(status=404), "bad_reply"),
    "500": (says(b'"it is full"', status=500), "bad_reply"),
    "an echo": (echoes, "bad_reply"),
    "silence": (is_slow, "unreachable"),
    "a hang-up": (hangs_up, "unreachable"),
    "half an answer": (stops_half_way, "unreachable"),
}
NO_LIST: dict[str, tuple[Answer, str]] = {
    "nothing": (says(b""), "bad_reply"),
    "an object": (says(b"{}"), "bad_reply"),
    "half a list": (says(b'[{"id": "x"'), "bad_reply"),
    "no text": (says(b"\xff\xfe"), "bad_reply"),
    "an abyss": (says(b"[" * 100_000), "bad_reply"),
    "no end": (never_ends, "bad_reply"),
}


async def asked(
    answer: Answer, ask: Callable[[Alertmanager], Awaitable[object]]
) -> AlertmanagerError:
    async with serving(answer) as script, make_session(ACCESS, timeout_seconds=1.0) as session:
        alertmanager = Alertmanager(script.url, session, ACCESS, REAL, timeout_seconds=0.5)
        with pytest.raises(AlertmanagerError) as caught:
            await ask(alertmanager)
        assert str(caught.value).startswith(script.url)
    return caught.value


@pytest.mark.parametrize("what", [*MAD, *NO_LIST])
async def test_an_answer_that_is_no_list_of_silences_is_an_error(what: str) -> None:
    answer, outcome = {**MAD, **NO_LIST}[what]

    error = await asked(answer, lambda alertmanager: alertmanager.silences())

    assert error.outcome == outcome
    assert SECRET not in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize("what", MAD)
async def test_an_answer_that_says_nothing_of_success_is_an_error(what: str) -> None:
    answer, outcome = MAD[what]

    error = await asked(answer, lambda alertmanager: alertmanager.post(b"[]"))

    assert error.outcome == outcome
    assert SECRET not in str(error)


async def test_says_who_we_are_and_follows_no_redirect() -> None:
    async with (
        serving(says(b"[]")) as script,
        make_session(ACCESS, timeout_seconds=1.0) as session,
    ):
        url = f"{script.url}/prefix/"
        alertmanager = Alertmanager(url, session, ACCESS, REAL, timeout_seconds=1.0)
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
async def test_a_date_that_is_none_leaves_our_own_clock(date: str) -> None:
    async with (
        serving(says(b"[]", Date=date)) as script,
        make_session(ACCESS, timeout_seconds=5) as session,
    ):
        told = await Alertmanager(
            script.url, session, ACCESS, FakeClock(), timeout_seconds=5
        ).silences()

    assert told.time == START


async def test_a_silence_that_cannot_be_read_may_be_of_any_vm(tmp_path: Path) -> None:
    meter = RecordingMeter()
    async with serving(says(b'[{"id": "4f0c"}]')) as script:
        plan = AlertmanagerSettings(
            urls=(script.url,), access=ACCESS, silences_every_seconds=0.05, hold_when_unknown=True
        )
        alerting = Alerting(plan, tmp_path, REAL, meter)
        task = asyncio.create_task(alerting.run(lambda: ()))
        await eventually(lambda: meter.up.get(script.url))
        held = alerting.holding({"vm_name": "web-01"})
        task.cancel()

    assert "has silences that cannot be read: 1" in held


@pytest.mark.parametrize("what", MAD)
async def test_one_that_is_mad_disturbs_no_other_and_is_complained_of_once(
    tmp_path: Path, what: str
) -> None:
    answer, outcome = MAD[what]
    meter = RecordingMeter()
    with structlog.testing.capture_logs() as logs:
        async with serving(answer) as mad, serving(says(b"[]")) as sane:
            plan = AlertmanagerSettings(
                urls=(mad.url, sane.url), access=ACCESS, post_every_seconds=0.05,
                look_every_seconds=0.02, silences_every_seconds=0.05, timeout_seconds=0.5,
            )  # fmt: skip
            alerting = Alerting(plan, tmp_path, REAL, meter)
            task = asyncio.create_task(alerting.run(lambda: (report(authenticated=False),)))
            await eventually(lambda: meter.posts[mad.url, outcome] > 1)
            await eventually(lambda: meter.posts[sane.url, "ok"] > 2)
            await eventually(lambda: meter.known.get(sane.url))
            assert not task.done()
            assert b"VergeAuthenticationFailed" in b"".join(sane.bodies)
            assert not meter.up[mad.url]
            task.cancel()
            await asyncio.wait([task])

    events = [one["event"] for one in logs]
    assert events.count("alertmanager.not_told") == 1
    assert events.count("silences.unread") == 1
    assert SECRET not in str(logs)


async def test_one_that_recovers_is_told_of_too(tmp_path: Path) -> None:
    meter = RecordingMeter()
    with structlog.testing.capture_logs() as logs:
        async with serving(says(status=500), says(status=500), says(b"[]")) as script:
            plan = AlertmanagerSettings(
                urls=(script.url,), post_every_seconds=0.05, look_every_seconds=0.02,
                silences_every_seconds=0.05,
            )  # fmt: skip
            alerting = Alerting(plan, tmp_path, REAL, meter)
            task = asyncio.create_task(alerting.run(lambda: ()))
            await eventually(lambda: meter.posts[script.url, "ok"] and meter.known)
            await eventually(lambda: meter.known[script.url])
            task.cancel()
            await asyncio.wait([task])

    events = {one["event"] for one in logs}
    assert events & {"alertmanager.not_told", "silences.unread"}
    assert events & {"alertmanager.told", "silences.read"}


@pytest.mark.parametrize("content", [None, b"", b"\n", b"a\x00b", b"\xff"])
async def test_a_secret_that_cannot_be_used_is_an_error_like_any_other(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    access = Access(token_file=file)
    async with aiohttp.ClientSession() as session:
        alertmanager = Alertmanager(
            "http://127.0.0.1:1", session, access, REAL, timeout_seconds=1.0
        )
        with pytest.raises(AlertmanagerError, match="token") as caught:
            await alertmanager.silences()
    assert caught.value.outcome == "unauthorized"


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_that_cannot_be_used_is_the_operators_business(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    plan = AlertmanagerSettings(urls=("https://127.0.0.1:1",), access=Access(ca_file=file))

    with pytest.raises(ConfigError, match=r"alertmanager\.ca_file"):
        Alerting(plan, tmp_path, REAL, RecordingMeter())


async def test_more_alerts_than_fit_in_one_request_go_in_several(tmp_path: Path) -> None:
    meter = RecordingMeter()
    many = [
        report(url=f"https://{n}", system_name=str(n), authenticated=False) for n in range(1100)
    ]
    async with serving(says(b"")) as script:
        plan = AlertmanagerSettings(urls=(script.url,), silences=False)
        task = asyncio.create_task(Alerting(plan, tmp_path, REAL, meter).run(lambda: many))
        await eventually(lambda: meter.alerts.get(script.url) == 1100)
        task.cancel()
        await asyncio.wait([task])

    assert [body.count(b"startsAt") for body in script.bodies][-3:] == [500, 500, 100]
