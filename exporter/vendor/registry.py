"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, nodes

FAMILIES = tuple(family for module in (clusters, nodes) for family in module.FAMILIES)
