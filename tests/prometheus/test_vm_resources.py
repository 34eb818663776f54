"""CPU and memory of a VM from a real Prometheus, and from servers that misbehave."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from exporter.errors import PrometheusError
from exporter.prometheus.config import PrometheusSettings
from exporter.prometheus.vm_resources import DAY_SECONDS, STEP_SECONDS, ResourceMeans, VMResources
from tests.daemon.test_daemon import self_signed
from tests.daemon_process import REAL_TIME
from tests.prometheus.test_client import HOSTILE
from tests.real_prometheus import prometheus
from tests.vergeos.scripted import Answer, reset_connection, respond, serving, truncated_body

UNTIL = 1_790_000_123.0
TOKEN = "the-token-of-prometheus"


def metrics(systems: Iterable[str]) -> bytes:
    """Return the metrics of a VM with the key 7 in each of *systems*, from two replicas."""
    lines = []
    for number, name in enumerate(systems):
        system = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for replica in "ab":
            labels = f'{{system_name="{system}",vm_id="7",replica="{replica}"}}'
            lines += [
                f"vergewatch_vm_cpu_usage_ratio{labels} {number / 100}\n",
                f"vergewatch_vm_guest_memory_used_bytes{labels} {number}\n",
                f"vergewatch_vm_guest_memory_total_bytes{labels} 1000\n",
            ]
    return "".join(lines).encode()


async def test_means_are_those_of_the_vm_whatever_its_system_is_called(tmp_path: Path) -> None:
    page = respond(metrics(HOSTILE))
    async with (
        serving(page) as target,
        prometheus(tmp_path, {"vergewatch": target.url}) as server,
    ):
        await server.ask_until("vergewatch_vm_cpu_usage_ratio", 2 * len(HOSTILE))
        queries = VMResources(PrometheusSettings(url=server.url))
        until = REAL_TIME.now().timestamp()

        for number, name in enumerate(HOSTILE):
            found = await queries.means(name, 7, until=until)
            newest = [value for value in found.cpu_ratios if value is not None]
            assert newest[-1] == pytest.approx(number / 100), name
            assert found.memory_ratios[-1] == pytest.approx(number / 1000), name

        nothing = await queries.means("another", 7, until=until)
        assert set(nothing.cpu_ratios) | set(nothing.memory_ratios) == {None}
        assert until - STEP_SECONDS < nothing.begins[-1] <= until


def matrix(*values: tuple[float, str]) -> Answer:
    series = [{"metric": {}, "values": values}]
    return respond(json.dumps({"data": {"resultType": "matrix", "result": series}}).encode())


async def answered(answer: Answer) -> ResourceMeans:
    async with serving(answer) as script:
        settings = PrometheusSettings(url=script.url, token=TOKEN, timeout_seconds=0.5)  # type: ignore[arg-type]
        return await VMResources(settings).means("production", 7, until=UNTIL)


async def test_each_mean_stands_at_its_time_and_what_is_no_number_is_unknown() -> None:
    last = UNTIL // STEP_SECONDS * STEP_SECONDS
    times = [last - DAY_SECONDS + STEP_SECONDS, last - STEP_SECONDS, last]
    values = ["0.25", "NaN", "0.5"]
    found = await answered(
        matrix(*((time + STEP_SECONDS, text) for time, text in zip(times, values, strict=True)))
    )

    assert len(found.begins) == len(found.cpu_ratios) == DAY_SECONDS / STEP_SECONDS
    by_time = dict(zip(found.begins, found.cpu_ratios, strict=True))
    assert [by_time[int(time)] for time in times] == [0.25, None, 0.5]
    assert found.memory_ratios == found.cpu_ratios


@pytest.mark.parametrize("content", ["half a certificate", None])
async def test_ca_file_that_is_being_replaced_loses_no_answer(
    tmp_path: Path, content: str | None
) -> None:
    ca_file, _ = self_signed(tmp_path)
    async with serving(matrix(), matrix()) as script:
        queries = VMResources(PrometheusSettings(url=script.url, ca_file=ca_file))
        ca_file.unlink()
        if content is not None:
            ca_file.write_text(content)

        found = await queries.means("production", 7, until=UNTIL)

    assert len(found.begins) == DAY_SECONDS / STEP_SECONDS


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (respond(b'{"status": "error"}', 400), "returned 400 and no matrix"),
        (respond(b'{"data": {"result": [{"values": [["x", "1"]]}]}}'), "no matrix"),
        (respond(b"{}", 503), "returned 503"),
        (respond(b"{}", 401), "check the password or the token"),
        (truncated_body, ""),
        (reset_connection, ""),
    ],
)
async def test_what_is_no_answer_is_an_error_without_the_token(answer: Answer, text: str) -> None:
    with pytest.raises(PrometheusError) as raised:
        await answered(answer)

    assert text in str(raised.value)
    assert str(raised.value).startswith("http://127.0.0.1:")
    assert TOKEN not in str(raised.value)
