"""Enrolments of one system, worked out again only when the tables behind them change."""

from collections.abc import Mapping, Sequence

import msgspec

from exporter.formatting import counted
from exporter.model import Inventory, PollResult
from exporter.recovery.model.cases import Case, Enrolment
from exporter.recovery.model.history import FactKind, FactValues, VMFact
from exporter.recovery.observe.enrolment import EnrolmentRule, enrol_all

SOURCES = ("vms", "tags", "clusters")
SEVERAL_TAGGED = 3
"""So many VMs do not lose all their tags between two polls by the hand of an operator."""
TAGS_UNREAD = "the tags were not read recently, so enrolment is unknown"
CLUSTERS_UNREAD = "the clusters cannot be read, and an enrolment rule names some"


class EnrolmentCache:
    """Remembers the tables that the current enrolments were worked out from."""

    def __init__(self, rules: Sequence[EnrolmentRule]) -> None:
        self._rules = rules
        self._names_clusters = any(rule.clusters for rule in rules)
        self._sources: tuple[object, ...] = ()
        self._sources_before: tuple[object, ...] = ()
        self._tagged = 0
        """The VMs that had tags when the current enrolments were worked out."""
        self.problem = "the tags were not read yet"
        """Why enrolment is unknown; empty once the tags were read."""
        self.clusters_problem = ""
        """Why the clusters that a rule names are unknown; empty while they are known."""

    @property
    def names_clusters(self) -> bool:
        """Whether an enrolment rule names clusters."""
        return self._names_clusters

    def use(self, rules: Sequence[EnrolmentRule]) -> None:
        """Enrol by *rules* from the next poll on; until then, enrolment is unknown."""
        self._rules = rules
        self._names_clusters = any(rule.clusters for rule in rules)
        self.reset()
        self.problem = "the enrolment rules have changed, and no VM was enrolled by them yet"

    def reset(self) -> None:
        """Work out all enrolments again at the next poll."""
        self._sources = ()

    def undo(self) -> None:
        """Forget the tables of the newest poll, which was rejected."""
        self._sources = self._sources_before

    def resume(self, facts: FactValues) -> None:
        """Continue after an earlier process, whose newest facts have the tags of each VM."""
        vms = (value for (kind, _), value in facts.items() if kind is FactKind.VM)
        self._tagged = sum(bool(msgspec.json.decode(one, type=VMFact).tags) for one in vms)
        self.reset()

    def accept(self) -> None:
        """Believe the tags of the next poll, although there may be none any more."""
        self._tagged = 0

    def checked(self, poll: PollResult, cases: Mapping[str, Case]) -> PollResult:
        """
        Return *poll*, without its inventory until tags and needed clusters were read once.

        Tags that look lost count as unread: a tag that is missing may forbid.
        """
        inventory = poll.inventory
        if inventory is None:
            return poll
        self.problem = "" if inventory.tags is not None else TAGS_UNREAD
        if inventory.tags is not None and not inventory.tags and self._lost(inventory, cases):
            inventory = msgspec.structs.replace(inventory, tags=None)
            poll = poll._replace(inventory=inventory)
            self.problem = (
                f"no VM has a tag any more, and {counted(self._tagged, 'VM')} had: if that is so, "
                "run `vergewatch recovery accept --reason ...`"
            )
        if self._sources:
            return poll
        if inventory.tags is None:
            return poll._replace(inventory=None, problem=self.problem)
        if self._lacks_clusters(inventory):
            self.clusters_problem = CLUSTERS_UNREAD
            return poll._replace(inventory=None, problem=CLUSTERS_UNREAD)
        return poll

    def enrolments(
        self, inventory: Inventory | None, current: Mapping[str, Enrolment]
    ) -> Mapping[str, Enrolment]:
        """Return the enrolment of every VM; *current* while a table that it needs is missing."""
        self._sources_before = self._sources
        if inventory is None:
            return current
        no_clusters = self._lacks_clusters(inventory)
        self.clusters_problem = CLUSTERS_UNREAD if no_clusters else ""
        if inventory.tags is None or no_clusters:
            return current
        sources = tuple(map(inventory.sources.get, SOURCES))
        if self._sources and all(
            one is other for one, other in zip(sources, self._sources, strict=True)
        ):
            return current
        self._sources, self._tagged = sources, len(inventory.tags)
        return enrol_all(inventory, self._rules)

    def _lacks_clusters(self, inventory: Inventory) -> bool:
        are_read = "clusters" in inventory.sources and inventory.clusters
        return self._names_clusters and not are_read

    def _lost(self, inventory: Inventory, cases: Mapping[str, Case]) -> bool:
        """Return whether an answer without any tag looks like a fault rather than an edit."""
        if not self._tagged:
            return False
        enrols = any(
            one.policy.acts and uuid in cases and not cases[uuid].policy.acts
            for uuid, one in enrol_all(inventory, self._rules).items()
        )
        return enrols or self._tagged >= SEVERAL_TAGGED
