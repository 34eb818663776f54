"""The HTTP server of the simulated VergeOS, with faults of connections and responses."""

import asyncio
import socket
import ssl
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from exporter.clock import Clock
from exporter.simulator.api.accounts import (
    API_KEY,
    PASSWORD,
    READONLY_API_KEY,
    USERNAME,
    Account,
    Accounts,
    Caller,
)
from exporter.simulator.api.actions import ApiBehavior
from exporter.simulator.api.control import ROOT as CONTROL_ROOT
from exporter.simulator.api.control import Control
from exporter.simulator.api.faults import ActiveFaults, FaultInjector
from exporter.simulator.api.messages import EMPTY, Answer, Call
from exporter.simulator.api.rate_limit import Limits
from exporter.simulator.api.routes import Api
from exporter.simulator.world.machines import User
from exporter.simulator.world.world import World

KEPT_REQUESTS = 100_000
BACKLOG = 128
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>VergeOS</title></head><body>Login</body></html>"


@dataclass(frozen=True, slots=True)
class Request:
    """A recorded request."""

    at: float
    """Seconds on the clock's monotonic scale."""
    method: str
    path: str
    query: Mapping[str, str]
    status: int | None = None
    """None while it is in progress, and if the connection was dropped."""
    user: str | None = None
    means: str | None = None
    """``key``, ``basic`` or ``token``; None without valid credentials."""
    body: Any = None
    faults: tuple[str, ...] = ()
    acted: bool = False
    """Whether the request took effect, even if the client received no response."""


class Simulator:
    """
    The HTTP server of a simulated VergeOS.

    The world follows the clock: it is advanced before each request, and when a scenario turns a
    fault on or off.
    """

    def __init__(
        self,
        *,
        world: World,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: FaultInjector | None = None,
        behavior: ApiBehavior | None = None,
        api_key: str = API_KEY,
        readonly_api_key: str = READONLY_API_KEY,
        username: str = USERNAME,
        password: str = PASSWORD,
        burst_limit: int | None = 50,
        hourly_limit: int | None = None,
        lockout_after: int | None = 5,
        lockout_seconds: float = 900.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """
        Create a server.

        Args:
            faults: Replaces the world's own fault injector.
            burst_limit: Requests per second and session, above which the connection is
                dropped; None: no limit.
            hourly_limit: The same per hour.
            lockout_after: Failed logins that lock a user out, API keys included; None: never.

        """
        self.world = world
        self.faults = world.faults = faults if faults is not None else world.faults
        self.faults.time = lambda: clock.now().timestamp()
        self.api_key, self.readonly_api_key = api_key, readonly_api_key
        self.username, self.password = username, password
        self.accounts = Accounts(
            (
                Account(username, password, api_key, may_write=True),
                Account(f"{username}-readonly", password, readonly_api_key, may_write=False),
            ),
            lockout_after=lockout_after,
            lockout_seconds=lockout_seconds,
            seed=world.seed,
        )
        for name in (username, f"{username}-readonly"):
            if name not in {user.name for user in world.users}:
                world.users.append(User(len(world.users) + 1, name, "api"))
        self.limits = Limits(burst=burst_limit, hourly=hourly_limit)
        self._clock, self._ssl = clock, ssl_context
        self._host, self._port = host, port
        self._api = Api(world, self.accounts, behavior or ApiBehavior())
        self._control = Control(world, lambda: (one.path for one in self._log.values()))
        self._log: OrderedDict[int, Request] = OrderedDict()
        self._logged = 0
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL; it stays the same after the first start."""
        if self._port == 0:
            raise RuntimeError("the simulator has no URL before its first start")
        scheme = "http" if self._ssl is None else "https"
        return f"{scheme}://{self._host}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """The latest requests, oldest first."""
        return list(self._log.values())

    @property
    def running(self) -> bool:
        return self._web is not None

    async def start(self) -> None:
        """Listen for requests."""
        if self._web is not None:
            return
        # Cancels the handler of a client that disconnects, which ends requests that hang.
        self._web = web.Server(
            self._serve, access_log=None, handler_cancellation=True, keepalive_timeout=75.0
        )
        self.faults.watchers.append(self._faults_changed)
        self.world.follow(self._clock)
        await self._open(self._bind())
        self._faults_changed()
        self._timer = asyncio.create_task(self._run_timer(), name="simulator-time")

    async def stop(self) -> None:
        """Close the port and abort open connections."""
        if self._web is None:
            return
        self.faults.watchers.remove(self._faults_changed)
        for task in (self._timer, self._opening):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._timer = self._opening = None
        self._close()
        server, self._web = self._web, None
        await server.shutdown(timeout=0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # Listening.

    async def _open(self, listening: socket.socket) -> None:
        if self._web is None:
            listening.close()
            return
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._web, sock=listening, backlog=BACKLOG, ssl=self._ssl
        )

    def _bind(self) -> socket.socket:
        """Bind synchronously, so that no client is refused after the fault's end."""
        listening = socket.create_server((self._host, self._port), backlog=BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - it takes no keyword
        self._port = listening.getsockname()[1]
        return listening

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._web.connections) if self._web is not None else ():
            _reset(connection.transport)

    def _faults_changed(self) -> None:
        self.world.catch_up()
        self._api.notice_faults()
        self._changed.set()
        self._changed = asyncio.Event()
        refusing = any(fault["mode"] == "refuse" for fault in self.faults.active("outage"))
        if refusing and self._listener is not None:
            self._close()
        elif not refusing and self._listener is None and self._opening is None and self.running:
            self._opening = asyncio.create_task(
                self._reopen(self._bind()), name="simulator-opening"
            )

    async def _reopen(self, listening: socket.socket) -> None:
        await self._open(listening)
        self._opening = None
        self._faults_changed()

    # Time.

    async def _run_timer(self) -> None:
        """Advance the world when a scenario's fault begins or a fault ends."""
        while True:
            self.world.catch_up()
            self.faults.active()  # removes expired faults
            changed = self._changed
            moments = [self.faults.next_expiry(), self.world.next_alarm()]
            due = min((moment for moment in moments if moment is not None), default=None)
            if due is None:
                await changed.wait()
                continue
            wait = due - self._clock.now().timestamp()
            sleeping = asyncio.create_task(self._clock.sleep(max(0.0, wait)))
            waiting = asyncio.create_task(changed.wait())
            try:
                await asyncio.wait((sleeping, waiting), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                waiting.cancel()

    # Requests.

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.world.catch_up()
        call = await _call(request)
        if call.path.startswith(CONTROL_ROOT):
            return _response(self._control.answer(call))
        number = self._remember(call)
        faults = self.faults.faults_for(call.method, call.path)
        self._update(number, faults=tuple(faults))
        if "outage" in faults or "reset" in faults or "reset_before_acting" in faults:
            return _drop(request)
        await self._delay(faults, after=False)
        at = self._clock.monotonic()
        caller = self._api.caller(call, at=at, faults=faults)
        self._update(
            number,
            user=caller.account.name if caller is not None else None,
            means=caller.means if caller is not None else None,
        )
        if self.limits.exceeded(_session(caller, request), at=at):
            return _drop(request)
        answer = self._answer(number, call, caller, faults, at=at)
        await self._delay(faults, after=True)
        if "reset_after" in faults or "reset_after_acting" in faults:
            return _drop(request)
        self._update(number, status=200 if "html" in faults else answer.status)
        return await _sent(request, answer, faults)

    def _answer(
        self, number: int, call: Call, caller: Caller | None, faults: ActiveFaults, *, at: float
    ) -> Answer:
        fault = faults.get("status")
        failed = None if fault is None else Answer(fault["code"], {"err": fault["text"]})
        if failed is not None and fault is not None and not fault["after"]:
            return failed
        self.world.catch_up()
        answer = self._api.answer(call, caller, at=at, faults=faults)
        self._update(number, acted=True)
        return failed or answer

    async def _delay(self, faults: ActiveFaults, *, after: bool) -> None:
        if "latency" in faults and faults["latency"]["after"] == after:
            await self._clock.sleep(faults["latency"]["seconds"])
        if "hang" in faults and faults["hang"]["after"] == after:
            fault = faults["hang"]
            # A fault with `times` is off already; it lasts until the client disconnects.
            while fault.times is not None or fault in self.faults.active("hang"):
                await self._changed.wait()

    def _remember(self, call: Call) -> int:
        self._logged += 1
        self._log[self._logged] = Request(
            at=self._clock.monotonic(),
            method=call.method,
            path=call.path,
            query=MappingProxyType(dict(call.query)),
            body=call.body if call.path != "/api/sys/tokens" else None,
        )
        if len(self._log) > KEPT_REQUESTS:
            self._log.popitem(last=False)
        return self._logged

    def _update(self, number: int, **changes: Any) -> None:
        if number in self._log:
            self._log[number] = replace(self._log[number], **changes)


def _session(caller: Caller | None, request: web.BaseRequest) -> str:
    return caller.session if caller is not None else f"anonymous:{request.remote}"


async def _call(request: web.BaseRequest) -> Call:
    body = await request.read()
    try:
        decoded = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        decoded = None
    headers = CIMultiDict(request.headers)
    if "token" in request.cookies:
        headers.setdefault("x-yottabyte-token", request.cookies["token"])
    return Call(request.method, request.path, request.query, headers, decoded)


def _drop(request: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection; the returned response is not sent."""
    _reset(request.transport)
    return web.Response()


def _reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with RST instead of FIN."""
    if not isinstance(transport, asyncio.WriteTransport):
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        at_once = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()


def _response(answer: Answer) -> web.Response:
    body = b"" if answer.payload is EMPTY else msgspec.json.encode(answer.payload)
    return web.Response(status=answer.status, body=body, content_type="application/json")


async def _sent(
    request: web.BaseRequest, answer: Answer, faults: ActiveFaults
) -> web.StreamResponse:
    if "html" in faults:
        return web.Response(body=LOGIN_PAGE, content_type="text/html")
    if "oversize" in faults:
        return await _padded(request, answer, int(faults["oversize"]["mebibytes"] * 1024**2))
    if "truncate" not in faults:
        return _response(answer)
    body = b"" if answer.payload is EMPTY else msgspec.json.encode(answer.payload)
    half = body[: len(body) // 2]
    if faults["truncate"]["mode"] == "json":
        return web.Response(status=answer.status, body=half, content_type="application/json")
    response = web.StreamResponse(status=answer.status)
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(half)
    if request.transport is not None:
        request.transport.close()
    return response


async def _padded(request: web.BaseRequest, answer: Answer, size: int) -> web.StreamResponse:
    """Send the response after *size* bytes of spaces, in chunks."""
    chunk = b" " * 65_536
    response = web.StreamResponse(status=answer.status)
    response.content_type = "application/json"
    await response.prepare(request)
    for _ in range(max(1, size // len(chunk))):
        await response.write(chunk)
    if answer.payload is not EMPTY:
        await response.write(msgspec.json.encode(answer.payload))
    await response.write_eof()
    return response
