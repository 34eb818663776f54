"""Why rows of a table are not there: a page says so, and never shows a zero instead."""

from exporter.model import Inventory, SystemReport


def absence(inventory: Inventory | None, report: SystemReport, table: str) -> str:
    """Return why there are no rows of *table*; empty if there are some."""
    if inventory is not None and inventory.sources.get(table):
        return ""
    polled = next((one for one in report.tables if one.table == table), None)
    if polled is None:
        return f"{table} is not polled: its collector is off"
    if polled.error:
        return f"{table} cannot be read: {polled.error}"
    if polled.success is None:
        return f"{table} was not read yet"
    if inventory is None or table not in inventory.sources:
        return f"{table} is out of date"
    return f"{table} has no rows, or VergeOS shows none to this user"
