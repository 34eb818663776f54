"""A backtest from the metrics of a Prometheus, which has no log rows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.backtest.compare import Backtest, Difference, compare
from exporter.backtest.prometheus import (
    INFO,
    MAINTENANCE,
    NODE_INFO,
    NODE_STATUS,
    STATE,
    STATUS,
    MetricsHistory,
)
from exporter.backtest.replay import Replay
from exporter.backtest.text import backtest_text
from exporter.cli.prometheus_source import read_metrics
from exporter.errors import ConfigError
from exporter.recovery.recovery_config import RecoveryConfig
from tests.backtest.test_command import run, settings
from tests.backtest.test_differences import SLOW
from tests.fakes import START
from tests.recovery.harness import ENFORCE, at_once

STEP = 20.0
BEGIN = START.timestamp()
DOWN = 60
"""The sample at which the first VM is down."""
STATES = {
    "crashed": [("suspect", ""), ("suspect", ""), ("verifying", "crashed"), ("probation", "")],
    "stopped_by_person": [("suspect", ""), ("suspect", ""), ("stopped", "stopped_by_person")],
    "": [("suspect", ""), ("suspect", ""), ("unknown", "logs_unclear")],
}


def samples(cause: str, number: int) -> dict[str, list[dict[str, str]]]:
    """Return the labels of each metric at a sample: of two VMs, the first goes down for *cause*."""
    since = number - DOWN
    states = STATES[cause]
    is_down = 0 <= since < (3 if cause == "crashed" else 30)
    state = states[min(since, len(states) - 1)] if 0 <= since < 40 else ("healthy", "")
    found: dict[str, list[dict[str, str]]] = {name: [] for name in (STATUS, INFO, STATE)}
    for key, down in (("1", is_down), ("2", False)):
        vm = {"system_name": "north", "vm_id": key, "vm_name": f"web-{key}"}
        of_vm = state if key == "1" else ("healthy", "")
        found[STATUS].append({**vm, "status": "stopped" if down else "running"})
        found[INFO].append(
            {**vm, "uuid": f"u{key}", "cluster_name": "c1", "node_name": "" if down else "node1"}
        )
        found[STATE].append({**vm, "policy": "on-failure", "state": of_vm[0], "cause": of_vm[1]})
    node = {"system_name": "north", "node_name": "node1"}
    found[NODE_INFO] = [{**node, "cluster_name": "c1"}]
    found[NODE_STATUS] = [{**node, "status": "running"}]
    found[MAINTENANCE] = [node]
    return found


def series(cause: str, metric: str, times: Sequence[float]) -> list[tuple[dict[str, str], Any]]:
    value = "0" if metric == MAINTENANCE else "1"
    return [
        (labels, [(at, value)])
        for at in times
        for labels in samples(cause, round((at - BEGIN) / STEP))[metric]
    ]


def backtested(cause: str, config: RecoveryConfig) -> Backtest:
    history = MetricsHistory("north", STEP)
    for first in (0, 100):  # in two chunks
        times = [BEGIN + STEP * number for number in range(first, first + 100)]
        metrics = (STATUS, INFO, STATE, NODE_INFO, NODE_STATUS, MAINTENANCE)
        history.add(times, {name: series(cause, name, times) for name in metrics})
    found = history.history()
    return compare(
        found,
        at_once(Replay(found, config).run()),
        config.classifier,
        START,
        causes_unknown=history.causes_unknown,
        tolerance_seconds=2 * STEP,
    )


def test_a_migration_is_no_downtime() -> None:
    history = MetricsHistory("north", STEP)
    times = [BEGIN + STEP * number for number in range(DOWN)]
    found = {name: series("crashed", name, times) for name in (STATUS, INFO, STATE)}
    for labels, ((at, _),) in found[STATUS]:
        if at == times[DOWN // 2]:
            labels["status"] = "migrating"

    history.add(times, found)

    assert history.history().rows == []
    assert history.causes_unknown == 0


def test_a_known_crash_is_acted_on_as_it_was() -> None:
    result = backtested("crashed", ENFORCE)

    assert [(one.vm, one.difference) for one in result.actions] == [("web-1", Difference.SAME)]
    assert result.causes_unknown == 0


def test_a_longer_confirmation_is_later() -> None:
    result = backtested("crashed", SLOW)

    assert [one.difference for one in result.actions] == [Difference.LATER]
    assert result.minutes_lost > 1


def test_a_known_stop_is_not_acted_on() -> None:
    result = backtested("stopped_by_person", ENFORCE)

    assert result.actions == []
    assert result.causes_unknown == 0


def test_a_downtime_without_a_cause_is_counted_apart() -> None:
    result = backtested("", ENFORCE)

    assert result.actions == []
    assert result.causes_unknown == 1
    text = list(backtest_text(result, most=10))
    assert any(line.startswith("cause not recorded: 1 downtime.") for line in text)


@contextmanager
def answering(body: bytes | None = None) -> Iterator[str]:
    """Serve the samples of a crash like Prometheus, or always *body*."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path.endswith("/values"):
                data: Any = ["north"]
            else:
                metric, _, rest = query["query"].partition("{")
                assert rest == 'system_name="north"}'
                times = range(int(query["start"]), int(query["end"]) + 1, int(query["step"]))
                known = [at for at in times if 0 <= at - BEGIN < 200 * STEP]
                found = series("crashed", metric, known)
                result = [{"metric": labels, "values": values} for labels, values in found]
                data = {"resultType": "matrix", "result": result}
            answer = body or json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_reads_samples_over_http(tmp_path: Path) -> None:
    file = settings(tmp_path, "recovery: {mode: enforce}")
    until = (START.replace(hour=2)).isoformat()

    with answering() as url:
        options = ("--since", START.isoformat(), "--until", until, "--json")
        result = run("--from", url, "--config", file, *options)

    assert result.exit_code == 0, result.exception
    document = json.loads(result.output)
    assert document["counts"]["same"] == 1
    assert document["causes_recorded"] is False


def test_a_system_of_the_settings_file_is_found_by_its_name(tmp_path: Path) -> None:
    file = settings(
        tmp_path,
        "systems: [{name: north, url: 'https://north.example'}]\nrecovery: {mode: enforce}",
    )
    until = (START.replace(hour=2)).isoformat()

    with answering() as url:
        options = ("--since", START.isoformat(), "--until", until, "--system", "north")
        result = run("--from", url, "--config", file, *options)

    assert result.exit_code == 0, result.exception


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", "without JSON of Prometheus"),
        (b'{"status": "error", "error": "too old"}', "too old"),
        (b'{"status": "success", "data": []}', "has no system"),
    ],
)
async def test_another_answer_is_one_error(body: bytes, problem: str, tmp_path: Path) -> None:
    with answering(body) as url:
        result = run("--from", url, "--config", settings(tmp_path, "recovery: {}"))

    assert isinstance(result.exception, ConfigError)
    assert problem in str(result.exception)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://anna:secret@127.0.0.1:1", "--from takes a URL without a user name and password"),
        ("http://", "--from: 'http://' is not a URL such as http://prometheus:9090"),
        ("http://p:99999", "--from: 'http://p:99999' is not a URL"),
        ("http://[::1", "--from: 'http://[::1' is not a URL"),
        ("http://p/api/v1", "--from: 'http://p/api/v1' ends in /api/v1; remove it"),
    ],
)
async def test_another_url_is_one_error_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        await read_metrics(url, lambda names: names[0], START, START)

    assert problem in str(error.value)
    assert "secret" not in str(error.value)


async def test_a_prometheus_that_does_not_answer_is_one_error() -> None:
    with pytest.raises(ConfigError, match="cannot be read: cannot connect to 127"):
        await read_metrics("http://127.0.0.1:1", lambda names: names[0], START, START)
