"""Learned and taught log templates: what they do to the next crash, and for how long."""

import pytest
from msgspec.structs import replace

from exporter.alerting.alerts import current_alerts
from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import AlertName, Links
from exporter.recovery.detect.log_patterns import Meaning
from exporter.recovery.model.cases import Cause, DiagnosisKind
from exporter.recovery.model.commands import CommandKind, Lesson
from exporter.recovery.model.limits import HOUR, Mode
from exporter.recovery.model.log_templates import TEACHABLE, RowSource
from exporter.recovery.model.states import State
from exporter.recovery.recovery_config import RecoveryConfig
from tests.alerting.samples import report
from tests.recovery.activity import ACTIVITIES, AT_CRASH, Activity
from tests.recovery.harness import Harness, at_once
from tests.recovery.noise import LEARNING, NoisySystem, measure
from tests.recovery.test_scenarios import ENOUGH

FLUX = next(one for one in ACTIVITIES if one.name == "an unexplained row every 15 min")
BY_PERSON = next(one for one in ACTIVITIES if one.user != "system")
FLUX_TEMPLATE = "<name>: flux capacitor at <n> %"


@pytest.fixture(scope="module")
def experienced() -> NoisySystem:
    """Return a system after a day with a row every 15 minutes that no pattern matches."""
    return NoisySystem(FLUX, vms=8).learn()


@pytest.mark.parametrize("activity", ACTIVITIES, ids=lambda one: one.name)
def test_plain_crashes_among_ordinary_rows_are_started(activity: Activity) -> None:
    results = list(measure(activity, vms=3, seed=3))

    for result in results:
        assert result.stopped == 0.0
        if result.activity.endswith("before `teach`"):
            assert result.alerted == 1.0
            named = {one.diagnosis.template for one in result.crashes if one.diagnosis is not None}
            assert named == {AT_CRASH.replace("{number}", "<n>")}
        else:
            assert result.in_time == 1.0


def test_without_experience_the_same_crashes_are_unknown() -> None:
    crashes = NoisySystem(FLUX, vms=8, seed=3).learn(HOUR).crash_all().crashes

    unknown = [one for one in crashes if one.diagnosis is not None]
    assert unknown
    assert {one.diagnosis.cause for one in unknown if one.diagnosis} == {Cause.LOGS_UNCLEAR}


def restarted(system: NoisySystem) -> NoisySystem:
    """Return the system with a new process, warmed up."""
    system.new_process()
    system.run(system.setup.limits.warmup_seconds + 120.0)
    return system


def test_learned_template_survives_a_restart(experienced: NoisySystem) -> None:
    before = experienced.recovery.learner.experience.history(FLUX_TEMPLATE)
    assert before is not None

    restarted(experienced)

    after = experienced.recovery.learner.experience.history(FLUX_TEMPLATE)
    assert after is not None
    assert after.times >= before.times
    meaning = experienced.recovery.learner.classifier.meaning_of_row
    assert meaning(FLUX_TEMPLATE, RowSource.SYSTEM) is Meaning.HARMLESS
    assert meaning(FLUX_TEMPLATE, RowSource.PERSON) is None


def test_shadow_mode_learns_too() -> None:
    system = NoisySystem(FLUX, vms=3)
    system.setup = RecoveryConfig(mode=Mode.SHADOW)
    system.new_process()

    system.learn()

    assert FLUX_TEMPLATE in system.recovery.learner.classifier._learned[RowSource.SYSTEM]


def test_fewer_rows_by_persons_than_needed_are_not_harmless() -> None:
    rare = BY_PERSON._replace(every=3 * HOUR)
    system = NoisySystem(rare, vms=1).learn(LEARNING + HOUR)

    history = system.recovery.learner.experience.history(FLUX_TEMPLATE)
    assert history is not None
    assert 5 <= history.times < 20
    meaning = system.recovery.learner.classifier.meaning_of_row
    assert meaning(FLUX_TEMPLATE, RowSource.PERSON) is None


@pytest.mark.parametrize("how", ["graceful", "task"])
def test_stop_that_another_known_row_proves_unlearns_nothing(how: str) -> None:
    system = NoisySystem(FLUX, vms=4).learn()
    for vm in list(system._vms()):
        system.write(FLUX.texts[0], vm)
        system.run(60)
        if how == "task":
            system.world.task_stops(vm)
        else:
            system.world.operator_stops(vm, graceful=True)
        system.run(HOUR / 2)

    history = system.recovery.learner.experience.history(FLUX_TEMPLATE)
    assert history is not None
    assert not history.marks


def test_row_before_an_unexplained_stop_is_never_harmless() -> None:
    # A tool of the site writes a row of its own and switches the VM off.
    system = NoisySystem(FLUX._replace(texts=("{name} parked by tool {number}",)), vms=4)
    for vm in list(system._vms())[:2]:
        system.write("{name} parked by tool {number}", vm)
        system.world.crash(vm)  # it is off, and nothing else is logged
        system.run(20 * 60)
        system.world.operator_starts(vm)
    system.learn()

    victim = list(system._vms())[-1]
    system.write("{name} parked by tool {number}", victim)
    system.run(60)
    system.world.crash(victim)
    system.run(ENOUGH)

    assert not system.requests


# Teaching.


def puzzled(text: str = "{name} went for a walk of {number} km") -> tuple[Harness, str]:
    """Return a system with a VM that is down after a row that no pattern matches."""
    harness = Harness()
    harness.warm()
    name = "web-01"
    vm = harness.world.vm(name)
    harness.world.platform_log.write(
        text.format(name=name, number=7), at=harness.world.now, name=name, machine=vm.machine.key
    )
    harness.world.crash(name)
    harness.advance(100)
    return harness, name


def teach(harness: Harness, means: str, template: str = "<name> went for a walk of <n> km") -> None:
    lesson = Lesson(template, means)
    at_once(
        harness.recovery.command(CommandKind.TEACH, owner="anna", reason="because", lesson=lesson)
    )


def forget(harness: Harness, template: str = "<name> went for a walk of <n> km") -> None:
    lesson = Lesson(template)
    at_once(
        harness.recovery.command(CommandKind.FORGET, owner="anna", reason="because", lesson=lesson)
    )


@pytest.mark.parametrize("means", ["harmless", "crash"])
def test_taught_template_lets_the_vm_start(means: str) -> None:
    harness, name = puzzled()
    assert harness.case(name).state is State.UNKNOWN

    teach(harness, means)
    harness.advance(60)

    assert harness.running(name)


@pytest.mark.parametrize("means", ["stop", "guest-stop"])
def test_taught_stop_is_a_stop(means: str) -> None:
    harness, name = puzzled()

    teach(harness, means)
    harness.advance(60)

    assert harness.case(name).state is State.STOPPED
    assert not harness.requests


def test_taught_doubt_keeps_a_template_from_being_learned() -> None:
    system = NoisySystem(FLUX, vms=3)
    lesson = Lesson(FLUX_TEMPLATE, "doubt")
    at_once(system.recovery.process(system._read()))
    command = system.recovery.command
    at_once(command(CommandKind.TEACH, owner="anna", reason="r", lesson=lesson))

    system.learn()

    assert system.recovery.learner.classifier.meaning(FLUX_TEMPLATE) is Meaning.DOUBT
    assert system.recovery.learner.experience.history(FLUX_TEMPLATE) is None


def test_taught_template_survives_a_restart_until_it_is_forgotten() -> None:
    harness, name = puzzled()
    teach(harness, "stop")
    harness.new_process()
    harness.warm()
    assert harness.case(name).state is State.STOPPED
    assert harness.recovery.learner.taught

    forget(harness)
    harness.new_process()
    harness.warm()

    assert not harness.recovery.learner.taught


def test_forgotten_experience_is_gone_also_if_the_process_ends_at_once() -> None:
    system = NoisySystem(FLUX, vms=3).learn()
    history = system.recovery.learner.experience.history(FLUX_TEMPLATE)

    forget(system, FLUX_TEMPLATE)
    assert history in system.journal.templates.values()  # not written yet
    system.new_process()
    system.poll()

    assert system.recovery.learner.experience.history(FLUX_TEMPLATE) is None
    assert FLUX_TEMPLATE not in system.journal.templates


def test_taught_meaning_precedes_what_a_pattern_says() -> None:
    harness, name = puzzled("VM has shutdown")
    assert harness.case(name).state is State.STOPPED

    teach(harness, "harmless", "VM has shutdown")

    meaning = harness.recovery.learner.classifier.meaning_of_row
    assert meaning("VM has shutdown", RowSource.SYSTEM) is Meaning.HARMLESS


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("web-01 went for a walk of 7 km", "<name> went for a walk of <n> km"),
        ("<name> WENT for a walk of <n> km", "<name> WENT for a walk of <n> km"),
        ("  db-01 rests ", "<name> rests"),
        ("db-01 of <name> rests 3 s", "db-<n> of <name> rests <n> s"),
        ("VM 'x' rests", "VM '<name>' rests"),
    ],
)
def test_row_can_be_given_in_place_of_its_template(given: str, meant: str) -> None:
    harness, _ = puzzled()

    names = harness.recovery.vm_names

    assert "db-01" in names
    assert harness.recovery.learner.lesson_of(Lesson(given), names) == Lesson(meant)


def test_every_teachable_word_is_a_meaning() -> None:
    assert {Meaning(word) for word in TEACHABLE}


def test_alert_names_the_row_and_the_command() -> None:
    harness, name = puzzled()
    harness.advance(HOUR)
    assert harness.case(name).diagnosis is not None
    assert harness.case(name).diagnosis.kind is DiagnosisKind.UNKNOWN  # type: ignore[union-attr]

    found = [
        alert.annotations["description"]
        for alert in current_alerts(
            replace(report(), recovery=harness.recovery.report), AlertLimits(), Links("https://x"),
            now=harness.clock.now(),
        )
        if alert.name is AlertName.VM_DOWN
    ]  # fmt: skip

    (text,) = found
    assert "“web-01 went for a walk of 7 km” by system" in text
    assert "blocked 1 diagnosis so far" in text
    assert 'vergewatch recovery teach "<name> went for a walk of <n> km" harmless' in text
