"""Which VMs that are down the daemon alerts on, how soon, and with which text."""

from collections.abc import Iterator
from typing import Any

import pytest

from exporter.alerting.alert_store import AlertStore
from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import AlertName, Links
from exporter.recovery.model.cases import Cause, Outcome
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from tests.alerting.samples import report
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import Harness
from tests.recovery.test_evidence import NAMES
from tests.recovery.test_scenarios import cause

FIVE_MINUTES = 300.0
LONG = 1800.0
DAY = 86_400.0
ROW = "Blinkenlights of the hypervisor were reversed"
MODES = (Mode.SHADOW, Mode.ENFORCE)


class Watch:
    """A harness whose reports the daemon's alerts follow, poll by poll."""

    def __init__(self, make_harness: MakeHarness, **harness: Any) -> None:
        self.harness: Harness = make_harness(**harness)[0].warm()
        self.world = self.harness.world
        self.store = AlertStore()

    def advance(self, seconds: float) -> None:
        """Let time pass, and evaluate the alerts after each poll."""
        clock = self.harness.clock
        until = clock.elapsed + seconds
        while clock.elapsed < until:
            self.harness.advance(min(self.harness.every, until - clock.elapsed))
            given = report(recovery=self.harness.recovery.report)
            self.store = self.store.evaluate(
                [given], AlertLimits(), Links(""), now=clock.now(), at=clock.monotonic()
            )

    def down(self, name: str) -> list[str]:
        """Return the descriptions of the firing alerts that the VM is down."""
        return [
            one.alert.annotations["description"]
            for one in self.store.firing
            if one.alert.name is AlertName.VM_DOWN and one.alert.labels["vm_name"] == name
        ]

    def fires(self, name: AlertName, polls: int) -> Iterator[bool]:
        """Let time pass; yield after each poll whether an alert fires."""
        for _ in range(polls):
            self.advance(self.harness.every)
            yield any(one.alert.name is name for one in self.store.firing)

    def write(self, name: str, text: str) -> None:
        """Write a row of the system about a VM."""
        machine = self.world.vm(name).machine.key
        self.world.platform_log.write(
            text, at=self.world.now, user="system", name=name, machine=machine
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("enrolled", [True, False])
def test_unknown_cause_alerts_within_five_minutes_and_names_the_row(
    make_harness: MakeHarness, mode: Mode, enrolled: bool
) -> None:
    watch = Watch(make_harness, mode=mode, **({} if enrolled else {"tags": {}}))

    watch.world.crash("web-01")
    watch.write("web-01", ROW)
    watch.advance(FIVE_MINUTES)

    assert watch.harness.case("web-01").state is State.UNKNOWN
    (text,) = watch.down("web-01")
    assert f"it is unknown why: “{ROW}” by system" in text
    assert "which no log pattern matches" in text
    assert ("It is not enrolled" in text) is not enrolled


@pytest.mark.parametrize("seed", range(len(NAMES)))
@pytest.mark.parametrize(
    "text",
    [
        "VM process was killed (signal {number})",
        "VM '{name}' stopped unexpectedly",
        "'{name}' | {number} | {{{{ x }}}} \"quoted\" \u202e",
    ],
)
def test_every_row_that_leaves_the_cause_open_is_named_whatever_the_vm_is_called(
    make_harness: MakeHarness, seed: int, text: str
) -> None:
    watch = Watch(make_harness, seed=seed + 1)
    name, row = NAMES[seed], text.format(name=NAMES[seed], number=seed)
    if name != "web-01":
        watch.world.renames("web-01", name)
    watch.advance(60)

    watch.world.crash(name)
    watch.write(name, row)
    watch.advance(FIVE_MINUTES)

    (found,) = watch.down(name)
    assert f"VM {name} (" in found
    assert f"“{row}” by system" in found


def test_crash_in_shadow_mode_alerts_with_the_guard_that_forbids_its_start(
    make_harness: MakeHarness,
) -> None:
    watch = Watch(make_harness, mode=Mode.SHADOW)

    watch.world.crash("web-01")
    watch.advance(FIVE_MINUTES)

    (text,) = watch.down("web-01")
    assert "crashed: it went down without a stop request. The guard `mode_permits` forbids" in text


def test_crash_of_a_vm_that_is_not_enrolled_alerts(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, tags={})

    watch.world.crash("web-01")
    watch.advance(FIVE_MINUTES)

    (text,) = watch.down("web-01")
    assert "crashed" in text
    assert "It is not enrolled" in text
    assert "guard" not in text


def test_vm_that_waits_for_resources_alerts_when_the_time_of_the_platform_is_over(
    make_harness: MakeHarness,
) -> None:
    watch = Watch(make_harness)
    watch.world.operator_stops(watch.world.vm("web-01"), graceful=False)
    watch.advance(60)
    watch.world.start_waits("web-01", user="anna", word="waitingforresources")
    watch.advance(100)
    assert watch.down("web-01") == []

    watch.advance(LONG)

    (text,) = watch.down("web-01")
    assert "VergeOS, which has to restart it, has not done so" in text


def test_alert_resolves_when_the_vm_runs(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, mode=Mode.SHADOW)
    watch.world.crash("web-01")
    watch.advance(FIVE_MINUTES)
    assert watch.down("web-01")

    watch.world.operator_starts(watch.world.vm("web-01"))
    watch.advance(FIVE_MINUTES)

    assert watch.down("web-01") == []


def test_restart_within_the_wait_alerts_nobody(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness)

    watch.world.crash("web-01")
    watch.advance(LONG)

    assert watch.harness.running("web-01")
    assert not [one for one in watch.store.alerts.values() if one.alert.name == AlertName.VM_DOWN]


@pytest.mark.parametrize("graceful", [True, False])
@pytest.mark.parametrize("enrolled", [True, False])
def test_intended_stop_never_alerts(
    make_harness: MakeHarness, enrolled: bool, graceful: bool
) -> None:
    watch = Watch(make_harness, **({} if enrolled else {"tags": {}}))

    watch.world.operator_stops(watch.world.vm("web-01"), graceful=graceful)
    watch.advance(LONG)

    assert watch.harness.case("web-01").state is State.STOPPED
    assert not watch.store.alerts


def test_vm_that_was_down_at_first_sight_never_alerts_also_when_it_is_enrolled_then(
    make_harness: MakeHarness,
) -> None:
    watch = Watch(make_harness, stopped_share=0.3, tags={})
    off = [name for name in watch.harness.names if not watch.harness.running(name)]
    assert off

    watch.advance(LONG)
    watch.world.tag(off[0], "recovery/auto")
    watch.advance(LONG)

    assert watch.harness.case(off[0]).state is State.BASELINE
    assert not watch.store.alerts


def test_enrolment_of_a_crashed_vm_does_not_resolve_its_alert(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, tags={})
    watch.world.crash("web-01")
    watch.advance(FIVE_MINUTES)

    watch.world.tag("web-01", "recovery/auto")
    watch.advance(FIVE_MINUTES)

    assert cause(watch.harness, "web-01") is Cause.NEVER_SEEN_UP
    assert watch.down("web-01")


def test_vm_that_crashes_just_when_it_is_enrolled_alerts(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, tags={})

    watch.world.crash("web-01")
    watch.world.tag("web-01", "recovery/auto")
    watch.advance(FIVE_MINUTES)

    assert cause(watch.harness, "web-01") is Cause.NEVER_SEEN_UP
    assert watch.down("web-01")


def test_ignored_or_disabled_vm_never_alerts(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, mode=Mode.SHADOW)
    watch.world.tag("web-01", "recovery/ignore")
    watch.world.changes("app-01", enabled=False)
    watch.advance(60)

    for name in ("web-01", "app-01"):
        watch.world.crash(name)
    watch.advance(LONG)

    assert not watch.store.alerts


def test_labels_of_the_state_are_the_cause_and_the_failed_guard(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness, mode=Mode.SHADOW)
    watch.world.crash("web-01")
    watch.write("app-01", ROW)
    watch.world.crash("app-01")
    watch.advance(FIVE_MINUTES)

    vms = {vm.name: vm for vm in watch.harness.recovery.report.vms}

    assert (vms["web-01"].cause, vms["web-01"].failed_guard) == ("crashed", "mode_permits")
    assert (vms["app-01"].cause, vms["app-01"].failed_guard) == ("logs_unclear", "")
    began = {
        change.name: change.time
        for change in watch.harness.journal.changes
        if change.before is State.HEALTHY and change.after is State.SUSPECT
    }
    assert vms["web-01"].down_since == began["web-01"]  # as the sentence of `explain` says
    assert {
        (vm.cause, vm.failed_guard, vm.down_since)
        for name, vm in vms.items()
        if name not in ("web-01", "app-01")
    } == {("", "", None)}
    watch.world.operator_starts(watch.world.vm("web-01"))
    watch.advance(60)
    vms = {vm.name: vm for vm in watch.harness.recovery.report.vms}
    vm = vms["web-01"]
    assert (vm.down_since, vm.cause, vm.detail, vm.failed_guard) == (None, "", "", "")


def test_vm_that_flaps_and_then_stays_down_alerts_in_shadow_mode(
    make_harness: MakeHarness,
) -> None:
    watch = Watch(make_harness, mode=Mode.SHADOW)
    for _ in range(6):
        watch.world.crash("web-01")
        watch.advance(20)
        watch.world.operator_starts("web-01")
        watch.advance(20)

    watch.world.crash("web-01")
    watch.advance(FIVE_MINUTES)

    assert watch.harness.case("web-01").state is State.QUARANTINED
    (text,) = watch.down("web-01")
    assert "is down and quarantined: it went down" in text


@pytest.mark.parametrize("graceful", [True, False])
def test_stop_after_the_vm_ran_again_is_no_failed_action(
    make_harness: MakeHarness, graceful: bool
) -> None:
    watch = Watch(make_harness)
    watch.world.faults.turn_on("accepted_but_never_starts", word="stopped", times=1)
    watch.world.crash("web-01")
    assert any(watch.fires(AlertName.FAILED, polls=100))
    watch.world.operator_starts("web-01")
    watch.advance(LONG)

    watch.world.operator_stops("web-01", graceful=graceful)
    fired = list(watch.fires(AlertName.FAILED, polls=15))

    assert watch.harness.case("web-01").state is State.STOPPED
    assert not any(fired)
    (action,) = watch.harness.recovery.report.last_actions
    assert (action.outcome, action.ran_since) == (Outcome.FAILED, True)


def test_failed_action_alerts_while_the_vm_stays_down(make_harness: MakeHarness) -> None:
    watch = Watch(make_harness)
    watch.world.faults.turn_on("accepted_but_never_starts", word="stopped", lasting=DAY)
    watch.world.crash("web-01")
    assert any(watch.fires(AlertName.FAILED, polls=100))

    assert all(watch.fires(AlertName.FAILED, polls=90))

    assert len(watch.harness.asked("web-01")) > 1
