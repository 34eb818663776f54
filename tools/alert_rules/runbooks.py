"""The generated parts of docs/runbooks: the facts of each page's rule, and the index."""

from collections.abc import Mapping
from pathlib import Path

from tools.alert_rules.groups import ALERTS, GROUPS
from tools.alert_rules.inhibitions import INHIBITIONS
from tools.alert_rules.model import Alert, Severity

BEGIN = "<!-- Generated from tools/alert_rules by `make docs`: begin -->\n"
END = "<!-- end -->\n"
SECTIONS = (
    "Meaning",
    "Impact",
    "First five minutes",
    "What automation does already",
    "Mitigation",
    "When it is noise",
)
_RESPONSES = {
    Severity.CRITICAL: "needs an immediate response",
    Severity.WARNING: "needs a response in working hours",
    Severity.INFO: "no notification, dashboards show it",
    Severity.NONE: "internal, no notification",
}


def runbooks(root: Path) -> Mapping[str, str]:
    """
    Return the runbooks and their index with updated facts, by path in the repository.

    An alert without a runbook gets a page with empty sections.
    """
    facts = {"README": _index(), **{alert.name: _facts(alert) for alert in ALERTS}}
    pages = {f"docs/runbooks/{name}.md": text for name, text in facts.items()}
    return {path: _with_facts(root / path, text) for path, text in pages.items()}


def _with_facts(path: Path, facts: str) -> str:
    page = path.read_text(encoding="utf-8") if path.exists() else _new_page(path.stem)
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} lacks the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{facts}\n{END}{after}"


def _new_page(name: str) -> str:
    return f"# {name}\n\n{BEGIN}{END}" + "".join(f"\n## {section}\n" for section in SECTIONS)


def _facts(alert: Alert) -> str:
    labels = ", ".join(f"`{label}`" for label in alert.identity) or "none"
    return f"""\
{alert.title_in_docs}.

| Severity | `for` | `keep_firing_for` | Labels |
| --- | --- | --- | --- |
| {alert.severity}: {_RESPONSES[alert.severity]} | {alert.for_ or "0s"} \
| {alert.keep_firing_for or "0s"} | {labels} |

```promql
{alert.expr}
```
{_muting(alert.name)}"""


def _muting(name: str) -> str:
    sources = [one for rule in INHIBITIONS if name in rule.targets for one in rule.sources]
    targets = [one for rule in INHIBITIONS if name in rule.sources for one in rule.targets]
    return "".join(
        f"\n{relation} {', '.join(f'[{one}]({one}.md)' for one in dict.fromkeys(names))}.\n"
        for relation, names in (("Muted by", sources), ("Mutes", targets))
        if names
    )


def _index() -> str:
    return "\n".join(
        f"## {group.title}\n\n"
        "| Alert | Severity | `for` | Summary |\n| --- | --- | --- | --- |\n"
        f"{''.join(map(_row, group.alerts))}"
        for group in GROUPS
    )


def _row(alert: Alert) -> str:
    link = f"[{alert.name}]({alert.name}.md)"
    return f"| {link} | {alert.severity} | {alert.for_ or '0s'} | {alert.title_in_docs} |\n"
