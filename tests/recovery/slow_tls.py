"""A relay in front of a TLS server: while told to, it holds back the handshakes of new clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class SlowTLS:
    """Relays connections to a port; a new one gets no answer while `holds` is set."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._relays: set[asyncio.Task[None]] = set()
        self.port = 0
        self.holds = False
        self.held = asyncio.Event()
        """Set once a client waits for its handshake."""
        self.go_on = asyncio.Event()
        """To be set when it may go on."""

    def hold(self) -> None:
        self.holds = True
        self.held.clear()
        self.go_on.clear()

    async def relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        is_held = self.holds
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._back(server, to_client, is_held=is_held))
        self._relays.add(back)
        back.add_done_callback(self._relays.discard)
        await _copy(client, to_server)

    async def _back(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, *, is_held: bool
    ) -> None:
        if is_held:
            self.held.set()
            await self.go_on.wait()
        await _copy(server, to_client)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
    target.close()


@asynccontextmanager
async def slow_tls(port: int) -> AsyncIterator[SlowTLS]:
    relay = SlowTLS(port)
    server = await asyncio.start_server(relay.relay, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.go_on.set()
        server.close()
