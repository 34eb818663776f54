import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.model.cases import OnHang, Policy
from exporter.recovery.observe.enrolment import (
    NOT_ENROLLED,
    EnrolmentRule,
    circle_among,
    enrol,
    enrol_all,
)
from tests.recovery.harness import Harness

HARNESS = Harness(tags={})
HARNESS.poll()
INVENTORY = HARNESS.recovery.state.inventory.reported  # type: ignore[union-attr]
VM = INVENTORY.vms[0]
GUIDE = Path(__file__).parents[2] / "docs" / "recovery.md"
ALLOWING = ("recovery/auto", "recovery/on-failure", "recovery/unless-stopped", "recovery/always")
DENYING = ("recovery/never", "recovery/no", "recovery/ignore")


def test_vm_without_tag_or_rule_is_monitored_only() -> None:
    assert enrol(VM, frozenset({"team/web"}), "production", ()) is NOT_ENROLLED
    assert set(enrol_all(INVENTORY, ()).values()) == {NOT_ENROLLED}
    assert not NOT_ENROLLED.policy.acts


def test_tag_of_another_category_is_ignored() -> None:
    assert enrol(VM, frozenset({"team/auto", "auto"}), "production", ()) is NOT_ENROLLED


@pytest.mark.parametrize("tag", ["recovery/Never", "Recovery/never", "recovery/off"])
def test_misspelled_denying_tag_denies(tag: str) -> None:
    limits = [EnrolmentRule(policy=Policy.ALWAYS)]

    enrolment = enrol(VM, frozenset({tag, "recovery/auto"}), "production", limits)

    assert enrolment.policy is Policy.NO
    assert tag.casefold() in enrolment.because


def test_auto_is_on_failure() -> None:
    enrolment = enrol(VM, frozenset({"recovery/auto"}), "production", ())

    assert (enrolment.policy, enrolment.tier) == (Policy.ON_FAILURE, 2)
    assert (enrolment.on_hang, enrolment.because) == (OnHang.ALERT, "tag recovery/auto")


@given(
    st.sets(st.sampled_from(ALLOWING)),
    st.lists(st.sampled_from([Policy.ALWAYS, Policy.ON_FAILURE]), max_size=3),
    st.one_of(st.sampled_from(DENYING), st.sampled_from([Policy.NO, Policy.IGNORE])),
)
def test_denying_tag_or_rule_wins(tags: set[str], policies: list[Policy], no: str | Policy) -> None:
    said = {no} if not isinstance(no, Policy) else set()
    ruled = [EnrolmentRule(policy=policy) for policy in policies]
    if isinstance(no, Policy):
        ruled.append(EnrolmentRule(policy=no))

    enrolment = enrol(VM, frozenset(tags | said), "production", ruled)

    assert not enrolment.policy.acts


def test_tag_precedes_rule_and_first_rule_precedes_second() -> None:
    limits = (
        EnrolmentRule(policy=Policy.ALWAYS, tier=0),
        EnrolmentRule(policy=Policy.ON_FAILURE, tier=4, on_hang=OnHang.RESET),
    )

    tagged = enrol(VM, frozenset({"recovery/unless-stopped"}), "production", limits)
    ruled = enrol(VM, frozenset(), "production", limits)

    assert (tagged.policy, tagged.tier) == (Policy.UNLESS_STOPPED, 0)
    assert (ruled.policy, ruled.on_hang, ruled.because) == (
        Policy.ALWAYS,
        OnHang.RESET,
        "recovery.rules[0]",
    )


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (EnrolmentRule(names=("web-*",)), True),
        (EnrolmentRule(names=("db-*",)), False),
        (EnrolmentRule(clusters=("prod*",)), True),
        (EnrolmentRule(clusters=("lab",)), False),
        (EnrolmentRule(tags=("team/web",)), True),
        (EnrolmentRule(tags=("team/data",)), False),
        (EnrolmentRule(names=("web-*",), clusters=("lab",)), False),
    ],
)
def test_rule_applies_if_all_its_conditions_match(rule: EnrolmentRule, fits: bool) -> None:
    rule = replace(rule, policy=Policy.ALWAYS)

    enrolment = enrol(VM, frozenset({"team/web"}), "production", (rule,))

    assert (enrolment is not NOT_ENROLLED) is fits


def test_dependency_cycle_is_reported_with_its_names() -> None:
    chain = [
        EnrolmentRule(names=("web-*",), after=("app-*",)),
        EnrolmentRule(names=("app-*",), after=("db-01",)),
    ]
    circle = [*chain, EnrolmentRule(names=("db-*",), after=("web-01",))]

    assert circle_among(chain) == ()
    assert set(circle_among(circle)) == {f"recovery.rules[{number}]" for number in range(3)}


@given(st.permutations(list(range(6))), st.data())
def test_acyclic_dependencies_are_accepted(command: list[int], data: st.DataObject) -> None:
    limits = [
        EnrolmentRule(
            names=(f"vm-{number}",),
            after=tuple(
                f"vm-{earlier}"
                for earlier in command[:place]
                if data.draw(st.booleans(), label=f"{number} after {earlier}")
            ),
        )
        for place, number in enumerate(command)
    ]

    assert circle_among(limits) == ()


@pytest.mark.parametrize(
    ("name", "tags", "policy"),
    [
        ("k8s-worker-1", {"recovery/auto"}, Policy.NO),
        ("k8spool", set(), Policy.NO),
        ("db-01", {"owner/orchestrator", "recovery/always"}, Policy.NO),
        ("db-01", set(), Policy.ON_FAILURE),
    ],
)
def test_first_example_of_the_guide_excludes_vms_of_orchestrators(
    name: str, tags: set[str], policy: Policy
) -> None:
    (example,) = re.findall(r"```yaml\n(recovery:\n  rules:\n.*?)```", GUIDE.read_text(), re.DOTALL)
    rules = [
        EnrolmentRule(
            names=tuple(rule.get("names", ())),
            clusters=tuple(rule.get("clusters", ())),
            tags=tuple(rule.get("tags", ())),
            policy=Policy(rule["policy"]),
        )
        for rule in yaml.safe_load(example)["recovery"]["rules"]
    ]
    vm = msgspec.structs.replace(VM, config=msgspec.structs.replace(VM.config, name=name))

    assert enrol(vm, frozenset(tags), "production", rules).policy is policy
