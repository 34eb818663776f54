"""
Certificates of VergeOS: whether they are valid, and until when.

Neither the certificates themselves nor their keys are asked for.
"""

from operator import attrgetter

from exporter.collectors.collector import Collector
from exporter.exposition.collector import at, gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Name, Row, Whole
from exporter.vergeos.tables import Importance, Pace, Table


class CertificateRow(Row, gc=False):
    """A row of ``certificates``."""

    domain: Name | None = None
    type: Name | None = None
    key_type: Name | None = None
    valid: bool | None = None
    expires: Whole | float | None = None


CERTIFICATES = Table(
    "certificates", "certificates", Pace.HOURLY, CertificateRow, may_be_hidden=True,
    importance=Importance.LOW,
)  # fmt: skip


def certificates(view: RenderView) -> Items:
    """Return each certificate; several may be for one domain."""
    return view.keyed(view.rows(CERTIFICATES.name), attrgetter("domain"))


CERTIFICATE = group(
    "certificate", "system_name certificate_id domain", CERTIFICATES.name, certificates
)

FAMILIES = (
    info("certificate_info", CERTIFICATE, "certificates.type",
         "Type of the certificate and of its key",
         {"type": or_unknown("type"), "key_type": or_unknown("key_type")}),
    gauge("certificate_valid", CERTIFICATE, "certificates.valid",
          "1 if VergeOS calls the certificate valid", "valid"),
    gauge("certificate_expiry_timestamp_seconds", CERTIFICATE, "certificates.expires",
          "When the certificate expires", at("expires")),
)  # fmt: skip

COLLECTOR = Collector("certificates", (CERTIFICATES,), FAMILIES)
