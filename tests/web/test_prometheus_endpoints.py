"""What Prometheus asks for beside the page of metrics, under the same rules."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from exporter.errors import ConfigError, NotKnownYetError
from exporter.exposition.page import Body
from exporter.web import routes
from exporter.web.routes import check_telemetry_path
from tests.web.conftest import Serve
from tests.web.test_middleware import basic, hashed

PATHS = ["/metrics/vendor", "/sd/guests"]


class StubVendor:
    async def page(self, *, gzipped: bool) -> Body:
        body = b"packed" if gzipped else b"plain"
        return Body(len(body), (body,))


class StubGuests:
    """Targets that name the query, or fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.query: Mapping[str, Sequence[str]] = {}

    async def targets(self, query: Mapping[str, Sequence[str]]) -> bytes:
        self.query = query
        if self.error is not None:
            raise self.error
        return b"[]"


class Waiting(StubVendor):
    """A page that is not ready before the test says so."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()

    async def page(self, *, gzipped: bool) -> Body:
        await self.ready.wait()
        return await super().page(gzipped=gzipped)


async def test_vendor_page_has_the_classic_format_and_may_be_compressed(serve: Serve) -> None:
    server = await serve(vendor=StubVendor())
    openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}

    plain = await server.request("/metrics/vendor", openmetrics)
    packed = await server.request("/metrics/vendor", {"Accept-Encoding": "gzip"})

    assert (plain.status, plain.body) == (200, b"plain")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (packed.headers["Content-Encoding"], packed.body) == ("gzip", b"packed")


async def test_targets_are_json_for_the_parameters_of_the_url(serve: Serve) -> None:
    guests = StubGuests()
    server = await serve(guests=guests)

    reply = await server.request("/sd/guests?os=linux&tag=team/web&tag=a%20b/c")

    assert (reply.status, reply.body) == (200, b"[]")
    assert reply.headers["Content-Type"] == "application/json"
    assert guests.query == {"os": ["linux"], "tag": ["team/web", "a b/c"]}


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("the\nport"), 400), (NotKnownYetError("not yet"), 503)]
)
async def test_error_is_not_an_empty_list_of_targets(
    serve: Serve, error: Exception, status: int
) -> None:
    server = await serve(guests=StubGuests(error))

    reply = await server.request("/sd/guests")

    assert reply.status == status
    assert reply.text == f"{' '.join(str(error).split())}\n"


@pytest.mark.parametrize("path", PATHS)
async def test_password_of_the_web_configuration_is_required(
    serve: Serve, path: str, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {hashed('wonder')}}}")
    server = await serve(web_config=file, vendor=StubVendor(), guests=StubGuests())

    assert (await server.request(path)).status == 401
    allowed = {"Authorization": basic("alice", "wonder")}
    assert (await server.request(path, allowed)).status == 200


async def test_requests_in_progress_are_limited_with_those_of_the_metrics(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_SCRAPES_OF_CLIENT", 1)
    vendor = Waiting()
    server = await serve(vendor=vendor, guests=StubGuests())

    first = asyncio.create_task(server.request("/metrics/vendor"))
    for _ in range(1000):
        if (reply := await server.request("/sd/guests")).status == 503:
            break
    assert reply.status == 503
    assert (await server.request("/metrics")).status == 503
    vendor.ready.set()

    assert (await first).status == 200
    assert (await server.request("/sd/guests")).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_telemetry_path_may_not_be_one_of_them(path: str) -> None:
    with pytest.raises(ConfigError, match="is used by another endpoint"):
        check_telemetry_path(path)
