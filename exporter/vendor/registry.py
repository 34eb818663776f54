"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, storage

FAMILIES = tuple(family for module in (clusters, storage) for family in module.FAMILIES)
