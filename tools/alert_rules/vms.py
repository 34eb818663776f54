"""Rules about VMs, their guests and their nodes."""

from functools import partial

from exporter.alerting.definitions import AlertName
from tools.alert_rules.expressions import (
    DOWN_STATES,
    FILESYSTEM,
    NODE,
    OF_VM,
    ON_ITS_NODE,
    ON_NODE,
    ON_SYSTEM,
    ON_VM,
    RECOVERY_STATE,
    RUNNING,
    STATE_INFO,
    UP_STATES,
    VM,
    WHAT_IS_KNOWN,
    by,
    down,
    firing,
    lookup,
    one_for_each,
    through_failover,
)
from tools.alert_rules.model import (
    FOR,
    MUTED,
    Alert,
    Layer,
    Recording,
    Severity,
    defined,
    seconds,
)
from tools.alert_rules.thresholds import (
    CPU_BUSY_RATIO,
    FILESYSTEM_FULL_RATIO,
    FLAPPING_RESTARTS,
    MEMORY_FULL_RATIO,
)

UNWANTED_DOWN = "vm:vergewatch_vm_unwanted_down:max"
PLATFORM_TIME = "5m"
"""How long VergeOS may take to start a VM: recovery's `platform_seconds`."""
TRANSITIONS = (
    "initializing|starting|stopping|hibernating|importing|leavingmaintenance|waitingforresources"
)
STOPPING = "stopping|hibernating|hibernated"
"""Statuses that show an intended stop."""
MIGRATIONS = "initmigrate|startmigrate|migrating|migratecomplete"

_FILESYSTEM_USED = "vergewatch_vm_guest_filesystem_used_bytes"
_FILESYSTEM_SIZE = "vergewatch_vm_guest_filesystem_size_bytes"
_FILESYSTEM_RATIO = by(FILESYSTEM, f"{_FILESYSTEM_USED} / ({_FILESYSTEM_SIZE} > 0)")
_MEMORY_USED = "vergewatch_vm_guest_memory_used_bytes"
_MEMORY_TOTAL = "vergewatch_vm_guest_memory_total_bytes"

RECORDINGS = (
    Recording(
        UNWANTED_DOWN,
        VM,
        f"""\
max by ({", ".join(VM)}) (
  {through_failover(f'{STATE_INFO}{{state=~"{DOWN_STATES}"}}')}
  unless on (system_name, vm_id, job, instance) {STATE_INFO}{{state!~"{DOWN_STATES}"}}
)
unless {ON_VM} (
  {STATE_INFO}{{state="platform"}}
  and {ON_VM} (max_over_time({RUNNING}[{PLATFORM_TIME}]) == 1)
)
and {ON_VM} ({down(VM[:2], RUNNING)})
unless {ON_VM} vergewatch_vm_status_info{{status=~"unresponsive|error"}}""",
        "1 for each VM that is down without proof that it was stopped on purpose, enrolled or not; "
        "of VMs that VergeOS has to start, only those that it has not started in its time.",
    ),
    Recording(
        "system:vergewatch_vm_unwanted_down:count",
        ("system_name",),
        f"""\
count by (system_name) ({by(VM[:2], UNWANTED_DOWN)})
or
0 * max by (system_name) (vergewatch_up == 1)""",
        "The number of those VMs; 0 where there is none, absent where the system cannot be polled.",
    ),
    Recording(
        "vm_node:vergewatch_vm_running:max",
        (*VM, "cluster_name", "node_name"),
        f"""\
{one_for_each(VM[:2], by(VM, "vergewatch_vm_running"))}
* {ON_VM} group_left (cluster_name, node_name)
{one_for_each(VM[:2], by((*VM[:2], "cluster_name", "node_name"), "vergewatch_vm_info"))}""",
        "Whether a VM runs, with its cluster and node; one of them while daemons disagree.",
    ),
)

_STATUS = lookup("vergewatch_vm_status_info", ' Its status is {{ . | first | label "status" }}.')
_vm_alert = partial(Alert, layer=Layer.VM, identity=VM)


def _status(matcher: str) -> str:
    """Return the expression of VMs whose status meets *matcher*."""
    return f"{by(VM, f'vergewatch_vm_status_info{{status{matcher}}}')} == 1"


ALERTS = (
    Alert(
        name="VergeNodeOffline",
        severity=Severity.CRITICAL,
        layer=Layer.NODE,
        identity=NODE,
        expr=f"""\
{down(NODE, "vergewatch_node_running")}
unless {ON_NODE} (vergewatch_node_maintenance == 1)""",
        for_="3m",
        keep_firing_for=MUTED,
        summary="Node {node_name} is down",
        description="Node {{ $labels.node_name }} of system {{ $labels.system_name }} has not been "
        f"running for more than {FOR}, and is not in maintenance.",
    ),
    Alert(
        name="VergeNodeStatusFrozen",
        severity=Severity.WARNING,
        layer=Layer.NODE,
        identity=NODE,
        # A node that is down, or a whole system, has its own alert.
        expr=f"""\
{by(NODE, "vergewatch_node_status_frozen")} == 1
unless {ON_NODE} (vergewatch_node_running == 0)
unless {ON_SYSTEM} (vergewatch_system_status_frozen == 1)""",
        for_="5m",
        keep_firing_for=MUTED,
        summary="VergeOS no longer updates the status of the VMs on node {node_name}",
        description=f"For more than {FOR}, VergeOS has updated the status of no VM that runs on "
        "node {{ $labels.node_name }} of system {{ $labels.system_name }}. The metrics of these "
        "VMs show an old state, and a crash of one would not be seen.",
    ),
    Alert(
        name="VergeVMFailoverWindow",
        severity=Severity.NONE,
        layer=Layer.INHIBITOR,
        identity=VM,
        # VergeOS may take this long to start the VMs of a dead node elsewhere. It mutes alerts, so
        # all daemons must agree that the node is down.
        expr=f"""\
max by (system_name, vm_id, vm_name) (
  max_over_time(vergewatch_vm_info{{node_name!=""}}[10m])
  and {ON_NODE} (
    {by(NODE, "max_over_time(vergewatch_node_running[10m])")} == 1
    and {ON_NODE} ({by(NODE, "vergewatch_node_running")} == 0)
    unless {ON_NODE} (vergewatch_node_maintenance == 1)
  )
) == 1""",
        summary="The node of VM {vm_name} failed a moment ago",
        description=f"{OF_VM} was on a node that failed within the last 10m.",
    ),
    Alert(
        **defined(AlertName.VM_DOWN),
        expr=f"{UNWANTED_DOWN} == 1",
        for_="5m",  # a successful recovery ends within it, and needs no notification
        keep_firing_for=MUTED,
        description=f"{OF_VM} has been down for more than {FOR}, and no status and no log row "
        f"shows an intended stop.{WHAT_IS_KNOWN}{RECOVERY_STATE} Run `vergewatch explain VM`.",
    ),
    _vm_alert(
        name="VergeVMWentDown",
        severity=Severity.WARNING,
        # The window is longer than the failover window and the wait. Once this fires, it lasts
        # until the VM runs. In systems that recovery watches, only VMs of which recovery does not
        # know that they are down: it is broken, or cannot use the inventories. It takes over from
        # VergeVMDown when no replica leads any more, and so none knows of any VM: that one may end
        # before this one has waited.
        expr=f"""\
(
  (
    {down(VM, RUNNING)}
    and {ON_VM} (max_over_time({RUNNING}[30m]) == 1)
    unless {ON_VM} max_over_time(vergewatch_vm_status_info{{status=~"{STOPPING}"}}[30m])
    unless {ON_VM} vergewatch_vm_status_info{{status=~"unresponsive|error|{TRANSITIONS}"}}
  )
  or
  ({down(VM, RUNNING)} and {ON_VM} {firing("VergeVMWentDown")})
  or
  ({down(VM, RUNNING)} and {ON_VM} max_over_time({firing(AlertName.VM_DOWN)}[10m]))
)
unless {ON_VM} (vergewatch_vm_enabled == 0)
unless {ON_VM} (
  {RUNNING}
  and {ON_SYSTEM} {STATE_INFO}
  unless {ON_VM} {STATE_INFO}{{state=~"{UP_STATES}"}}
)""",
        for_="5m",
        keep_firing_for=MUTED,
        summary="VM {vm_name} went down, and no status showed a stop",
        description=f"{OF_VM} ran before, and has been down for more than {FOR}. VergeOS reported "
        "no status that shows an intended stop. Recovery has no diagnosis: it is off, or cannot "
        "work. Check the log of the VM in VergeOS.",
    ),
    _vm_alert(
        name="VergeVMUnresponsive",
        severity=Severity.WARNING,
        expr=_status('="unresponsive"'),
        for_="5m",  # VergeOS reports it after 2 minutes, and may then start the VM elsewhere
        keep_firing_for=MUTED,
        summary="VM {vm_name} is unresponsive",
        description=f"{OF_VM}{ON_ITS_NODE} has been unresponsive for more than {FOR}."
        f"{RECOVERY_STATE} Run `vergewatch explain VM`.",
    ),
    _vm_alert(
        name="VergeVMError",
        severity=Severity.WARNING,
        expr=_status('="error"'),
        for_="2m",  # an error does not end by itself; this covers one faulty poll
        keep_firing_for=MUTED,
        summary="VM {vm_name} has the status error",
        description=f"The status of {OF_VM}{ON_ITS_NODE} has been error for more than {FOR}."
        f"{RECOVERY_STATE} Recovery does not act on it. Run `vergewatch explain VM`.",
    ),
    _vm_alert(
        name="VergeVMStuckInTransition",
        severity=Severity.WARNING,
        expr=f"""\
{_status(f'=~"{TRANSITIONS}"')}
unless {ON_VM} {UNWANTED_DOWN}""",
        for_="15m",  # starting many VMs after a mass outage is slow
        keep_firing_for=MUTED,
        summary="VM {vm_name} has been starting, stopping or waiting for too long",
        description=f"{OF_VM}{ON_ITS_NODE} has been starting, stopping or waiting for more than "
        f"{FOR}.{_STATUS} Recovery does not act on it. Run `vergewatch explain VM`.",
    ),
    _vm_alert(
        name="VergeVMMigrationStuck",
        severity=Severity.WARNING,
        expr=_status(f'=~"{MIGRATIONS}"'),
        for_="45m",  # VergeOS ends one that hangs after 30 minutes, and runs one at a time
        keep_firing_for=MUTED,
        summary="The live migration of VM {vm_name} has not finished in time",
        description=f"{OF_VM}{ON_ITS_NODE} has been migrating for more than {FOR}. Recovery does "
        "not act on it. Run `vergewatch explain VM`.",
    ),
    _vm_alert(
        name="VergeVMFlapping",
        severity=Severity.WARNING,
        expr=f"""\
{by(VM, "changes(vergewatch_vm_start_timestamp_seconds[1h])")}
> {FLAPPING_RESTARTS - 0.5}""",
        keep_firing_for="30m",
        summary="VM {vm_name} has restarted repeatedly",
        # Without the exact number: the value is frozen while another alert mutes this one.
        description=f"{OF_VM}{ON_ITS_NODE} has been started {FLAPPING_RESTARTS} times or more "
        f"within 1h.{RECOVERY_STATE} Run `vergewatch recovery log VM`.",
    ),
    _vm_alert(
        name="VergeVMRestartPending",
        severity=Severity.INFO,
        # Waiting for a maintenance window is normal.
        expr=f"""\
{by(VM, "vergewatch_vm_need_restart")} == 1
and {ON_VM} (vergewatch_vm_need_restart offset 7d == 1)
and {ON_VM} (time() - vergewatch_vm_start_timestamp_seconds > {seconds("7d")})""",
        summary="VM {vm_name} needs a restart for a change of its configuration",
        description=f"A configuration change of {OF_VM} has waited for a restart for more than "
        "7d. Restart the VM in VergeOS to apply it.",
    ),
    _vm_alert(
        name="VergeVMGuestAgentLost",
        severity=Severity.INFO,
        # An agent that was not connected within the window is absent, not lost. It starts last.
        expr=f"""\
{by(VM, "vergewatch_vm_guest_agent_connected == 0")}
and {ON_VM} (max_over_time(vergewatch_vm_guest_agent_connected[6h]) == 1)
and {ON_VM} (time() - vergewatch_vm_start_timestamp_seconds > {seconds("15m")})""",
        for_="15m",
        summary="The guest agent of VM {vm_name} is disconnected",
        description=f"The guest agent of {OF_VM}{ON_ITS_NODE} has been disconnected for more "
        f"than {FOR}, and was connected within the last 6h.",
    ),
    _vm_alert(
        name="VergeVMFilesystemAlmostFull",
        severity=Severity.WARNING,
        identity=FILESYSTEM,
        expr=f"""\
{_FILESYSTEM_RATIO} > {FILESYSTEM_FULL_RATIO}
or
(
  {_FILESYSTEM_RATIO} > 0.93
  and on (system_name, vm_id, mountpoint) {firing("VergeVMFilesystemAlmostFull")}
)""",
        for_="30m",
        keep_firing_for=MUTED,
        summary="Filesystem {mountpoint} of VM {vm_name} is almost full",
        description=f"{{{{ $labels.mountpoint }}}} of {OF_VM} is "
        "{{ $value | humanizePercentage }} full.",
    ),
    _vm_alert(
        name="VergeVMFilesystemFilling",
        severity=Severity.WARNING,
        identity=FILESYSTEM,
        # Below 70 %, even a steep trend leaves time.
        expr=f"""\
{_FILESYSTEM_RATIO} > 0.7
and on (system_name, vm_id, mountpoint) (
  {by(FILESYSTEM, f"predict_linear({_FILESYSTEM_USED}[6h], {seconds('1d')})")}
  > {by(FILESYSTEM, _FILESYSTEM_SIZE)}
)""",
        for_="1h",
        keep_firing_for=MUTED,
        summary="Filesystem {mountpoint} of VM {vm_name} will soon be full",
        description=f"{{{{ $labels.mountpoint }}}} of {OF_VM} is "
        "{{ $value | humanizePercentage }} full, and will be full within 1d if it grows as in "
        "the last 6h.",
    ),
    _vm_alert(
        name="VergeVMCPUSaturated",
        severity=Severity.INFO,
        expr=f"""\
{by(VM, "avg_over_time(vergewatch_vm_cpu_usage_ratio[30m])")}
> {CPU_BUSY_RATIO}""",
        for_="1h",
        summary="VM {vm_name} uses nearly all of its CPU",
        description=f"{OF_VM}{ON_ITS_NODE} has used {{{{ $value | humanizePercentage }}}} of its "
        f"CPU time for more than {FOR}.",
    ),
    _vm_alert(
        name="VergeVMGuestMemoryPressure",
        severity=Severity.INFO,
        expr=f"""\
{by(VM, f"avg_over_time({_MEMORY_USED}[15m]) / (max_over_time({_MEMORY_TOTAL}[15m]) > 0)")}
> {MEMORY_FULL_RATIO}""",
        for_="30m",
        summary="The guest of VM {vm_name} uses nearly all of its memory",
        description=f"The guest of {OF_VM} has used {{{{ $value | humanizePercentage }}}} of its "
        f"memory for more than {FOR}.",
    ),
)
