"""Passwords, the rate limit and headers, over real sockets."""

import asyncio
import base64
from pathlib import Path

import bcrypt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from exporter.web import auth
from exporter.web.attempts import Attempts
from exporter.web.auth import BasicAuth
from exporter.web.ports import Refusal
from exporter.web.token_bucket import TokenBucket
from exporter.web.webconfig import RateLimit
from tests.web.conftest import Serve
from tests.web.samples import HandClock

CLIENT = "192.0.2.7"


def hashed(password: str, rounds: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def as_user(user: str, password: str) -> dict[str, str]:
    return {"Authorization": basic(user, password)}


def edit(file: Path, text: str | None) -> None:
    """Replace the content of *file*, or delete it."""
    file.unlink() if text is None else file.write_text(text)


def basic_auth_of_a_site() -> BasicAuth:
    return BasicAuth(
        Attempts("password", Refusal.PASSWORD, lambda _: None, HandClock(), costs=True)
    )


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collect the passwords that bcrypt checks."""
    checked: list[bytes] = []
    check = auth._check

    def count(password: bytes, hashed: str) -> bool:
        checked.append(password)
        return check(password, hashed)

    monkeypatch.setattr(auth, "_check", count)
    return checked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: {hashed('wonder')}, bob: {hashed('build')}}}")
    return path


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready", "/nowhere"])
async def test_request_without_password_is_401(serve: Serve, file: Path, path: str) -> None:
    server = await serve(web_config=file)

    reply = await server.request(path)

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="Vergewatch", charset="UTF-8"'
    assert b"CLASSIC" not in reply.body


async def test_valid_password_is_accepted(serve: Serve, file: Path) -> None:
    server = await serve(web_config=file)

    assert (await server.request("/metrics", as_user("alice", "wonder"))).status == 200
    assert (await server.request("/metrics", as_user("bob", "build"))).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice", "build"),
        basic("alice", ""),
        basic("alice", "wonder "),
        basic("mallory", "wonder"),  # an unknown user with a known password
        basic("", "wonder"),
        "Basic",
        "Basic !!!",
        "Basic YWxpY2U=",  # no colon
        "Basic //8=",
        "Bearer wonder",
    ],
)
async def test_invalid_credentials_are_401(serve: Serve, file: Path, authorization: str) -> None:
    server = await serve(web_config=file)

    assert (await server.request("/metrics", {"Authorization": authorization})).status == 401


async def test_concurrent_valid_password_is_hashed_once(checks: list[bytes]) -> None:
    users = {"alice": hashed("wonder")}
    basic_auth = basic_auth_of_a_site()

    crowd = await asyncio.gather(
        *(basic_auth.admits(basic("alice", "wonder"), users, CLIENT) for _ in range(10))
    )

    assert all(crowd)
    assert checks == [b"wonder"]


async def test_invalid_password_and_unknown_user_are_hashed_each_time(
    checks: list[bytes],
) -> None:
    users = {"alice": hashed("wonder")}
    basic_auth = basic_auth_of_a_site()

    for user in ("alice", "mallory"):
        for _ in range(2):
            assert not await basic_auth.admits(basic(user, "guess"), users, CLIENT)

    assert len(checks) == 4


async def test_changed_hash_invalidates_old_password() -> None:
    basic_auth = basic_auth_of_a_site()

    assert await basic_auth.admits(basic("alice", "old"), {"alice": hashed("old")}, CLIENT)
    assert not await basic_auth.admits(basic("alice", "old"), {"alice": hashed("new")}, CLIENT)


async def test_auth_cache_is_bounded_and_holds_no_password() -> None:
    basic_auth = basic_auth_of_a_site()
    users = {f"user{number}": hashed("wonder") for number in range(auth.MAX_CACHED + 5)}

    for user in users:
        assert await basic_auth.admits(basic(user, "wonder"), users, CLIENT)

    assert len(basic_auth._cached) == auth.MAX_CACHED
    assert all(b"wonder" not in digest for digest in basic_auth._cached)


async def test_password_is_compared_up_to_bcrypt_limit() -> None:
    users = {"alice": hashed("x" * 72)}

    assert await basic_auth_of_a_site().admits(basic("alice", "x" * 100), users, CLIENT)


async def test_malformed_hash_accepts_no_password() -> None:
    users = {"alice": "$2y$04$" + "z" * 53}

    assert not await basic_auth_of_a_site().admits(basic("alice", "x"), users, CLIENT)


async def test_users_are_reloaded_without_restart(
    serve: Serve, file: Path, clock: HandClock
) -> None:
    server = await serve(web_config=file)
    assert (await server.request("/metrics", as_user("carol", "sea"))).status == 401

    edit(file, f"basic_auth_users: {{carol: {hashed('sea')}}}")
    clock.seconds += 1

    assert (await server.request("/metrics", as_user("carol", "sea"))).status == 200
    assert (await server.request("/metrics", as_user("alice", "wonder"))).status == 401


async def test_invalid_edit_keeps_users_and_is_logged_once(
    serve: Serve, file: Path, clock: HandClock
) -> None:
    server = await serve(web_config=file)
    assert server.web_config is not None
    good = f"basic_auth_users: {{alice: {hashed('wonder')}}}"

    with structlog.testing.capture_logs() as logs:
        for number in range(5):
            edit(file, "basic_auth_users: {alice: wonder}" + "\n" * number)
            clock.seconds += 1
            assert (await server.request("/metrics")).status == 401
            assert (await server.request("/metrics", as_user("alice", "wonder"))).status == 200

    assert [line["event"] for line in logs] == ["web.config_rejected"]
    assert server.web_config.error == (
        f"{file}: basic_auth_users: alice has no bcrypt hash; make one with htpasswd -nBC 10 alice"
    )

    edit(file, good)
    clock.seconds += 1
    assert (await server.request("/metrics")).status == 401
    assert server.web_config.error is None


async def test_deleted_config_file_keeps_authentication(
    serve: Serve, file: Path, clock: HandClock
) -> None:
    server = await serve(web_config=file)

    edit(file, None)
    clock.seconds += 1

    assert (await server.request("/metrics")).status == 401


async def test_headers_are_set_replaced_and_removed_by_config(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(
        "http_server_config: {headers: {X-Frame-Options: sameorigin,"
        " Content-Security-Policy: '', X-XSS-Protection: 1; mode=block}}"
    )
    server = await serve(web_config=file)

    for path, status in (("/", 200), ("/nowhere", 404), ("/metrics", 200)):
        reply = await server.request(path)
        assert reply.status == status
        assert reply.headers["X-Frame-Options"] == "sameorigin"
        assert reply.headers["X-XSS-Protection"] == "1; mode=block"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" not in reply.headers


async def test_rate_limit_is_429_with_retry_after(
    serve: Serve, tmp_path: Path, clock: HandClock
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("rate_limit: {interval: 2s, burst: 2}")
    server = await serve(web_config=file)

    statuses = [(await server.request("/metrics")).status for _ in range(2)]
    refusal = await server.request("/metrics")
    clock.seconds += 2
    later = [(await server.request("/metrics")).status for _ in range(2)]

    assert statuses == [200, 200]
    assert refusal.status == 429
    assert refusal.headers["Retry-After"] == "2"
    assert later == [200, 429]


async def test_removed_rate_limit_takes_effect_on_reload(
    serve: Serve, tmp_path: Path, clock: HandClock
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("rate_limit: {interval: 1h, burst: 1}")
    server = await serve(web_config=file)
    await server.request("/metrics")

    file.write_text("rate_limit: {interval: 0}")
    clock.seconds += 1

    assert (await server.request("/metrics")).status == 200


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5))
def test_token_bucket_never_exceeds_burst_and_refill(steps: list[float], burst: int) -> None:
    limit = RateLimit.model_validate({"interval": "2s", "burst": burst})
    bucket = TokenBucket(limit, now=0.0)
    now, passed = 0.0, 0

    for step in steps:
        now += step
        passed += bucket.take(now=now)

    assert passed <= burst + now / 2.0 + 1e-6
