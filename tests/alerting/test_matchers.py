"""Matchers, also compared with what a real Alertmanager mutes."""

from pathlib import Path
from random import Random
from time import perf_counter

import pytest

from exporter.alerting.matchers import Matcher, is_valid_silence
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
    (r"\p{L}+", "日本", True),
    (r"\p{Lu}", "a", False),
    (r"\Qa.b\E", "a.b", True),
    (r"\Qa.b\E", "axb", False),
    ("(?i)É", "é", True),
    ("a)|(b", "bcb", True),
    ("a)|(b", "acd", True),
    ("a)|(b", "cad", False),
]


@pytest.mark.parametrize(("pattern", "value", "matches"), CASES)
@pytest.mark.parametrize("is_equal", [True, False])
def test_pattern_matches_like_alertmanager(
    pattern: str, value: str, matches: bool, is_equal: bool
) -> None:
    matcher = Matcher("vm_name", pattern, is_regex=True, is_equal=is_equal)

    assert matcher.is_valid
    assert matcher.matches(value) is (matches is is_equal)


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a**", "*a", "a{1001}", "a{3,2}", "(a{40}){40}", "[b-a]", r"\1", "[", "\\",
        "(?x)a", r"\Z", r"\y", "[[:what:]]", r"\x{110000}", "(?=a)", "(?<!a)b", r"\pL{1000}",
        "a\ud800",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_equal", [True, False])
def test_invalid_pattern_matches_every_value(
    pattern: str, is_equal: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    matcher = Matcher("vm_name", pattern, is_regex=True, is_equal=is_equal)

    assert not matcher.is_valid
    assert matcher.matches("web-01")
    assert matcher.matches("")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)(.*)(.*)(.*)b"])
def test_matching_takes_linear_time(pattern: str) -> None:
    began = perf_counter()

    assert not Matcher("vm_name", pattern, is_regex=True).matches("a" * 20_000)

    assert perf_counter() - began < 1


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        (Matcher("job", ""), True),
        (Matcher("job", "x"), False),
        (Matcher("job", "x", is_equal=False), True),
        (Matcher("job", ".+", is_regex=True), False),
        (Matcher("job", ".+", is_regex=True, is_equal=False), True),
    ],
)
def test_missing_label_has_the_empty_value(matcher: Matcher, matches: bool) -> None:
    assert matcher.matches("") is matches


def test_silence_whose_matchers_all_match_the_empty_value_is_invalid() -> None:
    assert not is_valid_silence([Matcher("vm_name", ".*", is_regex=True), Matcher("job", "")])
    assert is_valid_silence([Matcher("vm_name", ".*", is_regex=True), Matcher("job", "x")])
    assert is_valid_silence([Matcher("vm_name", "web-01", is_equal=False)])


def test_matcher_is_written_in_alertmanagers_syntax() -> None:
    texts = [
        str(Matcher("a", "b", is_regex=regex, is_equal=equal))
        for regex in (False, True)
        for equal in (True, False)
    ]

    assert texts == ['a="b"', 'a!="b"', 'a=~"b"', 'a!~"b"']


FLAGS = ["(?i)", "(?s)", "(?m)", "(?U)", "(?-i)"]
ATOMS = [
    "a", "b", "K", "s", "-", ".", "é", "日", "[ab]", "[^a]", "[a-k]", "[^[:alpha:]]", "[[:word:]-]",
    r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", "^", "$", r"\.", r"\x61",
    r"\p{L}", r"\P{Lu}", r"\pN", r"[\p{Greek}\d]", r"\Q.+\E", r"\x{e9}", r"\v", "[É-ý]",
    *FLAGS, r"\A", r"\z", "\n", "{", "]", r"\141", "\u017f", "#", " ",
]  # fmt: skip
REPEATS = ["", "", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{,3}", "{3}?", "+?"]
VALUES = [
    "", "a", "b", "ab", "aab", "ba", "K", "k", "\u212a", "s", "\u017f", "S", "é", "É", "-", "a-b",
    "1", "a1", " ", "\n", "a\n", "a\nb", "{", "a{,3}", ".", "ABab", "_", "kk", "]", "٣", "\v",
    "日", "\u03b1", ".+", "aaa", "a b", "#",
]  # fmt: skip
UNSUPPORTED = ["(?=a)", "(?<!a)", r"\1", r"\Z", "a**", "[b-a]", "a{1001}", "("]
PATTERNS = 600


def generate_pattern(rng: Random, depth: int = 3) -> str:
    parts = []
    for _ in range(rng.randint(1, 3)):
        repeat = rng.choice(REPEATS)
        if depth and rng.random() < 0.4:
            opening = rng.choice(["(", "(?:", "(?i:", "(?s-i:", "(?mU:"])
            atom = f"{opening}{generate_pattern(rng, depth - 1)})"
        else:
            atom = rng.choice(ATOMS)
        parts.append(atom if atom in FLAGS else atom + repeat)
    text = "".join(parts)
    return f"{text}|{generate_pattern(rng, 0)}" if rng.random() < 0.2 else text


@pytest.mark.parametrize("seed", [20, 21])
async def test_generated_patterns_match_what_a_real_alertmanager_mutes(
    tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    patterns = sorted({generate_pattern(rng) for _ in range(PATTERNS)})
    async with alertmanagers(tmp_path) as (real,):
        alerts = [
            {"labels": {"alertname": "x", "n": str(number), "v": value}}
            for number, value in enumerate(VALUES)
        ]
        async with real.http.post(f"{real.url}/api/v2/alerts", json=alerts) as response:
            assert response.status == 200
        matchers: dict[str, Matcher] = {}
        for number, pattern in enumerate(patterns):
            matcher = Matcher("v", pattern, is_regex=True, is_equal=number % 2 == 0)
            sent = {"name": "v", "value": pattern, "isRegex": True, "isEqual": matcher.is_equal}
            status, result = await real.silence(
                [sent, {"name": "alertname", "value": "x", "isRegex": False}]
            )
            assert (status == 200) is matcher.is_valid, (pattern, result)
            if status == 200:
                matchers[result] = matcher
        silenced_by = {
            one["labels"]["n"]: set(one["status"]["silencedBy"]) for one in await real.get("alerts")
        }
    assert len(matchers) > 0.8 * PATTERNS
    muting: dict[str, set[str]] = {value: set() for value in VALUES}
    for one in matchers.values():  # pattern by pattern: only some stay compiled
        for value in filter(one.matches, VALUES):
            muting[value].add(str(one))
    for number, value in enumerate(VALUES):
        expected = {str(matchers[one]) for one in silenced_by[str(number)]}
        assert muting[value] == expected, value
    assert any(silenced_by.values())


async def test_invalid_patterns_are_those_that_a_real_alertmanager_rejects(tmp_path: Path) -> None:
    async with alertmanagers(tmp_path) as (real,):
        for pattern in UNSUPPORTED:
            matcher = {"name": "v", "value": pattern, "isRegex": True}
            also = {"name": "alertname", "value": "x", "isRegex": False}
            status, _ = await real.silence([matcher, also])
            assert status == 400, pattern
            assert not Matcher("v", pattern, is_regex=True).is_valid
