"""Every question that a dashboard asks is answered by a real Prometheus fed by the demo's world."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import aiohttp

from tests.daemon_process import REAL_TIME
from tests.dashboards.shipped import RULES, shipped
from tests.dashboards.story import BY, RESCUED, demo_world, play
from tools.preview.dashboard import Dashboard, Moment, Query, queries
from tools.preview.prometheus import AskingError, Prometheus

PATIENCE_SECONDS = 80
LOOK_BACK_SECONDS = 60
WISHES = {"vergewatch-vm": {"vm": RESCUED}}
MAY_LACK = {"ha_group"}
"""Columns that a cloud without such groups does not have."""

Series = list[dict[str, Any]]


async def test_every_question_has_an_answer(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), demo_world(tmp_path) as stage:
        await play(stage)
        await REAL_TIME.sleep(2)  # two scrapes, two evaluations of the rules

        end = REAL_TIME.now().timestamp()
        moment = Moment(end - LOOK_BACK_SECONDS, end, scrape_seconds=1, haste=BY)
        async with aiohttp.ClientSession() as http:
            server = Prometheus(stage.prometheus, http, moment)
            found = [
                f"{name}: {finding}"
                for name, dashboard in shipped().items()
                for finding in await _problems(dashboard, server)
            ]

    assert found == []


async def _problems(dashboard: Dashboard, server: Prometheus) -> list[str]:
    values = await server.values(dashboard, WISHES.get(dashboard.uid, {}))
    found: list[str] = []

    async def ask(where: str, query: Query) -> Series:
        try:
            answer = await server.answer(query, values)
        except AskingError as problem:
            found.append(f"{where}: {problem}")
            return []
        if not answer:
            found.append(f"{where}: nothing: {values.fill(query.expr, {**ANY})}")
        return answer

    for panel in dashboard.panels():
        answers = [(query, await ask(f"{panel['title']} {query.ref}", query))
                   for query in queries(panel)]  # fmt: skip
        found += [f"{panel['title']}: {problem}" for problem in _unnamed(panel, answers)]
        found += [f"{panel['title']}: {problem}" for problem in _columns(panel, answers)]
    for mark in dashboard.marks():
        if RULES or "ALERTS" not in mark["target"]["expr"]:
            await ask(f"mark {mark['name']}", queries({"targets": [mark["target"]]})[0])
    return found


ANY = {"__interval": "?", "__rate_interval": "?", "__range": "?"}


def _unnamed(panel: Mapping[str, Any], answers: list[tuple[Query, Series]]) -> Iterator[str]:
    """Yield the legends that say nothing, or the same of several series."""
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
    """Yield the columns that nothing fills, and the unexpected ones."""
    if panel["type"] != "table":
        return
    (order,) = [one for one in panel["transformations"] if one["id"] == "organize"]
    wanted = set(order["options"]["indexByName"])
    brought = {label for _, answer in answers for series in answer for label in series["metric"]}
    brought |= {f"Value #{query.ref}" for query, _ in answers} if len(answers) > 1 else {"Value"}
    hidden = set(order["options"]["excludeByName"])
    if wanted - brought - MAY_LACK:
        yield f"nothing fills {wanted - brought}"
    if brought - wanted - hidden:
        yield f"{brought - wanted} is shown though no column is meant for it"
