"""The results of the doctor's checks, which need no table of their own."""

from exporter.collectors.collector import Collector
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import DOCTOR, Items, RenderView, escape
from exporter.model import CheckResult, Level


def checks(view: RenderView) -> Items:
    """Return each check that was not skipped, once for each level."""
    results = [result for result in view.report.doctor if not result.skipped]
    return Items(
        [(view.system, result.check, level) for result in results for level in Level],
        [_has(result, level) for result in results for level in Level],
    )


def _has(result: CheckResult, level: Level) -> bool:
    return any(finding.level is level for finding in result.findings)


def findings(view: RenderView) -> Items:
    """Return what the checks found."""
    found = [(one.check, finding) for one in view.report.doctor for finding in one.findings]
    return Items(
        [(view.system, check, escape(one.subject), one.level) for check, one in found],
        [one for _, one in found],
    )


CHECK = group("check", "system_name check level", DOCTOR, checks)
FINDING = group("finding", "system_name check subject level", DOCTOR, findings)

FAMILIES = (
    gauge("doctor_check", CHECK, "",
          "1 if this check of the doctor found something of this level, 0 if not; absent if the "
          "check was skipped", each(float)),
    gauge("doctor_finding", FINDING, "",
          "1 for each object with which this check of the doctor found something wrong",
          each(lambda _: 1.0)),
)  # fmt: skip

COLLECTOR = Collector("doctor", (), FAMILIES)
