"""
Rules about storage tiers and physical drives, beyond what the doctor checks.

Full tiers and drives with SMART warnings or vSAN errors are findings of the doctor.
"""

from functools import partial

from tools.alert_rules.expressions import NODE, ON_NODE, by, lookup
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity, seconds

TIER = ("system_name", "cluster_name", "storage_tier")
DRIVE = (*NODE, "drive", "serial")
DOWN = "offline|outofspace"
"""Statuses of a tier whose disks cannot be written."""
OFFLINE = "offline"
"""Status of a drive that the vSAN cannot reach."""
WALK_LIMIT = "12h"
"""A full walk that takes longer hides nothing any more."""
REPAIR_TIME = "3h"
"""Repairs that have not become fewer within this time do not heal."""
WORN = 0.95
"""VergeOS warns of an SSD that is worn as much."""
HALF_WORN = 0.5
"""Below, the rate of wear of a drive's whole life predicts little."""
NOTICE = "90d"
"""How long before the end of its rated writes a drive is to be ordered."""

_ON_TIER = f"on ({', '.join(TIER)})"
_OF_TIER = (
    "tier {{ $labels.storage_tier }} of cluster {{ $labels.cluster_name }} in system "
    "{{ $labels.system_name }}"
)
_OF_DRIVE = (
    "Drive {{ $labels.drive }} ({{ $labels.serial }}) of node {{ $labels.node_name }} in system "
    "{{ $labels.system_name }}"
)
_REDUNDANT = "vergewatch_cluster_tier_redundant"
_REPAIRS = "vergewatch_cluster_tier_repairs"
_WEAR = "vergewatch_drive_wear_ratio"
_STATUS = lookup(
    "vergewatch_cluster_tier_info",
    ' Its status is {{ . | first | label "status" }}.',
    labels=TIER,
)
_PLACE = lookup(
    "vergewatch_drive_info",
    ' It belongs to tier {{ . | first | label "storage_tier" }}'
    '{{ with . | first | label "model" }}, is of the model {{ . }}{{ end }}'
    '{{ with . | first | label "slot" }}, and is in {{ . }}{{ end }}.',
    labels=DRIVE,
)
_tier_alert = partial(Alert, layer=Layer.PLATFORM, identity=TIER, keep_firing_for=MUTED)
_drive_alert = partial(Alert, layer=Layer.PLATFORM, identity=DRIVE, keep_firing_for=MUTED)

ALERTS = (
    _tier_alert(
        name="VergeStorageTierDown",
        severity=Severity.CRITICAL,
        expr=f"""{by(TIER, f'vergewatch_cluster_tier_info{{status=~"{DOWN}"}}')} == 1""",
        for_="2m",
        summary="Storage tier {storage_tier} of cluster {cluster_name} is offline or out of space",
        description=f"VMs cannot write to {_OF_TIER}, for more than {FOR}.{_STATUS}",
    ),
    _tier_alert(
        name="VergeStorageTierNotRedundant",
        severity=Severity.WARNING,
        # VergeOS does not judge redundancy during a full walk, which follows the restart of a node.
        expr=f"""\
(
  {by(TIER, f"{_REDUNDANT} == 0")}
  unless {_ON_TIER} (vergewatch_cluster_tier_full_walk == 1)
)
or
{by(TIER, f"max_over_time({_REDUNDANT}[{WALK_LIMIT}]) == 0 and {_REDUNDANT} offset {WALK_LIMIT}")}
""".rstrip(),
        for_="30m",
        summary="Storage tier {storage_tier} of cluster {cluster_name} is not redundant",
        description=f"Some data of {_OF_TIER} has had only one copy for more than {FOR}.{_STATUS} "
        "If a drive that has it fails, the data is lost.",
    ),
    _tier_alert(
        name="VergeStorageRepairsGrow",
        severity=Severity.WARNING,
        expr=by(TIER, f"{_REPAIRS} >= ({_REPAIRS} offset {REPAIR_TIME} > 0)"),
        for_="1h",
        summary="Storage tier {storage_tier} of cluster {cluster_name} has ever more to repair",
        description=f"VergeOS repairs {_OF_TIER}, and has no less to repair than {REPAIR_TIME} "
        f"before, for more than {FOR}: {{{{ $value | humanize }}}} repairs.{_STATUS}",
    ),
    _tier_alert(
        name="VergeStorageWritesThrottled",
        severity=Severity.WARNING,
        expr=f"{by(TIER, 'vergewatch_cluster_tier_write_throttle_seconds')} > 0",
        for_="10m",
        summary="VergeOS slows writes to storage tier {storage_tier} of cluster {cluster_name}",
        description=f"VergeOS has been adding {{{{ $value | humanizeDuration }}}} to each write to "
        f"{_OF_TIER} for more than {FOR}, because it is almost full.",
    ),
    _drive_alert(
        name="VergeDriveOffline",
        severity=Severity.WARNING,
        # The drives of a node that is down are offline too.
        expr=f"""\
{by(DRIVE, f'vergewatch_drive_info{{status="{OFFLINE}",storage_tier!=""}}')} == 1
unless {ON_NODE} (vergewatch_node_running == 0)
unless {ON_NODE} (vergewatch_node_maintenance == 1)""",
        for_="30m",  # VergeOS is asked every quarter of an hour
        summary="Drive {drive} of node {node_name} is offline",
        description=f"{_OF_DRIVE} has been offline for more than {FOR}, and its node runs.{_PLACE}",
    ),
    _drive_alert(
        name="VergeDriveWearingOut",
        severity=Severity.WARNING,
        # A drive beyond the limit of VergeOS has a finding of the doctor.
        expr=f"""\
{by(DRIVE, f"(1 / ({_WEAR} > {HALF_WORN} < {WORN}) - 1) * vergewatch_drive_power_on_seconds")}
< {seconds(NOTICE)}""",
        for_="1h",
        summary="Drive {drive} of node {node_name} will have used up its rated writes soon",
        description=f"{_OF_DRIVE} will have used up its rated writes in {{{{ $value | "
        f"humanizeDuration }}}}, if it is written to as in its life so far.{_PLACE}",
    ),
)
