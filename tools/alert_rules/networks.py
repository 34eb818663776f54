"""Rules about virtual networks and their gateways, beyond what the doctor checks."""

from functools import partial

from tools.alert_rules.expressions import OF_SYSTEM, ON_VNET, VNET, by, lookup, went_down
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity
from tools.alert_rules.thresholds import GATEWAY_LOSS_RATIO, GATEWAY_SLOW_SECONDS

_QUALITY = "vergewatch_vnet_gateway_quality_ratio"
_DROPPED = "vergewatch_vnet_gateway_dropped_ratio"
_LATENCY = "vergewatch_vnet_gateway_latency_average_seconds"
_OF_VNET = f"Network {{{{ $labels.vnet_name }}}} ({{{{ $labels.vnet_id }}}}) in {OF_SYSTEM}"
_OF_GATEWAY = (
    f"The gateway of network {{{{ $labels.vnet_name }}}} ({{{{ $labels.vnet_id }}}}) in {OF_SYSTEM}"
)
_STATUS = lookup(
    "vergewatch_vnet_status_info",
    ' The status of its router is {{ . | first | label "status" }}.',
    labels=VNET[:2],
)
_alert = partial(Alert, layer=Layer.PLATFORM, identity=VNET, keep_firing_for=MUTED)

ALERTS = (
    _alert(
        name="VergeNetworkDown",
        severity=Severity.CRITICAL,
        expr=went_down("VergeNetworkDown", "vergewatch_vnet_running", VNET, ON_VNET)
        + f"\nunless {ON_VNET} (vergewatch_vnet_enabled == 0)",
        for_="5m",  # a restart ends within it
        summary="The router of network {vnet_name} is down",
        description=f"{_OF_VNET} ran before, is enabled, and has been down for more than {FOR}."
        f"{_STATUS} Its VMs have no routing, DHCP and DNS.",
    ),
    _alert(
        name="VergeGatewayUnreachable",
        severity=Severity.CRITICAL,
        expr=f"{by(VNET, f'{_QUALITY} == 0')} == 0",
        for_="10m",
        summary="The gateway of network {vnet_name} does not answer",
        description=f"{_OF_GATEWAY} has not answered for more than {FOR}. The network has no "
        "connection to what is behind it.",
    ),
    _alert(
        name="VergeGatewayLossy",
        severity=Severity.WARNING,
        expr=f"""\
{by(VNET, _DROPPED)} > {GATEWAY_LOSS_RATIO}
unless {ON_VNET} ({_QUALITY} == 0)""",
        for_="15m",
        summary="The gateway of network {vnet_name} loses packets",
        description=f"{_OF_GATEWAY} has lost {{{{ $value | humanizePercentage }}}} of the packets "
        f"of the last sample, and too many for more than {FOR}.",
    ),
    _alert(
        name="VergeGatewaySlow",
        severity=Severity.WARNING,
        expr=f"{by(VNET, _LATENCY)} > {GATEWAY_SLOW_SECONDS}",
        for_="15m",
        summary="The gateway of network {vnet_name} answers late",
        description=f"{_OF_GATEWAY} has a mean latency of {{{{ $value | humanizeDuration }}}}, and "
        f"has been slow for more than {FOR}.",
    ),
)
