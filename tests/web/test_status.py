"""The page for people, in all the moods of a cloud."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import RecentError, SystemReport
from exporter.web.health import State, reason_of, state_of
from exporter.web.status import CONTENT_SECURITY_POLICY, render_status
from exporter.web.wording import ago, ago_short, duration
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


def test_a_healthy_cloud_says_what_it_is_and_how_old_the_picture_is() -> None:
    text = text_of(page(system()))

    assert "Vergewatch 1.2.3" in text
    assert "1 cloud up, 412 VMs." in text
    assert "production up https://verge.example.net VergeOS 26.1.2 read 12 seconds ago" in text
    assert "running 380 stopped 32" in text
    assert "vms 30 s 12 s ago 42 ms 412 0" in text
    assert "742 requests an hour planned, 612 left in this one" in text


def test_the_pages_are_linked() -> None:
    html = page(telemetry_path="/probe/metrics")

    for path in ("/probe/metrics", "/-/healthy", "/-/ready"):
        assert f'href="{path}"' in html


def test_documentation_is_linked_where_there_is_some() -> None:
    html = render_status(
        [], version="1", now=NOW, telemetry_path="/metrics", docs_url="https://docs.example"
    )

    assert 'href="https://docs.example"' in html


def test_the_first_seconds_say_that_they_are_the_first() -> None:
    html = page(waiting())

    assert "Waiting for the first answer." in text_of(html)
    assert 'content="3"' in html


def test_no_cloud_is_a_page_too() -> None:
    assert "No cloud is being watched yet." in text_of(page())


def test_a_refused_key_is_told_once_with_its_reason_and_stays_among_the_troubles() -> None:
    text = text_of(page(system(), refused()))

    assert "1 of 2 clouds up, 412 VMs." in text
    assert "laboratory key refused" in text
    assert text.count(REFUSED_ERROR) == 3  # the reason, the first table, the trouble
    assert "3 minutes ago vms, machine_status" in text


def test_twenty_clouds_fold_the_tables_of_those_that_are_well() -> None:
    reports = [system(f"cloud-{number}") for number in range(19)]

    html = page(*reports, refused())

    assert html.count("<details>") == 19
    assert html.count("<details open>") == 2


def test_one_vm_in_error_among_thousands_is_seen() -> None:
    html = page(system(vms={"running": 9_999, "error": 1}))

    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', html)]
    assert sum(widths) == pytest.approx(1000)
    assert min(widths) > 5


def test_a_status_new_to_us_is_shown_as_it_is() -> None:
    html = page(system(vms={"levitating": 2}))

    assert '<li class="warn"><bdi>levitating</bdi> <b>2</b></li>' in html


def test_no_vms_at_all_is_said() -> None:
    assert "0 VMs" in text_of(page(system(vms={})))


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a&amp;b", "'"],
)
def test_names_are_text_and_nothing_else(name: str) -> None:
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


def test_a_name_from_right_to_left_keeps_its_direction_to_itself() -> None:
    assert "<bdi>سحابة</bdi>" in page(system("سحابة"))


@settings(max_examples=25)
@given(st.text(), st.dictionaries(st.text(), st.integers(0, 10**9)), st.text())
def test_any_name_makes_a_page(name: str, vms: dict[str, int], error: str) -> None:
    report = system(name, vms=vms, tables=(table(name, success=False, error=error),))

    assert page(report).endswith("</html>")


def test_nothing_is_fetched_from_elsewhere_and_nothing_runs() -> None:
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


def test_the_policy_allows_exactly_the_style_of_the_page() -> None:
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
            "last good answer 5 minutes ago; vms timed out",
        ),
        (
            system(up=False, tables=(table(success=False, seconds_ago=None, error="vms refused"),)),
            State.UNREACHED,
            "vms refused",
        ),
        (refused(), State.REFUSED, REFUSED_ERROR),
        (system(authenticated=False), State.REFUSED, ""),
    ],
)
def test_every_cloud_is_in_one_state(report: SystemReport, state: State, reason: str) -> None:
    assert state_of(report) is state
    assert reason_of(report, NOW) == reason


@pytest.mark.parametrize(
    ("seconds", "words", "short"),
    [
        (-5, "just now", "0 s ago"),
        (1.9, "just now", "1 s ago"),
        (2, "2 seconds ago", "2 s ago"),
        (59.9, "59 seconds ago", "59 s ago"),
        (60, "1 minute ago", "1 min ago"),
        (3_599, "59 minutes ago", "59 min ago"),
        (7_200, "2 hours ago", "2 h ago"),
        (86_400, "1 day ago", "1 d ago"),
    ],
)
def test_ages_are_said_as_people_say_them(seconds: float, words: str, short: str) -> None:
    then = NOW - timedelta(seconds=seconds)

    assert ago(then, NOW) == words
    assert ago_short(then, NOW) == short


def test_what_never_happened_has_no_age() -> None:
    assert ago(None, NOW) == ago_short(None, NOW) == "never"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.042, "42 ms"),
        (1.25, "1.2 s"),
        (30, "30 s"),
        (15.7, "16 s"),
        (300, "5 min"),
        (3600, "1 h"),
    ],
)
def test_durations_fit_one_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
