"""Guessing is held up, and never the operator by others."""

import pytest
import structlog
from aiohttp import web

from exporter.web.attempts import MAX_CLIENTS, OF_A_CLIENT, OF_STRANGERS, SLOWED_SECONDS, Attempts
from exporter.web.ports import Refusal
from tests.web.samples import HandClock

GUESSER, OPERATOR, LOCAL = "192.0.2.66", "192.0.2.7", "127.0.0.1"


class Site:
    def __init__(self, *, costs: bool) -> None:
        self.clock = HandClock()
        self.counted: list[Refusal] = []
        self.attempts = Attempts(
            "recovery token", Refusal.TOKEN, self.counted.append, self.clock, costs=costs
        )

    def guess(self, client: str, times: int = 1) -> int:
        """Return how many wrong secrets of *client* were checked."""
        checked = 0
        for _ in range(times):
            try:
                self.attempts.begin(client)
            except web.HTTPTooManyRequests:
                continue
            self.attempts.failed(client)
            checked += 1
        return checked

    def succeed(self, client: str) -> None:
        self.attempts.begin(client)
        self.attempts.succeeded(client)


@pytest.fixture(params=[False, True], ids=["cheap", "expensive"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(costs=request.param)


def test_guesser_is_held_up_and_may_try_again_later(site: Site) -> None:
    assert site.guess(GUESSER, 5000) == OF_A_CLIENT.burst
    site.clock.seconds += 3 * OF_A_CLIENT.interval
    assert site.guess(GUESSER, 5000) == 3


def test_refusal_names_the_wait(site: Site) -> None:
    site.guess(GUESSER, OF_A_CLIENT.burst)

    with pytest.raises(web.HTTPTooManyRequests) as caught:
        site.attempts.begin(GUESSER)

    assert caught.value.headers["Retry-After"] == "10"


def test_guessing_from_many_addresses_is_held_up(site: Site) -> None:
    checked = sum(site.guess(f"198.51.{number // 256}.{number % 256}") for number in range(5000))

    assert checked == OF_STRANGERS.burst


def test_strangers_do_not_lock_out_the_operator(site: Site) -> None:
    site.succeed(OPERATOR)
    for number in range(5000):
        site.guess(f"198.51.{number // 256}.{number % 256}")

    site.succeed(OPERATOR)
    site.succeed(LOCAL)
    site.succeed("::1")


def test_right_secrets_use_up_nothing(site: Site) -> None:
    for number in range(500):
        site.succeed(f"198.51.{number // 256}.{number % 256}")
        site.succeed(GUESSER)


def test_guessing_at_the_address_of_the_operator_does_not_lock_out_a_cheap_check() -> None:
    site = Site(costs=False)
    site.succeed(OPERATOR)
    site.guess(OPERATOR, 500)
    site.guess(LOCAL, 500)

    site.succeed(OPERATOR)
    site.succeed(LOCAL)


@pytest.mark.parametrize("client", [LOCAL, "::1", OPERATOR])
def test_guessing_at_the_address_of_the_operator_slows_each_cheap_check(client: str) -> None:
    site = Site(costs=False)
    site.succeed(OPERATOR)

    waits = []
    for _ in range(OF_A_CLIENT.burst + 3):
        waits.append(site.attempts.begin(client))
        site.attempts.failed(client)
    assert waits == [0.0] * OF_A_CLIENT.burst + [SLOWED_SECONDS] * 3
    # A right secret waits as well: else a guesser would not wait for the answer to a wrong one.
    assert site.attempts.begin(client) == SLOWED_SECONDS


def test_expensive_check_is_bounded_on_this_machine_too() -> None:
    assert Site(costs=True).guess(LOCAL, 500) == OF_A_CLIENT.burst


def test_series_of_guesses_is_logged_once_with_its_address_and_counted(site: Site) -> None:
    with structlog.testing.capture_logs() as logs:
        site.guess(GUESSER, 100)
        site.clock.seconds += OF_A_CLIENT.interval
        site.guess(GUESSER, 100)

    assert [(line["event"], line["client"], line["secret"]) for line in logs] == [
        ("web.wrong_secret", GUESSER, "recovery token")
    ]
    assert site.counted.count(Refusal.TOKEN) == 11
    assert site.counted.count(Refusal.GUESSING) == 189

    site.clock.seconds += OF_A_CLIENT.burst * OF_A_CLIENT.interval
    with structlog.testing.capture_logs() as later:
        site.guess(GUESSER, 2)
    assert len(later) == 1


def test_table_of_clients_is_bounded(site: Site) -> None:
    for number in range(2 * MAX_CLIENTS):
        site.succeed(f"198.51.{number // 256}.{number % 256}")

    assert len(site.attempts._series) == MAX_CLIENTS
    assert len(site.attempts._known) == MAX_CLIENTS
