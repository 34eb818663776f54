"""Which connection makes room for another, and when one has waited too long."""

import resource
import socket
from collections.abc import Iterator

import pytest

from exporter.web.connections import (
    HEAD_SECONDS,
    KEEPALIVE_SECONDS,
    MAX_CONNECTIONS,
    Connection,
    Connections,
    affordable_connections,
    client_of,
)
from exporter.web.ports import Refusal
from tests.web.samples import HandClock


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
        ("a socket", "a socket"),
    ],
)
def test_client_is_an_ipv4_address_or_an_ipv6_network(host: str | None, client: str) -> None:
    assert client_of(host) == client


@pytest.mark.parametrize(
    ("files", "most"), [(64, 32), (300, 150), (1024, MAX_CONNECTIONS), (2**20, MAX_CONNECTIONS)]
)
def test_half_of_the_descriptors_are_kept_back(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert affordable_connections() == most


MAX_OF_CLIENT = 60


class Crowd:
    """Connections of many clients, without a server."""

    def __init__(self, most: int) -> None:
        self.clock = HandClock()
        self.refused: list[Refusal] = []
        self.connections = Connections(self.clock, self.refused.append, most=most)
        self.sockets: list[socket.socket] = []

    def arrive(
        self, client: str, *, is_answered: bool = False, after: float = 1.0
    ) -> Connection | None:
        """Return the connection of *client*, *after* seconds, if it is admitted."""
        self.clock.seconds += after
        ours, theirs = socket.socketpair()
        connection = Connection(ours.family, ours.type, ours.proto, fileno=ours.detach())
        connection.peer, connection.client = (client, len(self.sockets)), client
        connection.closed = lambda _: None
        self.sockets += [theirs, connection]
        if not self.connections.admit(connection):
            return None
        if is_answered:
            with self.connections.answering(connection.peer):
                pass
        return connection

    def close(self) -> None:
        for each in self.sockets:
            each.close()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd(most=80)
    yield made
    made.close()


def is_open(connection: Connection | None) -> bool:
    """Return whether the server has not shut *connection* down."""
    assert connection is not None
    connection.settimeout(0)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True


def test_client_with_too_many_connections_loses_its_oldest(crowd: Crowd) -> None:
    other = crowd.arrive("192.0.2.1")
    mine = [crowd.arrive("192.0.2.7") for _ in range(MAX_OF_CLIENT + 1)]

    assert [is_open(each) for each in mine] == [False] + [True] * MAX_OF_CLIENT
    assert is_open(other)
    assert crowd.refused == [Refusal.CONNECTIONS]


def test_full_server_closes_a_connection_of_the_client_with_most(crowd: Crowd) -> None:
    lonely = crowd.arrive("192.0.2.1")
    mine = [crowd.arrive("192.0.2.7") for _ in range(MAX_OF_CLIENT)]
    for number in range(19):
        crowd.arrive(f"198.51.100.{number}")

    assert is_open(crowd.arrive("192.0.2.3"))
    assert is_open(lonely)
    assert [is_open(each) for each in mine[:2]] == [False, True]


def test_kept_connection_outlives_those_without_a_request(crowd: Crowd) -> None:
    kept = crowd.arrive("192.0.2.7", is_answered=True)
    silent = [crowd.arrive("192.0.2.7") for _ in range(MAX_OF_CLIENT)]

    assert is_open(kept)
    assert not is_open(silent[0])


@pytest.mark.parametrize("kept", [MAX_OF_CLIENT, MAX_OF_CLIENT - 1, MAX_OF_CLIENT // 2])
def test_new_connection_has_time_for_its_request_beside_kept_ones_in_a_flood(
    crowd: Crowd, kept: int
) -> None:
    for _ in range(kept):
        crowd.arrive("192.0.2.7", is_answered=True)
    new = crowd.arrive("192.0.2.7")
    for _ in range(MAX_OF_CLIENT - 1):
        crowd.arrive("192.0.2.7", after=0.001)

    assert is_open(new)


def test_flood_of_single_clients_does_not_close_the_kept_connection_of_one(crowd: Crowd) -> None:
    kept = crowd.arrive("192.0.2.7", is_answered=True)
    for number in range(200):
        crowd.arrive(f"198.51.100.{number}")

    assert is_open(kept)


@pytest.mark.parametrize("busy", [20, MAX_OF_CLIENT - 1, MAX_OF_CLIENT])
def test_client_whose_connections_are_all_busy_keeps_no_other_out(crowd: Crowd, busy: int) -> None:
    for _ in range(busy):
        one = crowd.arrive("192.0.2.66")
        assert one is not None
        one.is_busy = True
    for number in range(80):
        crowd.arrive(f"198.51.100.{number}")

    assert is_open(crowd.arrive("192.0.2.7"))


def test_connection_that_is_answered_is_never_closed(crowd: Crowd) -> None:
    busy = [crowd.arrive("192.0.2.7") for _ in range(MAX_OF_CLIENT)]
    for each in busy:
        assert each is not None
        each.is_busy = True

    assert crowd.arrive("192.0.2.7") is None
    crowd.clock.seconds += 10 * KEEPALIVE_SECONDS
    crowd.connections.expire()
    assert all(is_open(each) for each in busy)
    assert is_open(crowd.arrive("192.0.2.1"))


def test_connection_that_sends_its_body_makes_room(crowd: Crowd) -> None:
    slow = crowd.arrive("192.0.2.7")
    assert slow is not None
    with crowd.connections.answering(slow.peer), crowd.connections.waiting(slow.peer):
        others = [crowd.arrive("192.0.2.7", is_answered=True) for _ in range(MAX_OF_CLIENT)]

    assert not is_open(slow)
    assert all(is_open(each) for each in others)


def test_connection_without_a_request_expires(crowd: Crowd) -> None:
    silent = crowd.arrive("192.0.2.7")
    crowd.clock.seconds += HEAD_SECONDS - 1
    crowd.connections.expire()
    assert is_open(silent)

    crowd.clock.seconds += 1
    crowd.connections.expire()

    assert not is_open(silent)
    assert crowd.refused == [Refusal.SLOW_REQUEST]
    assert len(crowd.connections) == 0


def test_kept_connection_expires_when_it_does_not_close(crowd: Crowd) -> None:
    kept = crowd.arrive("192.0.2.7", is_answered=True)
    crowd.clock.seconds += KEEPALIVE_SECONDS
    crowd.connections.expire()
    assert is_open(kept)

    crowd.clock.seconds += 60
    crowd.connections.expire()

    assert not is_open(kept)


def test_closed_connection_is_forgotten(crowd: Crowd) -> None:
    connection = crowd.arrive("192.0.2.7")
    assert connection is not None

    connection.close()

    assert len(crowd.connections) == 0
