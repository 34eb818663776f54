"""The vendor's families of the system: names, labels and what is left out."""

from typing import Any

from exporter.collectors.inventory import join
from exporter.collectors.update_settings import UpdatePackageRow, UpdateSettingsRow
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import Identity
from exporter.vendor.system import FAMILIES
from tests.exposition.builders import AT, report

IDENTITY = Identity("north", "26.1.8", "5e1f0c")
ROWS: dict[str, Any] = {
    "update_settings": {1: UpdateSettingsRow(branch=4, source=2, branch_name='stable "26"')},
    "update_source_packages": {
        1: UpdatePackageRow(branch=3, source=2, version="27.0"),
        2: UpdatePackageRow(branch=4, source=2, version="26.2.1"),
    },
}


def samples(rows: dict[str, Any], identity: Identity | None = IDENTITY) -> list[str]:
    inventory = join(rows, system_name="north", identity=identity, taken_at=AT)
    rendered = Renderer(FAMILIES).render(inventory, report(system_name="north"))
    page = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    return [line for line in page.splitlines() if not line.startswith("#")]


def test_versions_and_branch_are_labels() -> None:
    assert samples(ROWS) == [
        'vergeos_system_version{system_name="north",version="26.1.8"} 1.0',
        (
            'vergeos_system_info{branch="stable \\"26\\"",current_version="26.1.8",hash="5e1f0c",'
            'latest_version="26.2.1",system_name="north"} 1.0'
        ),
        'vergeos_system_branch{branch="stable \\"26\\"",system_name="north"} 1.0',
        'vergeos_system_version_latest{system_name="north",version="26.2.1"} 1.0',
    ]


def test_what_is_unknown_is_an_empty_label_or_no_sample() -> None:
    assert samples({}) == [
        'vergeos_system_version{system_name="north",version="26.1.8"} 1.0',
        (
            'vergeos_system_info{branch="",current_version="26.1.8",hash="5e1f0c",'
            'latest_version="",system_name="north"} 1.0'
        ),
    ]
    assert samples(ROWS, identity=None) == []
