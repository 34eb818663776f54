"""
Storage of tenants by tier, from ``tenant_storage``.

What is provisioned is no hard limit. The column ``tier`` is the key of a tier; VergeOS joins its
number.
"""

from typing import Annotated

from exporter.collectors.collector import Collector
from exporter.collectors.tenants import LABELS, of_tenants
from exporter.exposition.collector import gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Count, Lost, Reference, Row, Whole, joined, required_key
from exporter.vergeos.tables import Importance, Pace, Table


class TenantStorageRow(Row, gc=False):
    """A row of ``tenant_storage``."""

    tenant: Reference = None
    tier: Reference = None
    tier_number: Annotated[Whole | None, joined("tier#tier as tier_number")] = None
    provisioned: Count | None = None
    used: Count | None = None
    allocated: Count | None = None
    used_pct: float | None = None


def _tenant_storage(row: TenantStorageRow, key: int, _: Lost) -> TenantStorageRow:
    row.key, row.tenant = key, required_key(row.tenant, "tenant", key)
    return row


TENANT_STORAGE = Table(
    "tenant_storage",
    "tenant_storage",
    Pace.RARE,
    TenantStorageRow,
    _tenant_storage,
    may_be_hidden=True,
    importance=Importance.LOW,
)


def tenant_storage(view: RenderView) -> Items:
    """Return the storage of each tenant in each tier."""
    return of_tenants(view, view.rows(TENANT_STORAGE.name).values(), lambda row: (_tier(row),))


def _tier(row: TenantStorageRow) -> str:
    return f"#{row.key}" if row.tier_number is None else str(row.tier_number)


STORAGE = group(
    "tenant's storage", f"{LABELS} storage_tier", "tenants tenant_storage", tenant_storage
)

FAMILIES = (
    gauge("tenant_storage_provisioned_bytes", STORAGE, "tenant_storage.provisioned",
          "Storage that is given to the tenant in the tier; not a hard limit", "provisioned"),
    gauge("tenant_storage_used_bytes", STORAGE, "tenant_storage.used",
          "Storage that the tenant uses in the tier", "used"),
    gauge("tenant_storage_allocated_bytes", STORAGE, "tenant_storage.allocated",
          "Storage that is allocated by the tenant in the tier", "allocated"),
)  # fmt: skip

COLLECTOR = Collector("tenant_storage", (TENANT_STORAGE,), FAMILIES)
