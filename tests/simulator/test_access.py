"""Authentication, lockout and rate limits."""

import aiohttp
import pytest

from exporter.simulator import Simulator, World
from exporter.simulator.api.rate_limit import Limits

from .client import Client
from .fakes import FakeClock

WRONG = {"Authorization": aiohttp.encode_basic_auth("vergewatch", "wrong")}


def basic(simulator: Simulator) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(simulator.username, simulator.password)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!!"},
        {"x-yottabyte-token": "nonsense"},
    ],
)
async def test_request_without_valid_credentials_is_401(
    client: Client, headers: dict[str, str]
) -> None:
    reply = await client.ask("GET", "vms", headers=headers)

    assert (reply.status, reply.json) == (401, {"err": "Login required"})


async def test_api_key_password_and_token_authenticate(client: Client) -> None:
    simulator = client.simulator
    login = {"login": simulator.username, "password": simulator.password}
    made = await client.ask("POST", "/api/sys/tokens", json=login, headers={})
    token = made.json["$key"]
    assert made.json["location"] == f"/sys/tokens/{token}"

    for headers in (
        {"Authorization": f"Bearer {simulator.api_key}"},
        basic(simulator),
        {"x-yottabyte-token": token},
        {"X-Yottabyte-Token": simulator.api_key},
        {"Cookie": f"token={token}"},
    ):
        assert (await client.ask("GET", "clusters", headers=headers)).status == 200

    assert [one.means for one in simulator.requests[1:]] == [
        "key",
        "basic",
        "token",
        "key",
        "token",
    ]
    assert simulator.requests[0].body is None


async def test_a_session_ends_when_its_token_is_deleted(client: Client) -> None:
    simulator = client.simulator
    login = {"login": simulator.username, "password": simulator.password}
    token = (await client.ask("POST", "/api/sys/tokens", json=login)).json["$key"]
    headers = {"x-yottabyte-token": token}

    assert (await client.ask("DELETE", f"/api/sys/tokens/{token}", headers=headers)).status == 200
    assert (await client.ask("GET", "vms", headers=headers)).status == 401
    assert simulator.accounts.sessions == 0


async def test_five_failed_logins_lock_out_the_user_and_its_keys(
    client: Client, clock: FakeClock
) -> None:
    for _ in range(4):
        assert (await client.ask("GET", "vms", headers=WRONG)).status == 401
    assert (await client.ask("GET", "vms")).status == 200

    assert (await client.ask("GET", "vms", headers=WRONG)).status == 401

    assert (await client.ask("GET", "vms")).status == 401
    assert (await client.ask("GET", "vms", headers=basic(client.simulator))).status == 401
    await clock.advance(899)
    assert (await client.ask("GET", "vms")).status == 401
    await clock.advance(2)
    assert (await client.ask("GET", "vms")).status == 200


async def test_logins_are_logged(client: Client) -> None:
    for password, status in (("wrong", 401), (client.simulator.password, 201)):
        login = {"login": client.simulator.username, "password": password}
        reply = await client.ask("POST", "/api/sys/tokens", json=login, headers={})
        assert reply.status == status

    rows = await client.rows("logs", sort="-$key", limit="2", fields="text")
    assert [row["text"] for row in rows] == [
        "User 'vergewatch' logged in",
        "Login of 'vergewatch' failed",
    ]


async def test_successful_login_resets_the_failed_ones(client: Client) -> None:
    for _ in range(4):
        await client.ask("GET", "vms", headers=WRONG)
    await client.ask("GET", "vms", headers=basic(client.simulator))
    await client.ask("GET", "vms", headers=WRONG)

    assert (await client.ask("GET", "vms")).status == 200


async def test_repeated_use_of_a_revoked_key_locks_the_user_out(
    client: Client, clock: FakeClock
) -> None:
    accounts, key = client.simulator.accounts, client.simulator.api_key
    accounts.revoke(key)
    for _ in range(5):
        assert (await client.ask("GET", "vms")).status == 401
    accounts.restore(key)

    assert (await client.ask("GET", "vms")).status == 401
    await clock.advance(901)
    assert (await client.ask("GET", "vms")).status == 200


@pytest.mark.parametrize(("locks", "status"), [(True, 401), (False, 200)])
async def test_rejected_keys_count_towards_the_lockout_if_configured(
    client: Client, locks: bool, status: int
) -> None:
    with client.simulator.faults.on("reject_key", locks=locks, empty=True):
        for _ in range(5):
            reply = await client.ask("GET", "vms")
            assert (reply.status, reply.body) == (401, b"")

    assert (await client.ask("GET", "vms")).status == status


async def test_lockout_can_be_disabled(world: World, clock: FakeClock) -> None:
    async with (
        Simulator(world=world, clock=clock, lockout_after=None) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        for _ in range(7):
            await client.ask("GET", "vms", headers=WRONG)

        assert (await client.ask("GET", "vms")).status == 200


async def test_more_than_fifty_requests_a_second_reset_the_connection(
    world: World, clock: FakeClock
) -> None:
    async with (
        Simulator(world=world, clock=clock) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        for _ in range(50):
            assert (await client.ask("GET", "clusters")).status == 200
        with pytest.raises(aiohttp.ClientError):
            # A POST, because aiohttp would send a GET again by itself.
            await client.act(1, "kill")
        assert simulator.requests[-1].status is None
        assert not simulator.requests[-1].acted

        await clock.advance(1.1)
        assert (await client.ask("GET", "clusters")).status == 200


async def test_spaced_requests_meet_no_limit(world: World, clock: FakeClock) -> None:
    async with (
        Simulator(world=world, clock=clock) as simulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(simulator, session)
        for _ in range(120):
            assert (await client.ask("GET", "clusters")).status == 200
            await clock.advance(0.05)


def test_a_session_has_a_limit_of_its_own() -> None:
    limits = Limits(burst=2)

    assert [limits.exceeded("a", at=0.0) for _ in range(3)] == [False, False, True]
    assert not limits.exceeded("b", at=0.0)
    assert not limits.exceeded("a", at=1.1)


def test_hourly_limit_is_off_by_default() -> None:
    assert not any(Limits(burst=None).exceeded("a", at=float(n)) for n in range(2000))

    limits = Limits(burst=None, hourly=3)
    assert [limits.exceeded("a", at=float(at)) for at in (0, 1, 2, 3)] == [False] * 3 + [True]
    assert not limits.exceeded("a", at=3604.0)
