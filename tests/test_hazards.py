"""The hazard analysis names guards, tests and alerts that exist."""

import re
from pathlib import Path

from exporter.recovery.model.cases import Cause
from exporter.recovery.model.decision import GuardName
from tools.alert_rules.groups import ALERTS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/hazards.md").read_text()
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.count("|") == 6]
OTHER_GUARDS = {"platform", "stopped", "unknown", "indeterminate"}
"""Words in the column of guards that are a diagnosis or a state."""


def test_every_named_test_exists() -> None:
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert named
    assert named - set(re.findall(r"def (test_\w+)\(", text)) == set()


def test_every_named_guard_exists() -> None:
    column = [row[2] for row in ROWS]
    named = {word for cell in column for word in re.findall(r"`([a-z_]+)`", cell)}

    assert named - OTHER_GUARDS - set(GuardName) - set(Cause) == set()


def test_every_named_alert_exists() -> None:
    named = set(re.findall(r"\bVerge[A-Z]\w+", PAGE)) - {"VergeOS"}

    assert named <= {alert.name for alert in ALERTS}


def test_every_hazard_has_a_guard_a_test_and_what_remains() -> None:
    hazards = [row for row in ROWS if not set("".join(row)) <= set("- |")]

    assert hazards
    for row in hazards[1:]:
        assert all(cell.strip() for cell in row[1:]), row
