"""The JSON document of ``GET /api/v1/doctor``: encoded by the daemon, decoded by the CLI."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from exporter.doctor.check import Check
from exporter.model import CheckResult, Finding, Level, SystemReport

DOCTOR_PATH = "/api/v1/doctor"


class DoctorQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Query of ``GET /api/v1/doctor``."""

    system: str | None = None
    """The name of one system; all by default."""


class Outcome(StrEnum):
    """What became of a check."""

    CRITICAL = "critical"
    WARNING = "warning"
    OK = "ok"
    SKIPPED = "skipped"


class CheckReport(msgspec.Struct, frozen=True, gc=False):
    """The result of one check, with what an operator needs to know about it."""

    check: str
    result: Outcome
    about: str
    """What must be so for it to pass."""
    summary: str
    """What is wrong when it has a finding."""
    findings: Sequence[Finding]
    """What it found, the worst first."""
    skipped: str
    """Why it was skipped; else empty."""
    remedy: str
    """What to do about a finding."""
    alert: str
    """The alert that its worst finding raises, or would raise; its runbook has the same name."""
    needs_admin: bool
    """Whether VergeOS shows its tables to administrators only, as far as that is known."""


class SystemExamination(msgspec.Struct, frozen=True, gc=False):
    """The results of one system."""

    system: str
    url: str
    """Without credentials."""
    result: Outcome
    """The worst result of its checks."""
    checks: Sequence[CheckReport]


class DoctorResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/doctor``."""

    systems: Sequence[SystemExamination]


def examination(report: SystemReport, checks: Iterable[Check]) -> SystemExamination:
    """Return the results in *report*, in the order of *checks*."""
    results = {one.check: one for one in report.doctor}
    reports = [_check_report(one, results[one.name]) for one in checks if one.name in results]
    worst = min((one.result for one in reports), key=list(Outcome).index, default=Outcome.SKIPPED)
    return SystemExamination(report.system_name, report.url, worst, reports)


def _check_report(check: Check, result: CheckResult) -> CheckReport:
    findings = sorted(result.findings, key=lambda one: (one.level != Level.CRITICAL, one.subject))
    worst = findings[0].level if findings else check.levels[0]
    outcome = Outcome.SKIPPED if result.skipped else Outcome.OK
    return CheckReport(
        check.name,
        Outcome(worst) if findings else outcome,
        check.about,
        check.summary,
        findings,
        result.skipped,
        check.remedy,
        check.alert_of(worst),
        check.needs_admin,
    )
