"""The check that VergeOS answers."""

from collections.abc import Iterator

from exporter.doctor.check import Check, finds_nothing
from exporter.model import Finding, Level, SystemReport


def _connectivity(report: SystemReport) -> Iterator[Finding]:
    if not report.up:
        yield Finding(Level.CRITICAL, report.system_name, _reason(report))


def _reason(report: SystemReport) -> str:
    if not report.authenticated:
        return "VergeOS refuses the API key or password"
    if report.throttled:
        return report.throttled
    errors = [table.error for table in report.tables if table.error]
    if errors:
        return errors[0]
    if all(table.success is None for table in report.tables):
        return "it was not read yet"
    return "there is no recent answer" if report.named else "its name was not read yet"


CHECKS = (
    Check(
        "connectivity",
        "VergeOS answers, and the data of its VMs is recent.",
        (),
        finds_nothing,
        "Run `vergewatch check`, which connects once and says what fails.",
        "VergeSystemDataStale",
        "There is no recent data of a system.",
        (Level.CRITICAL,),
        examine_polling=_connectivity,
    ),
)
