"""The line that ``systemctl status`` shows."""

import msgspec

from exporter.console.status_line import status_line
from exporter.model import SystemReport
from tests.alerting.samples import recovery
from tests.web.samples import refused, system, waiting


def recovering(report: SystemReport, mode: str, readiness: str) -> SystemReport:
    return msgspec.structs.replace(report, recovery=recovery(mode=mode, readiness=readiness))


def test_systems_alike_are_not_listed() -> None:
    reports = [recovering(system(name), "enforce", "active") for name in ("a", "b")]

    assert status_line(reports, "") == "2 of 2 systems up. Recovery: enforce, active."


def test_systems_that_differ_are_named_with_what_they_have_in_common() -> None:
    reports = [
        recovering(system("a"), "enforce", "warming_up"),
        recovering(waiting("b"), "shadow", "active"),
        *(refused(name) for name in "cdefg"),
    ]

    assert status_line(reports, "") == (
        "1 of 7 systems up; b: waiting for the first poll; "
        "c, d, e, 2 more: credentials refused. "
        "Recovery: a: enforce, warming up; b: shadow, active; c, d, e, 2 more: off."
    )


def test_line_ends_with_what_of_the_configuration_is_not_in_force() -> None:
    problem = "Restart to apply web.hosts."

    assert status_line([system()], problem) == f"1 of 1 system up. Recovery: off. {problem}"


def test_line_before_the_first_system_and_with_a_hostile_name_is_one_line() -> None:
    assert status_line([], "") == "0 of 0 systems up."
    assert "\n" not in status_line([waiting("x\nMAINPID=1")], "a\nb")
