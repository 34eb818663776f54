"""Enrolment: which VMs recovery may act on, from tags and rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from exporter.model import VM, Cluster, Inventory
from exporter.patterns import Patterns, any_fits, fits, may_overlap
from exporter.recovery.model.cases import Enrolment, OnHang, Policy
from exporter.recovery.observe.readable_rows import is_config_readable, unreadable_clusters

OURS = "recovery/"
"""The category of the tags that enrol VMs."""
CAREFUL = (Policy.IGNORE, Policy.NO, Policy.ON_FAILURE, Policy.UNLESS_STOPPED, Policy.ALWAYS)
"""The policies, the most careful first: of two tags that differ the more careful one holds."""
POLICY_TAGS: Mapping[str, Policy] = {
    "auto": Policy.ON_FAILURE,
    "never": Policy.NO,
    **{str(policy): policy for policy in Policy},
}
HANG_TAGS: Mapping[str, OnHang] = {
    f"on-hang-{what}": what for what in (OnHang.ALERT, OnHang.RESET, OnHang.POWER_CYCLE)
}
LAST_TIER = 4
DEFAULT_TIER = 2
TIER_TAGS: Mapping[str, int] = {f"tier-{tier}": tier for tier in range(LAST_TIER + 1)}
KNOWN_TAGS = POLICY_TAGS.keys() | HANG_TAGS.keys() | TIER_TAGS.keys()
NOT_ENROLLED = Enrolment(
    policy=Policy.NO,
    on_hang=OnHang.ALERT,
    tier=DEFAULT_TIER,
    after=(),
    because="no tag and no rule enrolls it",
)
"""The enrolment of a VM without a tag or rule: monitored only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnrolmentRule:
    """A rule about the VMs that meet all its conditions; the settings refuse one without any."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    names: Patterns = ()
    """Patterns of VM names, such as `web-*`."""
    clusters: Patterns = ()
    """Patterns of cluster names."""
    ha_groups: Patterns = ()
    """Patterns of HA groups."""
    tags: Patterns = ()
    """Patterns of tags as `category/name`; a VM needs one tag that matches one of them."""
    policy: Policy | None = None
    """When to restart the VM. `no` and `ignore` override every other rule and tag."""
    on_hang: OnHang | None = None
    """What to do when VergeOS reports the VM as unresponsive."""
    tier: Annotated[int, Ge(0), Le(LAST_TIER)] | None = None
    """Start order: 0 is first, 4 is last."""
    after: Patterns = ()
    """Patterns of the VMs that must run before this one starts."""

    def fits(self, name: str, cluster: str | None, ha_group: str, tags: frozenset[str]) -> bool:
        """
        Return whether a VM meets every condition.

        A VM without a cluster or HA group fits no pattern of one. Where its cluster is unknown
        (None), a rule that denies fits, and one that permits does not.
        """
        return (
            (not self.names or fits(name, self.names))
            and (not self.clusters or self._fits_cluster(cluster))
            and (not self.ha_groups or (ha_group != "" and fits(ha_group, self.ha_groups)))
            and (not self.tags or any_fits(tags, self.tags))
        )

    def _fits_cluster(self, cluster: str | None) -> bool:
        if cluster is None:
            return self.policy is not None and not self.policy.acts
        return cluster != "" and fits(cluster, self.clusters)


CONDITIONS = ("names", "clusters", "ha_groups", "tags")
EFFECTS = ("policy", "on_hang", "tier", "after")


def rule_title(number: int) -> str:
    """Return the name of a rule in reports: its place in the settings."""
    return f"recovery.rules[{number}]"


def cluster_name(vm: VM, clusters: Mapping[int, Cluster]) -> str | None:
    """Return the name of a VM's cluster: empty if it has none, None if it is unknown."""
    if vm.config.cluster is None:
        return ""
    cluster = clusters.get(vm.config.cluster)
    return (cluster.name or None) if cluster is not None else None


def enrol(
    vm: VM, tags: frozenset[str], cluster: str | None, rules: Sequence[EnrolmentRule]
) -> Enrolment:
    """
    Return what *vm* is enrolled under.

    A tag or rule that denies wins. Otherwise a tag goes before a rule, of several tags the most
    careful counts, and the first of the rules that says something before those after it. A tag of
    ours that says nothing we know may be meant to forbid, so it does.
    """
    name, ha_group = vm.config.name, vm.config.ha_group
    fitting = tuple(
        (number, rule)
        for number, rule in enumerate(rules)
        if rule.fits(name, cluster, ha_group, tags)
    )
    return _combined(tags, fitting)


@lru_cache(maxsize=1024)  # thousands of VMs have a few different sets of tags
def _combined(tags: frozenset[str], fitting: tuple[tuple[int, EnrolmentRule], ...]) -> Enrolment:
    """Return what tags and the rules that fit, each with its number, say together."""
    names_found = sorted(
        name.removeprefix(OURS)
        for name in (tag.casefold() for tag in tags)
        if name.startswith(OURS)  # the name after it may have a slash of its own
    )
    rules = [rule for _, rule in fitting]
    policies = [(POLICY_TAGS[name], f"tag {OURS}{name}") for name in names_found
                if name in POLICY_TAGS]  # fmt: skip
    policies.sort(key=lambda said: CAREFUL.index(said[0]))
    policies += [(Policy.NO, f"tag {OURS}{name}, which is none that Vergewatch knows")
                 for name in names_found if name not in KNOWN_TAGS]  # fmt: skip
    policies += [
        (rule.policy, rule_title(number)) for number, rule in fitting if rule.policy is not None
    ]
    if not policies:
        return NOT_ENROLLED
    denied = [one for one in policies if not one[0].acts]
    policy, because = (denied or policies)[0]
    hangs = [what for tag, what in HANG_TAGS.items() if tag in names_found]  # the mildest first
    tiers = [TIER_TAGS[name] for name in names_found if name in TIER_TAGS]
    return Enrolment(
        policy=policy,
        on_hang=_first(hangs, (rule.on_hang for rule in rules)) or OnHang.ALERT,
        tier=_tier(tiers, (rule.tier for rule in rules)),
        after=next((rule.after for rule in rules if rule.after), ()),
        because=because,
    )


def enrol_all(
    inventory: Inventory,
    rules: Sequence[EnrolmentRule],
    current: Mapping[str, Enrolment] = MappingProxyType({}),
) -> dict[str, Enrolment]:
    """
    Return the enrolments of an inventory by uuid; the tags must have been read.

    Args:
        current: What holds on for a VM whose configuration cannot be read: a rule that forbids
            may be meant for it.

    """
    assert inventory.tags is not None  # noqa: S101 - a tag that is unread may forbid
    unreadable = unreadable_clusters(inventory)
    found: dict[str, Enrolment] = {}
    for vm in inventory.vms:
        if not is_config_readable(vm, unreadable):
            found[vm.config.uuid] = current.get(vm.config.uuid, NOT_ENROLLED)
            continue
        of_vm = inventory.tags.get(vm.config.key, frozenset())
        spoken_of = of_vm or rules
        cluster = cluster_name(vm, inventory.clusters)
        found[vm.config.uuid] = enrol(vm, of_vm, cluster, rules) if spoken_of else NOT_ENROLLED
    if any("uuid" in vm.config.unreadable for vm in inventory.vms):
        return {**current, **found}  # which of them is its own is not known here
    return found


def circle_among(rules: Sequence[EnrolmentRule]) -> tuple[str, ...]:
    """Return the titles of rules whose ``after`` lead back to themselves; empty when none do."""
    later = {
        position: [
            other
            for other, rule in enumerate(rules)
            if any(may_overlap(wanted, name) for wanted in waiting.after for name in rule.names)
        ]
        for position, waiting in enumerate(rules)
    }
    for start in later:
        trail = _way_back(start, later)
        if trail:
            return tuple(map(rule_title, trail))
    return ()


def _way_back(start: int, later: Mapping[int, Sequence[int]]) -> tuple[int, ...]:
    trails: list[tuple[int, ...]] = [(start,)]
    seen: set[int] = set()
    while trails:
        trail = trails.pop()
        for follower in later[trail[-1]]:
            if follower == start:
                return (*trail, start)
            if follower not in seen:
                seen.add(follower)
                trails.append((*trail, follower))
    return ()


def _first(told: Sequence[OnHang], ruled: Iterable[OnHang | None]) -> OnHang | None:
    return next((one for one in (*told, *ruled) if one is not None), None)


def _tier(told: Sequence[int], ruled: Iterable[int | None]) -> int:
    return next((one for one in (*told, *ruled) if one is not None), DEFAULT_TIER)
