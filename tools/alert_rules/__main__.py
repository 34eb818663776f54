"""Write the rules and update the runbooks: `python -m tools.alert_rules DIRECTORY`."""

import sys
from pathlib import Path

from tools.alert_rules.files import rule_files
from tools.alert_rules.runbooks import runbooks


def main() -> None:
    """Write every file that is generated from the rules."""
    directory = Path(sys.argv[1])
    for name, text in {**rule_files(), **runbooks(directory)}.items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
