"""Who had a VM started that came up, as far as VergeOS' logs show it."""

from collections.abc import Iterable

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.detect.templates import template
from exporter.recovery.model.cases import Case
from exporter.recovery.model.platform_log import LogRow


def started_by(
    case: Case, rows: Iterable[LogRow], users: LogUsers, classifier: LogClassifier
) -> str:
    """
    Return the person whose start request is the newest one in *rows*; empty if none is known.

    Args:
        case: The VM as it was while it was down.
        rows: The rows about it.

    """
    last_up = case.log_up
    if last_up is None or (case.attempts and not users.own):  # it may have been a start of ours
        return ""
    newest: LogRow | None = None
    for row in rows:
        if last_up.includes(row) or (newest is not None and row.at < newest.at):
            continue
        names = {case.name, *case.former_names, row.user}
        meaning = classifier.meaning(template(row.text, names))
        # What VergeOS writes of a start is also the effect of a request.
        requests = meaning is Meaning.START and not users.is_system(row.user)
        if requests or meaning is Meaning.PLATFORM:
            newest = row
    if newest is None or users.is_system(newest.user) or users.is_own(newest.user):
        return ""
    return newest.user
