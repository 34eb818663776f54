"""Queries count every event, the first one of a counter included; promtool evaluates them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.debian import needs
from tools.dashboards.queries import in_range, per_step

COUNTER = "vergewatch_recovery_actions_total"

STARTS_AT_ONE = "_ _ _ _ _ _ 1 1 1 2 2"
"""The first event of the counter at minute 6, the second at minute 9."""
EXISTS_BEFORE = "7 7 7 7 8 8 8 8 8 9 9"
SCRAPED_LATE = "_ _ _ _ _ _ 7 7 7 8 8"
"""The counter is older than its first scrape."""
RESTARTED = "7 7 7 8 0 0 1 1 1 1 1"


@pytest.mark.parametrize(
    ("values", "counted"),
    [(STARTS_AT_ONE, 2), (EXISTS_BEFORE, 2), (SCRAPED_LATE, 1), (RESTARTED, 2)],
)
def test_events_are_counted_in_a_range(tmp_path: Path, values: str, counted: int) -> None:
    query = f"round(sum({in_range(COUNTER)}))".replace("$__range", "9m30s")

    _evaluate(tmp_path, values, query, {"10m": counted})


@pytest.mark.parametrize(
    ("values", "counted"),
    [
        (STARTS_AT_ONE, {"6m": 1, "7m": 0, "9m": 1, "10m": 0}),
        (EXISTS_BEFORE, {"3m": 0, "4m": 1, "5m": 0, "9m": 1}),
        (SCRAPED_LATE, {"6m": 0, "7m": 0, "9m": 1}),
        (RESTARTED, {"3m": 1, "4m": 0, "6m": 1}),
    ],
)
def test_events_are_counted_in_each_step(
    tmp_path: Path, values: str, counted: dict[str, int]
) -> None:
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
    finished = subprocess.run(
        [needs("promtool"), "test", "rules", str(test)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
