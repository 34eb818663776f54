"""Rules and tags enrol as documented: held against the documentation, written in plain Python."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter import model
from exporter.config.recovery import RecoverySettings
from exporter.recovery.model.cases import Policy
from exporter.recovery.observe.enrolment import enrol_all
from tests.recovery import inventory_values as values

CONDITIONS = ("names", "clusters", "ha_groups", "tags")
CAREFUL = ["ignore", "no", "on-failure", "unless-stopped", "always"]
TAG_POLICIES = {**{name: name for name in CAREFUL}, "auto": "on-failure", "never": "no"}
NO_POLICY = {*(f"tier-{n}" for n in range(5)), "on-hang-reset", "on-hang-alert"}


def glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def fit(pattern: str, name: str) -> bool:
    if pattern.startswith("re:"):
        return re.fullmatch(pattern[3:], name, re.IGNORECASE) is not None
    return glob(pattern.casefold(), name.casefold())


def documented(vm: Mapping[str, list[str]], rules: Sequence[Mapping[str, Any]]) -> str:
    """Return the policy of a VM, as docs/recovery.md describes it."""
    ours = {tag.casefold().removeprefix("recovery/") for tag in vm["tags"]
            if tag.casefold().startswith("recovery/")} - NO_POLICY  # fmt: skip
    by_tag = [TAG_POLICIES.get(name, "no") for name in ours]
    by_rule = [
        rule["policy"] for rule in rules if "policy" in rule
        if all(any(fit(pattern, one) for pattern in rule[what] for one in vm[what])
               for what in CONDITIONS if what in rule)
    ]  # fmt: skip
    denied = [policy for policy in (*by_tag, *by_rule) if policy in ("no", "ignore")]
    by_tag.sort(key=CAREFUL.index)
    return "no" if denied else (by_tag + by_rule + ["no"])[0]


def strings(*of: str) -> st.SearchStrategy[str]:
    """Return one of the words, in any capitals."""
    return st.sampled_from(of).flatmap(lambda one: st.sampled_from([one, one.upper(), one.title()]))


NAMES = strings("web-1", "web-12", "[do not start] erp", "[a]", "a", "straße", "db*", "db.1", "")
GROUPS = strings("gold", "[gold]", "")
TAGS = strings("env/prod", "env/[x]", "owner/team a", "recovery/auto", "recovery/never",
               "recovery/always", "recovery/unless-stopped", "recovery/off", "recovery/tier-1",
               "recovery/ignore")  # fmt: skip
PATTERNS = st.one_of(
    strings("*", "web-*", "web-?", "[do not start]*", "[a]", "[!b]*", "db*", "db.?", "*ß*", "*1*2",
            "env/*", "*/prod", "env/[x]", "gold", "[gold]", "g?ld", "recovery/*"),
    st.sampled_from(["re:web-[0-9]+", "re:[A-D]", "re:.*(GOLD|/prod)", "re:.*"]),
    st.text(alphabet="aw[]*?-1", min_size=1, max_size=4),
)  # fmt: skip
LISTS = st.lists(PATTERNS, min_size=1, max_size=3)
RULES = st.fixed_dictionaries(
    {}, optional={
        **dict.fromkeys(CONDITIONS, LISTS),
        "policy": st.sampled_from(CAREFUL),
        "tier": st.integers(0, 4),
    },
).filter(lambda rule: rule.keys() & {*CONDITIONS} and rule.keys() & {"policy", "tier"})  # fmt: skip


def policy_of(
    name: str, cluster: str, ha_group: str, tags: Sequence[str], rules: Sequence[Mapping[str, Any]]
) -> Policy:
    """Return what the product makes of the settings *rules* and one VM."""
    made = RecoverySettings.model_validate({"rules": rules}).rules
    vm = model.VM(
        values.config(1, name=name, ha_group=ha_group, cluster=7 if cluster else None), None
    )
    found = values.inventory([vm], clusters=[model.Cluster(7, cluster)], tags={1: frozenset(tags)})
    return enrol_all(found, made)["u1"].policy


@settings(max_examples=600)
@given(NAMES, GROUPS, GROUPS, st.lists(TAGS, max_size=3), st.lists(RULES, max_size=4))
def test_rules_and_tags_enrol_as_documented(
    name: str, cluster: str, ha_group: str, tags: list[str], rules: list[dict[str, Any]]
) -> None:
    groups = {"clusters": [cluster] if cluster else [], "ha_groups": [ha_group] if ha_group else []}
    vm = {"names": [name], "tags": tags, **groups}

    found = policy_of(name, cluster, ha_group, tags, rules)

    expected = documented(vm, rules)
    assert found.acts is (expected != "no")
    assert str(found) == expected or not found.acts


@given(NAMES, GROUPS, st.lists(TAGS, max_size=3), st.lists(RULES, max_size=3), st.integers(0, 3))
def test_rule_that_says_no_always_wins(
    name: str, group: str, tags: list[str], rules: list[dict[str, Any]], place: int
) -> None:
    literal = re.sub(r"[*?]", "?", name) or "*"

    denied = [*rules[:place], {"names": [literal.swapcase()], "policy": "no"}, *rules[place:]]

    assert not policy_of(name, group, group, tags, denied).acts


@given(RULES, st.sampled_from(CONDITIONS), st.sampled_from([[], [""], ["*", ""], "", " ", None]))
def test_rule_with_an_empty_list_or_pattern_is_refused(
    rule: dict[str, Any], condition: str, value: Any
) -> None:
    with pytest.raises(ValidationError):
        RecoverySettings.model_validate({"rules": [{**rule, condition: value}]})
