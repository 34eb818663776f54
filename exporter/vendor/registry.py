"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, storage, system

FAMILIES = tuple(family for module in (clusters, storage, system) for family in module.FAMILIES)
