"""Rules, windows and confirmations that could surprise are refused, with their place."""

from pathlib import Path

import pytest

from exporter.config.loader import load
from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.errors import ConfigError
from exporter.recovery.model.limits import Mode

EMPTY_LIST = "is an empty list: give at least one pattern, or leave the setting out"
EMPTY = 'is empty and would fit nothing; "*" fits every name'
WINDOW = 'start: "22:00", hours: 1, reason: backup'
QUERY = "query: \"max_over_time(up{vm='{{vm}}'}[{{window}}]) == bool 0\""


def problem(folder: Path, recovery: str) -> str:
    """Return the error that the setting `recovery` leads to; empty if it is accepted."""
    path = folder / "vergewatch.yaml"
    path.write_text(f"url: https://verge.example\napi_key: k\nrecovery:\n  {recovery}\n")
    try:
        load(path)
    except ConfigError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("names: [], policy: on-failure", f".names: {EMPTY_LIST}"),
        ("names: [], clusters: [lab], policy: on-failure", f".names: {EMPTY_LIST}"),
        ("names: ['*'], clusters: [], policy: 'no'", f".clusters: {EMPTY_LIST}"),
        ("tags: [], policy: always", f".tags: {EMPTY_LIST}"),
        ("ha_groups: [], policy: always", f".ha_groups: {EMPTY_LIST}"),
        ("names: ['*'], after: [], policy: always", f".after: {EMPTY_LIST}"),
        ("names: [''], policy: on-failure", f".names[0]: {EMPTY}"),
        ("names: ['db-*', ' '], policy: 'no'", f".names[1]: {EMPTY}"),
        ("names: '', policy: on-failure", f".names[0]: {EMPTY}"),
        ("tags: [''], policy: 'no'", f".tags[0]: {EMPTY}"),
        ("names: null, policy: on-failure", ".names: expected a list"),
        ("names: , policy: on-failure", ".names: expected a list"),
        ("names: [null], policy: on-failure", ".names[0]: input should be a valid string"),
        ("policy: on-failure",
         ': has no condition (names, clusters, ha_groups, tags); for every VM, write names: ["*"]'),
        ("policy: 'no'", ": has no condition"),
        ("names: ['db-*']", ": changes nothing: give at least one of policy, on_hang, tier, after"),
        ("names: ['re:db-('], policy: 'no'",
         ".names[0]: is not a regular expression in RE2 syntax: missing )"),
        ("tags: ['env/prod', 're:'], policy: 'no'",
         ".tags[1]: has no regular expression after re:"),
        ("names: ['*'], after: ['re:(?=x)'], policy: always", ".after[0]: is not a regular"),
    ],
)  # fmt: skip
def test_rule_that_could_surprise_is_refused(tmp_path: Path, rule: str, says: str) -> None:
    accepted = "{names: ['*'], policy: always}"

    found = problem(tmp_path, f"rules: [{accepted}, {{{rule}}}]")

    assert found.startswith(f"recovery.rules[1]{says}")
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(
    "rule",
    [
        "names: '*', policy: on-failure",
        "names: ['[DO NOT START]*', 're:web-[0-9]+'], policy: 'no'",
        "tags: ['env/*'], tier: 0",
        "names: ['app-*'], after: 'db-*'",
        "clusters: ['lab'], on_hang: reset",
    ],
)
def test_rule_with_a_condition_and_an_effect_is_accepted(tmp_path: Path, rule: str) -> None:
    assert not problem(tmp_path, f"rules: [{{{rule}}}]")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (f"maintenance_windows: [{{{WINDOW}, names: []}}]",
         f"recovery.maintenance_windows[0].names: {EMPTY_LIST}"),
        (f"maintenance_windows: [{{{WINDOW}, names: ['']}}]",
         f"recovery.maintenance_windows[0].names[0]: {EMPTY}"),
        (f"maintenance_windows: [{{{WINDOW}, names: ['re:[']}}]",
         "recovery.maintenance_windows[0].names[0]: is not a regular expression"),
        (f"maintenance_windows: [{{{WINDOW}, days: []}}]",
         "recovery.maintenance_windows[0].days: is empty: give at least one entry"),
        (f"confirm: {{url: 'http://p:9090', rules: [{{names: [], {QUERY}}}]}}",
         f"recovery.confirm.rules[0].names: {EMPTY_LIST}"),
        (f"confirm: {{url: 'http://p:9090', rules: [{{names: ['db-*', ''], {QUERY}}}]}}",
         f"recovery.confirm.rules[0].names[1]: {EMPTY}"),
        (f"confirm: {{url: 'http://p:9090', rules: [{{names: ['re:*'], {QUERY}}}]}}",
         "recovery.confirm.rules[0].names[0]: is not a regular expression"),
        ("log_patterns: [{pattern: 're:VM .*', means: stop}]",
         "recovery.log_patterns[0].pattern: is always a regular expression: leave out re:"),
    ],
)  # fmt: skip
def test_other_patterns_are_checked_like_those_of_rules(
    tmp_path: Path, setting: str, says: str
) -> None:
    assert problem(tmp_path, setting).startswith(says)


def test_setting_without_an_empty_list_is_accepted(tmp_path: Path) -> None:
    assert not problem(tmp_path, f"maintenance_windows: [{{{WINDOW}}}]")
    assert not problem(
        tmp_path, f"confirm: {{url: 'http://p:9090', rules: [{{names: '[x]*', {QUERY}}}]}}"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Watch", {"watch"}),
        ("", set()),
        (["watch-a", "Watch-B"], {"watch-a", "watch-b"}),
    ],
)
def test_own_user_is_one_or_one_for_each_replica(given: object, expected: set[str]) -> None:
    settings = RecoverySettings.model_validate({"own_user": given})

    assert recovery_setup(settings, Mode.SHADOW).log_users.own == expected
