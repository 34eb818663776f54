"""The contract of the API: its document, its routes and its errors."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.web import routes
from exporter.web.api.contract import ENDPOINTS, Access
from exporter.web.api.openapi import openapi_json
from exporter.web.routes import make_app
from tests.web.console_site import console_site, retried
from tests.web.json_schema import problems
from tests.web.samples import HandClock
from tests.web.site import StubOverview, StubPages, StubReload
from tests.web.test_middleware import hashed
from tests.web.test_recovery_api import StubService

DOCUMENT: dict[str, Any] = json.loads(openapi_json())
JSON = "application/json"


def references(of: Any) -> Iterator[str]:
    if isinstance(of, dict):
        if "$ref" in of:
            yield of["$ref"]
        for one in of.values():
            yield from references(one)
    elif isinstance(of, list):
        for one in of:
            yield from references(one)


def test_committed_document_is_up_to_date() -> None:
    assert Path("docs/openapi.json").read_bytes() == openapi_json()


def test_every_route_is_declared_and_every_declared_endpoint_has_a_route(clock: HandClock) -> None:
    app = make_app(
        StubPages(),
        StubOverview(),
        StubReload(),
        clock=clock,
        service=StubService(),  # type: ignore[arg-type]
        retry=retried,
    )
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }

    assert {one for one in served if one[1].startswith("/api")} == {
        (one.method, one.path) for one in ENDPOINTS
    }
    assert len({(one.method, one.path) for one in ENDPOINTS}) == len(ENDPOINTS)


def test_document_is_whole() -> None:
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]

    assert len(names) == len(set(names)) == len(ENDPOINTS)
    assert {one.removeprefix("#/components/schemas/") for one in references(DOCUMENT)} <= set(
        DOCUMENT["components"]["schemas"]
    )
    schemes = {name for one in operations for need in one["security"] for name in need}
    assert schemes == set(DOCUMENT["components"]["securitySchemes"])


def test_fields_have_the_descriptions_of_the_code() -> None:
    status = DOCUMENT["components"]["schemas"]["SystemRecoveryStatus"]["properties"]

    assert status["because"]["description"] == "The reason of the readiness."
    log = DOCUMENT["paths"]["/api/v1/recovery/log"]["get"]["parameters"]
    assert {one["name"] for one in log} == {"system", "vm", "limit", "since"}
    (system,) = (one for one in log if one["name"] == "system")
    assert system["description"] == "The name of one system; all by default."


def test_schema_checker_finds_what_does_not_fit() -> None:
    schema = DOCUMENT["components"]["schemas"]["ErrorResponse"]

    assert problems({"error": "x"}, schema, DOCUMENT) == []
    assert problems({"error": 1}, schema, DOCUMENT) == ["$.error is no string: 1"]
    assert problems({"more": ""}, schema, DOCUMENT) == [
        "$.error is missing",
        "$.more is not declared",
    ]


# Over a socket.


async def test_document_is_served(clock: HandClock) -> None:
    async with console_site(clock) as site, site.browser() as browser:
        found = await browser.get("/api/v1/openapi.json")

    assert (found.status, found.headers["Content-Type"]) == (200, JSON)
    assert found.text.encode() == openapi_json()


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/recovery", "/%61pi/x"]
)
async def test_unknown_path_is_an_error_in_json(clock: HandClock, path: str) -> None:
    async with console_site(clock, StubService()) as site, site.browser() as browser:
        found = await browser.get(path)

    assert (found.status, found.headers["Content-Type"]) == (404, JSON)
    assert found.headers["Cache-Control"] == "no-store"
    assert json.loads(found.text)["error"].startswith("there is no /api")


async def test_every_query_refuses_what_it_does_not_know(clock: HandClock) -> None:
    queries = [one for one in ENDPOINTS if one.method == "GET" and one.query is not None]
    async with console_site(clock, StubService()) as site, site.browser() as browser:
        for one in queries:
            found = await browser.get(f"{re.sub('{.*?}', '1', one.path)}?unheard=of")
            assert (found.status, found.headers["Content-Type"]) == (400, JSON), one.path
            assert "unheard" in json.loads(found.text)["error"]


async def test_wrong_method_is_an_error_in_json_that_names_the_right_ones(
    clock: HandClock,
) -> None:
    async with console_site(clock, StubService()) as site, site.browser() as browser:
        for one in ENDPOINTS:
            path = re.sub("{.*?}", "1", one.path)
            for method in ("PUT", "DELETE", "PATCH"):
                found = await browser.ask(method, path)
                assert (found.status, found.headers["Content-Type"]) == (405, JSON)
                assert one.method in found.headers["Allow"].split(",")
                assert one.method in json.loads(found.text)["error"]


async def test_every_command_needs_the_token_and_json(clock: HandClock) -> None:
    commands = [one for one in ENDPOINTS if one.method == "POST"]
    assert all(one.access is Access.COMMAND for one in commands)
    async with console_site(clock, StubService()) as site, site.browser() as browser:
        for one in commands:
            path = re.sub("{.*?}", "1", one.path)
            body = {"owner": "eve", "reason": "why not"}
            assert (await browser.ask("POST", path, json=body)).status == 401
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                headers = {"X-Vergewatch-Token": site.token or "", "Content-Type": kind}
                found = await browser.ask("POST", path, data=b"{}", headers=headers)
                assert (found.status, found.headers["Content-Type"]) == (415, JSON)


async def test_missing_password_is_an_error_in_json(clock: HandClock, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{anna: {hashed('a')}}}")
    async with console_site(clock, web_config=file) as site, site.browser() as browser:
        found = await browser.get("/api/v1/doctor")

    assert (found.status, found.headers["Content-Type"]) == (401, JSON)
    assert found.headers["WWW-Authenticate"].startswith("Basic ")
    assert json.loads(found.text)["error"]


async def test_full_house_and_a_bug_are_errors_in_json(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_VIEWS", 0)
    async with console_site(clock, StubService()) as site, site.browser() as browser:
        found = await browser.get("/api/v1/recovery")
        assert (found.status, found.headers["Content-Type"]) == (503, JSON)
        assert found.headers["Retry-After"] == "5"
        assert json.loads(found.text)["error"].startswith("too many views in progress")

    monkeypatch.undo()
    broken = StubService()
    broken.error = ZeroDivisionError("a secret detail")
    async with console_site(clock, broken) as site, site.browser() as browser:
        found = await browser.get("/api/v1/recovery")
        assert (found.status, found.headers["Content-Type"]) == (500, JSON)
        assert json.loads(found.text) == {"error": "500: Internal Server Error"}
