"""What log templates mean, as settings."""

import json

from exporter.cli.recovery_output import seen_text
from exporter.recovery.model.views import SystemPatterns
from exporter.recovery.report.responses import PatternsResponse

ESCAPED = str.maketrans({char: f"\\{char}" for char in "\\.+*?()|[]{}^$"})
"""What RE2 does not take literally."""


def only_unknown(answer: PatternsResponse) -> PatternsResponse:
    """Return *answer* with the unknown templates alone."""
    return PatternsResponse(
        [
            SystemPatterns(system=one.system, known=(), taught=(), learned=(), unknown=one.unknown)
            for one in answer.systems
        ]
    )


def as_yaml(answer: PatternsResponse) -> str:
    """Return what is taught and learned as the setting ``recovery.log_patterns``."""
    lines = ["recovery:", "  log_patterns:"]
    for system in answer.systems:
        taught = [(one.template, one.means, f"taught by {one.owner}") for one in system.taught]
        learned = [
            (one.template, "harmless", f"learned: {seen_text(one)}") for one in system.learned
        ]
        for template, means, why in (*taught, *learned):
            # A JSON string is a YAML string too.
            pattern = json.dumps(template.translate(ESCAPED), ensure_ascii=False)
            comment = f"{system.system}: {why}".replace("\n", " ")
            lines.append(f"    - {{pattern: {pattern}, means: {means}}}  # {comment}")
    if len(lines) == 2:  # noqa: PLR2004 - the two headings
        lines[-1] += " []"
    return "\n".join(lines) + "\n"
