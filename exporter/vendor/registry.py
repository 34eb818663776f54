"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, vms

FAMILIES = tuple(family for module in (clusters, vms) for family in module.FAMILIES)
