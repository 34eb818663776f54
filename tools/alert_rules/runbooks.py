"""The page that explains an alert and what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from tools.alert_rules.model import Alert, Group, Inhibition, Severity, Step
from tools.alert_rules.thresholds import duration

HEAD = "<!-- Generated from tools/alert_rules by `make docs`. Do not edit. -->\n"
WIDTH = 100
HEADINGS = (
    "Meaning",
    "Impact",
    "First five minutes",
    "What automation does already",
    "Mitigation",
    "When it is noise",
)
ASKS = {
    Severity.CRITICAL: "needs an immediate response",
    Severity.WARNING: "needs a response in working hours",
    Severity.INFO: "no notification, dashboards show it",
    Severity.NONE: "internal, no notification",
}
SUBJECTS = {
    "vergewatch-vms": "VMs and nodes",
    "vergewatch-recovery": "Recovery",
    "vergewatch-exporter": "Vergewatch itself, and its connection to each system",
}


def page(alert: Alert, table: Iterable[Inhibition]) -> str:
    """Return the runbook of *alert*."""
    book = alert.runbook
    texts = (
        (
            f"{_wrapped(book.meaning)}\n{_code('promql', alert.expr)}\n{_wrapped(alert.quiet)}"
            f"{_muting(alert, table)}"
        ),
        _wrapped(book.impact),
        "\n".join(_steps(book.steps)),
        _wrapped(book.automation),
        "".join(_wrapped(text, f"{at}. ") for at, text in enumerate(book.mitigation, start=1)),
        _wrapped(book.noise),
    )
    sections = "".join(
        f"\n## {heading}\n\n{text}" for heading, text in zip(HEADINGS, texts, strict=True)
    )
    names = ", ".join(f"`{label}`" for label in alert.identity) or "nothing"
    return f"""\
{HEAD}
# {alert.name}

{alert.summary}

| Severity | Waits | Goes on after its end | Names |
| --- | --- | --- | --- |
| {alert.severity}: {ASKS[alert.severity]} | {_time(alert.wait_seconds)} \
| {_time(alert.linger_seconds)} | {names} |
{sections}"""


def index(groups: Iterable[Group]) -> str:
    """Return the list of all runbooks."""
    parts = [
        f"""\
{HEAD}
# Runbooks

One page for each alert in [`alerts/`](../../alerts). *critical* needs an immediate response,
*warning* for working hours, *info* for dashboards, *none* is machinery. In the commands, put the
names from the alert for `SYSTEM` and `VM`. They are meant for the machine that the daemon runs on;
[under systemd](../../deploy/systemd/README.md) `vergewatch` in `/usr/local/bin` has the daemon's
settings. A command applies to all systems unless `--system` names one.
"""
    ]
    for group in groups:
        rows = "".join(
            f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {_time(alert.wait_seconds)} "
            f"| {alert.summary} |\n"
            for alert in group.alerts
        )
        parts.append(
            f"\n## {SUBJECTS[group.name]}\n\n"
            f"| Alert | Severity | Waits | Summary |\n| --- | --- | --- | --- |\n{rows}"
        )
    return "".join(parts)


def pages(groups: Sequence[Group], table: Sequence[Inhibition]) -> Mapping[str, str]:
    """Return every page by its file's name."""
    return {
        "README.md": index(groups),
        **{f"{one.name}.md": page(one, table) for group in groups for one in group.alerts},
    }


def _muting(alert: Alert, table: Iterable[Inhibition]) -> str:
    table = tuple(table)
    by = [source for rule in table if alert.name in rule.targets for source in rule.sources]
    mutes = [target for rule in table if alert.name in rule.sources for target in rule.targets]
    return "".join(
        "\n"
        + _wrapped(f"{says} {', '.join(f'[{one}]({one}.md)' for one in dict.fromkeys(names))}.")
        for says, names in (("Muted by", by), ("Mutes", mutes))
        if names
    )


def _steps(steps: Iterable[Step]) -> Iterable[str]:
    for number, step in enumerate(steps, start=1):
        text = _wrapped(step.text, f"{number}. ")
        if step.command:
            text += "\n" + _code("console", f"$ {step.command}", indent="   ")
        if step.promql:
            text += "\n" + _code("promql", step.promql, indent="   ")
        yield text


def _wrapped(text: str, mark: str = "") -> str:
    """Return a paragraph in lines, or an item of a list that *mark* begins."""
    lines = wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "".join(f"{line}\n" for line in lines)


def _code(language: str, text: str, *, indent: str = "") -> str:
    lines = (f"```{language}", *text.splitlines(), "```")
    return "".join(f"{indent}{line}\n" for line in lines)


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "not at all"
