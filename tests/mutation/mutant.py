"""One change of the code or of an alert rule."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """A file after one change."""

    file: Path
    """Relative to the root of the checkout."""
    lines: range
    """What the change is in, before it."""
    before: str
    after: str
    text: str
    """The whole file after the change."""

    @property
    def key(self) -> str:
        return f"{self.file}: {self.before} → {self.after}"
