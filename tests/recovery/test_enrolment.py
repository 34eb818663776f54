import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter import model
from exporter.recovery.model.cases import Enrolment, OnHang, Policy
from exporter.recovery.observe.enrolment import (
    CAREFUL,
    NOT_ENROLLED,
    EnrolmentRule,
    circle_among,
    cluster_name,
    enrol,
    enrol_all,
)
from tests.recovery import inventory_values as values
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


# Each tag, and each part of a rule.


def enrolled(*tags: str, rules: Sequence[EnrolmentRule] = ()) -> Enrolment:
    return enrol(VM, frozenset(f"recovery/{tag}" for tag in tags), "production", rules)


@pytest.mark.parametrize(
    ("tag", "policy"),
    [
        ("auto", Policy.ON_FAILURE),
        ("never", Policy.NO),
        ("no", Policy.NO),
        ("on-failure", Policy.ON_FAILURE),
        ("unless-stopped", Policy.UNLESS_STOPPED),
        ("always", Policy.ALWAYS),
        ("ignore", Policy.IGNORE),
    ],
)
def test_each_policy_has_its_tag_which_is_the_reason(tag: str, policy: Policy) -> None:
    found = enrolled(tag)

    assert (found.policy, found.because) == (policy, f"tag recovery/{tag}")


@pytest.mark.parametrize("tag", ["off", "tier-5", "tier-8", "on-hang-kill", "auto/x"])
def test_tag_of_ours_that_is_not_known_forbids_and_is_named(tag: str) -> None:
    found = enrolled(tag, "always")

    assert found.policy is Policy.NO
    assert f"recovery/{tag}" in found.because


@pytest.mark.parametrize("one", CAREFUL)
@pytest.mark.parametrize("other", CAREFUL)
def test_of_two_tags_the_more_careful_counts(one: Policy, other: Policy) -> None:
    order = ["ignore", "no", "on-failure", "unless-stopped", "always"]

    assert enrolled(one, other).policy == min(one, other, key=order.index)


@pytest.mark.parametrize(
    ("tags", "hang"),
    [
        ((), OnHang.ALERT),
        (("on-hang-alert",), OnHang.ALERT),
        (("on-hang-reset",), OnHang.RESET),
        (("on-hang-power-cycle",), OnHang.POWER_CYCLE),
        (("on-hang-power-cycle", "on-hang-reset"), OnHang.RESET),
        (("on-hang-alert", "on-hang-reset"), OnHang.ALERT),
    ],
)
def test_of_several_tags_for_a_hang_the_mildest_counts(tags: tuple[str, ...], hang: OnHang) -> None:
    assert enrolled("auto", *tags).on_hang is hang


@pytest.mark.parametrize(
    ("tags", "tier"),
    [
        ((), 2),
        *(((f"tier-{tier}",), tier) for tier in range(5)),
        (("tier-3", "tier-1"), 1),
    ],
)
def test_tier_is_that_of_the_tag_and_two_without_one(tags: tuple[str, ...], tier: int) -> None:
    found = enrolled("auto", *tags)

    assert (found.policy, found.tier) == (Policy.ON_FAILURE, tier)


@pytest.mark.parametrize("tag", ["tier-1", "on-hang-reset"])
def test_tag_without_a_policy_enrols_no_vm(tag: str) -> None:
    assert enrolled(tag) is NOT_ENROLLED


def test_vm_that_is_not_enrolled_is_in_the_middle_tier_and_only_alerts() -> None:
    assert (NOT_ENROLLED.tier, NOT_ENROLLED.on_hang) == (2, OnHang.ALERT)
    assert (NOT_ENROLLED.after, NOT_ENROLLED.policy) == ((), Policy.NO)


def test_first_rule_that_says_something_counts_and_tags_precede_all() -> None:
    rules = (
        EnrolmentRule(names=("db-*",), policy=Policy.NO, tier=4, on_hang=OnHang.ALERT),
        EnrolmentRule(),
        EnrolmentRule(after=("db-*",)),
        EnrolmentRule(policy=Policy.ALWAYS, tier=0, on_hang=OnHang.RESET, after=("app-*",)),
        EnrolmentRule(policy=Policy.ON_FAILURE, tier=3, on_hang=OnHang.POWER_CYCLE),
    )

    by_rule = enrolled(rules=rules)
    by_tag = enrolled("unless-stopped", "tier-4", "on-hang-power-cycle", rules=rules)

    assert by_rule == Enrolment(Policy.ALWAYS, OnHang.RESET, 0, ("db-*",), "recovery.rules[3]")
    assert by_tag == Enrolment(
        Policy.UNLESS_STOPPED, OnHang.POWER_CYCLE, 4, ("db-*",), "tag recovery/unless-stopped"
    )


@pytest.mark.parametrize("denying", [Policy.NO, Policy.IGNORE])
def test_denying_rule_is_the_reason_whatever_precedes_it(denying: Policy) -> None:
    rules = (EnrolmentRule(policy=Policy.ALWAYS), EnrolmentRule(policy=denying))

    found = enrolled("auto", rules=rules)

    assert (found.policy, found.because) == (denying, "recovery.rules[1]")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (EnrolmentRule(ha_groups=("g*",)), True),
        (EnrolmentRule(ha_groups=("other",)), False),
        (EnrolmentRule(names=("x", "web-*")), True),
        (EnrolmentRule(names=("x", "y")), False),
        (EnrolmentRule(tags=("x/y", "team/web")), True),
        (EnrolmentRule(names=("web-*",), ha_groups=("other",)), False),
        (EnrolmentRule(names=("web-*",), tags=("x/y",)), False),
        (EnrolmentRule(clusters=("prod*",), names=("db-*",)), False),
    ],
)
def test_rule_needs_each_of_its_conditions(rule: EnrolmentRule, fits: bool) -> None:
    vm = model.VM(values.config(name="web-01", ha_group="gold"), None)
    rule = replace(rule, policy=Policy.ALWAYS)

    found = enrol(vm, frozenset({"team/web"}), "production", (rule,))

    assert found.policy is (Policy.ALWAYS if fits else Policy.NO)


def test_each_vm_is_enrolled_by_its_own_tags_and_the_name_of_its_cluster() -> None:
    vms = [model.VM(values.config(number, cluster=number), None) for number in (1, 2, 3)]
    vms.append(model.VM(values.config(4, cluster=None), None))
    tags = {1: frozenset({"recovery/auto"}), 3: frozenset({"team/web"})}
    clusters = [model.Cluster(1, "prod"), model.Cluster(2, "lab")]
    found = values.inventory(vms, clusters=clusters, tags=tags)
    rules = (EnrolmentRule(clusters=("lab",), policy=Policy.ALWAYS),)
    of_all = EnrolmentRule(clusters=("prod",), policy=Policy.ALWAYS)

    def policies(rules: Sequence[EnrolmentRule]) -> list[Policy]:
        return [one.policy for one in enrol_all(found, rules).values()]

    assert list(enrol_all(found, ())) == ["u1", "u2", "u3", "u4"]
    assert policies(()) == [Policy.ON_FAILURE, Policy.NO, Policy.NO, Policy.NO]
    assert policies(rules) == [Policy.ON_FAILURE, Policy.ALWAYS, Policy.NO, Policy.NO]
    assert policies((of_all,)) == [Policy.ON_FAILURE, Policy.NO, Policy.NO, Policy.NO]


@pytest.mark.parametrize(
    ("cluster", "denied", "permitted"),
    [("lab", True, True), ("prod", False, False), ("", False, False), (None, True, False)],
)
def test_rule_of_a_cluster_denies_and_does_not_permit_while_the_cluster_is_unknown(
    cluster: str | None, denied: bool, permitted: bool
) -> None:
    everyone = EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE)
    lab = EnrolmentRule(clusters=("lab",), policy=Policy.NO)

    found = enrol(VM, frozenset(), cluster, (everyone, lab))
    by_cluster = enrol(VM, frozenset(), cluster, (replace(lab, policy=Policy.ALWAYS),))

    assert found.policy.acts is not denied
    assert by_cluster.policy.acts is permitted


def test_rule_of_a_cluster_without_a_policy_does_not_fit_while_the_cluster_is_unknown() -> None:
    rules = (
        EnrolmentRule(clusters=("production",), tier=0),
        EnrolmentRule(names=("*",), policy=Policy.ALWAYS),
    )

    assert [enrol(VM, frozenset(), one, rules).tier for one in ("production", None)] == [0, 2]


def test_cluster_of_a_vm_is_unknown_if_its_row_is_missing_or_has_no_name() -> None:
    vms = [model.VM(values.config(number, cluster=number), None) for number in (1, 2, 3)]
    vms.append(model.VM(values.config(4, cluster=None), None))
    clusters = {1: model.Cluster(1, "prod"), 2: model.Cluster(2, "")}

    assert [cluster_name(vm, clusters) for vm in vms] == ["prod", None, None, ""]


@pytest.mark.parametrize("rule", [EnrolmentRule(clusters=("*",)), EnrolmentRule(ha_groups=("*",))])
def test_vm_without_a_cluster_or_ha_group_fits_no_pattern_of_one(rule: EnrolmentRule) -> None:
    vm = model.VM(values.config(name="web-01", ha_group="", cluster=None), None)

    assert enrol(vm, frozenset(), "", (replace(rule, policy=Policy.ALWAYS),)) is NOT_ENROLLED


@pytest.mark.parametrize(
    "tags", [{"Env/Prod"}, {"ENV/PROD", "team/web"}, {"env/prod"}, {"env/PROD"}]
)
def test_rule_that_denies_a_tag_holds_vms_with_the_tag_in_any_capitals(tags: set[str]) -> None:
    rules = (
        EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE),
        EnrolmentRule(tags=("env/prod",), policy=Policy.NO),
    )

    assert enrol(VM, frozenset(tags), "production", rules).because == "recovery.rules[1]"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[DO NOT START]*", "[DO NOT START] erp"),
        ("[do not start]*", "[DO NOT START] erp"),
        ("db[old]", "db[old]"),
        ("db[!x]*", "db[!x]-1"),
        ("*]", "web [maintenance]"),
        ("DB-*", "db-01"),
    ],
)
def test_rule_that_denies_a_name_with_brackets_or_capitals_holds_that_vm(
    pattern: str, name: str
) -> None:
    rules = (
        EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE),
        EnrolmentRule(names=(pattern,), policy=Policy.NO),
    )
    vm = model.VM(values.config(name=name), None)

    assert enrol(vm, frozenset(), "production", rules).because == "recovery.rules[1]"


def test_vms_are_not_enrolled_while_the_tags_are_unread() -> None:
    with pytest.raises(AssertionError):
        enrol_all(values.inventory([values.vm()], tags=None), ())


# Circles.


@pytest.mark.parametrize(
    ("rules", "circle"),
    [
        ([("a", "b"), ("b", "c"), ("c", "none")], ()),
        ([("a", "a")], (0, 0)),
        ([("a", "b"), ("b", "a")], (0, 1, 0)),
        ([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")], (1, 2, 3, 1)),
        ([("x", "a"), ("a", "b"), ("b", "a"), ("y", "b")], (1, 2, 1)),
        ([("web-*", "web-1")], (0, 0)),
        ([("web-1", "web-*")], (0, 0)),
        ([("web-*", "db"), ("db", "web-1")], (0, 1, 0)),
        ([("a", "bc"), ("b", "a"), ("c", "none")], (0, 1, 0)),
        ([("ab", "c"), ("c", "b")], (0, 1, 0)),
    ],
)
def test_circle_of_rules_is_found_from_its_first_rule(
    rules: list[tuple[str, str]], circle: tuple[int, ...]
) -> None:
    def patterns(text: str) -> tuple[str, ...]:
        return (text,) if len(text) != 2 else tuple(text)

    found = circle_among(
        [EnrolmentRule(names=patterns(one), after=patterns(after)) for one, after in rules]
    )

    assert found == tuple(f"recovery.rules[{number}]" for number in circle)
