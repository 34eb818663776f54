"""The rule files for Prometheus, and the same rules for its operator."""

import json
from collections.abc import Iterable, Mapping
from textwrap import indent

from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.definitions import Links
from tools.alert_rules.groups import GROUPS
from tools.alert_rules.inhibitions import frozen
from tools.alert_rules.model import FOR, Alert, Group, Recording

_HEAD = """\
# Generated from tools/alert_rules by `make docs`. Do not edit: a change is lost with the next one.
"""
_OPERATOR_HEAD = f"""\
{_HEAD}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vergewatch
  labels:
    app.kubernetes.io/name: vergewatch
spec:
  groups:
"""


LINKS = AlertmanagerSettings().links
"""As the daemon has them by default."""


def rule_files(links: Links = LINKS) -> Mapping[str, str]:
    """Return the text of each generated file in alerts/, by its path in the repository."""
    groups = {group.name: "\n".join(_group(group, links)) + "\n" for group in GROUPS}
    return {
        **{
            f"alerts/{name}.rules.yml": f"{_HEAD}\ngroups:\n{indent(text, '  ')}"
            for name, text in groups.items()
        },
        "alerts/prometheusrule.yaml": _OPERATOR_HEAD + indent("".join(groups.values()), "    "),
    }


def _group(group: Group, links: Links) -> Iterable[str]:
    yield f"- name: vergewatch-{group.name}"
    yield "  rules:"
    alerts = (_alert(alert, links) for alert in group.alerts)
    rules = (*map(_recording, group.recordings), *alerts)
    yield from (indent("\n".join(lines), "    ") for lines in rules)


def _recording(recording: Recording) -> Iterable[str]:
    yield f"# {recording.comment}"
    yield f"- record: {recording.name}"
    yield _expression(recording.expr)


def _alert(alert: Alert, links: Links) -> Iterable[str]:
    yield f"- alert: {alert.name}"
    yield _expression(frozen(alert))
    if alert.for_:
        yield f"  for: {alert.for_}"
    if alert.keep_firing_for:
        yield f"  keep_firing_for: {alert.keep_firing_for}"
    yield "  labels:"
    yield from _strings(severity=alert.severity, layer=alert.layer)
    yield "  annotations:"
    yield from _strings(
        summary=alert.title,
        description=alert.description.replace(FOR, alert.for_),
        runbook_url=links.runbook(alert.name),
        dashboard_url=alert.dashboard(links),
    )


def _expression(expr: str) -> str:
    return "  expr: |-\n" + indent(expr, "    ")


def _strings(**values: str) -> Iterable[str]:
    return (f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
