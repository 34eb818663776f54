"""All tables of the platform, in the order of the page."""

from collections.abc import Callable, Mapping

from exporter.console.platform import hardware, services
from exporter.console.platform.sheet import Sheet
from exporter.exposition.view import RenderView

SHEETS: Mapping[str, Callable[[RenderView], Sheet]] = {
    "nodes": hardware.nodes,
    "clusters": hardware.clusters,
    "storage": hardware.storage,
    "tiers": hardware.tiers,
    "drives": hardware.drives,
    "networks": services.networks,
    "tenants": services.tenants,
    "snapshots": services.snapshots,
    "syncs": services.syncs,
    "certificates": services.certificates,
    "licenses": services.licenses,
}
"""By the name in addresses."""
