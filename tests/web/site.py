"""A server under test, and a raw client that does not normalize responses."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from exporter.console.system_history import SystemHistory
from exporter.errors import ConfigError
from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.model import SystemReport, SystemState
from exporter.web.ports import Reloaded
from exporter.web.reloadable_config import ReloadableWebConfig
from tests.web.samples import system


class StubPages:
    """Bodies that name their format and encoding."""

    def __init__(self, bodies: Mapping[tuple[Format, bool], bytes] | None = None) -> None:
        self.bodies = bodies

    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        if self.bodies is not None:
            body = self.bodies[form, gzipped]
        else:
            body = f"{form.name} {'gzip' if gzipped else 'plain'}\n".encode()
        return Body(len(body), (body,))


class BrokenPages:
    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        raise ZeroDivisionError("a secret detail")


class StubOverview:
    def __init__(self, *reports: SystemReport) -> None:
        self._reports = reports

    def reports(self) -> Sequence[SystemReport]:
        return self._reports or (system(),)

    def states(self) -> Sequence[SystemState]:
        return [SystemState(None, report) for report in self.reports()]

    def histories(self) -> Mapping[str, SystemHistory]:
        return {}


class StubReload:
    def __init__(self, error: str | None = None) -> None:
        self.error = error
        self.problem = ""
        self.calls = 0
        self.done = Reloaded()

    async def __call__(self) -> Reloaded:
        self.calls += 1
        if self.error is not None:
            self.problem = f"The last reload was refused just now: {self.error}."
            raise ConfigError(self.error)
        return self.done


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class ServerUnderTest:
    """A running server; `seen` is the certificate of the last TLS connection, in DER."""

    def __init__(
        self, port: int, web_config: ReloadableWebConfig | None, scrapes: list[float], *, tls: bool
    ) -> None:
        self.port = port
        self.web_config = web_config
        self.scrapes = scrapes
        self.seen: bytes | None = None
        self._tls = tls

    async def request(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        client: ssl.SSLContext | None = None,
    ) -> Reply:
        context = (client or trusting_context()) if self._tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            if context is not None:
                self.seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            lines = {"Host": "test", "Connection": "close", **(headers or {})}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
            return _parse(await reader.read())
        finally:
            writer.close()
            with suppress(OSError):  # the server may have closed the connection
                await writer.wait_closed()


def trusting_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _parse(answer: bytes) -> Reply:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Reply(int(status.split(" ")[1]) if status else 0, headers, body)
