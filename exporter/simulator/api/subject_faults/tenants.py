"""Faults of tenants."""

from exporter.simulator.api.fault_types import row_fault

FULL_PERCENT = 97

FAULTS = {
    "tenant_down": row_fault(
        "a tenant is off",
        tenant_status={"running": False, "status": "offline", "state": "offline"},
    ),
    "tenant_error": row_fault(
        "a tenant reports an error", tenant_status={"status": "error", "state": "error"}
    ),
    "tenant_storage_full": row_fault(
        "a tenant uses nearly all the storage that it was given",
        tenant_storage={
            "used": lambda row, _view: row.provisioned_bytes * FULL_PERCENT // 100,
            "used_pct": FULL_PERCENT,
        },
    ),
}
