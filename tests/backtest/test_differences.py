"""What a replay with other settings does otherwise, and what that is worth."""

from dataclasses import replace as changed
from datetime import timedelta

import pytest

from exporter.backtest.compare import Backtest, Compared, Difference, compare
from exporter.backtest.text import backtest_text
from exporter.recovery.detect.log_patterns import LOG_PATTERNS, LogClassifier, LogPattern, Meaning
from exporter.recovery.model.limits import Mode
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.world.machines import VM
from tests.backtest.recorded import recorded, replayed
from tests.fakes import START
from tests.recovery.harness import ENFORCE, Harness

ODD = "Frobnication of the guest is complete"
SLOW = ENFORCE._replace(limits=changed(ENFORCE.limits, confirm_down_seconds=180))


def backtested(harness: Harness, config: RecoveryConfig) -> Backtest:
    return compare(
        harness.journal.history(), replayed(harness.journal, config), config.classifier, START
    )


def only(result: Backtest) -> Compared:
    (one,) = [one for one in result.actions if one.difference is not Difference.SAME]
    return one


def with_pattern(means: Meaning) -> RecoveryConfig:
    pattern = LogPattern(pattern=ODD, means=means)
    return ENFORCE._replace(classifier=LogClassifier((pattern, *LOG_PATTERNS)))


def write_odd_row(harness: Harness, vm: VM) -> None:
    harness.world.platform_log.write(
        ODD, at=harness.world.now, name=vm.name, machine=vm.machine.key, user="anna"
    )


def crashed(name: str | None = None, **kwargs: object) -> tuple[Harness, str]:
    """Return a record in which a VM crashes."""
    harness = recorded(**kwargs)
    name = name or harness.names[3]
    harness.world.crash(harness.world.vm(name))
    return harness, name


def test_a_longer_confirmation_starts_a_crashed_vm_later() -> None:
    harness, name = crashed()
    harness.advance(1200)

    result = backtested(harness, SLOW)

    one = only(result)
    assert (one.vm, one.difference) == (name, Difference.LATER)
    assert one.reason.cause == "not_long_enough"
    assert one.then is not None
    assert one.now is not None
    assert timedelta(seconds=100) < one.now - one.then < timedelta(seconds=200)
    assert result.minutes_lost == pytest.approx((one.now - one.then).total_seconds() / 60, abs=0.1)
    assert result.wrong_now == 0


def test_a_stop_in_a_later_outage_does_not_make_a_later_start_wrong() -> None:
    harness, name = crashed()
    harness.advance(1800)
    harness.world.operator_stops(name, graceful=False)
    harness.advance(600)

    result = backtested(harness, SLOW)

    assert only(result).difference is Difference.LATER
    assert result.wrong_now == 0


def test_a_shorter_confirmation_starts_a_crashed_vm_earlier() -> None:
    harness, name = crashed(setup=SLOW)
    harness.advance(1200)

    result = backtested(harness, ENFORCE)

    one = only(result)
    assert (one.vm, one.difference) == (name, Difference.EARLIER)
    assert result.minutes_saved > 1
    assert result.minutes_lost == 0
    assert result.actions_then == result.actions_now == 1


def test_a_crash_that_ends_before_a_longer_confirmation_is_not_acted_on_twice() -> None:
    harness, name = crashed()
    harness.advance(3600)
    harness.world.crash(harness.world.vm(name))
    harness.advance(3600)

    result = backtested(harness, SLOW)

    assert [one.difference for one in result.actions] == [Difference.LATER, Difference.LATER]


def test_one_pattern_more_turns_an_unknown_cause_into_a_crash() -> None:
    harness, name = crashed()
    vm = harness.world.vm(name)
    write_odd_row(harness, vm)
    harness.advance(1200)
    harness.world.operator_starts(vm)
    harness.advance(600)
    assert harness.asked() == []

    one = only(backtested(harness, with_pattern(Meaning.CRASH)))

    assert (one.vm, one.difference) == (name, Difference.ONLY_NOW)
    assert one.reason.cause == "logs_unclear"
    assert one.minutes == pytest.approx(19, abs=2)
    assert one.wrong == ""


def test_one_pattern_more_turns_a_crash_into_a_stop() -> None:
    harness = recorded(setup=with_pattern(Meaning.HARMLESS))
    name = harness.names[3]
    vm = harness.world.vm(name)
    write_odd_row(harness, vm)
    harness.world.crash(vm)
    harness.advance(1200)
    assert len(harness.asked(name)) == 1

    result = backtested(harness, with_pattern(Meaning.STOP))

    one = only(result)
    assert one.difference is Difference.ONLY_THEN
    assert one.reason.cause == "stopped_by_person"
    assert one.was_wrong == f"log row: {ODD}"
    assert one.minutes == 0
    assert (result.wrong_then, result.wrong_now) == (1, 0)
    assert f"      WRONG START THEN: log row: {ODD}" in backtest_text(result, most=10)


def test_a_start_of_a_vm_that_a_person_had_stopped_is_wrong() -> None:
    harness = recorded()
    vm = harness.world.vm(harness.names[3])
    write_odd_row(harness, vm)
    harness.world.operator_stops(vm, graceful=False)
    harness.advance(1200)
    assert harness.asked() == []
    reckless = LogClassifier((LogPattern(pattern=".*", means=Meaning.HARMLESS),))

    result = backtested(harness, ENFORCE._replace(classifier=reckless))

    one = only(result)
    assert one.difference is Difference.ONLY_NOW
    assert one.wrong
    assert one.minutes == 0
    assert result.wrong_now == 1
    assert any("WRONG START" in line for line in backtest_text(result, most=10))


def test_a_start_that_a_person_undid_within_ten_minutes_was_wrong() -> None:
    harness, name = crashed()
    harness.advance(200)
    assert len(harness.asked(name)) == 1
    harness.world.operator_stops(harness.world.vm(name), graceful=False)
    harness.advance(600)

    result = backtested(harness, ENFORCE)

    assert result.counts[Difference.SAME] == 1
    assert (result.wrong_then, result.wrong_now) == (1, 1)


def test_a_record_in_shadow_is_compared_by_what_would_have_been_done() -> None:
    harness, name = crashed(mode=Mode.SHADOW)
    harness.advance(900)
    harness.world.operator_starts(harness.world.vm(name))
    harness.advance(300)

    same = backtested(harness, ENFORCE._replace(mode=Mode.SHADOW))
    acted = backtested(harness, ENFORCE)
    slow = backtested(harness, SLOW._replace(mode=Mode.SHADOW))

    assert same.counts[Difference.SAME] == 1
    assert acted.actions_now == 1
    assert only(slow).difference is Difference.LATER
    assert slow.minutes_lost > 1


def test_no_lead_in_action_is_counted() -> None:
    harness, _ = crashed()
    harness.advance(1200)

    result = compare(
        harness.journal.history(),
        replayed(harness.journal, SLOW),
        SLOW.classifier,
        harness.clock.now() - timedelta(seconds=600),
    )

    assert result.actions == []
    assert result.polls == 31


def test_text_names_the_difference_its_reason_and_its_minutes() -> None:
    harness, name = crashed()
    harness.advance(1200)

    text = "\n".join(backtest_text(backtested(harness, SLOW), most=10))

    assert f"later by 2 min: start {name}, 2.3 min lost" in text
    assert "held now: it has not been down long enough to confirm" in text
    assert "downtime added" in text
