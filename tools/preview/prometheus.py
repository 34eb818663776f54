"""A client of Prometheus' API that asks the queries of a dashboard."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from tools.preview.dashboard import Dashboard, Query, QueryError, TimeRange, Variable, fill

ALL = "All"


class Prometheus(NamedTuple):
    """A Prometheus, and the range of time of all queries."""

    url: str
    http: aiohttp.ClientSession
    time_range: TimeRange

    async def choose(self, dashboard: Dashboard, wanted: Mapping[str, str]) -> dict[str, str]:
        """Return what is chosen for each variable: the wanted value, or all, or the first."""
        chosen: dict[str, str] = {}
        for variable in dashboard.variables():
            found = await self._options(variable, filled(dashboard, chosen))
            default = found[0] if variable.all_values is None else ALL
            chosen[variable.name] = wanted.get(variable.name, default)
            if chosen[variable.name] not in {*found, default}:
                raise QueryError(f"{variable.name}: {chosen[variable.name]} is not among {found}")
        return chosen

    async def answer(self, query: Query, values: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the series that answer *query*, in Prometheus' format."""
        expr = fill(query.expr, {**values, **self.time_range.variables(query.step)})
        if query.instant:
            return await self._series("query", query=expr, time=self.time_range.end)
        step = self.time_range.step(query.step)
        # Grafana begins and ends at multiples of the step.
        start, end = (time // step * step for time in (self.time_range.start, self.time_range.end))
        return await self._series("query_range", query=expr, start=start, end=end, step=step)

    async def _options(self, variable: Variable, values: Mapping[str, str]) -> list[str]:
        selector, label = variable.parts()
        match = {"match[]": fill(selector, values)}
        found: list[str] = await self._get(
            f"label/{label}/values", start=self.time_range.start, end=self.time_range.end, **match
        )
        if not found:
            raise QueryError(f"{variable.name}: {variable.query} has no values")
        return sorted(found)

    async def _series(self, path: str, **params: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get(path, **params))["result"]
        return found

    async def _get(self, path: str, **params: object) -> Any:
        texts = {name: str(value) for name, value in params.items()}
        async with self.http.get(f"{self.url}/api/v1/{path}", params=texts) as response:
            body = json.loads(await response.text())
        problems = [*body.get("warnings", ()), *body.get("infos", ())]
        if body["status"] != "success":
            problems = [body["error"]]
        if problems:
            raise QueryError(f"{problems}: {params.get('query', params)}")
        return body["data"]


def filled(dashboard: Dashboard, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return what replaces each variable in a query."""
    values = dict(chosen)
    for variable in dashboard.variables():
        if variable.all_values is not None and variable.name in chosen:
            value = chosen[variable.name]
            pattern = re.escape(value).replace("\\", r"\\")
            values[variable.name] = variable.all_values if value == ALL else pattern
    return values
