"""Whom a silence means, from when to when, and what of an Alertmanager's answer counts."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from exporter.alerting.matchers import Matcher
from exporter.alerting.silences import (
    Silence,
    SilencesResponse,
    Status,
    concerns,
    ended,
    holding,
    read,
    spells,
)
from tests.fakes import START

WEB = {
    "system_name": "production",
    "vm_id": "7",
    "vm_name": "web-01",
    "node": "node1",
    "cluster": "Workloads",
}
HOUR = timedelta(hours=1)


def matchers(text: str) -> tuple[Matcher, ...]:
    """Return what people write as ``a="b", c=~"d"``."""
    found = []
    for one in text.split(", "):
        name, _, value = one.partition('"')
        sign = name[-2:] if name[-2:] in ("=~", "!~", "!=") else "="
        label = name.removesuffix(sign)
        found.append(Matcher(label, value[:-1], "~" in sign, "!" not in sign))
    return tuple(found)


def silence(text: str, **changed: Any) -> Silence:
    made = Silence(
        id="4f0c",
        status=Status("active"),
        starts_at=START - HOUR,
        ends_at=START + HOUR,
        updated_at=START - HOUR,
        matchers=matchers(text),
        created_by="alice",
        comment="a new disk",
    )
    return msgspec.structs.replace(made, **changed)


def told(*silences: Silence, time: datetime = START, at: float = 1000.0) -> SilencesResponse:
    return SilencesResponse(silences, 0, time, at)


def held(*silences: Silence, at: float = 1000.0, **vm: str) -> str:
    return holding(spells([told(*silences)]), {**WEB, **vm}, at=at, after_seconds=600.0)


@pytest.mark.parametrize(
    "text",
    [
        'vm_name="web-01"',
        'vm_name=~"web-.*"',
        'vm_name=~"db|web-0[1-3]"',
        'vm_id="7"',
        'node="node1"',
        'cluster="Workloads"',
        'system_name="production"',
        'system_name="production", vm_name!="db-01"',
        'system_name=~".+", vm_name!~"db-.*"',
        'recovery="hold"',
        'recovery="hold", node="node1"',
        'vm_name="web-01", alertname="VergeVMDown"',
        'vm_name="web-01", alertname=~"Verge.*"',
        'vm_name="web-01", alertname!="VergeVMDown"',
        'vm_name="web-01", severity="critical"',
        'vm_name="web-01", alertname="AnybodysOwn"',
        'vm_name="web-01", job="vergewatch", instance="x:9888", layer="vm"',
        'system_name="production", vm_id="7", vm_name="web-01", cluster="k8s-eu-1"',
        'vm_id="7", node="the-scrapers"',
        'system_name="production", node="node1", cluster="k8s-eu-1"',
        'node="node1", alertname="VergeNodeOffline", severity="critical", layer="node"',
        r'vm_name=~"\p{L}+"',
    ],
)
def test_a_silence_that_names_it_holds_a_vm(text: str) -> None:
    assert held(silence(text))


@pytest.mark.parametrize(
    "text",
    [
        'severity="warning"',
        'alertname=~".+"',
        'alertname="VergeVMDown"',
        'layer="vm"',
        'vm_name!="db-01"',
        'vm_name!=""',
        'vm_name=~".*", severity="warning"',
        'vm_name=""',
        'job="vergewatch"',
        'vm_name="web-02"',
        'vm_name="web"',
        'vm_name=~"web"',
        'vm_name="web-01", system_name="lab"',
        'system_name="production", vm_name!="web-01"',
        'node="node2"',
        'system_name="production", node="node2", cluster="Workloads"',
        'system_name="production", cluster="k8s-eu-1"',
        'vm_name=~"web-.*", cluster="k8s-eu-1"',
        'cluster="workloads"',
        'recovery="on"',
        'recovery="hold", node="node2"',
        'vm_name="web-01", alertname="VergeVMFilesystemFilling"',
        'vm_name="web-01", alertname=~".*Filesystem.*"',
        'vm_name="web-01", severity="info"',
        'vm_name="web-01", mountpoint="/var"',
        'system_name="production", layer="exporter"',
        'node="node1", alertname="NodeFilesystemAlmostOutOfSpace"',
        'cluster="Workloads", namespace="shop", alertname="KubePodCrashLooping"',
    ],
)
def test_a_silence_of_something_else_holds_nobody(text: str) -> None:
    assert not held(silence(text))


def test_a_vm_whose_node_nobody_knows_is_not_held_by_a_silence_of_a_node() -> None:
    assert not held(silence('node="node1"'), node="")
    assert not held(silence('node=~".*"'), node="")


def test_says_who_silenced_it_and_until_when_and_why() -> None:
    assert held(silence('vm_name="web-01"')) == (
        "it is silenced by alice until 2026-01-01 01:00 UTC: a new disk (silence 4f0c)"
    )


def test_one_that_ends_beyond_the_end_of_time_is_said_to() -> None:
    beyond = datetime.max.replace(tzinfo=timezone(-HOUR))

    assert "until the end of time" in held(silence('vm_name="web-01"', ends_at=beyond))


def test_what_people_wrote_cannot_break_a_line_or_fill_a_page() -> None:
    said = held(silence('vm_name="web-01"', created_by="al\x1b[31mice\n", comment="x" * 9000))

    assert said.isprintable()
    assert len(said) < 400


def test_a_pattern_that_is_not_understood_is_named() -> None:
    assert r'vm_name=~"\p{L}+" is not understood, and taken to fit' in held(
        silence(r'vm_name=~"\p{L}+"')
    )


def test_of_several_the_one_that_lasts_longest_is_named() -> None:
    late = silence('node="node1"', id="late", ends_at=START + 9 * HOUR, created_by="bob")

    assert "bob" in held(silence('vm_name="web-01"'), late)


def test_when_its_silence_has_ended_a_vm_is_left_alone_for_a_while() -> None:
    short = silence('vm_name="web-01"', ends_at=START + timedelta(seconds=60))

    assert held(short, at=1059.9).startswith("it is silenced")
    assert held(short, at=1060.0).startswith("the silence of alice ended 0 s ago")
    assert "599 s ago, and 600 s are to pass: a new disk" in held(short, at=1659.0)
    assert not held(short, at=1660.0)


def test_one_that_a_person_ended_early_is_remembered_as_well() -> None:
    ended = silence(
        'vm_name="web-01"', status=Status("expired"), ends_at=START - timedelta(seconds=100)
    )

    assert held(ended).startswith("the silence of alice ended 100 s ago")
    assert not held(ended, at=1500.0)


def test_one_that_was_taken_back_before_it_began_never_was() -> None:
    taken_back = silence(
        'vm_name="web-01"', status=Status("expired"), starts_at=START, ends_at=START
    )

    assert not held(taken_back)


def test_one_that_is_to_begin_does_so_without_being_read_again() -> None:
    coming = silence(
        'vm_name="web-01"', status=Status("pending"), starts_at=START + timedelta(seconds=20)
    )

    assert not held(coming, at=1019.0)
    assert held(coming, at=1020.0)


def test_only_the_alertmanagers_own_clock_counts() -> None:
    their_time = START + timedelta(days=400)
    theirs = silence('vm_name="web-01"', starts_at=their_time - HOUR, ends_at=their_time + HOUR)

    known = spells([told(theirs, time=their_time, at=50.0)])

    assert holding(known, WEB, at=60.0, after_seconds=600.0)
    assert not holding(known, WEB, at=50.0 + 3600 + 600, after_seconds=600.0)


def test_what_it_calls_active_is_active_whatever_the_seconds_say() -> None:
    assert held(silence('vm_name="web-01"', starts_at=START + timedelta(seconds=0.9)))


def test_all_alertmanagers_count_and_of_one_silence_the_newest_word() -> None:
    mine, other = silence('vm_name="web-01"'), silence('vm_name="web-02"', id="other")
    over = msgspec.structs.replace(
        mine, status=Status("expired"), ends_at=START - HOUR, updated_at=START
    )

    for command in ([told(mine), told(other)], [told(other), told(mine)]):
        assert len(spells(command)) == 2
    for command in ([told(mine), told(over)], [told(over), told(mine)]):
        assert not holding(spells(command), WEB, at=1000.0, after_seconds=600.0)


def test_what_one_alertmanager_lost_and_another_has_is_not_over() -> None:
    mine = silence('vm_name="web-01"')
    lost = ended(mine, START)

    for command in ([told(mine), told(lost)], [told(lost), told(mine)]):
        assert holding(spells(command), WEB, at=1000.0 + 1800, after_seconds=600.0)
    assert not holding(spells([told(lost)]), WEB, at=1000.0 + 1800, after_seconds=600.0)


def test_one_that_fits_everything_that_is_empty_cannot_be() -> None:
    assert not spells([told(silence('vm_name=~".*", recovery=~".*"'))])


ROW = b"""{"id": "4f0c", "status": {"state": "active"}, "updatedAt": "2026-01-01T00:00:00.123Z",
 "comment": "", "createdBy": "", "startsAt": "2026-01-01T00:00:00.000Z", "endsAt":
 "9999-12-31T23:59:59.999Z", "matchers": [{"name": "vm_name", "value": "web-01", "isRegex": false}]}
"""


def test_reads_what_the_api_says_of_old_releases_and_new() -> None:
    (one,), unread = read(b"[" + ROW + b"]")

    assert unread == 0
    assert one.matchers[0].is_equal
    assert concerns(one, WEB)
    assert held(one) == (
        "it is silenced by somebody until 9999-12-31 23:59 UTC: no comment (silence 4f0c)"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"active"', b"7"), (b'"endsAt"', b'"end"'), (b"00.123Z", b"00.123"), (b"[{", b"{"),
     (b'"value"', b'"v"'), (b"4f0c", b"\xff")],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_counted_and_blinds_nobody(
    before: bytes, after: bytes
) -> None:
    broken = ROW.replace(before, after, 1) if before != b"[{" else b"{}"

    silences, unread = read(b"[" + ROW + b"," + broken + b"]")

    assert (len(silences), unread) == (1, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[", b"null", b"[1,", b"\xff", b'"x"'])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(body)
