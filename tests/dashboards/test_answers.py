"""A real Prometheus, fed by the demo's system, answers every query of the dashboards."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import aiohttp

from tests.daemon_process import REAL_TIME
from tests.dashboards.harness import RECOVERED, SPEEDUP, run_scenario, running_demo
from tests.dashboards.shipped import RULES, shipped
from tools.preview.dashboard import Dashboard, Query, QueryError, TimeRange, queries, query_of
from tools.preview.prometheus import Prometheus, filled

TIMEOUT_SECONDS = 80
LOOK_BACK_SECONDS = 60
CHOSEN = {"vergewatch-vm": {"vm": RECOVERED}}
MAY_BE_EMPTY = {
    "Question",
    "Devices",
}
"""Panels without a value in mode enforce and without devices that are passed through."""
MAY_LACK = {"ha_group"}
"""Columns that a system without such groups does not have."""

Series = list[dict[str, Any]]


async def test_every_query_has_an_answer(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS), running_demo(tmp_path) as harness:
        await run_scenario(harness)
        await REAL_TIME.sleep(2)  # two scrapes, two evaluations of the rules

        end = REAL_TIME.now().timestamp()
        time_range = TimeRange(end - LOOK_BACK_SECONDS, end, scrape_seconds=1, speedup=SPEEDUP)
        async with aiohttp.ClientSession() as http:
            server = Prometheus(harness.prometheus, http, time_range)
            found = [
                f"{name}: {finding}"
                for name, dashboard in shipped().items()
                for finding in await _problems(dashboard, server)
            ]

    assert found == []


async def _problems(dashboard: Dashboard, server: Prometheus) -> list[str]:
    chosen = await server.choose(dashboard, CHOSEN.get(dashboard.uid, {}))
    values = filled(dashboard, chosen)
    found: list[str] = []

    async def ask(where: str, query: Query) -> Series:
        try:
            answer = await server.answer(query, values)
        except QueryError as problem:
            found.append(f"{where}: {problem}")
            return []
        if not answer:
            found.append(f"{where}: no data: {query.expr}")
        return answer

    for panel in dashboard.panels():
        if panel["title"] in MAY_BE_EMPTY:
            continue
        answers = [(asked, await ask(f"{panel['title']} {asked.ref}", asked))
                   for asked in queries(panel)]  # fmt: skip
        found += [f"{panel['title']}: {problem}" for problem in _unnamed(panel, answers)]
        found += [f"{panel['title']}: {problem}" for problem in _columns(panel, answers)]
    for annotation in dashboard.annotations():
        if RULES or "ALERTS" not in annotation["target"]["expr"]:
            await ask(f"annotation {annotation['name']}", query_of(annotation["target"]))
    return found


def _unnamed(panel: Mapping[str, Any], answers: list[tuple[Query, Series]]) -> Iterator[str]:
    """Yield the legends that lack a label, and those that several series have."""
    if panel["type"] == "table":
        return
    names = []
    for query, answer in answers:
        for series in answer:
            metric = series["metric"]
            for label in re.findall(r"{{(\w+)}}", query.legend):
                if label not in metric:
                    yield f"{query.ref} has no {label}: {metric}"
            labels = {f"{{{{{label}}}}}": value for label, value in metric.items()}
            names.append(reduce(lambda text, one: text.replace(*one), labels.items(), query.legend))
    if len(names) != len(set(names)):
        yield f"several series have one name: {sorted(names)}"


def _columns(panel: Mapping[str, Any], answers: list[tuple[Query, Series]]) -> Iterator[str]:
    """Yield the columns that no query fills, and the unexpected ones."""
    if panel["type"] != "table":
        return
    (order,) = [one for one in panel["transformations"] if one["id"] == "organize"]
    expected = set(order["options"]["indexByName"])
    found = {label for _, answer in answers for series in answer for label in series["metric"]}
    found |= {f"Value #{query.ref}" for query, _ in answers} if len(answers) > 1 else {"Value"}
    hidden = set(order["options"]["excludeByName"])
    if expected - found - MAY_LACK:
        yield f"no query fills {expected - found}"
    if found - expected - hidden:
        yield f"{found - expected} is shown without a column of its own"
