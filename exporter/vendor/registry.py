"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, system

FAMILIES = tuple(family for module in (clusters, system) for family in module.FAMILIES)
