"""
Draw dashboards with the data of a running Prometheus.

    python -m tools.preview dashboards/*.json --prometheus http://localhost:9090 --out DIRECTORY

Needs a Chromium, and `npm install` once in tools/preview/web; `make previews` does both.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import aiohttp

from exporter.clock import SystemClock
from exporter.formatting import parse_duration
from tools.preview.dashboard import Dashboard, TimeRange, queries, query_of
from tools.preview.prometheus import Prometheus, filled

WEB = Path(__file__).parent / "web"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDTH = 1600
SCRAPE_SECONDS = 15
TIMEOUT_SECONDS = 120


def main() -> None:
    """Draw the dashboards of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.preview", description=__doc__)
    parser.add_argument("dashboards", nargs="+", type=Path)
    parser.add_argument("--prometheus", default="http://localhost:9090")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboards"))
    parser.add_argument("--range", default="15m", help="range of time until now")
    parser.add_argument("--choose", action="append", default=[], metavar="VARIABLE=VALUE")
    options = parser.parse_args()
    subprocess.run(["node", "build.mjs"], cwd=WEB, check=True)  # noqa: S607
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.dashboards:
        dashboard = Dashboard(json.loads(path.read_text(encoding="utf-8")))
        _draw(asyncio.run(_gather(dashboard, options)), options.out / f"{path.stem}.png")


async def _gather(dashboard: Dashboard, options: argparse.Namespace) -> dict[str, Any]:
    """Return the dashboard and the answers to its queries, as page.jsx reads them."""
    end = SystemClock().now().timestamp()
    end -= (end - 30) % 60  # between two minutes: a label at the very edge would be cut off
    time_range = TimeRange(end - parse_duration(options.range), end, SCRAPE_SECONDS)
    async with aiohttp.ClientSession() as http:
        server = Prometheus(options.prometheus, http, time_range)
        wanted = dict(choice.split("=", 1) for choice in options.choose)
        chosen = await server.choose(dashboard, wanted)
        values = filled(dashboard, chosen)
        answers = {
            panel["id"]: [
                {
                    **asked._asdict(),
                    "series": await server.answer(asked, values),
                    "step": time_range.step(asked.step),
                }
                for asked in queries(panel)
            ]
            for panel in dashboard.panels()
        }
        marks = [
            {"mark": one, "series": await server.answer(query_of(one["target"]), values)}
            for one in dashboard.annotations()
            if one["enable"]
        ]
    return {
        "dashboard": dashboard.document,
        "answers": answers,
        "marks": marks,
        "values": chosen,
        "start": time_range.start,
        "end": time_range.end,
        "span": options.range,
    }


class _SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write no access log."""


def _draw(data: Mapping[str, Any], target: Path) -> None:
    """Render the page of *data* in a browser and take a screenshot."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(WEB / "dist", folder, dirs_exist_ok=True)
        (folder / "data.js").write_text(f"window.preview = {json.dumps(data)};", encoding="utf-8")
        handler = partial(_SilentHandler, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/"
            _take_screenshot(url, _height(data), target, folder / "profile")
            server.shutdown()


def _height(data: Mapping[str, Any]) -> int:
    """Return the height of the whole page in pixels, as page.jsx lays it out."""
    places = [panel["gridPos"] for panel in data["dashboard"]["panels"]]
    rows: int = max(place["y"] + place["h"] for place in places)
    return 64 + rows * 38 + 8


def _take_screenshot(url: str, height: int, target: Path, profile: Path) -> None:
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    finished = subprocess.run(  # noqa: S603
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{height}",
            "--virtual-time-budget=10000",
            "--enable-logging=stderr",
            f"--screenshot={target.absolute()}",
            url,
        ],
        check=True,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        text=True,
    )
    for line in finished.stderr.splitlines():
        if "CONSOLE" in line and "Error" in line:
            print(line, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
