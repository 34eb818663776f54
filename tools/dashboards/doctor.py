"""What the doctor finds: the findings, and the results of every check over time."""

from exporter.doctor.registry import CHECKS
from exporter.model import Level
from tools.alert_rules.expressions import ON_SYSTEM
from tools.alert_rules.thresholds import DOCS
from tools.dashboards.page import Page, Panel, Panels, alerts, recovery_actions, systems
from tools.dashboards.panels import RATIO, Column, graph, number, table, texts, timeline
from tools.dashboards.queries import EVERY_SYSTEM, every, largest, or_zero

CHECK = "system_name, check"
FINDING = f"{CHECK}, subject"
FINDINGS = every("doctor_finding")
CHECKED = every("doctor_check")
ABOUT = {"title": "Read about the check", "url": f"{DOCS}/doctor.md#${{__value.raw}}"}
LEVELS = texts({"critical": ("critical", "red"), "warning": ("warning", "orange")})


def page() -> Page:
    """Return the dashboard of the doctor."""
    return Page(
        "vergewatch-doctor",
        "Doctor",
        "What the doctor finds in each system. The values that show it: vergewatch doctor.",
        variables=[systems()],
        annotations=[recovery_actions(EVERY_SYSTEM), alerts(EVERY_SYSTEM)],
        sections={
            "": {**_numbers(), "Findings": _findings()},
            "Checks": {"Results of the checks": _results(), "Findings by check": _by_check()},
        },
    )


def _numbers() -> Panels:
    made = f"count({largest(CHECK, CHECKED)})"
    all_checks = f"{len(CHECKS)} * count({largest('system_name', every('up'))})"
    return {
        "Critical": number(
            "Objects with a critical finding.",
            or_zero(f"count({largest(FINDING, _of(Level.CRITICAL))})"),
            width=6,
            steps=[(1, "red")],
        ),
        "Warnings": number(
            "Objects with a finding that is a warning.",
            or_zero(f"count({largest(FINDING, _of(Level.WARNING))})"),
            width=6,
            steps=[(1, "orange")],
        ),
        "Checks without a finding": number(
            "Checks that were made and found nothing, of every system.",
            or_zero(f"count({largest(CHECK, CHECKED)} == 0)"),
            width=6,
            base="blue",
        ),
        "Skipped checks": number(
            "Checks that could not be made, of every system. VergeOS does not show every table to "
            "every user; vergewatch doctor prints the reason of each.",
            f"{all_checks} - ({made} or vector(0))",
            width=6,
            base="text",
        ),
    }


def _of(level: Level) -> str:
    return every("doctor_finding", f'level="{level}"')


def _findings() -> Panel:
    with_level = f"{FINDING}, level"
    found = largest(with_level, f"count_over_time({FINDINGS}[$__range])")
    scrapes = largest("system_name", f"count_over_time({every('up')}[$__range])")
    share = f"{found} / {ON_SYSTEM} group_left () {scrapes}"
    return table(
        "What the checks find now, and in which share of this range they found it. Click a check "
        "to read what it means and what to do.",
        [
            Column("Check", "check", 170, link=ABOUT),
            Column("Object", "subject"),
            Column("Level", "level", 100, texts=LEVELS),
            Column("System", "system_name", 160),
            Column(
                "In this range",
                expr=f"{share} and {largest(with_level, FINDINGS)}",
                gauge=True,
                unit=RATIO,
                decimals=0,
                base="orange",
            ),
        ],
        height=10,
        paged=True,
        empty="no findings",
    )


def _results() -> Panel:
    warnings, critical = (
        every("doctor_check", f'level="{level}"') for level in (Level.WARNING, Level.CRITICAL)
    )
    return timeline(
        "The result of each check over time. A gap: the check was skipped.",
        {"{{system_name}} {{check}}": largest(CHECK, f"{warnings} or 2 * {critical}")},
        height=14,
        texts=texts(
            {
                "0": ("Nothing found", "green"),
                "1": ("Warning", "orange"),
                "2": ("Critical", "red"),
            }
        ),
        empty="the doctor is off",
    )


def _by_check() -> Panel:
    return graph(
        "The number of objects with a finding, by check.",
        {"{{check}}": f"count by (check) ({largest(FINDING, FINDINGS)})"},
        width=24,
        stacked=True,
        decimals=0,
        empty="no findings in this range",
    )
