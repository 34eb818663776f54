"""Rules about tenants."""

from functools import partial

from tools.alert_rules.expressions import OF_SYSTEM, ON_TENANT, TENANT, by, lookup, went_down
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity
from tools.alert_rules.thresholds import TENANT_STORAGE_FULL_RATIO

_INFO = "vergewatch_tenant_status_info"
_USED = "vergewatch_tenant_storage_used_bytes"
_PROVISIONED = "vergewatch_tenant_storage_provisioned_bytes"
_OF_TENANT = f"Tenant {{{{ $labels.tenant_name }}}} ({{{{ $labels.tenant_id }}}}) in {OF_SYSTEM}"
_STATUS = lookup(_INFO, ' Its status is {{ . | first | label "status" }}.', labels=TENANT[:2])
_RATIO = by((*TENANT, "storage_tier"), f"{_USED} / ({_PROVISIONED} > 0)")
_alert = partial(Alert, layer=Layer.PLATFORM, identity=TENANT, keep_firing_for=MUTED)

ALERTS = (
    _alert(
        name="VergeTenantDown",
        severity=Severity.CRITICAL,
        expr=went_down("VergeTenantDown", "vergewatch_tenant_running", TENANT, ON_TENANT)
        + f'\nunless {ON_TENANT} {_INFO}{{status=~"stopping|restarting"}}',
        for_="5m",  # a restart ends within it
        summary="Tenant {tenant_name} is down",
        description=f"{_OF_TENANT} ran before, and has been down for more than {FOR}.{_STATUS}",
    ),
    _alert(
        name="VergeTenantError",
        severity=Severity.WARNING,
        expr=f'{by(TENANT, f"""{_INFO}{{state=~"warning|error"}}""")} == 1',
        for_="15m",
        summary="VergeOS reports a warning or an error for tenant {tenant_name}",
        description=f"{_OF_TENANT} has had a warning or an error for more than {FOR}.{_STATUS}",
    ),
    _alert(
        name="VergeTenantStorageAlmostFull",
        severity=Severity.WARNING,
        identity=(*TENANT, "storage_tier"),
        expr=f"{_RATIO} > {TENANT_STORAGE_FULL_RATIO}",
        for_="30m",
        summary="Tenant {tenant_name} has used almost all of its storage in tier {storage_tier}",
        description=f"{_OF_TENANT} uses {{{{ $value | humanizePercentage }}}} of its storage in "
        "tier {{ $labels.storage_tier }}.",
    ),
)
