"""The dashboards and rules in the repository."""

import json
from pathlib import Path

from tools.preview.dashboard import Dashboard

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
RULES = sorted((ROOT / "alerts").glob("*.rules.yml"))


def shipped() -> dict[str, Dashboard]:
    """Return every dashboard by the name of its file."""
    return {
        path.name: Dashboard(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.json"))
    }
