"""The rules as Prometheus reads them, and as its operator does; the same bytes each time."""

import json
from collections.abc import Iterable, Sequence

from tools.alert_rules.inhibitions import frozen
from tools.alert_rules.model import Alert, Group, Inhibition, Recording
from tools.alert_rules.thresholds import Thresholds, duration

HEAD = """\
# Generated from tools/alert_rules by `make docs`. Do not edit: a change is lost with the next one.
"""


def rule_file(group: Group, table: Sequence[Inhibition], t: Thresholds) -> str:
    """Return a file of rules for Prometheus."""
    return f"{HEAD}\ngroups:\n" + _lines(_group(group, table, t), 2)


def operator_file(groups: Iterable[Group], table: Sequence[Inhibition], t: Thresholds) -> str:
    """Return all rules as one object for Prometheus' operator."""
    head = f"""\
{HEAD}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vergewatch
  labels:
    app.kubernetes.io/name: vergewatch
spec:
  groups:
"""
    return head + "".join(_lines(_group(group, table, t), 4) for group in groups)


def _group(group: Group, table: Sequence[Inhibition], t: Thresholds) -> Iterable[str]:
    yield f"- name: {group.name}"
    yield "  rules:"
    for recording in group.recordings:
        yield from _indented(_recording(recording))
    for alert in group.alerts:
        yield from _indented(_alert(alert, table, t))


def _recording(recording: Recording) -> Iterable[str]:
    yield f"# {recording.why}"
    yield f"- record: {recording.name}"
    yield from _expression(recording.expr)


def _alert(alert: Alert, table: Sequence[Inhibition], t: Thresholds) -> Iterable[str]:
    yield f"- alert: {alert.name}"
    yield from _expression(frozen(alert, table))
    if alert.wait_seconds:
        yield f"  for: {duration(alert.wait_seconds)}"
    if alert.linger_seconds:
        yield f"  keep_firing_for: {duration(alert.linger_seconds)}"
    yield "  labels:"
    yield f"    severity: {json.dumps(alert.severity.value)}"
    yield f"    layer: {json.dumps(alert.layer.value)}"
    yield "  annotations:"
    yield f"    summary: {_quoted(alert.summary)}"
    yield f"    description: {_quoted(alert.description)}"
    yield f"    runbook_url: {_quoted(f'{t.runbooks}/{alert.name}.md')}"
    yield f"    dashboard_url: {_quoted(t.grafana + alert.dashboard)}"


def _expression(expr: str) -> Iterable[str]:
    yield "  expr: |-"
    for line in expr.splitlines():
        yield f"    {line}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _indented(lines: Iterable[str]) -> Iterable[str]:
    return (f"    {line}" for line in lines)


def _lines(lines: Iterable[str], indent: int) -> str:
    return "".join(f"{' ' * indent}{line}".rstrip() + "\n" for line in lines)
