"""Write the dashboards into a directory: `python -m tools.dashboards DIRECTORY`."""

import sys
from pathlib import Path

from tools.dashboards.build import files


def main() -> None:
    """Write every dashboard as a file."""
    directory = Path(sys.argv[1])
    for name, text in files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
