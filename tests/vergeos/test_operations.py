"""Operations on a simulated VergeOS: logs, current rows and actions."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from exporter.clock import Clock, SystemClock
from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem
from exporter.daemon import clients
from exporter.daemon.clients import connect, make_session
from exporter.errors import (
    AbsentError,
    BadReplyError,
    ForbiddenError,
    NotSentError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.recovery.model.cases import Action, Reply
from exporter.recovery.model.platform_log import LogReading, LogTable
from exporter.recovery.model.ports import Platform
from exporter.simulator import Simulator, World, create_world
from exporter.simulator.api.accounts import API_KEY, PASSWORD, READONLY_API_KEY, USERNAME
from exporter.simulator.api.actions import ApiBehavior
from exporter.simulator.api.server import Request
from exporter.simulator.world.machines import VM
from exporter.simulator.world.platform_log import Entry
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations, reply_of
from tests.fakes import START, FakeClock
from tests.network import Peer, inside, network, unavailable
from tests.vergeos.scripted import Answer, Scripted, respond, serving

ACTIONS = "/api/v4/vm_actions"


@dataclass
class Site:
    """A simulated system with its clients and operations."""

    system: Simulator
    operations: Operations
    reader: VergeOSClient
    actor: VergeOSClient
    clock: FakeClock
    telemetry: Telemetry

    @property
    def world(self) -> World:
        return self.system.world

    @property
    def posts(self) -> list[Request]:
        return [one for one in self.system.requests if one.path == ACTIONS]

    @property
    def running(self) -> VM:
        return next(vm for vm in self.world.live_vms() if vm.machine.status.running)

    @property
    def stopped(self) -> VM:
        """A stopped VM that can be started."""
        vm = self.world.vm("stopped") if self._has_stopped() else self.world.creates("stopped")
        vm.enabled = True
        self.world.power.stop_now(vm.machine)
        return vm

    def _has_stopped(self) -> bool:
        return any(vm.name == "stopped" for vm in self.world.live_vms())

    def may_act(self) -> bool:
        return not self.operations.read_only_reason

    def hurry(self, **limits: Any) -> None:
        transport = self.actor._transport
        transport.limits = transport.limits._replace(**limits)

    def counted(self) -> dict[tuple[str, str], float]:
        """Return the measured requests by endpoint and outcome."""
        return {
            (sample.labels["api_endpoint"], sample.labels["outcome"]): sample.value
            for metric in self.telemetry["api_requests_total"].collect()
            for sample in metric.samples
        }


@asynccontextmanager
async def site(
    *,
    behavior: ApiBehavior | None = None,
    clock: Clock | None = None,
    requests_per_hour: int = 1000,
    **system: Any,
) -> AsyncIterator[Site]:
    fake = FakeClock(hurried=True)
    world = create_world(seed=1, vms=20, start=START.timestamp())
    async with (
        Simulator(world=world, clock=clock or fake, behavior=behavior) as simulator,
        make_session(TLSSettings()) as session,
        make_session(TLSSettings(), keeps_connections=False) as action_session,
    ):
        signed = {"api_key": SecretStr(API_KEY)}
        settings = ResolvedSystem(
            SystemSettings(**{"url": simulator.url, **(system or signed)}),
            PollSettings(),
            APISettings(requests_per_hour=requests_per_hour),
        )
        telemetry = Telemetry()
        meter = telemetry.meter("system")
        reader = connect(settings, session, meter, fake)
        actor = connect(settings, action_session, meter, fake, reader.budget, acts=True)
        operations = Operations(reader, actor, fake)
        yield Site(simulator, operations, reader, actor, fake, telemetry)


@asynccontextmanager
async def scripted(
    *answers: Answer, api_key: str = "the-key"
) -> AsyncIterator[tuple[Operations, Scripted]]:
    clock = FakeClock(hurried=True)
    async with (
        serving(*answers) as server,
        make_session(TLSSettings()) as session,
        make_session(TLSSettings(), keeps_connections=False) as action_session,
    ):
        settings = ResolvedSystem(
            SystemSettings(url=server.url, api_key=SecretStr(api_key)),
            PollSettings(),
            APISettings(),
        )
        meter = Telemetry().meter("system")
        reader = connect(settings, session, meter, clock)
        actor = connect(settings, action_session, meter, clock, reader.budget, acts=True)
        yield Operations(reader, actor, clock), server


async def allowed() -> str:
    return ""


# Replies


def bad(status: int, text: str = "") -> BadReplyError:
    said = f" ({text})" if text else ""
    return BadReplyError(ACTIONS, f"answered {status}{said}", status=status)


RUNNING = "Error starting machine: Machine is already running with status 'running'"
NO_ROOM = "Error starting machine: Insufficient cluster resources to start VM"
START_IT, RESET, KILL = Action.POWER_ON, Action.RESET, Action.KILL


@pytest.mark.parametrize(
    ("action", "error", "reply"),
    [
        (START_IT, NotSentError("x was not sent: no route"), Reply.NOT_SENT),
        (START_IT, UnauthorizedError("401"), Reply.FORBIDDEN),
        (START_IT, ForbiddenError("403"), Reply.FORBIDDEN),
        (START_IT, UnreachableError("reset"), Reply.LOST),
        (START_IT, AbsentError("from somewhere else"), Reply.LOST),
        (START_IT, VergeOSError("of a kind that is not known yet"), Reply.LOST),
        (START_IT, BadReplyError(ACTIONS, "no status"), Reply.LOST),
        (START_IT, bad(201, "sent more than 10 bytes"), Reply.LOST),
        (START_IT, bad(302, "redirects to elsewhere"), Reply.LOST),
        (START_IT, bad(422, RUNNING), Reply.ALREADY),
        (START_IT, bad(400, RUNNING), Reply.ALREADY),
        (START_IT, bad(500, RUNNING), Reply.ALREADY),
        (START_IT, bad(409, "Cannot power on VM: already in running state"), Reply.ALREADY),
        (START_IT, bad(409), Reply.ALREADY),
        (START_IT, bad(422, "Machine is not running"), Reply.REFUSED),
        (RESET, bad(422, "Error: Machine is not running"), Reply.ALREADY),
        (KILL, bad(422, "Cannot power off VM: not in running state"), Reply.ALREADY),
        (KILL, bad(409), Reply.ALREADY),
        (RESET, bad(422, RUNNING), Reply.REFUSED),
        (START_IT, bad(423), Reply.BUSY),
        (KILL, bad(423, "Machine is not running"), Reply.BUSY),
        (START_IT, bad(409, "VM is locked"), Reply.BUSY),
        (START_IT, bad(422, "Error: operation in progress"), Reply.BUSY),
        (START_IT, bad(400, "the VM is busy: snapshot pending"), Reply.BUSY),
        (START_IT, bad(409, "A backup is already running"), Reply.BUSY),
        (RESET, bad(409, "another task already running on this VM"), Reply.BUSY),
        (START_IT, bad(422, "VM 'locked' is disabled"), Reply.REFUSED),
        (START_IT, bad(422, "the disk is unlocked and unusable"), Reply.REFUSED),
        (START_IT, bad(422, "account is locked"), Reply.REFUSED),
        (START_IT, bad(500, "database is locked"), Reply.LOST),
        (START_IT, bad(503, "operation in progress"), Reply.LOST),
        (START_IT, bad(429, "operation in progress"), Reply.LOST),
        (START_IT, bad(507), Reply.NO_CAPACITY),
        (START_IT, bad(422, NO_ROOM), Reply.NO_CAPACITY),
        (START_IT, bad(409, NO_ROOM), Reply.NO_CAPACITY),
        (START_IT, bad(500, "Not enough memory on any node"), Reply.NO_CAPACITY),
        (START_IT, bad(422, "the cluster is over capacity"), Reply.NO_CAPACITY),
        (START_IT, bad(422, "insufficient permissions"), Reply.REFUSED),
        (START_IT, bad(422, "VM 'capacity' is disabled"), Reply.REFUSED),
        (START_IT, bad(422, 'VM "already running" is disabled'), Reply.REFUSED),
        (START_IT, bad(400), Reply.REFUSED),
        (START_IT, bad(404, "vm not found"), Reply.REFUSED),
        (START_IT, bad(405), Reply.REFUSED),
        (START_IT, bad(422, "it is disabled"), Reply.REFUSED),
        (START_IT, bad(499), Reply.REFUSED),
        (START_IT, bad(408), Reply.LOST),
        (START_IT, bad(408, RUNNING), Reply.LOST),
        (START_IT, bad(425), Reply.LOST),
        (START_IT, bad(429, "out of resources"), Reply.LOST),
        (START_IT, bad(500), Reply.LOST),
        (START_IT, bad(502), Reply.LOST),
        (START_IT, bad(503, "not enough resources"), Reply.LOST),
        (START_IT, bad(504), Reply.LOST),
        (START_IT, bad(599), Reply.LOST),
    ],
    ids=repr,
)
def test_reply_of_an_error(action: Action, error: VergeOSError, reply: Reply) -> None:
    assert reply_of(action, error) is reply


# Actions


async def test_start_is_sent_once_and_takes_effect() -> None:
    async with site() as here:
        vm = here.stopped

        answer = await here.operations.act(vm.key, Action.POWER_ON, allowed)

        assert answer == (Reply.ACCEPTED, "answered 201")
        here.world.advance(here.world.now + 5)
        assert vm.machine.status.running
        (post,) = here.system.requests
        assert (post.method, post.path, dict(post.query)) == ("POST", ACTIONS, {})
        assert here.counted() == {("vm_actions", "ok"): 1}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (Action.POWER_ON, {"action": "poweron"}),
        (Action.REBOOT, {"action": "reset", "params": {"graceful": True}}),
        (Action.RESET, {"action": "reset"}),
        (Action.KILL, {"action": "kill"}),
    ],
)
async def test_body_of_each_action(action: Action, body: dict[str, Any]) -> None:
    async with site() as here:
        vm = here.stopped if action is Action.POWER_ON else here.running

        answer = await here.operations.act(vm.key, action, allowed)

        assert answer.reply is Reply.ACCEPTED
        assert here.posts[0].body == {"vm": vm.key, **body}


async def test_empty_response_is_accepted() -> None:
    async with site(behavior=ApiBehavior(empty_action_replies=True)) as here:
        assert (await here.operations.act(here.stopped.key, Action.POWER_ON, allowed))[
            0
        ] is Reply.ACCEPTED


@pytest.mark.parametrize("status", [422, 409])
async def test_vm_already_in_the_wanted_state_is_already(status: int) -> None:
    behavior = ApiBehavior(already_running_status=status, not_running_status=status)
    async with site(behavior=behavior) as here:
        up = await here.operations.act(here.running.key, Action.POWER_ON, allowed)
        down = await here.operations.act(here.stopped.key, Action.RESET, allowed)

        assert (up.reply, down.reply) == (Reply.ALREADY, Reply.ALREADY)
        assert "already running" in up.detail


@pytest.mark.parametrize("status", [422, 507, 500])
async def test_lack_of_resources_is_no_capacity(status: int) -> None:
    async with site() as here:
        here.system.faults.turn_on("no_capacity", code=status)

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NO_CAPACITY
        assert "Insufficient cluster resources" in answer.detail


async def test_disabled_or_unknown_vm_is_refused() -> None:
    async with site() as here:
        vm = here.stopped
        vm.enabled = False

        disabled = await here.operations.act(vm.key, Action.POWER_ON, allowed)
        unknown = await here.operations.act(99_999, Action.POWER_ON, allowed)

        assert (disabled.reply, unknown.reply) == (Reply.REFUSED, Reply.REFUSED)
        assert "it is disabled" in disabled.detail
        assert "404" in unknown.detail


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("after", [False, True])
async def test_ambiguous_error_is_lost_and_not_repeated(code: int, after: bool) -> None:
    async with site() as here:
        here.system.faults.turn_on("status", code=code, after=after)

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.LOST
        assert [post.acted for post in here.posts] == [after]
        outcome = "throttled" if code == 429 else "bad_reply"
        assert here.counted() == {("vm_actions", outcome): 1}


@pytest.mark.parametrize(
    ("fault", "settings", "acted"),
    [
        ("reset_before_acting", {}, False),
        ("reset_after_acting", {}, True),
        ("html", {}, True),
        ("truncate", {}, True),
        ("outage", {"mode": "abort"}, False),
    ],
)
async def test_missing_response_is_lost_and_not_repeated(
    fault: str, settings: Mapping[str, Any], acted: bool
) -> None:
    async with site() as here:
        vm = here.stopped
        here.system.faults.turn_on(fault, **settings)

        answer = await here.operations.act(vm.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.LOST
        assert [post.acted for post in here.posts] == [acted]
        here.world.advance(here.world.now + 5)
        assert vm.machine.status.running == acted


@pytest.mark.parametrize("after", [False, True])
async def test_late_response_is_lost_and_not_repeated(after: bool) -> None:
    async with site(clock=SystemClock()) as here:
        here.hurry(action_timeout_seconds=0.1)
        vm = here.stopped
        here.system.faults.turn_on("latency", seconds=0.5, after=after)

        answer = await here.operations.act(vm.key, Action.POWER_ON, allowed)

        assert answer == (Reply.LOST, f"{ACTIONS} did not answer within 0.1 s")
        await SystemClock().sleep(0.5)
        assert [post.acted for post in here.posts] == [after]
        assert here.counted() == {("vm_actions", "abandoned"): 1}


async def test_action_timeout_differs_from_read_timeout() -> None:
    async with site(clock=SystemClock()) as here:
        here.hurry(timeout_seconds=0.05)
        here.system.faults.turn_on("latency", seconds=0.2)

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.ACCEPTED


async def test_failed_connection_is_not_sent() -> None:
    async with site() as here:
        key = here.stopped.key
        with here.system.faults.on("outage"):
            answer = await here.operations.act(key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NOT_SENT
        assert answer.detail.startswith(f"{ACTIONS} was not sent: ")
        assert "cannot connect" in answer.detail
        assert here.posts == []


async def test_connection_timeout_is_not_sent() -> None:
    async with site() as here:

        def too_slow(*_: Any, **__: Any) -> Any:
            raise aiohttp.ConnectionTimeoutError

        here.actor._transport._session.request = too_slow  # type: ignore[method-assign]

        answer = await here.operations.act(1, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NOT_SENT
        assert answer.detail.endswith("connecting timed out")


async def test_spent_budget_is_not_sent() -> None:
    async with site(requests_per_hour=20) as here:
        while here.reader.budget.take(at=here.clock.monotonic(), urgent=True) == 0:
            pass

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NOT_SENT
        assert "was not sent: " in answer.detail
        assert "this hour's request budget is spent" in answer.detail
        assert here.system.requests == []


async def test_action_may_use_the_reserve() -> None:
    async with site(requests_per_hour=20) as here:
        while here.reader.budget.take(at=here.clock.monotonic()) == 0:
            pass
        key = here.stopped.key

        await here.operations.read_vm(key)
        answer = await here.operations.act(key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.ACCEPTED
        assert here.reader.budget.left(at=here.clock.monotonic()) == 0


async def test_reader_and_actor_keep_the_spacing_together() -> None:
    async with site() as here:
        key = here.stopped.key

        await asyncio.gather(
            here.operations.log_rows(LogTable.LOGS, 0, 1),
            here.operations.act(key, Action.POWER_ON, allowed),
            here.operations.read_vm(key),
        )

        assert here.clock.elapsed == pytest.approx(3 * 0.05)
        assert here.reader.budget.spent(at=here.clock.monotonic()) == 4


async def test_a_redirect_is_not_followed() -> None:
    async with scripted(respond(status=307, Location="/api/v4/elsewhere")) as (operations, server):
        answer = await operations.act(1, Action.POWER_ON, allowed)

        assert answer.reply is Reply.LOST
        assert len(server.asked) == 1


async def test_each_action_opens_a_new_connection() -> None:
    async with scripted(respond(status=201)) as (operations, server):
        doors: list[Any] = []
        server.answers = [notes_the_door(doors)]

        for _ in range(3):
            await operations.act(1, Action.POWER_ON, allowed)

        assert len(set(doors)) == 3


def notes_the_door(doors: list[Any]) -> Answer:
    async def answer(request: Any) -> Any:
        doors.append(request.transport.get_extra_info("peername"))
        return await respond(status=201)(request)

    return answer


async def test_error_text_is_redacted() -> None:
    said = b'{"err":"VM action \'poweron\' by the-key is refused"}'
    async with scripted(respond(said, 422)) as (operations, _):
        answer = await operations.act(1, Action.POWER_ON, allowed)

        assert answer.detail == f"{ACTIONS} answered 422 (VM action 'poweron' by *** is refused)"


async def test_cancelled_action_raises() -> None:
    async with site() as here:
        here.system.faults.turn_on("hang", after=True)
        acting = asyncio.create_task(
            here.operations.act(here.stopped.key, Action.POWER_ON, allowed)
        )
        while not any(post.acted for post in here.posts):
            await SystemClock().sleep(0.01)

        acting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await acting
        assert len(here.posts) == 1
        assert here.counted() == {("vm_actions", "abandoned"): 1}


# Whether we may


async def test_readonly_key_is_reported_for_half_an_hour() -> None:
    async with site(api_key=SecretStr(READONLY_API_KEY)) as here:
        key = here.stopped.key
        assert here.may_act()

        answer = await here.operations.act(key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.FORBIDDEN
        assert "answered 403 (Permission denied): this user may not do this" in answer.detail
        assert not here.may_act()
        assert here.operations.read_only_reason == answer.detail
        here.clock.elapsed += 1799
        assert not here.may_act()
        here.clock.elapsed += 1
        assert here.may_act()
        assert here.operations.read_only_reason == ""


async def test_accepted_action_clears_forbidden() -> None:
    async with site() as here:
        here.system.faults.turn_on("status", code=403, times=1)
        vm = here.stopped
        await here.operations.act(vm.key, Action.POWER_ON, allowed)
        assert not here.may_act()

        await here.operations.act(vm.key, Action.POWER_ON, allowed)

        assert here.may_act()


async def test_action_not_sent_keeps_forbidden() -> None:
    async with site() as here:
        vm = here.stopped
        with here.system.faults.on("status", code=403):
            await here.operations.act(vm.key, Action.POWER_ON, allowed)

        with here.system.faults.on("outage"):
            await here.operations.act(vm.key, Action.POWER_ON, allowed)

        assert not here.may_act()


async def test_refused_key_is_sent_once() -> None:
    async with site() as here:
        here.system.faults.turn_on("reject_key")
        key = here.stopped.key

        answers = [await here.operations.act(key, Action.POWER_ON, allowed) for _ in range(3)]

        assert {answer.reply for answer in answers} == {Reply.FORBIDDEN}
        assert "answered 401" in answers[0].detail
        assert "the credentials are refused" in answers[0].detail
        assert "not asking again" in answers[1].detail
        assert len(here.posts) == 1
        assert not here.may_act()


async def test_action_without_credential_is_not_sent() -> None:
    async with site() as here:
        looker = Operations(here.reader, None, here.clock)

        answer = await looker.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NOT_SENT
        assert looker.read_only_reason
        assert "no credential" in looker.read_only_reason
        assert here.system.requests == []


async def test_action_credential_is_used_for_actions_only(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(API_KEY)
    for acting in (
        {"action_api_key": SecretStr(API_KEY)},
        {"action_api_key_file": tmp_path / "key"},
    ):
        async with site(api_key=SecretStr(READONLY_API_KEY), **acting) as here:
            key = here.stopped.key

            await here.operations.read_vm(key)
            answer = await here.operations.act(key, Action.POWER_ON, allowed)

            assert answer.reply is Reply.ACCEPTED
            assert [(one.method, one.user) for one in here.system.requests] == [
                ("GET", "vergewatch-readonly"),
                ("GET", "vergewatch-readonly"),
                ("POST", "vergewatch"),
            ]


# Actions in a session


@asynccontextmanager
async def in_session() -> AsyncIterator[Site]:
    async with site(username=USERNAME, password=SecretStr(PASSWORD)) as here:
        yield here


async def test_session_is_opened_before_an_action_and_reused() -> None:
    async with in_session() as here:
        key = here.stopped.key

        for _ in range(2):
            await here.operations.act(key, Action.POWER_ON, allowed)

        paths = [one.path for one in here.system.requests]
        assert paths == ["/api/sys/tokens", ACTIONS, ACTIONS]


async def test_idle_session_is_replaced_before_an_action() -> None:
    async with in_session() as here:
        key = here.stopped.key
        await here.operations.act(key, Action.POWER_ON, allowed)
        here.clock.elapsed += 601
        here.system.accounts._tokens.clear()

        answer = await here.operations.act(key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.ALREADY
        methods = [one.method for one in here.system.requests]
        assert methods == ["POST", "POST", "DELETE", "POST", "POST"]


async def test_ended_session_fails_the_action_without_retry() -> None:
    async with in_session() as here:
        key = here.stopped.key
        await here.operations.act(key, Action.POWER_ON, allowed)
        here.system.accounts._tokens.clear()

        answer = await here.operations.act(key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.FORBIDDEN
        assert [post.status for post in here.posts] == [201, 401]


async def test_a_login_that_fails_sends_no_action() -> None:
    async with in_session() as here:
        here.system.faults.turn_on("reset", path="/api/sys/tokens")

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer.reply is Reply.NOT_SENT
        assert "was not sent" in answer.detail
        assert [one.path for one in here.system.requests] == ["/api/sys/tokens"]


async def test_a_login_that_takes_too_long_sends_no_action() -> None:
    async with in_session() as here:
        here.hurry(prompt_seconds=0.05)
        here.system.faults.turn_on("hang", path="/api/sys/tokens")

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, allowed)

        assert answer == (
            Reply.NOT_SENT,
            f"{ACTIONS} was not sent: login and rate limit took more than 0.05 s",
        )
        assert here.posts == []


async def test_a_login_that_is_refused_is_not_tried_again() -> None:
    async with in_session() as here:
        here.system.faults.turn_on("status", path="/api/sys/tokens", code=401)

        answers = [
            await here.operations.act(here.stopped.key, Action.POWER_ON, allowed) for _ in range(2)
        ]

        assert {answer.reply for answer in answers} == {Reply.FORBIDDEN}
        assert len(here.system.requests) == 1


# Logs


def entry(site: Site, vm: VM, text: str, *, ago: float = 0.0) -> Entry:
    """Write a row of the log."""
    at = site.world.now - ago
    site.world.platform_log.write(text, at=at, level="audit", user="anna", machine=vm.machine.key)
    return site.world.platform_log.machine_logs[-1]


@dataclass
class Logged:
    """Log rows before and after the start of a read."""

    site: Site
    vm: VM
    oldest: int
    """The key from which on rows are asked for."""

    async def read(self, since: int | None = None, limit: int = 100) -> LogReading:
        asked = self.oldest if since is None else since
        return await self.site.operations.log_rows(LogTable.MACHINE_LOGS, asked, limit)


@asynccontextmanager
async def logged() -> AsyncIterator[Logged]:
    async with site() as here:
        here.world.catch_up()
        here.world.platform_log.machine_logs.clear()
        here.world.platform_log.logs.clear()
        first, second = list(here.world.live_vms())[:2]
        entry(here, second, "long ago", ago=5000)
        oldest = entry(here, first, "just then", ago=1000)
        entry(here, second, "of another", ago=500)
        entry(here, first, "VM action 'kill' sent", ago=3.25)
        yield Logged(here, first, oldest.key)


FROM_THEN_ON = ["just then", "of another", "VM action 'kill' sent"]


async def test_rows_of_a_log_are_one_request() -> None:
    async with logged() as past:
        reading = await past.read()

        killed = reading.rows[-1]
        assert reading.complete
        assert [row.text for row in reading.rows] == FROM_THEN_ON
        assert (killed.machine, killed.level, killed.user) == (past.vm.machine.key, "audit", "anna")
        assert killed.table is LogTable.MACHINE_LOGS
        assert killed.key == past.oldest + 2
        assert killed.at == pytest.approx(past.site.world.now - 3.25)
        (asked,) = past.site.system.requests
        assert asked.query == {
            "fields": "$key,machine,level,text,user,timestamp",
            "filter": f"$key ge {past.oldest}",
            "sort": "-$key",
            "limit": "100",
        }
        assert past.site.counted() == {("machine_logs", "ok"): 1}


async def test_rows_of_the_system_log_name_their_object() -> None:
    async with logged() as past:
        reading = await past.site.operations.log_rows(LogTable.LOGS, 0, 100)

        killed = reading.rows[-1]
        assert (killed.table, killed.machine) == (LogTable.LOGS, None)
        assert killed.object_type == "vm"
        (asked,) = past.site.system.requests
        assert "object_type,object_name" in asked.query["fields"]
        assert "filter" not in asked.query


async def test_newest_rows_are_returned_whatever_their_keys() -> None:
    async with logged() as past:
        reading = await past.read(since=0, limit=2)

        assert [row.text for row in reading.rows] == FROM_THEN_ON[1:]
        assert reading.complete


@pytest.mark.parametrize("since", [99_999, 1])
async def test_log_without_the_oldest_row_asked_for_is_incomplete(since: int) -> None:
    async with logged() as past:
        past.site.world.platform_log.machine_logs.popleft()

        assert not (await past.read(since=since if since > 1 else past.oldest - 1)).complete


async def test_empty_log_is_incomplete() -> None:
    async with logged() as past:
        past.site.system.faults.turn_on("empty_list")

        assert await past.read() == LogReading((), complete=False)


async def test_log_that_lost_its_oldest_row_is_incomplete() -> None:
    async with logged() as past:
        past.site.system.faults.turn_on("lost_logs", share=1)

        assert not (await past.read()).complete


async def test_cut_log_is_incomplete() -> None:
    async with logged() as past:
        reading = await past.read(limit=2)

        assert [row.text for row in reading.rows] == FROM_THEN_ON[1:]
        assert not reading.complete
        assert reading.is_gapless


@pytest.mark.parametrize("quirk", ["string_keys", "expanded_keys"])
async def test_log_with_other_key_encodings_is_the_same(quirk: str) -> None:
    async with logged() as past:
        before = await past.read()
        past.site.system.faults.turn_on(quirk)

        assert await past.read() == before


@pytest.mark.parametrize("fault", ["missing_key", "duplicate_keys"])
async def test_log_with_an_undecodable_row_is_incomplete(fault: str) -> None:
    async with logged() as past:
        past.site.system.faults.turn_on(fault, share=0.4)

        assert not (await past.read()).complete


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("truncate", {}),
        ("truncate", {"mode": "json"}),
        ("html", {}),
        ("object_instead_of_list", {}),
        ("wrong_types", {"share": 1}),
        ("status", {"code": 503}),
        ("status", {"code": 422}),
        ("reset", {}),
        ("reject_key", {}),
    ],
)
async def test_failed_log_request_is_an_error_without_retry(
    fault: str, settings: Mapping[str, Any]
) -> None:
    async with logged() as past:
        past.site.system.faults.turn_on(fault, **settings)

        with pytest.raises(VergeOSError):
            await past.read()

        assert len(past.site.system.requests) == 1


async def test_unfiltered_log_is_filtered_by_the_client() -> None:
    async with logged() as past:
        original = past.site.reader.read

        async def unfiltered(path: str, query: dict[str, str], **kwargs: Any) -> bytes:
            asked = {name: query[name] for name in ("fields", "sort")}
            return await original(path, asked, **kwargs)

        past.site.reader.read = unfiltered  # type: ignore[assignment,method-assign]

        reading = await past.read()

        assert [row.text for row in reading.rows] == FROM_THEN_ON
        assert reading.complete


async def test_long_log_is_decoded() -> None:
    async with logged() as past:
        for number in range(500):
            entry(past.site, past.vm, f"row {number}")

        assert len((await past.read(limit=1000)).rows) == 503


@pytest.mark.parametrize(("keys", "complete"), [((3, 2, 1), True), ((1, 2, 3), False)])
async def test_log_in_another_order_is_incomplete(keys: tuple[int, ...], *, complete: bool) -> None:
    rows = [{"$key": key, "machine": 5, "timestamp": 10**15 + key} for key in keys]
    async with scripted(respond(msgspec.json.encode(rows))) as (operations, _):
        reading = await operations.log_rows(LogTable.MACHINE_LOGS, 1, 100)

        assert len(reading.rows) == 3
        assert reading.complete is complete
        assert reading.is_gapless is complete


# Current rows


async def test_current_row_of_a_vm_is_two_requests() -> None:
    async with site() as here:
        vm = here.running
        here.world.crash(vm)
        for name in here.world.tags_of(vm):
            here.world.untag(vm, name)
        here.world.tag(vm, "recovery/auto")
        here.world.tag(here.running, "recovery/never")

        fresh = await here.operations.read_vm(vm.key)

        assert fresh is not None
        assert fresh._asdict() == {
            "key": vm.key,
            "uuid": vm.uuid,
            "name": vm.machine.name,
            "machine": vm.machine.key,
            "enabled": True,
            "is_snapshot": False,
            "service": False,
            "disable_powercycle": False,
            "running": False,
            "word": "stopped",
            "tags": {"recovery/auto"},
            "unreadable": set(),
        }
        of_vms, of_tags = here.system.requests
        assert of_vms.query["filter"] == f"$key eq {vm.key}"
        assert of_tags.query["filter"] == f"member eq 'vms/{vm.key}'"
        assert here.counted() == {("vms", "ok"): 1, ("tag_members", "ok"): 1}


async def test_current_row_shows_the_current_state() -> None:
    async with site() as here:
        vm = here.running
        before = await here.operations.read_vm(vm.key)
        here.world.crash(vm)
        here.world.forces_status(vm, word="unresponsive")
        vm.service = 3

        after = await here.operations.read_vm(vm.key)

        assert before is not None
        assert after is not None
        assert (before.running, before.word, before.service) == (True, "running", False)
        assert (after.running, after.word, after.service) == (False, "unresponsive", True)


async def test_row_of_a_deleted_vm_is_none() -> None:
    async with site() as here:
        vm = here.running
        here.world.deletes(vm)

        assert await here.operations.read_vm(vm.key) is None
        assert len(here.system.requests) == 1


@pytest.mark.parametrize("quirk", ["string_keys", "expanded_keys"])
async def test_current_row_with_other_key_encodings_is_the_same(quirk: str) -> None:
    async with site() as here:
        vm = next(one for one in here.world.live_vms() if here.world.tags_of(one))
        before = await here.operations.read_vm(vm.key)
        here.system.faults.turn_on(quirk)

        assert await here.operations.read_vm(vm.key) == before
        assert before is not None
        assert before.tags == here.world.tags_of(vm)


LONE = b'{"$key":7,"machine":9,"enabled":true,"running":false,"status":"stopped"}'
TAG = b'{"$key":1,"member":"vms/7","tag_name":"auto","category_name":"recovery"}'
OTHERS = b'{"$key":2,"member":"vms/8","tag_name":"never","category_name":"recovery"}'


@pytest.mark.parametrize(
    ("vms", "tags"),
    [
        (b"[%s,%s]" % (LONE, LONE), b"[]"),
        (b"[%s,%s]" % (LONE, LONE.replace(b":7", b":8")), b"[]"),
        (b"[%s]" % LONE.replace(b":7", b":8"), b"[]"),
        (b"[%s,{}]" % LONE, b"[]"),
        (LONE, b"[]"),
        (b"<html>", b"[]"),
        (b"[%s]" % LONE, b"[%s,{}]" % TAG),
        (b"[%s]" % LONE, b"[%s]" % TAG.replace(b'"vms/7"', b"7")),
        (b"[%s]" % LONE, b"[%s,%s]" % (TAG, TAG)),
        (b"[%s]" % LONE, b"{}"),
    ],
    ids=repr,
)
async def test_ambiguous_current_row_is_an_error(vms: bytes, tags: bytes) -> None:
    async with scripted(respond(vms), respond(tags)) as (operations, _):
        with pytest.raises(BadReplyError):
            await operations.read_vm(7)


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("running", b"false", b'"n/a"'),
        ("status", b'"stopped"', b'"is stopped"'),
        ("enabled", b"true", b"[]"),
        ("machine", b"9", b"NaN"),
        ("is_snapshot", b'"enabled"', b'"is_snapshot":{},"enabled"'),
        ("service", b'"enabled"', b'"service":{"name":"\\ud800"},"enabled"'),
        ("name", b'"enabled"', b'"name":7,"enabled"'),
    ],
)
async def test_current_row_names_the_values_that_cannot_be_read(
    field: str, before: bytes, after: bytes
) -> None:
    row = LONE.replace(before, after, 1)
    async with scripted(respond(b"[%s]" % row), respond(b"[]")) as (operations, _):
        fresh = await operations.read_vm(7)

        assert fresh is not None
        assert fresh.unreadable == {field}


async def test_values_of_log_rows_that_cannot_be_read_are_counted_and_logged_once() -> None:
    rows = b'[{"$key":2,"text":[],"user":"a"},{"$key":1,"text":"x","timestamp":1755993338250000}]'
    async with scripted(respond(rows)) as (operations, _):
        with capture_logs() as logs:
            for _ in range(2):
                reading = await operations.log_rows(LogTable.LOGS, 0, 10)

    older, newer = reading.rows
    assert (newer.unreadable, newer.at) == (frozenset({"text"}), older.at)
    assert reading.complete
    found = [(one["event"], one["table"], one["field"]) for one in logs]
    assert found == [
        ("table.fields_skipped", "logs", "text"),
        ("table.fields_skipped", "logs", "timestamp"),
    ]


@pytest.mark.parametrize("tag", [b"null", b'""', b"7", b'"\\ud800"'], ids=repr)
async def test_tag_of_the_vm_that_cannot_be_read_forbids(tag: bytes) -> None:
    rows = b"[%s]" % TAG.replace(b'"auto"', tag)
    async with scripted(respond(b"[%s]" % LONE), respond(rows)) as (operations, _):
        fresh = await operations.read_vm(7)

        assert fresh is not None
        assert fresh.tags == {"recovery/(unreadable)"}


async def test_tags_of_other_vms_are_ignored() -> None:
    async with scripted(respond(b"[%s]" % LONE), respond(b"[%s,%s]" % (OTHERS, TAG))) as (
        operations,
        _,
    ):
        fresh = await operations.read_vm(7)

        assert fresh is not None
        assert fresh.tags == {"recovery/auto"}


@pytest.mark.parametrize(
    ("fault", "settings"),
    [("status", {"code": 503}), ("reset", {}), ("truncate", {}), ("html", {}), ("reject_key", {})],
)
async def test_failed_read_of_the_current_row_is_not_retried(
    fault: str, settings: Mapping[str, Any]
) -> None:
    async with site() as here:
        here.system.faults.turn_on(fault, **settings)

        with pytest.raises(VergeOSError):
            await here.operations.read_vm(here.running.key)

        assert len(here.system.requests) == 1


async def test_current_row_without_status_is_unknown() -> None:
    async with scripted(respond(b'[{"$key":7,"running":null,"status":null}]'), respond()) as (
        operations,
        _,
    ):
        fresh = await operations.read_vm(7)

        assert fresh is not None
        assert (fresh.running, fresh.word, fresh.machine) == (None, "unknown", None)
        assert fresh.tags == frozenset()


async def test_operations_implement_the_platform_port() -> None:
    async with site() as here:
        system: Platform = here.operations

        assert system.read_only_reason == ""


# The last check


async def test_last_check_that_forbids_an_action_leaves_it_unsent() -> None:
    async with site() as here:

        async def forbid() -> str:
            return "recovery was disarmed"

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, forbid)

        assert answer == (Reply.NOT_SENT, "recovery was disarmed")
        assert here.posts == []
        assert here.counted()["vm_actions", "not_sent"] == 1


def actor_of(url: str, session: aiohttp.ClientSession, clock: FakeClock) -> VergeOSClient:
    """Return a client of the system at *url* that acts."""
    system = SystemSettings(url=url, api_key=SecretStr("the-key"))
    settings = ResolvedSystem(system, PollSettings(), APISettings())
    return connect(settings, session, Telemetry().meter("system"), clock, acts=True)


async def test_last_check_runs_on_an_established_connection_before_the_first_byte() -> None:
    received = bytearray()
    connected = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        received.extend(await reader.readuntil(b"}"))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, make_session(TLSSettings(), keeps_connections=False) as session:
        clock = FakeClock(hurried=True)
        actor = actor_of(f"http://127.0.0.1:{port}", session, clock)

        async def check() -> str:
            await asyncio.wait_for(connected.wait(), 5)
            await SystemClock().sleep(0.2)
            assert not received
            return ""

        answer = await Operations(actor, actor, clock).act(1, Action.POWER_ON, check)

    assert answer.reply is Reply.ACCEPTED
    assert received.startswith(b"POST /api/v4/vm_actions HTTP/1.1\r\n")


async def test_error_in_the_last_check_is_raised_and_sends_nothing() -> None:
    async with site() as here:

        async def fail() -> str:
            raise KeyError("a bug")

        with pytest.raises(KeyError):
            await here.operations.act(here.stopped.key, Action.POWER_ON, fail)

        assert here.posts == []


async def test_action_that_times_out_in_its_last_check_is_not_sent_later() -> None:
    async with site() as here:
        here.hurry(action_timeout_seconds=0.1)
        go_on = asyncio.Event()

        async def wait() -> str:
            await go_on.wait()
            return ""

        answer = await here.operations.act(here.stopped.key, Action.POWER_ON, wait)
        go_on.set()
        await SystemClock().sleep(0.1)

        assert answer.reply is Reply.NOT_SENT
        assert answer.detail == f"{ACTIONS} was not sent: {ACTIONS} did not answer within 0.1 s"
        assert here.posts == []


async def test_connection_closed_before_the_first_byte_means_not_sent() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, make_session(TLSSettings(), keeps_connections=False) as session:
        clock = FakeClock(hurried=True)
        actor = actor_of(f"http://127.0.0.1:{port}", session, clock)

        async def wait() -> str:
            await SystemClock().sleep(0.3)
            return ""

        answer = await Operations(actor, actor, clock).act(1, Action.POWER_ON, wait)

    assert answer.reply is Reply.NOT_SENT


async def test_action_that_vanishes_in_the_network_does_not_arrive_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    monkeypatch.setattr(clients, "PROMPT_SECONDS", 0.5)
    with network() as links:
        with inside(links.namespace("vergeos")):
            listening = socket.create_server((links.address("vergeos"), 0))
        host, port = listening.getsockname()
        async with make_session(TLSSettings(), keeps_connections=False) as session:
            clock = FakeClock(hurried=True)
            actor = actor_of(f"http://{host}:{port}", session, clock)
            transport = actor._transport
            transport.limits = transport.limits._replace(action_timeout_seconds=2.5)

            async def cut() -> str:
                links.cut("vergeos", Peer.OPERATOR)
                return ""

            answer = await Operations(actor, actor, clock).act(1, Action.POWER_ON, cut)
            links.heal("vergeos", Peer.OPERATOR)
            # Without a limit, the kernel repeats it 1.4 s and 3 s after the first time.
            await SystemClock().sleep(2.0)

        assert answer.reply is Reply.LOST
        with listening, listening.accept()[0] as connection:
            connection.setblocking(False)  # noqa: FBT003 - it takes no keyword
            with pytest.raises(BlockingIOError):
                connection.recv(1)
