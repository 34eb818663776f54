"""Follow from poll to poll whether VergeOS updates the status of VMs."""

import msgspec

from exporter.model import FrozenStatus, Inventory
from exporter.polling.plan import Plan
from exporter.status_updates import StatusUpdates, without_frozen


class StatusWatch:
    """
    What of one system's status is frozen.

    Args:
        plan: After how long a status is frozen, and whether it is then shown.

    """

    def __init__(self, plan: Plan) -> None:
        self.use(plan)
        self._updates = StatusUpdates()
        self._frozen = FrozenStatus()

    def use(self, plan: Plan) -> None:
        """Judge by another *plan*; what was seen of updates stays known."""
        self._after_seconds = plan.frozen_after_seconds
        self._withdraws = plan.withdraws_frozen

    def watched(self, inventory: Inventory, *, asked_at: float) -> Inventory:
        """Return *inventory*, whose status rows were *asked_at*, with what is frozen of it."""
        self._updates = self._updates.after(inventory, at=asked_at)
        frozen = self._updates.frozen(after_seconds=self._after_seconds)
        if frozen != self._frozen:  # otherwise the very same object, for the renderer
            self._frozen = frozen
        return msgspec.structs.replace(inventory, frozen=self._frozen)

    def shown(self, inventory: Inventory | None) -> Inventory | None:
        """Return *inventory* as it is shown."""
        return without_frozen(inventory) if self._withdraws and inventory else inventory

    def withdraws_all(self, inventory: Inventory | None) -> bool:
        """Return whether no status of *inventory* is shown."""
        return self._withdraws and inventory is not None and inventory.frozen.system is True
