"""Which VMs a silence holds, when, and how responses of Alertmanagers are merged."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.matchers import Matcher
from exporter.alerting.silence_poller import SilencePoller
from exporter.alerting.silences import (
    Silence,
    SilencesResponse,
    Status,
    decode_silences,
    silence_intervals,
)
from exporter.alerting.vm_silences import (
    SystemSilences,
    hold_reason,
    holds_vm,
    may_hold_vms,
)
from exporter.recovery.model.ports import VMLocation
from exporter.tolerant_json import UnreadableError
from tests.alerting.samples import RecordingMeter
from tests.fakes import START, FakeClock

WEB = {
    "system_name": "production",
    "vm_id": "7",
    "vm_name": "web-01",
    "node_name": "node1",
    "cluster_name": "Workloads",
}
HOUR = timedelta(hours=1)


def matchers(text: str) -> tuple[Matcher, ...]:
    """Parse ``a="b", c=~"d"``."""
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


def response(*silences: Silence, time: datetime = START, at: float = 1000.0) -> SilencesResponse:
    return SilencesResponse(silences, 0, time, at)


def held(*silences: Silence, at: float = 1000.0, **vm: str) -> str:
    return hold_reason(
        silence_intervals([response(*silences)]), {**WEB, **vm}, at=at, after_seconds=600.0
    )


@pytest.mark.parametrize(
    "text",
    [
        'vm_name="web-01"',
        'vm_name=~"web-.*"',
        'vm_name=~"db|web-0[1-3]"',
        'vm_id="7"',
        'node_name="node1"',
        'cluster_name="Workloads"',
        'system_name="production"',
        'system_name="production", vm_name!="db-01"',
        'system_name=~".+", vm_name!~"db-.*"',
        'recovery="hold"',
        'recovery="hold", node_name="node1"',
        'vm_name="web-01", alertname="VergeVMDown"',
        'vm_name="web-01", alertname=~"Verge.*"',
        'vm_name="web-01", alertname!="VergeVMDown"',
        'vm_name="web-01", severity="critical"',
        'vm_name="web-01", alertname="AlertOfTheOperator"',
        'vm_name="web-01", job="vergewatch", instance="x:9888", layer="vm"',
        'system_name="production", vm_id="7", vm_name="web-01", cluster="k8s-eu-1"',
        'vm_id="7", node="node-of-prometheus"',
        'vm_id="7", node_name="where-it-was", cluster_name="other"',
        'system_name="production", node_name="node1", cluster="k8s-eu-1"',
        'system_name="production", node_name="node1", cluster_name="other"',
        'system_name="production", cluster="k8s-eu-1"',
        'vm_name=~"web-.*", cluster="k8s-eu-1"',
        'node_name="node1", alertname="VergeNodeOffline", severity="critical", layer="node"',
        r'vm_name=~"\p{L}+-\d+"',
        'vm_name=~"(?=web)"',
        'recovery!="hold"',
        'vm_name=~"web-.*", alertname!="VergeVMDown"',
    ],
)
def test_silence_that_selects_the_vm_holds_it(text: str) -> None:
    assert held(silence(text))


@pytest.mark.parametrize(
    "text",
    [
        'severity="warning"',
        'vm_name=~".*", severity="warning"',
        'vm_name=""',
        'job="vergewatch"',
        'vm_name="web-02"',
        'vm_name="web"',
        'vm_name=~"web"',
        'vm_name="web-01", system_name="lab"',
        'system_name="production", vm_name!="web-01"',
        'node_name="node2"',
        'system_name="production", node_name="node2", cluster_name="Workloads"',
        'system_name="production", cluster_name="other"',
        'vm_name=~"web-.*", cluster_name="other"',
        'cluster_name="workloads"',
        'node="node1"',
        'cluster="Workloads"',
        'recovery="on"',
        'recovery="hold", node_name="node2"',
        'vm_name="web-01", alertname="VergeVMFilesystemFilling"',
        'vm_name="web-01", alertname=~".*Filesystem.*"',
        'vm_name="web-01", severity="info"',
        'vm_name="web-01", mountpoint="/var"',
        'system_name="production", layer="exporter"',
        'node_name="node1", alertname="NodeFilesystemAlmostOutOfSpace"',
        'cluster_name="Workloads", namespace="shop", alertname="KubePodCrashLooping"',
    ],
)
def test_silence_of_something_else_does_not_hold_the_vm(text: str) -> None:
    assert not held(silence(text))


@pytest.mark.parametrize(
    "text",
    [
        'vm_name!="db-01"',
        'vm_name!=""',
        'vm_name!~"db-.*|mail"',
        'vm_id!="8"',
        'system_name!="lab"',
        'node_name!="node1"',
        'cluster_name!="Workloads"',
        'team!="databases"',
        'alertname!="Watchdog"',
        'vm_name!="db-01", severity="critical"',
        'vm_name!="db-01", job="vergewatch", instance="x:9888", prometheus="eu"',
        'alertname="VergeVMDown"',
        'alertname="VergeVMDown", job="vergewatch"',
        'alertname=~"Verge.*", prometheus="eu"',
        'alertname=~".+"',
        'alertname!~"Kube.*"',
        'severity="critical"',
        'severity=~"critical|warning", layer!="node"',
        'layer="vm"',
        'alertname="VergeVMDown", source="other"',
        'system_name=~".+", layer!="exporter"',
    ],
)
def test_silence_that_mutes_the_alert_of_a_vm_that_is_down_holds_the_vm(text: str) -> None:
    assert held(silence(text))


@pytest.mark.parametrize(
    "text",
    [
        'vm_name!="web-01"',
        'vm_name!~"web-.*"',
        'vm_id!="7"',
        'system_name!="production"',
        'vm_name!="db-01", vm_name!="web-01"',
        'vm_name!="db-01", severity="warning"',
        'vm_name!="db-01", alertname="VergeVMFilesystemFilling"',
        'vm_name!="db-01", mountpoint="/var"',
        'vm_name!="db-01", system_name="lab"',
        'alertname!="VergeVMDown"',
        'alertname="VergeRecoveryHeldTooLong"',
        'alertname="InstanceDown", job="node"',
        'alertname=~".+", job="node"',
        'alertname=~"(Kube|Node).*"',
        'severity!="critical"',
        'layer!="vm"',
        'source="other"',
        'job!="", severity="critical"',
        'namespace=~".+"',
    ],
)
def test_silence_that_mutes_other_alerts_does_not_hold_the_vm(text: str) -> None:
    assert not held(silence(text))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('site="eu-1"', True),
        ('severity="critical", site="eu-1"', True),
        ('vm_name="web-01", site="eu-1"', True),
        ('vm_name="web-01", site="eu-1", job="vergewatch"', True),
        ('site="us-2"', False),
        ('site!="eu-1"', False),
        ('alertname="VergeVMDown", site="us-2"', False),
        ('vm_name="web-01", site="us-2"', False),
        ('vm_name="web-01", other="us-2"', True),
    ],
)
def test_external_labels_of_the_settings_count_as_labels_of_the_alert(
    text: str, *, holds: bool
) -> None:
    one, external_labels = silence(text), {"site": "eu-1"}

    assert holds_vm(one, WEB, external_labels) is holds
    assert may_hold_vms(one, external_labels) or not holds


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ('alertname="KubePodCrashLooping", namespace="shop"', False),
        ('alertname="InstanceDown"', False),
        ('severity="warning"', False),
        ('job="node"', False),
        ('severity="warning", vm_name!="web-01"', False),
        ('severity="critical"', True),
        ('vm_name="db"', True),
        ('vm_name!="db", job="vergewatch"', True),
        ('node_name="n"', True),
        ('source="vergewatch"', False),
    ],
)
def test_silence_of_other_alerts_is_dropped_before_any_vm_is_asked_about(
    text: str, may: bool
) -> None:
    assert may_hold_vms(silence(text)) is may


def test_silence_that_excludes_a_vm_holds_all_others() -> None:
    excluding = silence('vm_name!="web-01"')

    assert [name for name in ("web-01", "web-02", "db") if held(excluding, vm_name=name)] == [
        "web-02",
        "db",
    ]


def test_silence_of_a_node_does_not_hold_a_vm_on_an_unknown_node() -> None:
    assert not held(silence('node_name="node1"'), node_name="")
    assert not held(silence('node_name=~".*"'), node_name="")


def test_hold_reason_has_author_end_comment_and_id() -> None:
    assert held(silence('vm_name="web-01"')) == (
        "it is silenced by alice until 2026-01-01 01:00 UTC: a new disk (silence 4f0c)"
    )


def test_silence_that_ends_after_the_year_9999_has_a_hold_reason() -> None:
    beyond = datetime.max.replace(tzinfo=timezone(-HOUR))

    assert "until the year 9999" in held(silence('vm_name="web-01"', ends_at=beyond))


def test_author_and_comment_are_printable_and_limited_in_the_hold_reason() -> None:
    said = held(silence('vm_name="web-01"', created_by="al\x1b[31mice\n", comment="x" * 9000))

    assert said.isprintable()
    assert len(said) < 400


def test_hold_reason_names_an_invalid_pattern() -> None:
    assert 'vm_name=~"(?=web)" is not a valid pattern and matches every VM' in held(
        silence('vm_name=~"(?=web)"')
    )


def test_hold_reason_names_the_silence_that_ends_last() -> None:
    late = silence('node_name="node1"', id="late", ends_at=START + 9 * HOUR, created_by="bob")

    assert "bob" in held(silence('vm_name="web-01"'), late)


def test_vm_is_held_for_a_while_after_its_silence_has_ended() -> None:
    short = silence('vm_name="web-01"', ends_at=START + timedelta(seconds=60))

    assert held(short, at=1059.9).startswith("it is silenced")
    assert held(short, at=1060.0).startswith("the silence of alice ended 0 s ago")
    assert "599 s ago, less than 600 s: a new disk" in held(short, at=1659.0)
    assert not held(short, at=1660.0)


def test_vm_is_held_for_a_while_after_its_silence_was_expired_early() -> None:
    ended = silence(
        'vm_name="web-01"', status=Status("expired"), ends_at=START - timedelta(seconds=100)
    )

    assert held(ended).startswith("the silence of alice ended 100 s ago")
    assert not held(ended, at=1500.0)


def test_silence_expired_before_its_start_holds_no_vm() -> None:
    taken_back = silence(
        'vm_name="web-01"', status=Status("expired"), starts_at=START, ends_at=START
    )

    assert not held(taken_back)


def test_pending_silence_holds_from_its_start_without_another_poll() -> None:
    coming = silence(
        'vm_name="web-01"', status=Status("pending"), starts_at=START + timedelta(seconds=20)
    )

    assert not held(coming, at=1019.0)
    assert held(coming, at=1020.0)


def test_difference_of_wall_clocks_does_not_move_a_silence() -> None:
    server_time = START + timedelta(days=400)
    remote = silence('vm_name="web-01"', starts_at=server_time - HOUR, ends_at=server_time + HOUR)

    known = silence_intervals([response(remote, time=server_time, at=50.0)])

    assert hold_reason(known, WEB, at=60.0, after_seconds=600.0)
    assert not hold_reason(known, WEB, at=50.0 + 3600 + 600, after_seconds=600.0)


def test_active_silence_holds_even_if_its_start_is_after_the_rounded_response_time() -> None:
    assert held(silence('vm_name="web-01"', starts_at=START + timedelta(seconds=0.9)))


def test_silences_of_all_alertmanagers_are_merged_and_the_newest_version_counts() -> None:
    mine, other = silence('vm_name="web-01"'), silence('vm_name="web-02"', id="other")
    over = msgspec.structs.replace(
        mine, status=Status("expired"), ends_at=START - HOUR, updated_at=START
    )

    for responses in ([response(mine), response(other)], [response(other), response(mine)]):
        assert len(silence_intervals(responses)) == 2
    for responses in ([response(mine), response(over)], [response(over), response(mine)]):
        assert not hold_reason(silence_intervals(responses), WEB, at=1000.0, after_seconds=600.0)


def test_silence_lost_by_one_alertmanager_and_kept_by_another_holds() -> None:
    mine = silence('vm_name="web-01"')
    lost = mine.expired_at(START)

    for responses in ([response(mine), response(lost)], [response(lost), response(mine)]):
        assert hold_reason(silence_intervals(responses), WEB, at=1000.0 + 1800, after_seconds=600.0)
    assert not hold_reason(
        silence_intervals([response(lost)]), WEB, at=1000.0 + 1800, after_seconds=600.0
    )


def test_silence_that_matches_missing_labels_only_holds_no_vm() -> None:
    assert not silence_intervals([response(silence('vm_name=~".*", recovery=~".*"'))])


ROW = b"""{"id": "4f0c", "status": {"state": "active"}, "updatedAt": "2026-01-01T00:00:00.123Z",
 "comment": "", "createdBy": "", "startsAt": "2026-01-01T00:00:00.000Z", "endsAt":
 "9999-12-31T23:59:59.999Z", "matchers": [{"name": "vm_name", "value": "web-01", "isRegex": false}]}
"""


def test_silence_without_is_equal_from_an_old_release_is_decoded() -> None:
    (one,), invalid = decode_silences(b"[" + ROW + b"]")

    assert invalid == 0
    assert one.matchers[0].is_equal
    assert holds_vm(one, WEB)
    assert held(one) == (
        "it is silenced by an unnamed author until 9999-12-31 23:59 UTC: no comment (silence 4f0c)"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"active"', b"7"), (b'"endsAt"', b'"end"'), (b"00.123Z", b"00.123"), (b"[{", b"{"),
     (b'"value"', b'"v"'), (b"4f0c", b"\xff")],
)  # fmt: skip
def test_invalid_silence_is_counted_and_the_others_are_kept(before: bytes, after: bytes) -> None:
    broken = ROW.replace(before, after, 1) if before != b"[{" else b"{}"

    silences, invalid = decode_silences(b"[" + ROW + b"," + broken + b"]")

    assert (len(silences), invalid) == (1, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[", b"null", b"[1,", b"\xff", b'"x"'])
def test_body_that_is_no_list_is_rejected(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode_silences(body)


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b"NaN", b'"\xff"', b'"\x01"', b"[]", b"7"], ids=repr
)
def test_comment_that_cannot_be_read_costs_no_silence(value: bytes) -> None:
    strange = ROW.strip()[:-1] + b',"comment":' + value + b"}"

    silences, invalid = decode_silences(b"\xef\xbb\xbf[" + strange + b"]")

    assert (len(silences), invalid) == (1, 0)
    assert silences[0].comment == ""


@pytest.mark.parametrize("strange", [b'"isRegex": NaN', b'"isRegex": false, "isEqual": NaN'])
def test_silence_with_a_matcher_that_cannot_be_read_is_counted(strange: bytes) -> None:
    strange = ROW.replace(b'"isRegex": false', strange)

    silences, invalid = decode_silences(b"[" + ROW + b"," + strange + b"]")

    assert (len(silences), invalid) == (1, 1)


def test_answer_that_is_older_than_the_last_changes_nothing() -> None:
    settings = AlertmanagerSettings(urls=("http://a:9093",), after_silence_seconds=0)
    poller = SilencePoller(settings.urls[0], settings, FakeClock(), RecordingMeter())
    poller.accept(response(silence('vm_name="web-01"'), at=1005.0))

    poller.accept(response(at=1000.0))  # its request was slow

    assert poller.response is not None
    assert [one.is_active for one in poller.response.silences] == [True]


class Silences:
    """The silences of one Alertmanager, as `SystemSilences` asks for them."""

    unknown = ""

    def __init__(self, *texts: str) -> None:
        self.intervals = silence_intervals([response(*map(silence, texts))])

    async def refresh(self) -> None: ...

    def hold_reason(self, labels: Mapping[str, str]) -> str:
        return hold_reason(self.intervals, labels, at=1000.0, after_seconds=600.0)


def holding(text: str, *names: str, node: str = "node1", cluster: str = "Workloads") -> str:
    """Return the reason of a silence that holds web-01 in the system with *names*."""
    system = SystemSilences(Silences(text), lambda: names)  # type: ignore[arg-type]
    return system.holding(VMLocation(7, "web-01", node, cluster))


@pytest.mark.parametrize("name", ["nordwolke", "prod", "10.0.0.5"])
def test_silence_of_any_name_that_the_system_had_holds_its_vms(name: str) -> None:
    text = f'system_name="{name}", vm_name="web-01"'

    assert holding(text, "nordwolke", "prod", "10.0.0.5")
    assert not holding(text, "another", "one")


@pytest.mark.parametrize(
    "text",
    ['cluster_name="Management"', 'cluster_name=~"M.*"', 'recovery="hold", cluster_name="M"'],
)
def test_silence_of_any_cluster_holds_while_the_cluster_is_unknown(text: str) -> None:
    assert not holding(text, "prod")
    assert holding(text, "prod", cluster="")


def test_silence_of_any_node_holds_while_the_node_is_unknown() -> None:
    assert not holding('node_name="node2"', "prod")
    assert holding('node_name="node2"', "prod", node="")
    assert not holding('node_name="node2", vm_name="db-01"', "prod", node="")
