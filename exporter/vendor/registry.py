"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, nodes, storage

FAMILIES = tuple(family for module in (clusters, nodes, storage) for family in module.FAMILIES)
