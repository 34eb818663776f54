"""The recovery report as one HTML page that loads nothing and runs no script."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exporter.console.report_charts import system_report
from exporter.recovery.report.summary import RecoverySummary

_FOLDER = Path(__file__).with_name("templates")
_CONSOLE = Path(__file__).parents[1] / "web/console"
"""The console shows the same report."""
_STYLES = (_CONSOLE / "static/console.css", _CONSOLE / "static/report.css")
_TEMPLATES = Environment(
    loader=FileSystemLoader([_FOLDER, _CONSOLE / "templates"]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report_page(summaries: Sequence[RecoverySummary]) -> str:
    """Return the page of *summaries*."""
    style = "".join(path.read_text("utf-8") for path in _STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _TEMPLATES.get_template("report.html").render(
        style=Markup(style),  # noqa: S704 - it is our own
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'",
        systems=[system_report(one) for one in summaries],
    )
