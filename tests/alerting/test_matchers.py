"""Matchers and patterns, by themselves and against what a real Alertmanager makes of them."""

from pathlib import Path
from random import Random
from time import perf_counter

import pytest

from exporter.alerting.matchers import Matcher, acceptable, fit
from exporter.alerting.regex import NotUnderstoodError, Pattern
from tests.alerting.real_alertmanager import alertmanagers

CASES = [
    ("web-.*", "web-01", True),
    ("web", "web-01", False),
    ("web|db", "db", True),
    ("", "", True),
    ("a*", "", True),
    ("a{2,3}", "aaaa", False),
    ("a{2,}", "aaaa", True),
    ("a{,2}", "a{,2}", True),
    ("a{02}", "a{02}", True),
    ("x{1}?", "x", True),
    ("web$", "web\n", False),
    ("^web$", "web", True),
    (".", "\n", False),
    ("(?s).", "\n", True),
    ("[^a]", "\n", True),
    ("(?m)a$\nb", "a\nb", True),
    (r"\d+", "٣", False),
    (r"\w+", "é", False),
    (r"\s", "\v", False),
    (r"[[:space:]]", "\v", True),
    (r"\bweb\b-1", "web-1", True),
    (r"web\B1", "web1", True),
    (r"\Aweb\z", "web", True),
    ("(?i)WEB-[a-c]", "web-B", True),
    ("(?i)k", "\u212a", True),
    ("(?i)[^s]", "\u017f", False),
    ("(?i)a(?-i)b", "AB", False),
    ("(?i:a)b", "Ab", True),
    ("(a(?i)b|c)d", "Cd", True),
    ("(a(?i)b|c)d", "CD", False),
    ("(?P<n>a)(?:b)", "ab", True),
    ("[]a]+", "]a", True),
    ("[a-]", "-", True),
    ("[--a]", "0", True),
    (r"[\d\-x]+", "1-x", True),
    ("[[:^digit:]]", "a", True),
    (r"\x41\x{42}\103\a", "ABC\a", True),
    (r"\.\_\-", "._-", True),
    ("日本.", "日本語", True),
]


@pytest.mark.parametrize(("pattern", "text", "fits"), CASES)
def test_a_pattern_means_what_it_means_to_alertmanager(pattern: str, text: str, fits: bool) -> None:
    assert Pattern(pattern).fits(text) is fits


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a**", "*a", "a{1001}", "a{3,2}", "(a{40}){40}", r"\p{L}", r"\Q.\E", "[b-a]",
        "a)|(b", r"\1", "[", "\\", "(?x)a", r"\Z", r"\y", "[[:what:]]", "(?i)é",
        "(" * 60 + ")" * 60, r"\x{110000}", "(" + "a{999}b" * 30 + ")",
    ],
)  # fmt: skip
def test_what_is_not_understood_says_so_and_fits_everything(pattern: str) -> None:
    with pytest.raises(NotUnderstoodError):
        Pattern(pattern)
    for is_equal in (True, False):
        matcher = Matcher("vm_name", pattern, is_regex=True, is_equal=is_equal)
        assert matcher.fits("web-01")
        assert not matcher.understood


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)(.*)(.*)(.*)b"])
def test_no_pattern_keeps_the_daemon_busy(pattern: str) -> None:
    began = perf_counter()

    assert not Pattern(pattern).fits("a" * 400)

    assert perf_counter() - began < 1


def test_a_label_that_is_missing_is_empty() -> None:
    assert fit([Matcher("vm_name", "web"), Matcher("job", "")], {"vm_name": "web"})
    assert not fit([Matcher("vm_name", "web"), Matcher("job", ".+", is_regex=True)], {})
    assert fit([Matcher("job", "x", is_equal=False)], {})
    assert fit([Matcher("job", ".+", is_regex=True, is_equal=False)], {})


def test_matchers_that_all_fit_what_is_empty_make_no_silence() -> None:
    assert not acceptable([Matcher("vm_name", ".*", is_regex=True), Matcher("job", "")])
    assert acceptable([Matcher("vm_name", ".*", is_regex=True), Matcher("job", "x")])


def test_a_matcher_shows_itself_as_people_write_it() -> None:
    shown = [
        str(Matcher("a", "b", is_regex=regex, is_equal=equal))
        for regex in (False, True)
        for equal in (True, False)
    ]

    assert shown == ['a="b"', 'a!="b"', 'a=~"b"', 'a!~"b"']


FLAGS = ["(?i)", "(?s)", "(?m)", "(?-i)"]
ATOMS = [
    "a", "b", "K", "s", "-", ".", "é", "[ab]", "[^a]", "[a-k]", "[^[:alpha:]]", "[[:word:]-]",
    r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", "^", "$", r"\.", r"\x61",
    *FLAGS, r"\A", r"\z", "\n", "{", "]", r"\141",
]  # fmt: skip
TIMES = ["", "", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{,3}"]
TEXTS = [
    "", "a", "b", "ab", "aab", "ba", "K", "k", "\u212a", "s", "\u017f", "S", "é", "É", "-", "a-b",
    "1", "a1", " ", "\n", "a\n", "a\nb", "{", "a{,3}", ".", "ABab", "_", "kk", "]", "٣", "\v",
]  # fmt: skip


def some_pattern(dice: Random, depth: int = 3) -> str:
    parts = []
    for _ in range(dice.randint(1, 3)):
        times = dice.choice(TIMES)
        if depth and dice.random() < 0.4:
            opening = dice.choice(["(", "(?:", "(?i:", "(?P<n>", "(?s-i:"])
            atom = f"{opening}{some_pattern(dice, depth - 1)})"
        else:
            atom = dice.choice(ATOMS)
        parts.append(atom if atom in FLAGS else atom + times)
    text = "".join(parts)
    return f"{text}|{some_pattern(dice, 0)}" if dice.random() < 0.2 else text


async def test_a_real_alertmanager_is_of_the_same_mind(tmp_path: Path) -> None:
    """It takes what we understand, and silences what we say that fits: 400 times 31 answers."""
    dice = Random(20)
    patterns = sorted({some_pattern(dice) for _ in range(400)})
    async with alertmanagers(tmp_path) as (real,):
        alerts = [{"labels": {"alertname": "x", "n": str(n), "v": v}} for n, v in enumerate(TEXTS)]
        async with real.http.post(f"{real.url}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200
        made: dict[str, tuple[str, bool]] = {}
        understood = 0
        for number, pattern in enumerate(patterns):
            is_equal = number % 2 == 0
            matcher = {"name": "v", "value": pattern, "isRegex": True, "isEqual": is_equal}
            also = {"name": "alertname", "value": "x", "isRegex": False}
            status, said = await real.silence([matcher, also])
            assert status == 200, (pattern, said)
            made[said] = pattern, is_equal
        said_by = {one["labels"]["n"]: one["status"] for one in await real.get("alerts")}
        for silence, (pattern, is_equal) in made.items():
            matcher_of_ours = Matcher("v", pattern, is_regex=True, is_equal=is_equal)
            if not matcher_of_ours.understood:
                continue
            understood += 1
            for number, text in enumerate(TEXTS):
                theirs = silence in said_by[str(number)]["silencedBy"]
                assert matcher_of_ours.fits(text) is theirs, (pattern, text, is_equal)
        assert understood > 0.8 * len(made)
        assert understood > 300
