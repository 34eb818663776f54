"""The status page and the state of a system."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.model import RecentError, SystemReport
from exporter.web.health import State, reason_of, state_of
from exporter.web.status import CONTENT_SECURITY_POLICY, render_status
from tests.web.samples import NOW, REFUSED_ERROR, refused, system, table, unread, waiting


def page(*reports: SystemReport, telemetry_path: str = "/metrics") -> str:
    return render_status(reports, version="1.2.3", now=NOW, telemetry_path=telemetry_path)


class Text(HTMLParser):
    """The text of a page, without its style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._styling = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self._styling = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._styling:
            self.words.extend(data.split())

    @property
    def text(self) -> str:
        return " ".join(self.words)


def text_of(html: str) -> str:
    return Text(html).text


def test_page_of_healthy_system() -> None:
    text = text_of(page(system()))

    assert "Vergewatch 1.2.3" in text
    assert "1 system up, 412 VMs." in text
    assert "production up https://verge.example.net VergeOS 26.1.2 Inventory" in text
    assert "Inventory updated 12 s ago" in text
    assert "412 VMs running 380 stopped 32" in text
    assert "Tables: 2 ok" in text
    assert "vms 30 s 12 s ago 42 ms 412 0" in text
    assert "API requests: 742 per hour planned, 612 remaining this hour" in text


def test_pages_are_linked() -> None:
    html = page(telemetry_path="/probe/metrics")

    for path in ("/probe/metrics", "/-/healthy", "/-/ready"):
        assert f'href="{path}"' in html


def test_page_before_first_poll_reloads_quickly() -> None:
    html = page(waiting())

    assert "Waiting for the first poll." in text_of(html)
    assert 'content="3"' in html


def test_page_without_systems() -> None:
    assert "No system is monitored yet." in text_of(page())


def test_refused_credentials_are_shown_with_reason_and_recent_error() -> None:
    text = text_of(page(system(), refused()))

    assert "1 of 2 systems up, 412 VMs." in text
    assert "laboratory credentials refused" in text
    assert text.count(REFUSED_ERROR) == 3  # the reason, the first table, the recent error
    assert "3 min ago vms, machine_status" in text


def test_healthy_systems_among_many_start_folded() -> None:
    reports = [system(f"system-{number}") for number in range(19)]

    html = page(*reports, refused())

    assert html.count("<details>") == 19
    assert html.count("<details open>") == 2


def test_one_vm_in_error_among_thousands_is_visible() -> None:
    html = page(system(vms={"running": 9_999, "error": 1}))

    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', html)]
    assert sum(widths) == pytest.approx(1000)
    assert min(widths) > 5


def test_unknown_vm_status_is_shown_as_warning() -> None:
    html = page(system(vms={"levitating": 2}))

    assert '<li class="warning"><bdi>levitating</bdi> <b>2</b></li>' in html


def test_system_without_vms_shows_0_vms() -> None:
    assert "0 VMs" in text_of(page(system(vms={})))


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a&amp;b", "'"],
)
def test_names_are_escaped(name: str) -> None:
    report = system(
        name,
        vms={name: 1},
        tables=(table(name, success=False, error=name),),
        recent_errors=(RecentError(NOW, name),),
    )

    parsed = Text(page(report))

    assert not parsed.tags & {"script", "img"}
    assert "onerror" not in parsed.attributes
    assert parsed.text.count(name) == 5


def test_right_to_left_name_is_isolated() -> None:
    assert "<bdi>سحابة</bdi>" in page(system("سحابة"))


@settings(max_examples=25)
@given(st.text(), st.dictionaries(st.text(), st.integers(0, 10**9)), st.text())
def test_any_name_renders(name: str, vms: dict[str, int], error: str) -> None:
    report = system(name, vms=vms, tables=(table(name, success=False, error=error),))

    assert page(report).endswith("</html>")


def test_page_has_no_scripts_and_no_external_resources() -> None:
    html = page(system(), refused(), waiting())

    assert "<script" not in html
    assert " style=" not in html
    assert "url(" not in html
    assert set(re.findall(r'(?:src|href)="([^"]*)"', html)) == {
        "/favicon.ico",
        "/metrics",
        "/-/healthy",
        "/-/ready",
    }


def test_content_security_policy_allows_the_style() -> None:
    style = page().split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("report", "state", "reason"),
    [
        (system(), State.UP, ""),
        (waiting(), State.WAITING, ""),
        (system(up=False, tables=(table(), unread("disks"))), State.WAITING, ""),
        (
            system(
                up=False, tables=(table(success=False, seconds_ago=300, error="vms timed out"),)
            ),
            State.STALE,
            "last successful poll 5 min ago; vms timed out",
        ),
        (
            system(up=False, tables=(table(success=False, seconds_ago=None, error="vms refused"),)),
            State.UNREACHABLE,
            "vms refused",
        ),
        (
            replace(
                system(up=False, tables=(table(), table(success=False, error="/settings: 503"))),
                named=False,
            ),
            State.UNNAMED,
            "its VMs are not exported before its name is known: /settings: 503",
        ),
        (replace(waiting(), named=False), State.WAITING, ""),
        (
            replace(system(), frozen=True),
            State.FROZEN,
            "VergeOS no longer updates the status of VMs",
        ),
        (replace(system(), frozen=None), State.UP, ""),
        (replace(refused(), frozen=True), State.REFUSED, REFUSED_ERROR),
        (refused(), State.REFUSED, REFUSED_ERROR),
        (system(authenticated=False), State.REFUSED, ""),
    ],
)
def test_state_and_reason_of_system(report: SystemReport, state: State, reason: str) -> None:
    assert state_of(report) is state
    assert reason_of(report, NOW) == reason
