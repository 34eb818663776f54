"""How a system is polled: by its settings, and by this replica's part in the use of the key."""

from collections.abc import Callable

from exporter.config.systems import ResolvedSystem
from exporter.polling.key_share import ALONE, KeyShare
from exporter.polling.plan import Plan
from exporter.polling.poller import Poller
from exporter.vergeos.source import VergeOSSource


class PollPlan:
    """
    The plan of one system, which changes with the settings and when another replica leads.

    Args:
        share: Returns the part of this replica in the use of the key.

    """

    def __init__(
        self,
        settings: ResolvedSystem,
        source: VergeOSSource,
        share: Callable[[], KeyShare] = lambda: ALONE,
    ) -> None:
        self._settings = settings
        self._source = source
        self._share = share

    def current(self) -> Plan:
        """Return the plan that is right now."""
        return plan_of(self._settings, self._source, self._share)

    def use(self, settings: ResolvedSystem, source: VergeOSSource, poller: Poller) -> None:
        """Plan by *settings* from now on."""
        self._settings, self._source = settings, source
        poller.use(source, self.current())

    def follow(self, poller: Poller) -> None:
        """Change the plan of *poller* if it has to poll everything now, or no longer."""
        if self._share().stands_by != poller.plan.stands_by:
            poller.use(self._source, self.current())


def plan_of(
    settings: ResolvedSystem, source: VergeOSSource, share: Callable[[], KeyShare] = lambda: ALONE
) -> Plan:
    """
    Return how the poller works by *settings*.

    Args:
        share: Returns the part of this replica in the use of the key.

    """
    began = share()

    def refit() -> KeyShare:
        """Return the part as it is now; the role stays until there is another plan."""
        now = share()
        return now if now.stands_by == began.stands_by else began

    return Plan(
        settings.schedules
        if began.replicas == 1
        else settings.schedules_for({}, began, is_running=True),
        settings.poll.stale_after_polls,
        (lambda _: ()) if began.stands_by else settings.besides_at,
        lambda: settings.schedules_for(source.requests(), refit(), is_running=True),
        frozen_after_seconds=settings.poll.frozen_after_seconds,
        withdraws_frozen=settings.poll.frozen_status == "withdraw",
        stands_by=began.stands_by,
    )
