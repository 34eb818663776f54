"""What the log templates of one system mean, and what is still missing before one is learned."""

from collections.abc import Mapping

from exporter.formatting import counted, lasting
from exporter.recovery.detect.experience import (
    LEARNING_SECONDS,
    TIMES_NEEDED,
    Experience,
    is_learned,
)
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.model.commands import Command
from exporter.recovery.model.log_templates import RowSource, TemplateHistory
from exporter.recovery.model.views import (
    KnownPattern,
    SystemPatterns,
    TaughtTemplate,
    TemplateStatus,
)
from exporter.recovery.report.teaching import teach_command

SOURCES: Mapping[RowSource, str] = {
    RowSource.SYSTEM: "by VergeOS",
    RowSource.PERSON: "by users",
    RowSource.MANY: "by users, about no single object",
}


def system_patterns(
    system: str, classifier: LogClassifier, taught: Mapping[str, Command], experience: Experience
) -> SystemPatterns:
    """Return what is known, taught, learned and unknown in a system."""
    histories = [one for key, one in experience.templates.items() if key not in taught]
    statuses = [template_status(one) for one in histories]
    return SystemPatterns(
        system=system,
        known=[KnownPattern(one.pattern, one.means.value) for one in classifier.patterns],
        taught=[
            TaughtTemplate(one.template or "", one.means or "", one.owner, one.reason, one.time)
            for one in taught.values()
        ],
        learned=sorted(
            (one for one in statuses if one.learned),
            key=lambda one: (-sum(one.sightings.values()), one.template),
        ),
        unknown=sorted(
            (one for one in statuses if not one.learned),
            key=lambda one: (-one.blocked, -sum(one.sightings.values()), one.template),
        ),
    )


def template_status(history: TemplateHistory) -> TemplateStatus:
    """Return the status of one template."""
    return TemplateStatus(
        template=history.template,
        example=history.example,
        sightings={str(source): seen.times for source, seen in history.sightings.items()},
        learned=tuple(str(source) for source in RowSource if is_learned(history, source)),
        missing=_missing(history),
        marks=history.marks,
        last_mark=history.last_mark,
        blocked=history.blocked,
        command=teach_command(history.template),
    )


def _missing(history: TemplateHistory) -> str:
    if history.marks:
        return (
            f"{counted(history.marks, 'VM')} went down shortly after such a row and had not crashed"
        )
    parts = []
    for source, seen in history.sightings.items():
        if is_learned(history, source):
            continue
        times = max(0, TIMES_NEEDED[source] - seen.times)
        seconds = max(0.0, LEARNING_SECONDS - seen.seconds)
        needs = [counted(times, "more row")] if times else []
        needs += [f"{lasting(seconds)} more"] if seconds else []
        parts.append(f"{' and '.join(needs)} {SOURCES[source]}")
    return "; ".join(parts) or (
        "" if history.sightings else "it was not seen on a VM that stayed up"
    )
