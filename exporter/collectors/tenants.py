"""
Tenants: status and start, from ``tenants``, to whose rows VergeOS joins the status.

Snapshots of tenants are rows of the same table, and left out here and in all that tenants have.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Annotated, Any

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import Lost, Name, Row, joined_status, lower_case, timestamp
from exporter.vergeos.tables import Pace, Table


class TenantRow(Row, gc=False):
    """A row of ``tenants`` with its status."""

    name: Name | None = None
    is_snapshot: bool | None = None
    running: Annotated[bool | None, joined_status("running")] = None
    tenant_status: Annotated[Name | None, joined_status("status", "tenant_status")] = None
    tenant_state: Annotated[Name | None, joined_status("state", "tenant_state")] = None
    started: Annotated[float | None, joined_status("started")] = None

    @property
    def started_at(self) -> float | None:
        return timestamp(self.started)


def _tenant(row: TenantRow, key: int, _: Lost) -> TenantRow | None:
    if row.is_snapshot:  # VergeOS may ignore the filter
        return None
    row.name = row.name or f"#{key}"
    row.tenant_status = lower_case(row.tenant_status)
    row.tenant_state = lower_case(row.tenant_state)
    return row


TENANTS = Table(
    "tenants",
    "tenants",
    Pace.INVENTORY,
    TenantRow,
    _tenant,
    where="is_snapshot eq false",
    may_be_hidden=True,
)


def tenants(view: RenderView) -> Items:
    """Return each tenant."""
    return view.keyed(view.rows(TENANTS.name), attrgetter("name"))


def of_tenants(
    view: RenderView, rows: Iterable[Any], labels: Callable[[Any], tuple[str, ...]] = lambda _: ()
) -> Items:
    """
    Return the *rows* that belong to a tenant, by their ``tenant``, a key.

    Args:
        labels: Returns what identifies a row besides its tenant, escaped.

    """
    known = view.rows(TENANTS.name)
    found = [row for row in rows if row.tenant in known]
    return Items(
        [
            (view.system, str(row.tenant), escape(known[row.tenant].name), *labels(row))
            for row in found
        ],
        found,
    )


LABELS = "system_name tenant_id tenant_name"
TENANT = group("tenant", LABELS, TENANTS.name, tenants)

FAMILIES = (
    gauge("tenant_running", TENANT, "tenants.status#running",
          "1 while the tenant is running", "running"),
    info("tenant_status_info", TENANT, "tenants.status#status",
         "Status and state of the tenant",
         {"status": or_unknown("tenant_status"), "state": or_unknown("tenant_state")}),
    gauge("tenant_start_timestamp_seconds", TENANT, "tenants.status#started",
          "When the tenant was last started", "started_at"),
)  # fmt: skip

COLLECTOR = Collector("tenants", (TENANTS,), FAMILIES)
