"""
The daemon killed by SIGKILL a hundred times, at every step of acting, and restarted each time.

The processes, the sockets, the journal and the signal are real. What is looked at is what anybody
could look at: the requests that reached VergeOS, the rows in the journal, and which VMs run.
"""

import asyncio
import json
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from exporter.journal.sqlite_database import FILE
from exporter.recovery.model.cases import Policy
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator import FaultInjector, Simulator
from exporter.simulator.api.faults import ACTIONS, ActiveFaults
from tests.daemon_process import REAL_TIME
from tests.forking import ForkedProcess
from tests.recovery.crash_runner import EndAt, Ending, StartRequest, run_daemon
from tests.recovery.enrolled_world import enrolled_world
from tests.recovery.harness import ENFORCE, Harness

ROOT = Path(__file__).parents[2]
STAGES = 6
"""Clouds that are played at the same time, each with a daemon and a journal of its own."""
SEED = 7
PATIENCE_SECONDS = 30.0
WHOLE_SECONDS = 150.0
LOOK_EVERY_SECONDS = 0.04

LIMITS = {
    "reread_age_seconds": 60,
    "frozen_after_seconds": 120,
    "warmup_seconds": 0.2,
    "warmup_polls": 2,
    "confirm_down_seconds": 0.2,
    "platform_seconds": 0.2,
    "log_settle_seconds": 0.1,
    "degraded_after_polls": 1000,
    "max_per_hour": 1000,
    "max_per_day": 1000,
    "max_per_week": 1000,
    "system_max_per_10_minutes": 1000,
    "system_max_per_day": 1000,
    "backoff_seconds": 0.1,
    "backoff_max_seconds": 0.2,
    "backoff_jitter": 0,
    "probation_seconds": 0.2,
    "breaker_min_vms": 1000,
    "node_failure_vms": 1000,
    "verify_power_on_seconds": 30,
    "verify_lost_seconds": 0.8,
}
"""A simulated day, in seconds; and as many actions as it takes."""
STATE_OF_A_VM = (
    "SELECT json_extract(case_json, '$.state') FROM cases "
    "WHERE json_extract(case_json, '$.key') = ?"
)


class KillPoint(NamedTuple):
    """A moment at which a process ends, and what the next one is to make of it."""

    title: str
    event: str | None
    """The last step that was logged, or was about to be; None where the system ends it."""
    hows: tuple[Ending, ...]
    found: str
    """What the journal then holds of this attempt."""
    outcomes: tuple[str, ...]
    """Of this attempt, in the end."""
    helps: bool
    """Whether VergeOS did what it was asked for."""
    times: int


TOLD = (Ending.BEFORE_LOG, Ending.AFTER_LOG)
WRITTEN = (Ending.UNCOMMITTED, Ending.COMMITTING)


class Moment(Enum):
    """Every moment at which a process ends, in the order of acting."""

    LOOKED = KillPoint("1 looked", "recovery.reread", TOLD, "nothing", (), helps=False, times=12)
    PREPARING = KillPoint(
        "  the intent is written, not committed",
        "recovery.reread",
        (Ending.UNCOMMITTED,),
        "nothing",
        (),
        helps=False,
        times=5,
    )
    PREPARED = KillPoint(
        "2 prepared", "recovery.prepared", TOLD, "prepared", ("abandoned",), helps=False, times=12
    )
    MARKING = KillPoint(
        "  that it is sent is written, not committed",
        "recovery.prepared",
        (Ending.UNCOMMITTED,),
        "prepared",
        ("abandoned",),
        helps=False,
        times=5,
    )
    SENDING = KillPoint(
        "3 sending", "recovery.sending", TOLD, "sent", ("unknown",), helps=False, times=12
    )
    ARRIVED = KillPoint(
        "  the request has arrived, without effect yet",
        None,
        (),
        "sent",
        ("unknown",),
        helps=False,
        times=10,
    )
    EFFECTIVE = KillPoint(
        "  it took effect, and is not answered",
        None,
        (),
        "sent",
        ("confirmed",),
        helps=True,
        times=10,
    )
    ASKED = KillPoint(
        "4 asked", "recovery.answered", TOLD, "sent", ("confirmed",), helps=True, times=12
    )
    ANSWERED = KillPoint(
        "  the journal writes the answer",
        "recovery.answered",
        WRITTEN,
        "sent or answered",
        ("confirmed",),
        helps=True,
        times=10,
    )
    RECORDED = KillPoint(
        "5 recorded", "recovery.recorded", TOLD, "answered", ("confirmed",), helps=True, times=12
    )


class Scenario(NamedTuple):
    """One VM's crash: the moments at which processes that would start it end; the last goes on."""

    number: int
    kill_points: tuple[tuple[Moment, Ending | None], ...]

    def __str__(self) -> str:
        return ", then ".join(
            f"{moment.value.title.strip()} ({how})" for moment, how in self.kill_points
        )

    @property
    def outcomes(self) -> list[str]:
        """Ending its intents end, in their order."""
        ends = [end for moment, _ in self.kill_points for end in moment.value.outcomes]
        return ends if self.kill_points[-1][0].value.helps else [*ends, "confirmed"]


def scenarios(seed: int) -> list[list[Scenario]]:
    """Return what is played on each stage."""
    rng = Random(seed)
    moments = [
        (moment, moment.value.hows[turn % len(moment.value.hows)] if moment.value.hows else None)
        for moment in Moment
        for turn in range(moment.value.times)
    ]
    rng.shuffle(moments)
    stages = []
    for place in range(STAGES):
        planned: list[Scenario] = []
        for one in moments[place::STAGES]:
            last = planned[-1].kill_points if planned else ()
            # A VM may be down while a second and a third process end.
            if last and not last[-1][0].value.helps and rng.random() < 0.3:
                planned[-1] = planned[-1]._replace(kill_points=(*last, one))
            else:
                planned.append(Scenario(len(planned), (one,)))
        stages.append(planned)
    return stages


class Post(NamedTuple):
    """A request to act, as it came in."""

    number: int
    """Its place among the simulator's requests."""
    vm: int
    action: str
    intents: tuple[tuple[int, str], ...]
    """What the journal held at that moment: the VM's open and sent intents, and their actions."""


class Door(FaultInjector):
    """What every request passes on its way in; for those that act it looks into the journal."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def faults_for(self, method: str, path: str) -> ActiveFaults:
        if method == "POST" and path == ACTIONS:
            self._look()
        return super().faults_for(method, path)


class Stage:
    """One system, and the processes of its daemon."""

    def __init__(self, number: int, planned: Sequence[Scenario], directory: Path) -> None:
        self.number = number
        self.scenarios = planned
        self.directory = directory
        self.journal = directory / "journal" / FILE
        self.posts: list[Post] = []
        self.killed: Counter[str] = Counter()
        self.start_seconds: list[float] = []
        self.world = enrolled_world(len(planned) + 1, seed=number + 1)
        self.vms = sorted(vm.key for vm in self.world.live_vms() if vm.service is None)
        self.platform = Simulator(
            world=self.world, clock=REAL_TIME, faults=Door(self._look_at_the_post), burst_limit=None
        )
        self._daemon_number = 0

    def vm_of(self, scenario: Scenario) -> int:
        return self.vms[scenario.number]

    async def simulate(self) -> None:
        """Play all scenarios, to the end of the last."""
        self.directory.mkdir()
        async with self.platform:
            (self.directory / "vergewatch.yaml").write_text(json.dumps(self._settings()))
            before: Scenario | None = None
            for scenario in self.scenarios:
                for turn, (moment, how) in enumerate(scenario.kill_points):
                    await self._run_until_killed(scenario, moment, how, turn=turn, before=before)
                    before = scenario
            await self._run_to_the_end(before)
        self.check()

    async def _run_until_killed(
        self,
        scenario: Scenario,
        moment: Moment,
        how: Ending | None,
        *,
        turn: int,
        before: Scenario | None,
    ) -> None:
        kill_point, vm = moment.value, self.vm_of(scenario)
        here = f"stage {self.number}, VM {vm}, {kill_point.title.strip()} ({how}), {turn + 1}"
        end_at = (
            EndAt(kill_point.event, vm, how)
            if kill_point.event is not None and how is not None
            else None
        )
        daemon, log = await self._begin(end_at)
        here += f", {log}"
        try:
            if turn == 0:
                if before is not None:
                    await self._until(
                        lambda: self._is_over(before),
                        f"{here}: still at VM {self.vm_of(before)}, {before}",
                    )
                await self._until(lambda: self._is_seen_up(vm), f"{here}: it is not seen")
            if end_at is None:
                effect = moment is Moment.EFFECTIVE
                self.platform.faults.turn_on("hang", path=ACTIONS, times=1, after=effect)
            if turn == 0:
                self.world.crash(vm)
            if end_at is None:
                asked = len(self.posts)
                await self._until(
                    lambda: (
                        len(self.posts) > asked
                        and self.platform.requests[self.posts[-1].number].acted is effect
                    ),
                    f"{here}: no request came",
                )
                daemon.send_signal(signal.SIGKILL)
            await self._until(daemon.ended.done, f"{here}: it goes on")
        finally:
            daemon.send_signal(signal.SIGKILL)
        assert daemon.ended.result() == -signal.SIGKILL, f"{here}: {daemon.ended.result()}"
        if end_at is not None:
            said = (end_at.event, vm) in events(log)
            assert said == (end_at.how is not Ending.BEFORE_LOG), here
        self.killed[kill_point.title] += 1
        found = self._autopsy(vm)
        assert found in kill_point.found.split(" or "), f"{here}: the journal has it {found}"

    async def _run_to_the_end(self, before: Scenario | None) -> None:
        """Let one more process finish what is left to do, and end it by SIGTERM."""
        daemon, log = await self._begin(None)
        here = f"stage {self.number}, the last process, {log}"
        try:
            if before is not None:
                await self._until(
                    lambda: self._is_over(before),
                    f"{here}: still at VM {self.vm_of(before)}, {before}",
                )
            daemon.send_signal(signal.SIGTERM)
            await self._until(daemon.ended.done, f"{here}: it goes on")
        finally:
            daemon.send_signal(signal.SIGKILL)
        assert daemon.ended.result() == 0, here

    async def _begin(self, end_at: EndAt | None) -> tuple[ForkedProcess, Path]:
        self._daemon_number += 1
        log = self.directory / f"daemon-{self._daemon_number:02}.log"
        began = REAL_TIME.monotonic()
        request = StartRequest(str(self.directory / "vergewatch.yaml"), str(log), end_at)
        daemon = ForkedProcess(run_daemon, request)
        try:
            await self._until(lambda: ("daemon.started", None) in events(log), f"{log}: no start")
        except BaseException:
            daemon.send_signal(signal.SIGKILL)
            raise
        self.start_seconds.append(REAL_TIME.monotonic() - began)
        return daemon, log

    async def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for _ in ticks():
                    self._check_posts(otherwise)
                    if holds():
                        return
        except TimeoutError:
            raise AssertionError(f"{otherwise}\n{self._situation()}") from None

    # What can be seen from outside.

    def _is_over(self, scenario: Scenario) -> bool:
        """Return whether a VM runs again, and recovery knows, and has nothing open."""
        vm = self.vm_of(scenario)
        return (
            self.world.vm(vm).machine.status.word == "running"
            and self._is_seen_up(vm)
            and not self._read("SELECT id FROM intents WHERE outcome IS NULL")
        )

    def _is_seen_up(self, vm: int) -> bool:
        try:
            rows = self._read(STATE_OF_A_VM, vm)
        except sqlite3.OperationalError:  # it is being made, or mended
            return False
        return rows in ([("healthy",)], [("probation",)])

    def _look_at_the_post(self) -> None:
        number = len(self.platform.requests) - 1
        body = self.platform.requests[number].body
        rows = self._read(
            "SELECT id, action FROM intents "
            "WHERE vm_key = ? AND outcome IS NULL AND sent_at IS NOT NULL",
            body["vm"],
        )
        self.posts.append(Post(number, body["vm"], body["action"], tuple(rows)))

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def _autopsy(self, vm: int) -> str:
        """
        Return what the dead has left in the journal of its last attempt, and that it is sound.

        It is a copy that is opened: what is left half done, the next process completes.
        """
        place = self.directory / "autopsy"
        place.mkdir(exist_ok=True)
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.journal}{suffix}", place / f"{FILE}{suffix}")
        with closing(sqlite3.connect(place / FILE)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = connection.execute(
                "SELECT vm_key, sent_at, reply FROM intents WHERE outcome IS NULL"
            ).fetchall()
        (place / f"{FILE}-shm").unlink(missing_ok=True)
        if not rows:
            return "nothing"
        ((key, sent_at, reply),) = rows
        assert key == vm
        if sent_at is None:
            return "prepared"
        return "sent" if reply is None else "answered"

    def check(self) -> None:
        """Hold the whole journal against everything that VergeOS was asked for."""
        assert self._read("PRAGMA integrity_check") == [("ok",)]
        self._check_posts("in the end")
        rows = self._read("SELECT vm_key, sent_at, outcome, id, action FROM intents ORDER BY id")
        sent = {(*row[3:], row[0]) for row in rows if row[1] is not None}
        assert {(*post.intents[0], post.vm) for post in self.posts} <= sent
        requests = self.platform.requests
        for scenario in self.scenarios:
            vm = self.vm_of(scenario)
            here = f"stage {self.number}, VM {vm}, {scenario}"
            mine = [row for row in rows if row[0] == vm]
            posts = [post for post in self.posts if post.vm == vm]
            assert [row[2] for row in mine] == scenario.outcomes, here
            assert len(posts) <= sum(row[1] is not None for row in mine), here
            assert sum(requests[post.number].acted for post in posts) == 1, here
        assert {row[0] for row in rows} == {self.vm_of(scenario) for scenario in self.scenarios}
        assert all(vm.machine.status.word == "running" for vm in self.world.live_vms())

    def _check_posts(self, where: str) -> None:
        """Each request has an intent, which the journal had as sent when it came, and alone."""
        asked_for: dict[int, Post] = {}
        for post in self.posts:
            here = f"{where}\nstage {self.number}, VM {post.vm}: {post}"
            assert len(post.intents) == 1, f"{here} is asked for without an intent"
            intent, action = post.intents[0]
            assert action == post.action, f"{here} is not what is intended"
            assert intent not in asked_for, f"{here} is asked for again, after {asked_for[intent]}"
            asked_for[intent] = post

    def _situation(self) -> str:
        logs = sorted(self.directory.glob("daemon-*.log"))[-2:]
        tails = [f"{log.name}:\n{log.read_text()[-4000:]}" for log in logs]
        return "\n".join([*map(str, self.posts[-5:]), *tails])

    def _settings(self) -> Mapping[str, Any]:
        return {
            "url": self.platform.url,
            "api_key": self.platform.api_key,
            "poll": {"fast_seconds": 0.35, "slow_seconds": 60, "stale_after_polls": 40},
            "api": {"requests_per_hour": 1_000_000, "spacing_seconds": 0, "timeout_seconds": 15},
            "web": {"listen_address": "127.0.0.1:0"},
            "log": {"format": "json"},
            "recovery": {
                "mode": "enforce",
                "directory": str(self.journal.parent),
                "i_accept_endless_restarts": True,
                "limits": LIMITS,
            },
        }


async def ticks() -> AsyncIterator[None]:
    while True:
        yield
        await REAL_TIME.sleep(LOOK_EVERY_SECONDS)


def events(log: Path) -> list[tuple[str, int | None]]:
    """Return the events that a process has logged so far, and of which VM."""
    try:
        lines = log.read_text().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # it is being written, or no event
        found.append((entry["event"], entry.get("vm_id")))
    return found


async def test_killed_daemon_neither_repeats_nor_loses_an_action(tmp_path: Path) -> None:
    began = REAL_TIME.monotonic()
    stages = [
        Stage(number, planned, tmp_path / f"stage-{number}")
        for number, planned in enumerate(scenarios(SEED))
    ]

    async with asyncio.timeout(WHOLE_SECONDS), asyncio.TaskGroup() as parts:
        for stage in stages:
            parts.create_task(stage.simulate())

    killed = sum((stage.killed for stage in stages), Counter[str]())
    start_seconds = sorted(seconds for stage in stages for seconds in stage.start_seconds)
    print(tally(killed))  # noqa: T201 - shown with -s
    print(  # noqa: T201
        f"{REAL_TIME.monotonic() - began:.0f} s, "
        f"{sum(len(one.scenarios) for one in stages)} crashes, "
        f"{sum(len(one.posts) for one in stages)} requests; "
        f"a process starts in {start_seconds[len(start_seconds) // 2]:.2f} s"
    )
    assert killed == Counter({moment.value.title: moment.value.times for moment in Moment})
    assert killed.total() == 100


def tally(killed: Mapping[str, int]) -> str:
    return "\n".join(
        ["", *(f"{killed[moment.value.title]:4} {moment.value.title}" for moment in Moment)]
    )


@pytest.mark.parametrize("table", ["tag_members", "clusters"])
def test_restart_without_readable_tags_keeps_all_cases(table: str) -> None:
    clusters = {cluster.name for cluster in Harness(vms=12).world.clusters.values()}
    ward = EnrolmentRule(clusters=tuple(clusters), policy=Policy.ON_FAILURE)
    harness = Harness(vms=12, tags={}, setup=ENFORCE._replace(enrolment_rules=[ward])).warm()
    name = harness.names[0]
    harness.world.vm(name).on_power_loss = "last_state"
    harness.world.crash(name)
    harness.poll()

    harness.new_process()
    with harness.world.faults.on("status", path=table):
        harness.advance(100)
    harness.advance(1200)

    assert len(harness.asked(name)) == 1
    assert harness.running(name)
