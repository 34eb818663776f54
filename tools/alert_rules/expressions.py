"""
Shared parts of expressions and texts.

Several daemons may watch one system, and disagree until each has polled. So no expression may match
raw series of one daemon with those of another, other than with ``and``, ``or`` and ``unless``. What
any daemon reports of a VM or node alerts, but it is down only if all that see it report so, and a
system is unreadable only if none can read it. Only the leader exports what recovery knows of VMs.
"""

VM = ("system_name", "vm_id", "vm_name")
"""A VM's identity. The node is not part of it: a migration would restart ``for``."""
FILESYSTEM = (*VM, "mountpoint")
NODE = ("system_name", "node_name")
VNET = ("system_name", "vnet_id", "vnet_name")
TENANT = ("system_name", "tenant_id", "tenant_name")
SYSTEM = ("system_name",)
TABLE = ("system_name", "table")
INPUT = ("system_name", "input")
DAEMON = ("job", "instance")

ON_VM = "on (system_name, vm_id)"
ON_NODE = "on (system_name, node_name)"
ON_VNET = "on (system_name, vnet_id)"
ON_TENANT = "on (system_name, tenant_id)"
ON_SYSTEM = "on (system_name)"
ON_DAEMON = "on (job, instance)"

RUNNING = "vergewatch_vm_running"
STATE_INFO = "vergewatch_recovery_vm_state_info"
STATE_SINCE = "vergewatch_recovery_vm_state_since_timestamp_seconds"
ENROLLED = 'policy!="no"'
DOWN_STATES = "suspect|platform|unknown|backoff|held|acting|verifying|indeterminate|quarantined"
"""Recovery's states of a VM that is down or hung and was not stopped on purpose."""
UP_STATES = "healthy|probation"
LEADS = "vergewatch_recovery_leader"
FAILOVER = "2m"
"""What recovery knows is taken for known for this long while no replica leads, so that a failover
does not restart a wait."""


def by(labels: tuple[str, ...], expr: str) -> str:
    """Return *expr* with these labels only, so that it does not matter which daemon exports it."""
    return f"max by ({', '.join(labels)}) ({expr})"


def down(labels: tuple[str, ...], running: str) -> str:
    """Return the objects that run for none of the daemons that see them."""
    return f"{by(labels, running)} == 0"


def through_failover(selector: str) -> str:
    """Return a series with the value 1 that outlasts the gap between two leaders."""
    return f"max_over_time({selector}[{FAILOVER}])"


def one_for_each(labels: tuple[str, ...], expr: str) -> str:
    """
    Return one series of *expr* for each object, which daemons may show with different labels.

    Not for alerts: which series that is may change at any evaluation, which would restart ``for``.
    For the minutes until all daemons know the new name of a VM, its alerts have both names.
    """
    return f"topk by ({', '.join(labels)}) (1, {expr})"


def firing(*names: str) -> str:
    """Return the selector of the firing alerts with these names."""
    match = f'="{names[0]}"' if len(names) == 1 else f'=~"{"|".join(names)}"'
    return f'ALERTS{{alertname{match}, alertstate="firing"}}'


def grown(counter: str, window: str) -> str:
    """
    Return by how much a system's counter grew within *window*, in the daemon where it grew most.

    Unlike ``increase``, this counts the first event: a counter that appears with 1 was 0 before, as
    was one that fell, since its daemon was restarted.
    """
    grown_by = f"{counter}\n    - ({counter} offset {window} <= {counter} or 0 * {counter})"
    of_each = f"sum by (system_name, job, instance) (\n    {grown_by}\n  )"
    return f"max by (system_name) (\n  {of_each}\n)"


def went_down(alert: str, running: str, labels: tuple[str, ...], on: str) -> str:
    """
    Return the objects that do not run and ran within an hour, or for which *alert* fires.

    Once it fires, it lasts until the object runs.
    """
    is_down = down(labels, running)
    return f"""\
(
  ({is_down} and {on} (max_over_time({running}[1h]) == 1))
  or
  ({is_down} and {on} {firing(alert)})
)"""


# Parts of descriptions.

OF_VM = "VM {{ $labels.vm_name }} ({{ $labels.vm_id }}) in system {{ $labels.system_name }}"
OF_SYSTEM = "system {{ $labels.system_name }}"


def lookup(metric: str, text: str, *matchers: str, labels: tuple[str, ...] = VM[:2]) -> str:
    """
    Return a template with *text* if *metric* has a series with the alert's *labels*.

    In *text*, the dot is the result of the query.
    """
    selector = ",".join((*(f"{label}=%q" for label in labels), *matchers))
    values = " ".join(f"$labels.{label}" for label in labels)
    return f"{{{{ with printf `{metric}{{{selector}}}` {values} | query }}}}{text}{{{{ end }}}}"


ON_ITS_NODE = lookup(
    "vergewatch_vm_info", '{{ with . | first | label "node_name" }} on {{ . }}{{ end }}'
)
"""The node that the VM runs on, if it runs."""

RECOVERY_STATE = (
    lookup(STATE_INFO, ' Its recovery state has been {{ . | first | label "state" }}')
    + lookup(f"time() - {STATE_SINCE}", " for {{ . | first | value | humanizeDuration }}.")
    + lookup(STATE_INFO, " It is not enrolled, so recovery does not act on it.", 'policy="no"')
)
"""The recovery state of the VM, if recovery is on."""


WHAT_IS_KNOWN = (
    lookup(
        STATE_INFO,
        ' It crashed{{ with . | first | label "failed_guard" }}, and the guard {{ . }} forbids '
        "its start{{ end }}.",
        ENROLLED,
        'state=~"held|backoff"',
    )
    + lookup(STATE_INFO, " It crashed.", 'policy="no",state=~"held|backoff"')
    + lookup(
        STATE_INFO,
        ' It is unknown why{{ with . | first | label "cause" }} ({{ . }}){{ end }}.',
        'state="unknown"',
    )
)
"""What recovery knows about why the VM is down, and which guard forbids its start."""
