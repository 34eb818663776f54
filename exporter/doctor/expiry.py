"""Checks of what expires: certificates and licenses."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from exporter.collectors.certificates import CERTIFICATES
from exporter.collectors.licenses import LICENSES
from exporter.doctor.check import Check
from exporter.formatting import counted
from exporter.model import Finding, Inventory, Level
from exporter.vergeos.rows import timestamp

DAY = 86_400
DAYS_AHEAD = 30
"""As in the vendor's doctor, which counts whole days."""


def _certificates(inventory: Inventory) -> Iterable[Finding]:
    rows: Any = inventory.sources[CERTIFICATES.name]
    return _worst(_certificates_found(rows.items(), inventory.taken_at.timestamp()))


def _certificates_found(rows: Iterable[tuple[int, Any]], now: float) -> Iterator[Finding]:
    for key, row in rows:
        name = row.domain or f"#{key}"
        expires = timestamp(row.expires)
        if row.valid is False:
            about = f", expiry {_date(expires)}" if expires is not None else ""
            yield Finding(Level.CRITICAL, name, f"not valid{about}")
        elif expires is not None and _is_soon(expires, now):
            yield Finding(Level.WARNING, name, _expires(expires, now))


def _licenses(inventory: Inventory) -> Iterable[Finding]:
    rows: Any = inventory.sources[LICENSES.name]
    return _worst(_licenses_found(rows.items(), inventory.taken_at.timestamp()))


def _licenses_found(rows: Iterable[tuple[int, Any]], now: float) -> Iterator[Finding]:
    for key, row in rows:
        name = row.name or f"#{key}"
        begins, ends = timestamp(row.valid_from), timestamp(row.valid_until)
        if begins is not None and now < begins:
            yield Finding(Level.CRITICAL, name, f"not valid before {_date(begins)}")
        elif ends is not None and now > ends:
            yield Finding(Level.CRITICAL, name, f"expired on {_date(ends)}")
        elif ends is not None and _is_soon(ends, now):
            yield Finding(Level.WARNING, name, _expires(ends, now))


def _is_soon(expires: float, now: float) -> bool:
    return (expires - now) // DAY <= DAYS_AHEAD


def _expires(expires: float, now: float) -> str:
    if expires <= now:
        return f"expired on {_date(expires)}"
    return f"expires on {_date(expires)}, in {counted(int((expires - now) // DAY), 'day')}"


def _date(moment: float) -> str:
    try:
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
    except (OverflowError, ValueError, OSError):  # no date of our calendar
        return f"{moment:g}"


def _worst(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Return the worst finding of each subject: two certificates may have one domain."""
    found: dict[str, Finding] = {}
    for one in findings:
        if one.subject not in found or one.level is Level.CRITICAL:
            found[one.subject] = one
    return found.values()


CHECKS = (
    Check(
        "certificates",
        f"Every certificate is valid, for more than {DAYS_AHEAD} days.",
        (CERTIFICATES.name,),
        _certificates,
        "Renew the certificate under System, Certificates.",
        "VergeCertificateExpiring",
        "A certificate of VergeOS expires soon, or is not valid.",
        levels=(Level.WARNING, Level.CRITICAL),
        depends_on_time=True,
    ),
    Check(
        "licenses",
        f"Every license is valid, for more than {DAYS_AHEAD} days.",
        (LICENSES.name,),
        _licenses,
        "Renew the license; without one, VergeOS starts no VMs.",
        "VergeLicenseExpiring",
        "A license of VergeOS expires soon, or is not valid.",
        levels=(Level.WARNING, Level.CRITICAL),
        wakes=True,
        depends_on_time=True,
    ),
)
