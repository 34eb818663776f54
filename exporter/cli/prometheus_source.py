"""Reads the samples of a backtest from Prometheus."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from exporter.backtest.prometheus import METRICS, MetricsHistory, Series
from exporter.errors import ConfigError, UnavailableError
from exporter.http import connection_error_reason, make_session, read_body, ssl_context
from exporter.inputs.http_settings import normalized_url
from exporter.recovery.model.records import History
from exporter.tolerant_json import UNREADABLE

CHUNK_STEPS = 500
"""Samples of each series in one request; Prometheus allows 11,000."""
MAX_BODY_BYTES = 256 * 2**20
REQUEST_SECONDS = 120.0
CONNECT_SECONDS = 10.0
STEP_SECONDS = 20.0
"""The default interval of recovery's polls."""


async def read_metrics(
    url: str, choose: Callable[[Sequence[str]], str], since: datetime, until: datetime
) -> tuple[History, int]:
    """
    Return the history of one system, and how many downtimes in it have no known cause.

    Args:
        url: Of Prometheus, without a path.
        choose: Returns one of the systems, which are names.

    Raises:
        ConfigError: The URL is none.
        UnavailableError: Prometheus cannot be read, or has no samples of that time.

    """
    url = _checked(url)
    trust = ssl_context(None, verify=True, section="--from")
    async with make_session(trust, connect_seconds=CONNECT_SECONDS) as session:
        client = _Client(url, session)
        begin, end = int(since.timestamp()), int(until.timestamp())
        known = await client.get("label/system_name/values", {"start": str(begin), "end": str(end)})
        system = choose(known)
        history = MetricsHistory(system, STEP_SECONDS)
        step, chunk = int(STEP_SECONDS), int(STEP_SECONDS) * CHUNK_STEPS
        for start in range(begin - begin % step, end, chunk):
            times = range(start, min(start + chunk, end), step)
            history.add(times, {name: await client.series(name, system, times) for name in METRICS})
        found = history.history()
    if all(poll.problem for poll in found.polls):
        raise UnavailableError(
            f"{client.url} has no samples of vergewatch_vm_status_info and vergewatch_vm_info for "
            f"{system} in that time"
        )
    return found, history.causes_unknown


def _checked(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:  # an error must not repeat the password
        raise ConfigError("--from takes a URL without a user name and password")
    try:
        return normalized_url(url, example="http://prometheus:9090", api="/api/v1")
    except ValueError as error:
        raise ConfigError(f"--from: {url!r} {error}") from None


class _Client:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def series(self, metric: str, system: str, times: range) -> list[Series]:
        """Return the series of *metric* at *times*."""
        name = msgspec.json.encode(system).decode()  # quoted like a string of PromQL
        found = await self.get(
            "query_range",
            {
                "query": f"{metric}{{system_name={name}}}",
                "start": str(times[0]),
                "end": str(times[-1]),
                "step": str(times.step),
            },
        )
        return [(one["metric"], one["values"]) for one in found["result"]]

    async def get(self, path: str, params: dict[str, str]) -> Any:
        """Return the field ``data`` of an answer."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._session.get(f"{self.url}/api/v1/{path}", params=params)
                async with answer:
                    body = await read_body(answer, MAX_BODY_BYTES)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = connection_error_reason(error, section="--from")
            raise UnavailableError(f"{self.url} cannot be read: {reason}") from None
        if body is None:
            raise UnavailableError(f"{self.url} answered with too much for one request")
        try:
            document = msgspec.json.decode(body)
            if document["status"] != "success":
                raise UnavailableError(f"{self.url} answered: {document.get('error', '')}")
            return document["data"]
        except (*UNREADABLE, KeyError, TypeError):
            raise UnavailableError(
                f"{self.url} answered {answer.status} without JSON of Prometheus; --from takes its "
                "URL without a path"
            ) from None
