"""A silence and the robot: it holds, says who silenced the VM, and acts when that is over."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.alerting.alerting import Alerting
from exporter.alerting.plan import Plan
from exporter.alerting.silences import Silence, SilencesResponse, Status
from exporter.recovery.engine import RecoverySetup
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.states import State
from exporter.recovery.report.explain import about_case, explain
from tests.alerting.samples import Tally
from tests.alerting.test_silences import matchers
from tests.fakes import START
from tests.recovery.conftest import Play, _quiet_logs, play
from tests.recovery.harness import ENFORCE, Theatre, at_once
from tests.recovery.invariants import Observer

__all__ = ["_quiet_logs", "play"]
ENOUGH = 900.0
AFTER = 600.0


class Hush:
    """One Alertmanager's silences, told to the daemon whenever a test says so."""

    def __init__(self, folder: Path, *, hold_when_unknown: bool = False) -> None:
        self.theatre: Theatre | None = None
        plan = Plan(urls=("http://am",), hold_when_unknown=hold_when_unknown)
        self.alerting = Alerting(plan, folder, self, Tally())
        silences = self.alerting.silences_of(lambda: "production")
        self.setup = RecoverySetup(ENFORCE, silences=silences)

    def now(self) -> Any:
        return self.theatre.clock.now() if self.theatre else START

    def monotonic(self) -> float:
        return self.theatre.clock.monotonic() if self.theatre else 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")

    def tell(self, *silences: Silence) -> None:
        now, at = START + timedelta(seconds=self.monotonic()), self.monotonic()
        (listener,) = self.alerting.listeners
        listener._heard(SilencesResponse(silences, 0, now, at))

    def silence(self, text: str, *, seconds: float = 7200.0) -> Silence:
        now = START + timedelta(seconds=self.monotonic())
        return Silence(
            id="4f0c",
            status=Status("active"),
            starts_at=now,
            ends_at=now + timedelta(seconds=seconds),
            updated_at=now,
            matchers=matchers(text),
            created_by="alice",
            comment="a new disk",
        )


def begin(play: Play, hush: Hush, **more: Any) -> tuple[Theatre, Observer]:
    theatre, observer = play(setup=hush.setup, **more)
    hush.theatre = theatre
    theatre.warm()
    return theatre, observer


def decision(theatre: Theatre, name: str = "web-01") -> Decision:
    found = theatre.recovery.decision(theatre.world.vm(name).uuid)
    assert found is not None
    return found


def says(theatre: Theatre) -> str:
    return next(
        one.detail for one in decision(theatre).guard_results if one.guard is GuardName.NOT_SILENCED
    )


def test_a_silenced_vm_is_held_and_started_when_the_silence_is_over(
    play: Play, tmp_path: Path
) -> None:
    hush = Hush(tmp_path)
    theatre, observer = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"', seconds=3600.0))
    ends = theatre.clock.elapsed + 3600.0
    observer._silenced = {"web-01": (0.0, ends + AFTER)}

    theatre.world.crash("web-01")
    theatre.let_pass(3500.0)

    assert decision(theatre).failed_guard is GuardName.NOT_SILENCED
    assert says(theatre) == (
        "it is silenced by alice until 2026-01-01 01:10 UTC: a new disk (silence 4f0c)"
    )
    journaled = [
        one for one in theatre.book.decisions if one.failed_guard is GuardName.NOT_SILENCED
    ]
    assert [one.name for one in journaled] == ["web-01"]
    assert "alice" in str(msgspec.json.encode(journaled))
    assert theatre.case("web-01").state is State.HELD
    theatre.let_pass(ends + AFTER - 20.0 - theatre.clock.elapsed)
    assert says(theatre).startswith("the silence of alice ended")
    assert theatre.asked() == []
    theatre.let_pass(200.0)
    assert [one.action for one in theatre.asked("web-01")] == ["poweron"]
    assert theatre.running("web-01")


def test_says_in_a_sentence_who_silenced_it(play: Play, tmp_path: Path) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name=~"web-.*"'))

    theatre.world.crash("web-01")
    theatre.let_pass(200.0)

    about = about_case(theatre.case("web-01"), system="production", now=theatre.clock.now())
    about = about._replace(decision=decision(theatre))
    assert "does not start it now because it is silenced by alice until" in explain(about).sentence


@pytest.mark.parametrize("what", ["vm_id", "node", "cluster", "system_name"])
def test_a_silence_of_its_key_its_node_its_cluster_or_its_cloud_holds_it_too(
    play: Play, tmp_path: Path, what: str
) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    world, vm = theatre.world, theatre.world.vm("web-01")
    node = world.node(vm.machine.status.node or 0)
    value = {
        "vm_id": str(vm.key),
        "node": node.name,
        "cluster": world.clusters[vm.machine.cluster or 0].name,
        "system_name": "production",
    }[what]
    hush.tell(hush.silence(f'{what}="{value}"'))

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert decision(theatre).failed_guard is GuardName.NOT_SILENCED
    assert theatre.asked() == []


def test_a_silence_of_another_vm_or_of_a_severity_holds_nobody(play: Play, tmp_path: Path) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(
        hush.silence('severity="warning"'),
        msgspec.structs.replace(hush.silence('vm_name="web-02"'), id="other"),
    )

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.running("web-01")


def test_a_silence_that_comes_at_the_last_moment_counts(play: Play, tmp_path: Path) -> None:
    hush = Hush(tmp_path)
    theatre, observer = begin(play, hush)

    def silence_once(step: str) -> None:
        if step == "prepare":
            hush.tell(hush.silence('vm_name="web-01"'))

    observer.on_book = silence_once
    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.asked() == []
    (intent,) = theatre.book.intents.values()
    assert intent.detail.startswith("it is silenced by alice")


def test_a_silence_that_is_longer_by_now_holds_on(play: Play, tmp_path: Path) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"', seconds=600.0))
    theatre.world.crash("web-01")
    theatre.let_pass(500.0)

    hush.tell(hush.silence('vm_name="web-01"', seconds=7200.0))
    theatre.let_pass(3600.0)

    assert decision(theatre).failed_guard is GuardName.NOT_SILENCED
    assert theatre.asked() == []


def test_a_silence_that_alertmanager_lost_has_ended_and_not_never_been(
    play: Play, tmp_path: Path
) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"'))
    theatre.world.crash("web-01")
    theatre.let_pass(100.0)

    lost_at = theatre.clock.elapsed
    while theatre.clock.elapsed < lost_at + AFTER - 20.0:
        hush.tell()
        theatre.let_pass(20.0)

    assert says(theatre).startswith("the silence of alice ended")
    assert theatre.asked() == []
    hush.tell()
    theatre.let_pass(200.0)
    assert theatre.running("web-01")


def test_a_vm_that_its_owner_stopped_during_a_silence_stays_down(
    play: Play, tmp_path: Path
) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"', seconds=600.0))

    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(600.0 + AFTER + ENOUGH)

    assert theatre.case("web-01").state is State.STOPPED
    assert theatre.asked() == []


@pytest.mark.parametrize("hold", [True, False])
def test_where_nobody_knows_the_silences_the_settings_decide(
    play: Play, tmp_path: Path, hold: bool
) -> None:
    hush = Hush(tmp_path, hold_when_unknown=hold)
    theatre, _ = begin(play, hush)

    theatre.world.crash("web-01")
    theatre.let_pass(ENOUGH)

    assert theatre.running("web-01") is not hold
    if hold:
        assert "http://am has told no silences for" in says(theatre)
        hush.tell()
        theatre.let_pass(40.0)
        assert decision(theatre).failed_guard is not GuardName.NOT_SILENCED


def test_a_silence_outlives_a_restart_and_does_not_wait_for_a_clock_of_ours(
    play: Play, tmp_path: Path
) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"'))
    theatre.world.crash("web-01")
    theatre.let_pass(100.0)

    theatre.new_process()
    theatre.clock.offset = timedelta(days=1)
    theatre.let_pass(3000.0)

    assert theatre.asked() == []
    assert says(theatre).startswith("it is silenced by alice")


def test_an_order_to_arm_does_not_lift_a_silence(play: Play, tmp_path: Path) -> None:
    hush = Hush(tmp_path)
    theatre, _ = begin(play, hush)
    hush.tell(hush.silence('vm_name="web-01"'))
    theatre.world.crash("web-01")
    theatre.let_pass(100.0)

    at_once(theatre.recovery.command(CommandKind.ARM, owner="bob", reason="go on"))
    theatre.let_pass(ENOUGH)

    assert theatre.asked() == []
