"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters

FAMILIES = tuple(family for module in (clusters,) for family in module.FAMILIES)
