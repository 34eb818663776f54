"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, networks, tenants

FAMILIES = tuple(family for module in (clusters, tenants, networks) for family in module.FAMILIES)
