"""Platforms whose clocks do not agree, or were set."""

from collections.abc import Callable
from typing import Any

import msgspec

from exporter.vergeos.transport import Answer
from tests.recovery.harness import Harness

Rows = list[dict[str, Any]]
MICRO = 1_000_000


def status_ahead(harness: Harness, seconds: float) -> None:
    """Have nodes, which stamp the status rows, by *seconds* ahead of who stamps the log."""
    retell(harness, "/machine_status", lambda rows, _: stamped(rows, lambda at: at + seconds))


def set_back(harness: Harness, *, seconds: float) -> None:
    """Set the clock of the whole platform back now; what was stamped before keeps its stamp."""
    since = harness.world.now

    def shown(at: float) -> float:
        return at - seconds if at > since else at

    def log(rows: Rows, _: object) -> Rows:
        for row in rows:
            row["timestamp"] = int(shown(row["timestamp"] / MICRO) * MICRO)
        return rows

    retell(harness, "/machine_status", lambda rows, _: stamped(rows, shown))
    retell(harness, "/machine_logs", log)
    retell(harness, "/logs", log)


def stamped(rows: Rows, shown: Callable[[float], float]) -> Rows:
    for row in rows:
        for name in ("last_update", "started"):
            if row.get(name):
                row[name] = int(shown(row[name]))
    return rows


def retell(harness: Harness, path_end: str, tell: Callable[[Rows, dict[str, str]], Rows]) -> None:
    """Change what the platform answers to a client that reads a table."""
    exchange = harness.line._exchange

    def retold(method: str, path: str, query: Any, body: Any) -> Answer:
        answer = exchange(method, path, query, body)
        if method != "GET" or not path.endswith(path_end):
            return answer
        rows = tell(msgspec.json.decode(answer.body), dict(query))
        return answer._replace(body=msgspec.json.encode(rows))

    harness.line._exchange = retold  # type: ignore[method-assign]
