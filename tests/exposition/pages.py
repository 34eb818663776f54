"""The metric families that the sample has rows for, and pages of them."""

from collections.abc import Sequence

from exporter.collectors import registry
from exporter.exposition.formats import Format
from exporter.exposition.page import Page, PageBuilder
from exporter.exposition.renderer import Rendered
from exporter.exposition.view import REPORT
from exporter.model import IDENTITY

TABLES = {
    REPORT,
    IDENTITY,
    "vms",
    "machine_status",
    "machine_stats",
    "guests",
    "machine_nics",
    "machine_drives",
    "machine_drive_stats",
    "clusters",
    "nodes",
}
FAMILIES = tuple(family for family in registry.FAMILIES if family.group.tables <= TABLES)
"""The other collectors are tested by their fixtures in tests/collectors."""


def page_of(systems: Sequence[Rendered], form: Format) -> Page:
    """Return the page of *systems*."""
    return PageBuilder(FAMILIES).page(systems, form)
