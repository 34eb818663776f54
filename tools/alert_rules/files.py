"""Everything that is generated from the rules, by where it goes."""

from collections.abc import Mapping

from tools.alert_rules import exporter, guests, nodes, recovery, vms
from tools.alert_rules.inhibitions import inhibitions
from tools.alert_rules.model import Alert, Group
from tools.alert_rules.render import operator_file, rule_file
from tools.alert_rules.runbooks import pages
from tools.alert_rules.thresholds import DEFAULT, Thresholds


def groups(thresholds: Thresholds = DEFAULT) -> tuple[Group, ...]:
    """Return all rules, by subject."""
    t = thresholds
    return (
        Group(
            "vergewatch-vms",
            vms.recordings(t),
            (*nodes.alerts(t), *vms.alerts(t), *guests.alerts(t)),
        ),
        Group("vergewatch-recovery", (), recovery.alerts(t)),
        Group("vergewatch-exporter", (), exporter.alerts(t)),
    )


def all_alerts(thresholds: Thresholds = DEFAULT) -> tuple[Alert, ...]:
    """Return every alert."""
    return tuple(alert for group in groups(thresholds) for alert in group.alerts)


def files(thresholds: Thresholds = DEFAULT) -> Mapping[str, str]:
    """Return the text of every generated file, by its path in the repository."""
    all_groups = groups(thresholds)
    table = inhibitions(all_alerts(thresholds))
    rules = {
        f"alerts/{group.name.removeprefix('vergewatch-')}.rules.yml": rule_file(
            group, table, thresholds
        )
        for group in all_groups
    }
    runbooks = {f"docs/runbooks/{name}": text for name, text in pages(all_groups, table).items()}
    return {
        **rules,
        "alerts/prometheusrule.yaml": operator_file(all_groups, table, thresholds),
        **runbooks,
    }
