"""Asking Prometheus: a real one that scrapes a probe, and servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.prometheus.client import PrometheusConfirmer, make_session
from exporter.prometheus.config import ConfirmationSettings
from exporter.recovery.model.confirmation import Confirmation, ConfirmationQuery
from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME
from tests.real_prometheus import prometheus
from tests.vergeos.scripted import Answer, reset_connection, respond, serving, truncated_body

QUERY = 'max_over_time(probe_success{vm_name="{{vm}}"}[{{window}}]) == bool 0'
HOSTILE = (
    "web-01",
    'a"b',
    "a'b",
    "a`b",
    "a\\",
    "a\\nb",
    "a\nb",
    '"} or vector(1) or up{a="',
    "{{vm}}",
    "{{window}}",
    "[{{window}}]",
    ".*",
    "web-0.",
    "a|b",
    "#",
    "größe 漢字 😀",
    "\ufffd",
    "a\u2028b",
    "\ufeffa",
    "a\tb",
)


class Probe:
    """A target of Prometheus with one probe for each VM."""

    def __init__(self, success: Mapping[str, float]) -> None:
        self.success = dict(success)
        self.url = ""
        self.scrapes = 0

    async def metrics(self, _request: web.Request) -> web.Response:
        self.scrapes += 1
        return web.Response(text="".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        for name, value in self.success.items():
            label = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            yield f'probe_success{{vm_name="{label}"}} {value:g}\n'


@asynccontextmanager
async def probing(success: Mapping[str, float]) -> AsyncIterator[Probe]:
    """Serve the metrics of a prober."""
    probe, app = Probe(success), web.Application()
    app.router.add_get("/metrics", probe.metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    probe.url = f"http://{host}:{port}"
    try:
        yield probe
    finally:
        await runner.cleanup()


@asynccontextmanager
async def confirmer(url: str, **settings: Any) -> AsyncIterator[PrometheusConfirmer]:
    chosen = ConfirmationSettings(**{"url": url, "query": QUERY, **settings})
    async with make_session(chosen) as session:
        yield PrometheusConfirmer(chosen, session, lambda: "production")


def about(name: str, seconds: int = 60) -> ConfirmationQuery:
    return ConfirmationQuery(name, "u", seconds)


async def ask(asker: PrometheusConfirmer, name: str, seconds: int = 60) -> Confirmation:
    (found,) = await asker.ask([about(name, seconds)])
    return found


async def ask_until(
    asker: PrometheusConfirmer, values: tuple[float, ...], name: str, seconds: int = 60
) -> None:
    """Ask until the answer is *values*."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (found := await ask(asker, name, seconds)).values != values:
            assert not found.problem
            await REAL_TIME.sleep(0.1)


async def test_real_prometheus_answers_by_the_probes_of_the_window(tmp_path: Path) -> None:
    async with (
        probing({"web-01": 1.0}) as probe,
        prometheus(tmp_path, {"probe": probe.url}) as server,
        confirmer(server.url) as asker,
    ):
        await ask_until(asker, (0.0,), "web-01")
        assert (await ask(asker, "web-01")).is_up

        probe.success["web-01"] = 0.0
        seen = probe.scrapes
        await ask_until(asker, (1.0,), "web-01", seconds=2)

        assert (await ask(asker, "web-01", seconds=2)).is_down
        assert probe.scrapes > seen
        # A probe of the window succeeded: it is not down for the whole window.
        assert (await ask(asker, "web-01")).values == (0.0,)
        assert (await ask(asker, "other")).values == ()


async def test_sample_from_before_the_window_does_not_count(tmp_path: Path) -> None:
    """An instant selector would return it for five minutes."""
    async with (
        probing({"web-01": 0.0}) as probe,
        prometheus(tmp_path, {"probe": probe.url}) as server,
        confirmer(server.url) as asker,
    ):
        await ask_until(asker, (1.0,), "web-01")
        probe.success.clear()  # the prober lost its target

        await ask_until(asker, (), "web-01", seconds=2)

        assert (await ask(asker, "web-01")).is_down
        assert not (await ask(asker, "web-01", seconds=2)).is_down


async def test_hostile_names_select_their_own_series_only(tmp_path: Path) -> None:
    """Each VM is the only one that is up; a name that breaks out would see the others."""
    regex = 'max_over_time(probe_success{vm_name=~"{{vm}}"}[{{window}}]) == bool 0'
    async with (
        probing(dict.fromkeys(HOSTILE, 0.0)) as probe,
        prometheus(tmp_path, {"probe": probe.url}) as server,
        confirmer(server.url) as equal,
        confirmer(server.url, query=regex) as matching,
    ):
        await ask_until(equal, (1.0,), HOSTILE[-1])
        for asker in (equal, matching):
            found = await asker.ask([about(name) for name in HOSTILE])
            assert {name: one.values for name, one in zip(HOSTILE, found, strict=True)} == (
                dict.fromkeys(HOSTILE, (1.0,))
            )
            assert (await ask(asker, "web-0?")).values == ()
            assert (await ask(asker, "")).problem == "{{vm}} is empty"


async def test_wrong_query_is_a_problem_that_is_not_unreachability(tmp_path: Path) -> None:
    wrong = 'max_over_time(up{vm="{{vm}}"}[{{window}}]) ==='
    async with prometheus(tmp_path, {}) as server, confirmer(server.url, query=wrong) as asker:
        found = await ask(asker, "web-01")

        assert not found.unreachable
        assert "parse error" in found.problem
        assert not found.is_down


async def responds_late(_request: web.Request) -> web.StreamResponse:
    await REAL_TIME.sleep(5.0)
    return web.Response()


VECTOR = b'{"status":"success","data":{"resultType":"vector","result":%s}%s}'
SAMPLE = b'[{"metric":{},"value":[1,"1"]}]'
UNREACHABLE: dict[str, Answer] = {
    "500": respond(b"{}", status=500),
    "503": respond(b'{"status":"error","error":"starting"}', status=503),
    "a closed connection": reset_connection,
    "half a response": truncated_body,
}
WRONG: dict[str, Answer] = {
    "a redirect": respond(status=302, Location="https://elsewhere.example/"),
    "401": respond(status=401),
    "403": respond(status=403),
    "404": respond(b"not found", status=404),
    "an error": respond(b'{"status":"error","error":"bad_data"}', status=400),
    "an error with status 200": respond(b'{"status":"error","error":"bad_data"}'),
    "an HTML page": respond(b"<html>Sign in</html>"),
    "an empty body": respond(b""),
    "no data": respond(b'{"status":"success"}'),
    "a matrix": respond(b'{"data":{"resultType":"matrix","result":[]}}'),
    "a string": respond(b'{"data":{"resultType":"string","result":[1,"1"]}}'),
    "a histogram": respond(VECTOR % (b'[{"metric":{},"histogram":[1,{}]}]', b"")),
    "no number": respond(VECTOR % (b'[{"metric":{},"value":[1,"x"]}]', b"")),
    "warnings that cannot be read": respond(VECTOR % (SAMPLE, b',"warnings":[NaN]')),
    "a sample that cannot be read": respond(VECTOR % (b'[{"value":[1,"1"]},{"value":NaN}]', b"")),
    "a partial response": respond(VECTOR % (SAMPLE, b',"warnings":["a store is missing"]')),
    "deep nesting": respond(b"[" * 100_000),
}


@pytest.mark.parametrize("name", UNREACHABLE)
async def test_failing_server_is_unreachable(name: str) -> None:
    async with serving(UNREACHABLE[name]) as script, confirmer(script.url) as asker:
        found = await ask(asker, "web-01")

        assert found.unreachable
        assert found.problem.startswith(script.url)
        assert not found.is_down
        assert not found.is_up


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_response_is_a_problem_and_confirms_nothing(name: str) -> None:
    async with serving(WRONG[name]) as script, confirmer(script.url) as asker:
        found = await ask(asker, "web-01")

        assert found.problem
        assert not found.unreachable
        assert not found.is_down
        assert not found.is_up


@pytest.mark.parametrize("value", [b'"\\ud800"', b"NaN", b'"\xff"', b'"\x01"'], ids=repr)
async def test_label_that_cannot_be_read_costs_no_value(value: bytes) -> None:
    odd = b'[{"metric":{"a":%s},"value":[1,"1"]},{"metric":{},"value":[1,"0"]}]' % value
    async with (
        serving(respond(VECTOR % (odd, b',"stats":%s' % value))) as script,
        confirmer(script.url) as asker,
    ):
        assert (await ask(asker, "web-01")).values == (1.0, 0.0)


async def test_scalar_and_infinite_values_are_read() -> None:
    scalar = respond(b'{"data":{"resultType":"scalar","result":[1,"1"]}}')
    infinite = respond(VECTOR % (b'[{"value":[1,"+Inf"]},{"value":[1,"NaN"]}]', b""))
    async with serving(scalar, infinite) as script, confirmer(script.url) as asker:
        assert (await ask(asker, "web-01")).values == (1.0,)
        assert len((await ask(asker, "web-01")).values) == 2


async def test_slow_prometheus_costs_no_more_than_the_timeout_for_all_vms() -> None:
    async with (
        serving(responds_late) as script,
        confirmer(script.url, timeout_seconds=0.5) as asker,
    ):
        began = REAL_TIME.monotonic()
        found = await asker.ask([about(f"web-{number}") for number in range(50)])

        assert REAL_TIME.monotonic() - began < 2.0
        assert all(one.unreachable for one in found)
        assert found[0].problem == f"{script.url} did not respond within 0.5 s"


async def test_nothing_listens() -> None:
    async with confirmer("http://127.0.0.1:1") as asker:
        found = await ask(asker, "web-01")

        assert found.unreachable
        assert "cannot connect" in found.problem


async def test_credentials_are_sent_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("a-secret-token\n")
    async with (
        serving(respond(status=401)) as script,
        confirmer(script.url, token_file=secret) as asker,
    ):
        found = await ask(asker, "web-01")
        assert script.asked[0].headers["Authorization"] == "Bearer a-secret-token"
        assert "a-secret-token" not in str(found)

        secret.unlink()
        found = await ask(asker, "web-01")
        assert "cannot be read" in found.problem
        assert not found.unreachable
