"""Asks a Prometheus what the panels of a dashboard ask."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from tools.preview.dashboard import EVERYTHING, Choice, Dashboard, Moment, Query, Values


class AskingError(Exception):
    """Prometheus refuses a question, or answers it with a warning."""


class Prometheus:
    """A Prometheus, and the range of time that it is asked about."""

    def __init__(self, url: str, http: aiohttp.ClientSession, moment: Moment) -> None:
        self._url = url
        self._http = http
        self.moment = moment

    async def values(
        self, dashboard: Dashboard, wishes: Mapping[str, str], *, source: str = "datasource"
    ) -> Values:
        """Choose for every variable what *wishes* say, or else all there is, or the first."""
        values = Values()
        values.choices[source] = Choice(source, "", several=False, everything=None)
        values.chosen[source] = ["prometheus"]
        for choice in dashboard.choices():
            found = await self.options(choice, values)
            if choice.name in wishes:
                chosen = [wishes[choice.name]]
            elif choice.everything is not None:
                chosen = [EVERYTHING]
            else:
                chosen = found[:1]
            if not set(chosen) <= {*found, EVERYTHING}:
                raise AskingError(f"{choice.name}: {chosen} is not among {found}")
            values.choices[choice.name] = choice
            values.chosen[choice.name] = chosen
        return values

    async def options(self, choice: Choice, values: Values) -> list[str]:
        """Return what may be chosen."""
        selector, label = choice.parts()
        params: dict[str, Any] = {"start": self.moment.start, "end": self.moment.end}
        if selector:
            params["match[]"] = values.fill(selector, {})
        found: list[str] = await self._ask(f"label/{label}/values", params)
        if not found:
            raise AskingError(f"{choice.name}: {choice.query} has no values")
        return sorted(found)

    async def answer(self, query: Query, values: Values) -> list[dict[str, Any]]:
        """Return the series that answer *query*, as Prometheus writes them."""
        expr = values.fill(query.expr, self.moment.built_in(query.step))
        if query.instant:
            return await self._series("query", {"query": expr, "time": self.moment.end})
        step = self.moment.step(query.step)
        # Grafana begins and ends at multiples of the step.
        span = {
            "start": self.moment.start // step * step,
            "end": self.moment.end // step * step,
            "step": step,
        }
        return await self._series("query_range", {"query": expr, **span})

    async def _series(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._ask(path, params))["result"]
        return found

    async def _ask(self, path: str, params: Mapping[str, Any]) -> Any:
        form = {name: str(value) for name, value in params.items()}
        url = f"{self._url}/api/v1/{path}"
        request = (
            self._http.get(url, params=form)
            if path.startswith("label/")
            else self._http.post(url, data=form)
        )
        async with request as reply:
            body = json.loads(await reply.text())
        if body["status"] != "success":
            raise AskingError(f"{body['error']}: {form.get('query', form)}")
        if body.get("warnings") or body.get("infos"):
            told = [*body.get("warnings", ()), *body.get("infos", ())]
            raise AskingError(f"{told}: {form.get('query', form)}")
        return body["data"]
