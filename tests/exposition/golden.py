"""
The golden files: what the pages of the sample look like, byte for byte.

``python -m tests.exposition.golden`` writes them anew; look at the difference before you keep it.
"""

from pathlib import Path

from exporter.exposition.formats import Format
from tests.exposition.sample import page

FOLDER = Path(__file__).parent.parent / "golden"
FILES = {
    Format.CLASSIC: (FOLDER / "fleet.prom", b""),
    Format.OPENMETRICS: (FOLDER / "fleet.openmetrics", b"# EOF\n"),
}
"""For each format, where its page is kept, and what ends it."""

if __name__ == "__main__":
    for form, (path, end) in FILES.items():
        path.write_bytes(page(form).plain(end))
