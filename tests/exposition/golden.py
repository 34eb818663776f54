"""
The golden files: the pages of the sample, byte for byte.

``python -m tests.exposition.golden`` writes them again; review the difference before committing it.
"""

from pathlib import Path

from exporter.exposition.formats import Format
from tests.exposition.sample import page

FOLDER = Path(__file__).parent.parent / "golden"
FILES = {
    Format.CLASSIC: (FOLDER / "systems.prom", b""),
    Format.OPENMETRICS: (FOLDER / "systems.openmetrics", b"# EOF\n"),
}
"""By format, the file of its page, and the end mark of the page."""

if __name__ == "__main__":
    for form, (path, end) in FILES.items():
        path.write_bytes(page(form).plain(end).read())
