"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, networks, system, tenants

FAMILIES = tuple(
    family for module in (clusters, system, tenants, networks) for family in module.FAMILIES
)
