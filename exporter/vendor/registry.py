"""All metric families of the vendor's page, in its order."""

from exporter.vendor import clusters, storage, vms

FAMILIES = tuple(family for module in (clusters, storage, vms) for family in module.FAMILIES)
