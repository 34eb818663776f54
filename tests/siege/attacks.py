"""The attacks, each bounded in clients and time, against a port of this machine only."""

import asyncio
import base64
import logging
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

HOST = "127.0.0.1"
OPERATOR = "127.0.0.1"
"""The address of the operator, where some of the attackers are as well."""
PAUSE_SECONDS = 0.5
"""Before a client connects again. Faster, the attackers would only compete with the operator's own
program for the processors of this machine."""
FLOOD_KEPT = 2000
"""Connections that a flood keeps open: more than the daemon and the kernel hold for it."""
FLOOD_BURST, FLOOD_RATE = 20, 5000
"""Connections at once, and a second."""


@dataclass
class Target:
    """A daemon, and how long at most to attack it with which share of the usual clients."""

    port: int
    seconds: float
    share: float
    connections: int = 0
    """Made so far."""


STRANGERS = [f"127.0.{number // 200}.{number % 200 + 2}" for number in range(200)]
MIXED = [OPERATOR if number % 2 else STRANGERS[number // 2] for number in range(400)]
"""Every second one is the operator's."""


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[Target], Coroutine[Any, Any, None]]
Client = Callable[[int, Stream], Awaitable[None]]


async def repeat(target: Target, clients: int, act: Client) -> None:
    """Connect *clients* at once, again whenever one is done."""
    loop = asyncio.get_running_loop()
    end = loop.time() + target.seconds

    async def one(number: int) -> None:
        while loop.time() < end:
            with suppress(OSError, EOFError, ValueError):
                stream = await asyncio.open_connection(
                    HOST, target.port, local_addr=(MIXED[number % len(MIXED)], 0)
                )
                target.connections += 1
                try:
                    await act(number, stream)
                finally:
                    stream[1].transport.abort()
            await asyncio.sleep(PAUSE_SECONDS)  # noqa: TID251 - another process, in real time

    with suppress(TimeoutError):
        async with asyncio.timeout_at(end):
            await asyncio.gather(*(one(n) for n in range(max(1, int(clients * target.share)))))


def sending(data: bytes) -> Client:
    """Return a client that sends *data* and waits until the server closes the connection."""

    async def act(_: int, stream: Stream) -> None:
        stream[1].write(data)
        while await stream[0].read(65_536):
            pass

    return act


async def half_open(target: Target) -> None:
    """Send requests that are never finished."""

    async def act(number: int, stream: Stream) -> None:
        await sending((b"", b"GET /metrics HTTP/1.1\r\nX-A: ")[number // 2 % 2])(number, stream)

    await repeat(target, 330, act)


def not_reading(*headers: str) -> Attack:
    async def attack(target: Target) -> None:
        """Scrape, and do not read the response."""

        async def act(_: int, stream: Stream) -> None:
            stream[1].transport.pause_reading()  # type: ignore[attr-defined]
            stream[1].write(head("GET", "/metrics", *headers))
            await asyncio.sleep(target.seconds)  # noqa: TID251 - in real time

        await repeat(target, 90, act)

    return attack


async def hanging_up(target: Target) -> None:
    """Scrape, and hang up after the first bytes."""

    async def act(_: int, stream: Stream) -> None:
        stream[1].write(head("GET", "/metrics"))
        await stream[0].readexactly(1000)

    await repeat(target, 15, act)


async def wrong_passwords(target: Target) -> None:
    """Guess a password with an expensive hash."""
    guesses = iter(range(10**9))

    async def act(_: int, stream: Stream) -> None:
        credentials = base64.b64encode(f"anna:guess {next(guesses)}".encode()).decode()
        stream[1].write(head("GET", "/metrics", f"Authorization: Basic {credentials}"))
        await stream[0].readline()

    await repeat(target, 200, act)


async def wrong_tokens(target: Target) -> None:
    """Guess the recovery token."""
    guesses = iter(range(10**9))
    body = b'{"owner": "eve", "reason": "guess"}'

    async def act(_: int, stream: Stream) -> None:
        for _ in range(100):
            stream[1].write(
                head(
                    *("POST", "/api/v1/recovery/disarm", "Content-Type: application/json"),
                    *(f"Content-Length: {len(body)}", f"X-Vergewatch-Token: {next(guesses):040}"),
                )
                + body
            )
            await stream[0].readuntil(b"\r\n\r\n")
            await stream[0].read(4096)

    await repeat(target, 20, act)


async def reloads(target: Target) -> None:
    """Reload without end."""

    async def act(_: int, stream: Stream) -> None:
        stream[1].write(head("POST", "/-/reload", "Content-Length: 0"))
        await stream[0].readline()

    await repeat(target, 50, act)


async def rebound(target: Target) -> None:
    """Reload as a page whose name was pointed at this server."""
    request = head("POST", "/-/reload", "Content-Length: 0", "Origin: http://evil.example")
    request = request.replace(b"Host: localhost", b"Host: evil.example")

    async def act(_: int, stream: Stream) -> None:
        stream[1].write(request)
        if b" 200 " in await stream[0].readline():
            sys.exit("a reload under a foreign host name was accepted")

    await repeat(target, 20, act)


async def slow_bodies(target: Target) -> None:
    """Upload slowly."""

    async def act(_: int, stream: Stream) -> None:
        stream[1].write(head("POST", "/-/reload", "Content-Length: 10000"))
        while not stream[1].is_closing():
            stream[1].write(b"x")
            await asyncio.sleep(1)  # noqa: TID251 - in real time

    await repeat(target, 200, act)


async def endless_uploads(target: Target) -> None:
    """Upload chunks without end."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"

    async def act(number: int, stream: Stream) -> None:
        method = ("POST", "GET")[number // 2 % 2]
        stream[1].write(head(method, "/-/reload", "Transfer-Encoding: chunked"))
        while not stream[1].is_closing():
            stream[1].write(chunk)
            await stream[1].drain()

    await repeat(target, 8, act)


async def large_heads(target: Target) -> None:
    """Send as many and as long headers as are accepted, and no end."""
    headers = b"".join(b"X-%d: " % number + b"y" * 8000 + b"\r\n" for number in range(60))
    await repeat(target, 330, sending(b"GET /metrics HTTP/1.1\r\n" + headers))


async def unknown_paths(target: Target) -> None:
    """Ask for paths and methods that do not exist, many on each connection."""

    async def act(number: int, stream: Stream) -> None:
        for turn in range(100):
            method = ("GET", "HEAD", "OPTIONS", "DELETE")[turn % 4]
            stream[1].write(head(method, f"/{number}/{turn}"))
            await stream[0].read(65_536)

    await repeat(target, 20, act)


async def idle_streams(target: Target) -> None:
    """Leave pages of the console open, more than the daemon has places for."""
    await repeat(target, 200, sending(head("GET", "/events")))


async def pipelined(target: Target) -> None:
    """Send a thousand requests at once on each connection, and read no response."""

    async def act(_: int, stream: Stream) -> None:
        stream[1].transport.pause_reading()  # type: ignore[attr-defined]
        stream[1].write(head("GET", "/metrics") * 1000)
        await asyncio.sleep(target.seconds)  # noqa: TID251 - in real time

    await repeat(target, 45, act)


def flooding(addresses: Sequence[str]) -> Attack:
    async def attack(target: Target) -> None:
        """Connect from *addresses* without a pause, wait for nothing, keep the newest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + target.seconds
        kept: deque[socket.socket] = deque()
        try:
            for address in cycle(addresses):
                if loop.time() > end:
                    break
                connection = socket.socket()
                connection.setblocking(False)  # noqa: FBT003 - the name of the method says what
                kept.append(connection)
                with suppress(OSError):
                    connection.bind((address, 0))
                    connection.connect((HOST, target.port))
                target.connections += 1
                if len(kept) > FLOOD_KEPT * target.share:
                    kept.popleft().close()
                if target.connections % FLOOD_BURST == 0:
                    await asyncio.sleep(FLOOD_BURST / FLOOD_RATE / target.share)  # noqa: TID251 - in real time
        finally:
            for connection in kept:
                connection.close()

    return attack


ATTACKS: Mapping[str, Attack] = {
    "half-open requests": half_open,
    "plain pages not read": not_reading(),
    "compressed pages not read": not_reading("Accept-Encoding: gzip"),
    "clients that hang up": hanging_up,
    "wrong passwords": wrong_passwords,
    "wrong recovery tokens": wrong_tokens,
    "reloads": reloads,
    "foreign host name": rebound,
    "slow bodies": slow_bodies,
    "endless uploads": endless_uploads,
    "large heads": large_heads,
    "unknown paths": unknown_paths,
    "idle streams": idle_streams,
    "pipelined requests": pipelined,
    "flood of strangers": flooding(STRANGERS),
    "flood of neighbors": flooding([OPERATOR]),
}


async def at_once(target: Target, names: Iterable[str]) -> None:
    """Run the attacks with *names* until their time is over or SIGTERM arrives."""
    loop = asyncio.get_running_loop()
    attacking = asyncio.gather(*(ATTACKS[name](target) for name in names))
    loop.add_signal_handler(signal.SIGTERM, attacking.cancel)
    with suppress(asyncio.CancelledError):
        await attacking


def main(port: str, seconds: str, share: str, *names: str) -> None:
    """Attack, and print the number of connections."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # writes to closed connections
    target = Target(int(port), float(seconds), float(share))
    asyncio.run(at_once(target, names))
    sys.stdout.write(f"{target.connections}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
