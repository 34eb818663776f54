"""CPU and memory of a VM in the last day, as Prometheus has them."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from exporter.errors import PrometheusError
from exporter.executor import run_in_thread
from exporter.inputs.live_file import FileWatch
from exporter.prometheus.client import ask, session_maker
from exporter.prometheus.config import PrometheusSettings
from exporter.prometheus.query_template import filled

QUERY_RANGE = "/api/v1/query_range"
DAY_SECONDS = 24 * 3600
STEP_SECONDS = 300
VM = '{system_name="{{system}}",vm_id="{{vm}}"}[{{window}}]'
CPU = f"max(avg_over_time(vergewatch_vm_cpu_usage_ratio{VM}))"
MEMORY = (
    f"max(avg_over_time(vergewatch_vm_guest_memory_used_bytes{VM})"
    f" / avg_over_time(vergewatch_vm_guest_memory_total_bytes{VM}))"
)
"""``max``: several Vergewatch or scrapes of one may export the VM."""


class ResourceMeans(NamedTuple):
    """Means of five minutes, in columns of equal length, the oldest first."""

    begins: Sequence[int]
    """When each five minutes began: seconds since 1970."""
    cpu_ratios: Sequence[float | None]
    memory_ratios: Sequence[float | None]


class _Series(msgspec.Struct):
    values: list[tuple[float, str]]


class _Data(msgspec.Struct):
    result: list[_Series]


class _Response(msgspec.Struct):
    data: _Data


class VMResources:
    """
    Queries of the resources of a VM.

    Args:
        watch: Reports a CA file that becomes invalid.

    Raises:
        ConfigError: The CA file or the proxy cannot be used.

    """

    def __init__(self, settings: PrometheusSettings, watch: FileWatch | None = None) -> None:
        self._settings = settings
        self._make_session = session_maker(settings, watch)

    async def means(self, system: str, vm_key: int, *, until: float) -> ResourceMeans:
        """
        Return the means of the last day.

        Args:
            until: Seconds since 1970.

        Raises:
            PrometheusError: Prometheus does not answer, or not with them.

        """
        last = int(until // STEP_SECONDS) * STEP_SECONDS
        begins = range(last - DAY_SECONDS + STEP_SECONDS, last + 1, STEP_SECONDS)
        values = {"system": system, "vm": str(vm_key)}
        async with self._make_session() as session:

            async def column(query: str) -> Sequence[float | None]:
                params = {
                    "query": filled(query, values, seconds=STEP_SECONDS),
                    "start": str(begins[0] + STEP_SECONDS),  # a mean stands at the end of its time
                    "end": str(last + STEP_SECONDS),
                    "step": str(STEP_SECONDS),
                }
                status, body = await ask(self._settings, session, QUERY_RANGE, params)
                known = await run_in_thread(_means, self._settings.url, status, body)
                return [known.get(begin + STEP_SECONDS) for begin in begins]

            cpu, memory = await asyncio.gather(column(CPU), column(MEMORY))
        return ResourceMeans(begins, cpu, memory)


def _means(url: str, status: int, body: bytes | None) -> Mapping[int, float]:
    """Return the finite values of a response by their time."""
    try:
        series = msgspec.json.decode(body or b"", type=_Response).data.result
        values = {int(time): float(value) for one in series for time, value in one.values}
    except (msgspec.DecodeError, ValueError):
        problem = f"{url} returned {status} and no matrix: check the URL"
        raise PrometheusError(problem) from None
    return {time: value for time, value in values.items() if math.isfinite(value)}
