"""
The daemon killed by SIGKILL a hundred times, at every step of acting, and restarted each time.

The processes, the sockets, the journal and the signal are real. What is looked at is what anybody
could look at: the requests that reached VergeOS, the rows in the journal, and which VMs run.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from exporter.journal.sqlite_database import FILE
from exporter.recovery.model.cases import Policy
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator import FaultInjector, Simulator, Timings, create_world
from exporter.simulator.api.faults import ACTIONS, ActiveFaults
from tests.daemon_process import REAL_TIME
from tests.recovery.crash_runner import Doom, How, Order
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
"""A day in the life of recovery, in seconds; and as many actions as it takes."""
STATE_OF_A_VM = (
    "SELECT json_extract(case_json, '$.state') FROM cases "
    "WHERE json_extract(case_json, '$.key') = ?"
)


class Death(NamedTuple):
    """A moment at which a life ends, and what the next one is to make of it."""

    title: str
    event: str | None
    """The last step, or the one that is about to be told; none where the system tells the time."""
    hows: tuple[How, ...]
    found: str
    """What the journal then holds of this attempt."""
    outcomes: tuple[str, ...]
    """Of this attempt, in the end."""
    helps: bool
    """Whether VergeOS did what it was asked for."""
    times: int


TOLD = (How.UNSAID, How.SAID)
WRITTEN = (How.UNCOMMITTED, How.COMMITTING)


class Moment(Enum):
    """Every moment at which a life ends, in the order of acting."""

    LOOKED = Death("1 looked", "recovery.reread", TOLD, "nothing", (), helps=False, times=12)
    PREPARING = Death(
        "  the intent is written, not committed",
        "recovery.reread",
        (How.UNCOMMITTED,),
        "nothing",
        (),
        helps=False,
        times=5,
    )
    PREPARED = Death(
        "2 prepared", "recovery.prepared", TOLD, "prepared", ("abandoned",), helps=False, times=12
    )
    MARKING = Death(
        "  that it is sent is written, not committed",
        "recovery.prepared",
        (How.UNCOMMITTED,),
        "prepared",
        ("abandoned",),
        helps=False,
        times=5,
    )
    SENDING = Death(
        "3 sending", "recovery.sending", TOLD, "sent", ("unknown",), helps=False, times=12
    )
    ARRIVED = Death(
        "  the request has arrived, without effect yet",
        None,
        (),
        "sent",
        ("unknown",),
        helps=False,
        times=10,
    )
    EFFECTIVE = Death(
        "  it took effect, and is not answered",
        None,
        (),
        "sent",
        ("confirmed",),
        helps=True,
        times=10,
    )
    ASKED = Death(
        "4 asked", "recovery.answered", TOLD, "sent", ("confirmed",), helps=True, times=12
    )
    ANSWERED = Death(
        "  the journal writes the answer",
        "recovery.answered",
        WRITTEN,
        "sent or answered",
        ("confirmed",),
        helps=True,
        times=10,
    )
    RECORDED = Death(
        "5 recorded", "recovery.recorded", TOLD, "answered", ("confirmed",), helps=True, times=12
    )


class Story(NamedTuple):
    """One VM's crash: the moments at which lives end that would help it. The last one lives."""

    number: int
    deaths: tuple[tuple[Moment, How | None], ...]

    def __str__(self) -> str:
        return ", then ".join(
            f"{moment.value.title.strip()} ({how})" for moment, how in self.deaths
        )

    @property
    def outcomes(self) -> list[str]:
        """How its intents end, in their order."""
        ends = [end for moment, _ in self.deaths for end in moment.value.outcomes]
        return ends if self.deaths[-1][0].value.helps else [*ends, "confirmed"]


def stories(seed: int) -> list[list[Story]]:
    """Return what is played on each stage."""
    dice = Random(seed)
    moments = [
        (moment, moment.value.hows[turn % len(moment.value.hows)] if moment.value.hows else None)
        for moment in Moment
        for turn in range(moment.value.times)
    ]
    dice.shuffle(moments)
    stages = []
    for place in range(STAGES):
        told: list[Story] = []
        for one in moments[place::STAGES]:
            last = told[-1].deaths if told else ()
            # A VM that is down still may see a second and a third life end.
            if last and not last[-1][0].value.helps and dice.random() < 0.3:
                told[-1] = told[-1]._replace(deaths=(*last, one))
            else:
                told.append(Story(len(told), (one,)))
        stages.append(told)
    return stages


class Life:
    """A daemon, from its birth on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit code; a signal's number below 0."""

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            os.kill(self.pid, number)


class Nursery:
    """The process that all lives come from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._lives: dict[int, Life] = {}
        self._turn = asyncio.Lock()

    async def bear(self, command: Order) -> Life:
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(command.written().encode() + b"\n")
            await self._process.stdin.drain()
            return self._lives[await self._births.get()]

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            news = json.loads(line)
            if "born" in news:
                self._lives[news["born"]] = Life(news["born"])
                self._births.put_nowait(news["born"])
            else:
                self._lives.pop(news["died"]).ended.set_result(news["status"])


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VERGE", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.recovery.crash_runner"),
        cwd=ROOT,
        env={**bare, "SSL_CERT_FILE": os.devnull},  # to read those of the system takes a life 0.1 s
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    nurse = Nursery(process)
    listening = asyncio.create_task(nurse.listen())
    try:
        yield nurse
    finally:
        assert process.stdin is not None
        process.stdin.close()  # which ends it, and its children
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening


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
    """One system, and its daemon's lives."""

    def __init__(self, number: int, told: Sequence[Story], directory: Path) -> None:
        self.number = number
        self.stories = told
        self.directory = directory
        self.journal = directory / "journal" / FILE
        self.posts: list[Post] = []
        self.killed: Counter[str] = Counter()
        self.births: list[float] = []
        self.world = create_world(
            seed=number + 1,
            vms=len(told) + 1,  # one belongs to a service, and is never acted on
            start=REAL_TIME.now().timestamp(),
            stopped_share=0.0,
            timings=Timings(running=0.1),
        )
        for vm in self.world.live_vms():
            for tag in self.world.tags_of(vm):
                if tag.startswith("recovery/"):
                    self.world.untag(vm, tag)
            self.world.tag(vm, "recovery/auto")
            # A new daemon cannot tell a crash from a power cut, after which some are left off.
            vm.on_power_loss = "last_state"
        self.vms = sorted(vm.key for vm in self.world.live_vms() if vm.service is None)
        self.platform = Simulator(
            world=self.world, clock=REAL_TIME, faults=Door(self._look_at_the_post), burst_limit=None
        )
        self._life_number = 0

    def vm_of(self, story: Story) -> int:
        return self.vms[story.number]

    async def simulate(self, nurse: Nursery) -> None:
        """Tell all stories, to the end of the last."""
        self.directory.mkdir()
        async with self.platform:
            (self.directory / "vergewatch.yaml").write_text(json.dumps(self._settings()))
            before: Story | None = None
            for story in self.stories:
                for turn, (moment, how) in enumerate(story.deaths):
                    await self._live_and_die(nurse, story, moment, how, turn=turn, before=before)
                    before = story
            await self._live_on(nurse, before)
        self.check()

    async def _live_and_die(
        self,
        nurse: Nursery,
        story: Story,
        moment: Moment,
        how: How | None,
        *,
        turn: int,
        before: Story | None,
    ) -> None:
        death, vm = moment.value, self.vm_of(story)
        here = f"stage {self.number}, VM {vm}, {death.title.strip()} ({how}), death {turn + 1}"
        doom = Doom(death.event, vm, how) if death.event is not None and how is not None else None
        life, log = await self._begin(nurse, doom)
        here += f", {log}"
        try:
            if turn == 0:
                if before is not None:
                    await self._until(
                        lambda: self._is_over(before),
                        f"{here}: still at VM {self.vm_of(before)}, {before}",
                    )
                await self._until(lambda: self._is_seen_up(vm), f"{here}: it is not seen")
            if doom is None:
                effect = moment is Moment.EFFECTIVE
                self.platform.faults.turn_on("hang", path=ACTIONS, times=1, after=effect)
            if turn == 0:
                self.world.crash(vm)
            if doom is None:
                asked = len(self.posts)
                await self._until(
                    lambda: (
                        len(self.posts) > asked
                        and self.platform.requests[self.posts[-1].number].acted is effect
                    ),
                    f"{here}: no request came",
                )
                life.send(signal.SIGKILL)
            await self._until(life.ended.done, f"{here}: it lives on")
        finally:
            life.send(signal.SIGKILL)
        assert life.ended.result() == -signal.SIGKILL, f"{here}: {life.ended.result()}"
        if doom is not None:
            said = (doom.event, vm) in events(log)
            assert said == (doom.how is not How.UNSAID), here
        self.killed[death.title] += 1
        found = self._autopsy(vm)
        assert found in death.found.split(" or "), f"{here}: the journal has it {found}"

    async def _live_on(self, nurse: Nursery, before: Story | None) -> None:
        """Let one more life finish what is left to do, and end in peace."""
        life, log = await self._begin(nurse, None)
        here = f"stage {self.number}, the last life, {log}"
        try:
            if before is not None:
                await self._until(
                    lambda: self._is_over(before),
                    f"{here}: still at VM {self.vm_of(before)}, {before}",
                )
            life.send(signal.SIGTERM)
            await self._until(life.ended.done, f"{here}: it lives on")
        finally:
            life.send(signal.SIGKILL)
        assert life.ended.result() == 0, here

    async def _begin(self, nurse: Nursery, doom: Doom | None) -> tuple[Life, Path]:
        self._life_number += 1
        log = self.directory / f"life-{self._life_number:02}.log"
        began = REAL_TIME.monotonic()
        life = await nurse.bear(Order(str(self.directory / "vergewatch.yaml"), str(log), doom))
        try:
            await self._until(lambda: ("daemon.started", None) in events(log), f"{log}: no start")
        except BaseException:
            life.send(signal.SIGKILL)
            raise
        self.births.append(REAL_TIME.monotonic() - began)
        return life, log

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

    def _is_over(self, story: Story) -> bool:
        """Return whether a VM runs again, and recovery knows, and has nothing open."""
        vm = self.vm_of(story)
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

        It is a copy that is opened: what is left half done is the next life's to mend.
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
        for story in self.stories:
            vm = self.vm_of(story)
            here = f"stage {self.number}, VM {vm}, {story}"
            mine = [row for row in rows if row[0] == vm]
            posts = [post for post in self.posts if post.vm == vm]
            assert [row[2] for row in mine] == story.outcomes, here
            assert len(posts) <= sum(row[1] is not None for row in mine), here
            assert sum(requests[post.number].acted for post in posts) == 1, here
        assert {row[0] for row in rows} == {self.vm_of(story) for story in self.stories}
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
        logs = sorted(self.directory.glob("life-*.log"))[-2:]
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
    """Return what a life has said so far, and of which VM."""
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
        Stage(number, told, tmp_path / f"stage-{number}")
        for number, told in enumerate(stories(SEED))
    ]

    async with asyncio.timeout(WHOLE_SECONDS), nursery() as nurse, asyncio.TaskGroup() as parts:
        for stage in stages:
            parts.create_task(stage.simulate(nurse))

    killed = sum((stage.killed for stage in stages), Counter[str]())
    births = sorted(birth for stage in stages for birth in stage.births)
    print(tally(killed))  # noqa: T201 - shown with -s
    print(  # noqa: T201
        f"{REAL_TIME.monotonic() - began:.0f} s, {sum(len(one.stories) for one in stages)} crashes,"
        f" {sum(len(one.posts) for one in stages)} requests; "
        f"a life starts in {births[len(births) // 2]:.2f} s"
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
