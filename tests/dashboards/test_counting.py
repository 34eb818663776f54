"""Events are counted as they happened, the first one included; promtool evaluates the queries."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.debian import needs
from tools.dashboards.queries import in_range, per_step

COUNTER = "vergewatch_recovery_actions_total"

BORN_WITH_ONE = "_ _ _ _ _ _ 1 1 1 2 2"
"""Nothing until minute 6, then the counter's first event, and at minute 9 the second."""
LONG_THERE = "7 7 7 7 8 8 8 8 8 9 9"
SEEN_LATE = "_ _ _ _ _ _ 7 7 7 8 8"
"""Counting for long before Prometheus first looked."""
RESTARTED = "7 7 7 8 0 0 1 1 1 1 1"


@pytest.mark.parametrize(
    ("values", "counted"),
    [(BORN_WITH_ONE, 2), (LONG_THERE, 2), (SEEN_LATE, 1), (RESTARTED, 2)],
)
def test_events_in_a_range(tmp_path: Path, values: str, counted: int) -> None:
    query = f"round(sum({in_range(COUNTER)}))".replace("$__range", "9m30s")

    _evaluate(tmp_path, values, query, {"10m": counted})


@pytest.mark.parametrize(
    ("values", "counted"),
    [
        (BORN_WITH_ONE, {"6m": 1, "7m": 0, "9m": 1, "10m": 0}),
        (LONG_THERE, {"3m": 0, "4m": 1, "5m": 0, "9m": 1}),
        (SEEN_LATE, {"6m": 0, "7m": 0, "9m": 1}),
        (RESTARTED, {"3m": 1, "4m": 0, "6m": 1}),
    ],
)
def test_events_in_each_step(tmp_path: Path, values: str, counted: dict[str, int]) -> None:
    query = f"sum({per_step(COUNTER)})".replace("$__interval", "1m")

    _evaluate(tmp_path, values, query, counted)


def _evaluate(folder: Path, values: str, query: str, expected: dict[str, int]) -> None:
    test = folder / "test.yml"
    test.write_text(
        json.dumps(
            {
                "evaluation_interval": "1m",
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": [{"series": COUNTER, "values": values}],
                        "promql_expr_test": [
                            {
                                "expr": query,
                                "eval_time": at,
                                "exp_samples": [{"labels": "{}", "value": value}],
                            }
                            for at, value in expected.items()
                        ],
                    }
                ],
            }
        ),
        encoding="utf-8",
    )
    told = subprocess.run(
        [needs("promtool"), "test", "rules", str(test)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
