"""Tags of VMs, of the categories that the settings choose; from ``tag_members``."""

from collections.abc import Iterable, Sequence
from functools import cache, partial

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import VM, info
from exporter.exposition.collector import group as item_group
from exporter.exposition.view import Identity, Items, RenderView, escape
from exporter.vergeos.recovery_rows import TAG_MEMBERS, UNREADABLE_TAG


class Tags(msgspec.Struct, frozen=True, gc=False):
    """The tags of one category that a VM has."""

    names: str
    """Sorted and separated by commas."""


def tags_of_vms(categories: Sequence[str], view: RenderView) -> Items:
    """Return for each VM and each of *categories* its tags; a category without any is left out."""
    members = view.rows(TAG_MEMBERS.name)
    identities: list[Identity] = []
    objects: list[Tags] = []
    for identity, vm in zip(view.vms.identities, view.vms.objects, strict=True):
        tags = members.get(vm.config.key, frozenset()) - {UNREADABLE_TAG}
        for category in categories if tags else ():
            if names := tags_of_category(tags, category):
                identities.append((*identity, escape(category)))
                objects.append(Tags(",".join(names)))
    return Items(identities, objects)


def tags_of_category(tags: Iterable[str], category: str) -> list[str]:
    """Return the names of those *tags* that are of *category*, whose capitals do not matter."""
    wanted, length = f"{category}/".casefold(), len(category) + 1
    return sorted(tag[length:] for tag in tags if tag[:length].casefold() == wanted)


@cache  # the same object for the same settings: a reload then changes nothing
def collector_of(categories: tuple[str, ...]) -> Collector:
    """Return the collector of the tags of *categories*."""
    group = item_group(
        "tags of a VM",
        f"{VM} category",
        f"vms {TAG_MEMBERS.name}",
        partial(tags_of_vms, categories),
    )
    families = (
        info("vm_tag_info", group, "tag_members",
             "Tags of a VM, of the categories in vm_tag_categories; several of one category are "
             "separated by commas, to be joined on system_name and vm_id",
             {"tag": "names"}),
    )  # fmt: skip
    return Collector("vm_tags", (TAG_MEMBERS,), families)


COLLECTOR = collector_of(())
