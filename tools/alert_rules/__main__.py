"""Write the rules and runbooks into a checkout: `python -m tools.alert_rules DIRECTORY`."""

import sys
from pathlib import Path

from tools.alert_rules.files import files


def main() -> None:
    """Write every file that is generated from the rules."""
    directory = Path(sys.argv[1])
    for name, text in files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
