"""
Draw dashboards from what a running Prometheus answers.

    python -m tools.preview dashboards/*.json --prometheus http://localhost:9090 --out DIRECTORY

Needs a Chromium, and `npm install` once in tools/preview/web; `make previews` does both.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import aiohttp

from exporter.clock import SystemClock
from tools.preview.dashboard import Dashboard, Moment, queries, seconds
from tools.preview.png import with_few_colours
from tools.preview.prometheus import Prometheus

WEB = Path(__file__).parent / "web"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDTH = 1600
PATIENCE_SECONDS = 120


def main() -> None:
    """Draw what the command line names."""
    options = _options(sys.argv[1:])
    subprocess.run(["node", "build.mjs"], cwd=WEB, check=True)  # noqa: S607
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.dashboards:
        dashboard = Dashboard(json.loads(path.read_text(encoding="utf-8")))
        data = asyncio.run(_gather(dashboard, options))
        target = options.out / f"{path.stem}.png"
        _draw(data, target)
        target.write_bytes(with_few_colours(target.read_bytes()))
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")  # noqa: T201


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.preview", description=__doc__)
    parser.add_argument("dashboards", nargs="+", type=Path)
    parser.add_argument("--prometheus", default="http://localhost:9090")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboards"))
    parser.add_argument("--range", default="15m", help="how far to look back")
    parser.add_argument("--scrape-interval", default="15s")
    parser.add_argument(
        "--choose", action="append", default=[], metavar="VARIABLE=VALUE", help="instead of all"
    )
    return parser.parse_args(arguments)


async def _gather(dashboard: Dashboard, options: argparse.Namespace) -> dict[str, Any]:
    """Return the dashboard with what its queries bring, as the page wants it."""
    end = SystemClock().now().timestamp()
    end -= (end - 30) % 60  # between two minutes: a label at the very edge would be cut off
    moment = Moment(end - seconds(options.range), end, seconds(options.scrape_interval))
    wishes = dict(wish.split("=", 1) for wish in options.choose)
    async with aiohttp.ClientSession() as http:
        server = Prometheus(options.prometheus, http, moment)
        values = await server.values(dashboard, wishes)
        answers: dict[int, Any] = {}
        for panel in dashboard.panels():
            answers[panel["id"]] = [
                {
                    "ref": query.ref,
                    "legend": query.legend,
                    "format": query.format,
                    "series": await server.answer(query, values),
                    "step": moment.step(query.step),
                }
                for query in queries(panel)
            ]
        marks = [
            {"mark": mark, "series": await server.answer(_of_mark(mark), values)}
            for mark in dashboard.marks()
            if mark["enable"]
        ]
    return {
        "dashboard": dashboard.document,
        "answers": answers,
        "marks": marks,
        "values": values.chosen,
        "start": moment.start,
        "end": moment.end,
        "span": options.range,
    }


def _of_mark(mark: Mapping[str, Any]) -> Any:
    return queries({"targets": [mark["target"]]})[0]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _draw(data: Mapping[str, Any], target: Path) -> None:
    """Render the page of *data* in a browser and take a screenshot."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(WEB / "dist", folder, dirs_exist_ok=True)
        (folder / "data.js").write_text(f"window.preview = {json.dumps(data)};", encoding="utf-8")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            _photograph(f"http://127.0.0.1:{server.server_port}/", _height(data), target, folder)
        finally:
            server.shutdown()


def _height(data: Mapping[str, Any]) -> int:
    """Return the height of the whole page, in pixels; as page.jsx lays it out."""
    bottoms: list[int] = [
        panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in data["dashboard"]["panels"]
    ]
    return 64 + max(bottoms) * 38 + 8


def _photograph(url: str, height: int, target: Path, folder: Path) -> None:
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    told = subprocess.run(  # noqa: S603
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={WIDTH},{height}",
            "--virtual-time-budget=10000",
            "--enable-logging=stderr",
            f"--screenshot={target.absolute()}",
            url,
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        text=True,
    )
    for line in told.stderr.splitlines():
        if "CONSOLE" in line and "Error" in line:
            print(line, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
