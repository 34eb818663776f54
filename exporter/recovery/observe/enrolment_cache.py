"""Enrolments of one system, worked out again only when the tables behind them change."""

from collections.abc import Mapping, Sequence

from exporter.model import Inventory, PollResult
from exporter.recovery.model.cases import Enrolment
from exporter.recovery.observe.enrolment import EnrolmentRule, enrol_all

SOURCES = ("vms", "tags", "clusters")


class EnrolmentCache:
    """Remembers the tables that the current enrolments were worked out from."""

    def __init__(self, rules: Sequence[EnrolmentRule]) -> None:
        self._rules = rules
        self._names_clusters = any(rule.clusters for rule in rules)
        self._sources: tuple[object, ...] = ()
        self._sources_before: tuple[object, ...] = ()
        self.problem = "the tags were not read yet"
        """Why enrolment is unknown; empty once the tags were read."""

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

    def checked(self, poll: PollResult) -> PollResult:
        """Return *poll*, without its inventory until tags and needed clusters were read once."""
        inventory = poll.inventory
        if inventory is None or self._sources:
            return poll
        if inventory.tags is None:
            return poll._replace(inventory=None, problem=self.problem)
        if self._lacks_clusters(inventory):
            problem = "the clusters were not read yet, and an enrolment rule names some"
            return poll._replace(inventory=None, problem=problem)
        return poll

    def enrolments(
        self, inventory: Inventory | None, current: Mapping[str, Enrolment]
    ) -> Mapping[str, Enrolment]:
        """Return the enrolment of every VM; *current* while tags or needed clusters are unread."""
        self._sources_before = self._sources
        if inventory is None:
            return current
        if inventory.tags is None:
            self.problem = "the tags were not read recently, so enrolment is unknown"
            return current
        if self._lacks_clusters(inventory):
            self.problem = "the clusters were not read recently, and an enrolment rule names some"
            return current
        self.problem = ""
        sources = tuple(map(inventory.sources.get, SOURCES))
        if self._sources and all(
            one is other for one, other in zip(sources, self._sources, strict=True)
        ):
            return current
        self._sources = sources
        return enrol_all(inventory, self._rules)

    def _lacks_clusters(self, inventory: Inventory) -> bool:
        return self._names_clusters and "clusters" not in inventory.sources
