"""Licenses of VergeOS: from when until when they are valid."""

from operator import attrgetter

from exporter.collectors.collector import Collector
from exporter.exposition.collector import at, gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Name, Row, Whole
from exporter.vergeos.tables import Importance, Pace, Table


class LicenseRow(Row, gc=False):
    """A row of ``licenses``."""

    name: Name | None = None
    auto_renewal: bool | None = None
    valid_from: Whole | float | None = None
    valid_until: Whole | float | None = None


LICENSES = Table(
    "licenses", "licenses", Pace.HOURLY, LicenseRow, may_be_hidden=True,
    importance=Importance.LOW,
)  # fmt: skip


def licenses(view: RenderView) -> Items:
    """Return each license; several may have one name."""
    return view.keyed(view.rows(LICENSES.name), attrgetter("name"))


LICENSE = group("license", "system_name license_id license_name", LICENSES.name, licenses)

FAMILIES = (
    gauge("license_start_timestamp_seconds", LICENSE, "licenses.valid_from",
          "When the license becomes valid", at("valid_from")),
    gauge("license_expiry_timestamp_seconds", LICENSE, "licenses.valid_until",
          "When the license expires; absent if it does not", at("valid_until")),
    gauge("license_auto_renewal", LICENSE, "licenses.auto_renewal",
          "1 if VergeOS renews the license by itself", "auto_renewal"),
)  # fmt: skip

COLLECTOR = Collector("licenses", (LICENSES,), FAMILIES)
