"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, networks, nodes, storage, system, tenants, vms

FAMILIES = tuple(
    family
    for module in (clusters, nodes, storage, system, tenants, vms, networks)
    for family in module.FAMILIES
)
