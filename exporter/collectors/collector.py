"""What a collector is: the tables of one subject, and the metric families made of them."""

from typing import NamedTuple

from exporter.exposition.collector import Family
from exporter.vergeos.tables import Table


class Collector(NamedTuple):
    """One subject. `registry.COLLECTORS` lists them all."""

    name: str
    """Its key under ``collectors`` in the settings."""
    tables: tuple[Table, ...]
    """The tables that are polled while it is on."""
    families: tuple[Family, ...]
    required: bool = False
    """Whether it cannot be switched off."""
