"""A small HTTP proxy on loopback: it forwards requests, and tunnels with CONNECT."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """A running proxy."""

    login: str = ""
    """``user:password`` that it requires."""
    answer: int = 200
    """What it answers to CONNECT."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The first line of each request."""
    heads: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.url.removeprefix("http://")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode().split(" ", 2)
            self.asked.append(f"{method} {target}")
            self.heads.append(head)
            wanted = f"Proxy-Authorization: Basic {base64.b64encode(self.login.encode()).decode()}"
            if self.login and wanted not in head.decode():
                status = b"407 Proxy Authentication Required"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
            elif method == "CONNECT" and self.answer != 200:
                writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.answer)
            else:
                parts = urlsplit(target if "://" in target else f"//{target}")
                there = await asyncio.open_connection(parts.hostname, parts.port)
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                    there[1].write(head.replace(target.encode(), path.encode(), 1))
                await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
        writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(login: str = "", answer: int = 200) -> AsyncIterator[Proxy]:
    """Run a proxy on a free port."""
    proxy = Proxy(login, answer)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
