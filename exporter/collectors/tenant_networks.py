"""Layer-2 networks that tenants may use directly, from ``tenant_layer2_vnets``."""

from collections import Counter

from exporter.collectors.collector import Collector
from exporter.collectors.tenants import LABELS, TENANTS, tenants
from exporter.exposition.collector import each, gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Reference, Row, key_number
from exporter.vergeos.tables import Importance, Pace, Table


class Layer2Row(Row, gc=False):
    """A row of ``tenant_layer2_vnets``."""

    tenant: Reference = None


TENANT_LAYER2_VNETS = Table(
    "tenant_layer2_vnets",
    "tenant_layer2_vnets",
    Pace.HOURLY,
    Layer2Row,
    may_be_hidden=True,
    importance=Importance.LOW,
)


def layer2_networks(view: RenderView) -> Items:
    """Return the number of layer-2 networks of each tenant; of none if the table has no rows."""
    rows = view.rows(TENANT_LAYER2_VNETS.name)
    if not rows:  # they may be hidden
        return Items([], [])
    counts = Counter(key_number(row.tenant) for row in rows.values())
    return Items(tenants(view).identities, [counts[key] for key in view.rows(TENANTS.name)])


LAYER2 = group("tenant's layer-2 networks", LABELS, "tenants tenant_layer2_vnets", layer2_networks)

FAMILIES = (
    gauge("tenant_layer2_networks", LAYER2, "tenant_layer2_vnets.tenant",
          "Layer-2 networks that the tenant may use directly", each(float)),
)  # fmt: skip

COLLECTOR = Collector("tenant_networks", (TENANT_LAYER2_VNETS,), FAMILIES)
