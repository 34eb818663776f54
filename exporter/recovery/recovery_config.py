"""The recovery settings of one system, resolved."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.model.limits import Limits, Mode, PowerState
from exporter.recovery.model.ports import Confirmer, Silences
from exporter.recovery.observe.enrolment import EnrolmentRule


class RecoveryConfig(NamedTuple):
    """The recovery settings of one system."""

    limits: Limits = Limits()
    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN
    enrolment_rules: Sequence[EnrolmentRule] = ()
    """Enrolment rules, besides the tags."""
    classifier: LogClassifier = LogClassifier()
    log_users: LogUsers = LogUsers()
    maintenance_windows: Sequence[MaintenanceWindow] = ()
    kill_switch: Callable[[], str] = lambda: ""
    """Returns the path of the kill switch file while it exists; else an empty string."""
    kill_switch_file: str = ""
    silences: Silences | None = None
    confirmer: Confirmer | None = None

    @property
    def judged_by(self) -> object:
        """
        What decides what is known of a VM. Where it changes, recovery warms up.

        Rules, windows, the kill switch, silences and confirmations are read again for each
        decision, as tags are.
        """
        patterns = tuple(self.classifier.patterns)
        return self.limits, self.mode, self.powerstate, self.log_users, patterns
