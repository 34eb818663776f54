"""A client of the simulated API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from exporter.simulator import Simulator


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    type: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks the simulator over its socket."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        path = path if path.startswith("/") else f"/api/v4/{path}"
        if headers is None:
            headers = {"Authorization": f"Bearer {self.simulator.api_key}"}
        url = self.simulator.url + path
        request = self._session.request(method, url, params=query, json=json, headers=headers)
        async with request as response:
            return Reply(response.status, await response.read(), response.content_type)

    async def rows(self, table: str, **query: str) -> list[dict[str, Any]]:
        reply = await self.ask("GET", table, query)
        assert reply.status == 200, reply
        rows: list[dict[str, Any]] = reply.json
        return rows

    async def act(self, vm: int | str, action: str, **params: Any) -> Reply:
        body = {"vm": vm, "action": action, "params": params}
        return await self.ask("POST", "vm_actions", json=body)

    async def status_of(self, machine: int) -> dict[str, Any]:
        (row,) = await self.rows("machine_status", filter=f"machine eq {machine}", fields="all")
        return row
