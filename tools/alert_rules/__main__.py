"""Write the rules and update the runbooks: `python -m tools.alert_rules --help`."""

import argparse
from pathlib import Path

from exporter.alerting.definitions import Links
from tools.alert_rules.files import LINKS, rule_files
from tools.alert_rules.runbooks import runbooks


def main() -> None:
    """Write every file that is generated from the rules, or the rules of a site."""
    parser = argparse.ArgumentParser(prog="python -m tools.alert_rules", description=__doc__)
    parser.add_argument(
        "directory",
        type=Path,
        help="the repository, whose rules and runbooks are updated; with --runbooks or "
        "--dashboards, where to write the folder alerts/ with the rules of your site",
    )
    parser.add_argument(
        "--runbooks", metavar="URL", help="base URL of the runbooks, like alertmanager.runbooks"
    )
    parser.add_argument(
        "--dashboards", metavar="URL", help="base URL of Grafana, like alertmanager.dashboards"
    )
    chosen = parser.parse_args()
    links = Links(chosen.runbooks or LINKS.runbooks, chosen.dashboards or LINKS.dashboards)
    of_site = links != LINKS
    files = rule_files(links) if of_site else {**rule_files(), **runbooks(chosen.directory)}
    for name, text in files.items():
        path = chosen.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
