"""The HTML page of the recovery report, also in a real browser."""

import base64
import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from exporter.cli.report_page import report_page
from exporter.console.report_charts import MAX_INCIDENTS
from exporter.recovery.model.cases import Diagnosis
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.report.summary import RecoverySummary
from tests.debian import needs
from tests.recovery.journal_story import HOUR, STOPPED, UNCLEAR, Story, restarted

HOSTILE = (
    "<script>document.title = 'owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'; </style><style>* { display: none }",
    "{{ 7 * 7 }} {% raw %}",
    "\u202eevil\u2066",
    "a-very-long-name-without-any-space-" * 3,
)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def attributes(self) -> Iterator[tuple[str, str | None]]:
        for _, attributes in self.tags:
            yield from attributes.items()


def busy(names: Sequence[str] = ("web-01", "db-01", "erp-01")) -> RecoverySummary:
    """Return a summary with something in each part of the page."""
    story = Story()
    for number, name in enumerate(names):
        at = 6 * HOUR * (number + 1)
        restarted(at, story, name)
        story.change(at + 300, State.PROBATION, State.STOPPED, STOPPED, vm=name)
        story.is_up(at + HOUR, vm=name)
        unclear = Diagnosis(UNCLEAR.kind, UNCLEAR.cause, f"“{name}” by {name}", name)
        story.falls(at + HOUR, name).decides(at + HOUR, GuardName.CRASHED, unclear, name)
        story.is_up(at + 2 * HOUR, name, name)
    return story.report(until=7 * 24 * HOUR)


def test_names_cannot_add_markup() -> None:
    page = report_page([busy(HOSTILE)])

    tags = Tags(page)

    assert not {tag for tag, _ in tags.tags} & {"script", "img", "link", "iframe", "object", "a"}
    assert [tag for tag, _ in tags.tags].count("style") == 1
    assert not [name for name, _ in tags.attributes() if name.startswith("on")]
    for name in HOSTILE:
        assert name in tags.text


def test_page_loads_nothing_and_its_policy_permits_only_its_style() -> None:
    page = report_page([busy()])

    tags = Tags(page)
    style = page.partition("<style>")[2].partition("</style>")[0]
    policy = next(one["content"] for _, one in tags.tags if "http-equiv" in one)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
    assert not {name for name, _ in tags.attributes()} & {"src", "href", "xlink:href", "style"}
    assert "url(" not in style
    assert "@import" not in style


def test_page_shows_what_the_text_says() -> None:
    text = " ".join(Tags(report_page([busy()])).text.split())

    assert "9 downtimes of enrolled VMs; Vergewatch acted on 3 and brought 3 up." in text
    assert "Precision 0 % actions that were right" in text
    assert "logs_unclear 3 downtimes, 3 h" in text
    assert "restarted by Vergewatch, wrong" in text
    assert "started by a person 3" in text


def test_downtime_that_cannot_be_estimated_is_not_known() -> None:
    page = report_page([restarted().report()])

    assert '<dd class="value">not known</dd>' in page
    assert "1 min with recovery, not known without" in page


def test_page_of_a_period_without_downtimes() -> None:
    text = Tags(report_page([Story(Mode.SHADOW).report()])).text

    assert "No enrolled VM went down." in text


def test_name_of_a_system_is_not_part_of_the_sentence_below_it() -> None:
    summary = msgspec.structs.replace(Story(Mode.SHADOW).report(), system="Rack 7: north")

    assert "<p>No enrolled VM went down.</p>" in report_page([summary])


def test_page_without_systems() -> None:
    assert "Recovery is off in every system." in report_page([])


def test_page_lists_the_newest_downtimes() -> None:
    story = Story()
    for number in range(MAX_INCIDENTS + 3):
        story.falls(number * 20 + 1).decides(number * 20 + 2, GuardName.NOT_PAUSED)
        story.is_up(number * 20 + 10)

    text = " ".join(Tags(report_page([story.report()])).text.split())

    assert "and 3 more; vergewatch recovery report --csv has all." in text


FRAME = """\
<!doctype html><meta charset="utf-8"><body>
<iframe src="report.html" width="{width}" height="900" style="border: 0"></iframe>
<script>
document.querySelector("iframe").onload = event => {{
  const page = event.target.contentDocument, root = page.documentElement;
  const lengths = [...page.querySelectorAll(".plot .with")].map(one => one.getBBox().height);
  document.body.textContent = JSON.stringify({{
    overflow: root.scrollWidth - root.clientWidth,
    title: page.title,
    bars: lengths.filter(length => length > 0).length,
    heading: getComputedStyle(page.querySelector("h2")).fontWeight,
  }}).replaceAll('"', "'");
}};
</script>"""


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write no access log."""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("names", [("web-01", "db-01"), HOSTILE], ids=["plain", "hostile"])
def test_page_in_a_browser(tmp_path: Path, width: int, names: Sequence[str]) -> None:
    browser = needs("chromium")
    (tmp_path / "report.html").write_text(report_page([busy(names)]), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), "utf-8")
    handler = partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000",
                "--dump-dom", f"http://127.0.0.1:{server.server_port}/frame.html",
            ],
            check=True, capture_output=True, timeout=120, text=True,
        )  # fmt: skip
        server.shutdown()

    # Nothing is wider than the page, the style applies, and no name ran as a script.
    said = "{'overflow':0,'title':'Vergewatch: recovery report','bars':"
    assert said in done.stdout
    assert "'bars':0" not in done.stdout
    assert "'heading':'600'" in done.stdout
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
