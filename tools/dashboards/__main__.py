"""Write the dashboards into a directory: `python -m tools.dashboards DIRECTORY`."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tools.dashboards import (
    doctor,
    exporter,
    networks,
    nodes,
    protection,
    recovery,
    storage,
    systems,
    tenants,
    vm,
)


def files() -> Mapping[str, str]:
    """Return the text of each dashboard by the name of its file."""
    pages = (
        systems.page(),
        vm.page(),
        nodes.page(),
        storage.page(),
        networks.page(),
        tenants.page(),
        protection.page(),
        recovery.page(),
        doctor.page(),
        exporter.page(),
    )
    return {f"{page.uid.removeprefix('vergewatch-')}.json": page.json() for page in pages}


if __name__ == "__main__":
    for name, text in files().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
