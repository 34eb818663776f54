"""The dashboards, as the files that Grafana reads."""

import json
from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.dashboards import fleet, health, recovery, vm
from tools.dashboards.page import Page


def pages() -> tuple[Page, ...]:
    """Return all dashboards."""
    return fleet.page(), vm.page(), recovery.page(), health.page()


def files() -> Mapping[str, str]:
    """Return the text of each file, by its name; the same every time."""
    return {f"{page.uid.removeprefix('vergewatch-')}.json": _text(page) for page in pages()}


def _text(page: Page) -> str:
    document = json.loads(JSONEncoder().encode(page.build()))
    # With a placement, newer Grafanas would move links and annotations out of the page's head.
    heads: list[dict[str, Any]] = [*document["links"], *document["annotations"]["list"]]
    for head in heads:
        head.pop("placement", None)
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
