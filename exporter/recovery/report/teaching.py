"""How an operator teaches what the log row means that a diagnosis rests on."""

from exporter.formatting import counted
from exporter.recovery.model.cases import Cause, Diagnosis

SHELL_SPECIAL = frozenset('"$`\\!')


def teach_command(template: str, means: str = "harmless") -> str:
    """Return the command that teaches what *template* means, for a shell."""
    if SHELL_SPECIAL.isdisjoint(template):
        text = f'"{template}"'
    else:
        text = "'" + template.replace("'", "'\"'\"'") + "'"
    return f"vergewatch recovery teach {text} {means} --reason TEXT"


def blocking_text(template: str, blocked: int) -> str:
    """Return how many diagnoses rows of *template* blocked, and what to do about it."""
    so_far = f"Rows like this blocked {counted(blocked, 'diagnosis', 'diagnoses')} so far. "
    return (
        f"{so_far if blocked else ''}If such a row is no request to stop the VM, run "
        f"`{teach_command(template)}`; if it is one, `stop` in place of `harmless`."
    )


def blocking_row(diagnosis: Diagnosis | None, blocked: int) -> str:
    """Return the row that makes a cause unknown and how to teach it; empty if none does."""
    if diagnosis is None or diagnosis.cause is not Cause.LOGS_UNCLEAR or not diagnosis.template:
        return ""
    return f"{diagnosis.detail}. {blocking_text(diagnosis.template, blocked)}"
