"""Recovery and silences: it holds silenced VMs, gives the reason, and acts afterwards."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from exporter.alerting.alerting import Alerting
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.silences import Silence, SilencesResponse, Status
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.states import State
from exporter.recovery.report.context import context_of_case
from exporter.recovery.report.explain import explain
from tests.alerting.samples import RecordingMeter
from tests.alerting.test_silences import matchers
from tests.fakes import START
from tests.recovery.conftest import MakeHarness, _quiet_logs, make_harness
from tests.recovery.harness import ENFORCE, Harness, at_once
from tests.recovery.invariants import InvariantChecker

__all__ = ["_quiet_logs", "make_harness"]
UNTIL_RESTARTED = 900.0
AFTER_SILENCE = 600.0


class Silencer:
    """Alerting with one Alertmanager, whose responses the test supplies. It is also the clock."""

    def __init__(self, folder: Path, *, unreachable: Literal["go_on", "hold"] = "go_on") -> None:
        self.harness: Harness | None = None
        settings = AlertmanagerSettings(urls=("http://am",), unreachable=unreachable)
        self.alerting = Alerting(settings, folder, self, RecordingMeter())
        silences = self.alerting.silences_of(lambda: ["production"])
        self.setup = ENFORCE._replace(silences=silences)

    def now(self) -> Any:
        return self.harness.clock.now() if self.harness else START

    def monotonic(self) -> float:
        return self.harness.clock.monotonic() if self.harness else 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("Alerting must not sleep here")

    def respond(self, *silences: Silence) -> None:
        now, at = START + timedelta(seconds=self.monotonic()), self.monotonic()
        (poller,) = self.alerting.pollers
        poller.accept(SilencesResponse(silences, 0, now, at))

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


def start(
    make_harness: MakeHarness, silencer: Silencer, **more: Any
) -> tuple[Harness, InvariantChecker]:
    harness, checker = make_harness(setup=silencer.setup, **more)
    silencer.harness = harness
    harness.warm()
    return harness, checker


def crash_while_silenced(
    make_harness: MakeHarness, folder: Path, *, seconds: float = 7200.0
) -> tuple[Silencer, Harness]:
    """Crash web-01 while it is silenced, and let 100 s pass."""
    silencer = Silencer(folder)
    harness, _ = start(make_harness, silencer)
    silencer.respond(silencer.silence('vm_name="web-01"', seconds=seconds))
    harness.world.crash("web-01")
    harness.advance(100.0)
    return silencer, harness


def decision(harness: Harness, name: str = "web-01") -> Decision:
    found = harness.recovery.decisions.get(harness.world.vm(name).uuid)
    assert found is not None
    return found


def silence_reason(harness: Harness) -> str:
    return next(
        one.detail for one in decision(harness).guard_results if one.guard is GuardName.NOT_SILENCED
    )


def test_crashed_vm_is_held_while_silenced_and_started_afterwards(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    silencer = Silencer(tmp_path)
    harness, checker = start(make_harness, silencer)
    silencer.respond(silencer.silence('vm_name="web-01"', seconds=3600.0))
    ends = harness.clock.elapsed + 3600.0
    checker._silenced = {"web-01": (0.0, ends + AFTER_SILENCE)}

    harness.world.crash("web-01")
    harness.advance(3500.0)

    assert decision(harness).failed_guard is GuardName.NOT_SILENCED
    assert silence_reason(harness) == (
        "it is silenced by alice until 2026-01-01 01:10 UTC: a new disk (silence 4f0c)"
    )
    journaled = [
        one for one in harness.journal.decisions if one.failed_guard is GuardName.NOT_SILENCED
    ]
    assert [one.name for one in journaled] == ["web-01"]
    assert "alice" in str(msgspec.json.encode(journaled))
    assert harness.case("web-01").state is State.HELD
    harness.advance(ends + AFTER_SILENCE - 20.0 - harness.clock.elapsed)
    assert silence_reason(harness).startswith("the silence of alice ended")
    assert harness.asked() == []
    harness.advance(200.0)
    assert [one.action for one in harness.asked("web-01")] == ["poweron"]
    assert harness.running("web-01")


def test_explain_names_the_author_of_the_silence(make_harness: MakeHarness, tmp_path: Path) -> None:
    silencer = Silencer(tmp_path)
    harness, _ = start(make_harness, silencer)
    silencer.respond(silencer.silence('vm_name=~"web-.*"'))

    harness.world.crash("web-01")
    harness.advance(200.0)

    about = context_of_case(harness.case("web-01"), system="production", now=harness.clock.now())
    about = about._replace(decision=decision(harness))
    assert "does not start it now because it is silenced by alice until" in explain(about).sentence


@pytest.mark.parametrize("text", ['vm_name!="web-02"', 'vm_name!~"web-02|db.*"', 'vm_id!="{}"'])
def test_silence_that_excludes_a_vm_holds_the_others(
    make_harness: MakeHarness, tmp_path: Path, text: str
) -> None:
    silencer = Silencer(tmp_path)
    harness, _ = start(make_harness, silencer)
    silencer.respond(silencer.silence(text.format(harness.world.vm("web-02").key)))

    harness.world.crash("web-01")
    harness.advance(UNTIL_RESTARTED)
    harness.world.crash("web-02")
    harness.advance(UNTIL_RESTARTED)

    assert decision(harness).failed_guard is GuardName.NOT_SILENCED
    assert harness.asked("web-01") == []
    assert [one.action for one in harness.asked("web-02")] == ["poweron"]


@pytest.mark.parametrize("label", ["vm_id", "node_name", "cluster_name", "system_name"])
def test_silence_of_the_vm_id_node_cluster_or_system_holds_the_vm(
    make_harness: MakeHarness, tmp_path: Path, label: str
) -> None:
    silencer = Silencer(tmp_path)
    harness, _ = start(make_harness, silencer)
    world, vm = harness.world, harness.world.vm("web-01")
    node = world.node(vm.machine.status.node or 0)
    value = {
        "vm_id": str(vm.key),
        "node_name": node.name,
        "cluster_name": world.clusters[vm.machine.cluster or 0].name,
        "system_name": "production",
    }[label]
    silencer.respond(silencer.silence(f'{label}="{value}"'))

    harness.world.crash("web-01")
    harness.advance(UNTIL_RESTARTED)

    assert decision(harness).failed_guard is GuardName.NOT_SILENCED
    assert harness.asked() == []


def test_silence_of_another_vm_or_of_a_severity_does_not_hold_the_vm(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    silencer = Silencer(tmp_path)
    harness, _ = start(make_harness, silencer)
    silencer.respond(
        silencer.silence('severity="warning"'),
        msgspec.structs.replace(silencer.silence('vm_name="web-02"'), id="other"),
    )

    harness.world.crash("web-01")
    harness.advance(UNTIL_RESTARTED)

    assert harness.running("web-01")


def test_silence_created_just_before_the_action_prevents_it(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    silencer = Silencer(tmp_path)
    harness, checker = start(make_harness, silencer)

    def silence_once(step: str) -> None:
        if step == "prepare":
            silencer.respond(silencer.silence('vm_name="web-01"'))

    checker.on_journal = silence_once
    harness.world.crash("web-01")
    harness.advance(UNTIL_RESTARTED)

    assert harness.asked() == []
    (intent,) = harness.journal.intents.values()
    assert intent.detail.startswith("it is silenced by alice")


def test_extended_silence_still_holds_the_vm(make_harness: MakeHarness, tmp_path: Path) -> None:
    silencer, harness = crash_while_silenced(make_harness, tmp_path, seconds=600.0)
    harness.advance(400.0)

    silencer.respond(silencer.silence('vm_name="web-01"', seconds=7200.0))
    harness.advance(3600.0)

    assert decision(harness).failed_guard is GuardName.NOT_SILENCED
    assert harness.asked() == []


def test_silence_lost_by_alertmanager_holds_as_long_as_one_that_ended(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    silencer, harness = crash_while_silenced(make_harness, tmp_path)

    lost_at = harness.clock.elapsed
    while harness.clock.elapsed < lost_at + AFTER_SILENCE - 20.0:
        silencer.respond()
        harness.advance(20.0)

    assert silence_reason(harness).startswith("the silence of alice ended")
    assert harness.asked() == []
    silencer.respond()
    harness.advance(200.0)
    assert harness.running("web-01")


def test_vm_stopped_by_the_operator_during_a_silence_is_not_started_afterwards(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    silencer = Silencer(tmp_path)
    harness, _ = start(make_harness, silencer)
    silencer.respond(silencer.silence('vm_name="web-01"', seconds=600.0))

    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(600.0 + AFTER_SILENCE + UNTIL_RESTARTED)

    assert harness.case("web-01").state is State.STOPPED
    assert harness.asked() == []


@pytest.mark.parametrize("hold", [True, False])
def test_unknown_silences_hold_the_vm_only_if_configured(
    make_harness: MakeHarness, tmp_path: Path, hold: bool
) -> None:
    silencer = Silencer(tmp_path, unreachable="hold" if hold else "go_on")
    harness, _ = start(make_harness, silencer)

    harness.world.crash("web-01")
    harness.advance(UNTIL_RESTARTED)

    assert harness.running("web-01") is not hold
    if hold:
        assert "silences of http://am are unknown for" in silence_reason(harness)
        silencer.respond()
        harness.advance(40.0)
        assert decision(harness).failed_guard is not GuardName.NOT_SILENCED


def test_silence_holds_the_vm_after_a_restart_of_the_daemon_with_a_wrong_wall_clock(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    _, harness = crash_while_silenced(make_harness, tmp_path)

    harness.new_process()
    harness.clock.offset = timedelta(days=1)
    harness.advance(3000.0)

    assert harness.asked() == []
    assert silence_reason(harness).startswith("it is silenced by alice")


def test_arming_recovery_does_not_override_a_silence(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    _, harness = crash_while_silenced(make_harness, tmp_path)

    at_once(harness.recovery.command(CommandKind.ARM, owner="bob", reason="go on"))
    harness.advance(UNTIL_RESTARTED)

    assert harness.asked() == []
