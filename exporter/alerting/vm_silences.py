"""
Which VMs a silence holds: recovery does not start them while the silence applies.

A silence holds a VM in two cases:

- Alertmanager mutes the alert VergeVMDown of the VM with it, whatever its matchers are: also those
  that exclude (``vm_name!="web-01"``), and those of an alert name or a severity alone.
- It selects the VM, its node, cluster or system, or has the matcher ``recovery="hold"``, and
  matches one of the alerts that are raised while the VM is down. A silence of other alerts, for
  example of a full filesystem, does not.

The labels of those alerts are known except for those that Prometheus adds: ``job``, ``instance``
and external labels that the settings do not name. A silence created from an alert in Alertmanager's
UI contains them all, so matchers of unknown labels are ignored in a silence of our alerts. A
silence that selects only by ``node_name`` or ``cluster_name`` must match exactly, because alerts of
other exporters may have these labels too.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.definitions import DEFINITIONS, AlertName
from exporter.alerting.matchers import Matcher, all_match
from exporter.alerting.silence_poller import SilencePoller
from exporter.alerting.silences import Silence, SilenceInterval, SilencesResponse, silence_intervals
from exporter.clock import Clock
from exporter.formatting import minute
from exporter.recovery.model.ports import VMLocation

NONE: Mapping[str, str] = MappingProxyType({})
HOLD_LABEL = {"recovery": "hold"}
"""A label that no alert has: a matcher of it is addressed to recovery."""
LOCATION_LABELS = ("node_name", "cluster_name")
PART_LABELS = ("nic", "disk", "mountpoint")
"""Labels of alerts about a part of a VM."""
VM_LABELS = ("system_name", "vm_id", "vm_name")
"""Labels of the alert that a VM is down, besides the constant ones."""
DOWN_LABELS = {
    "alertname": str(AlertName.VM_DOWN),
    "severity": DEFINITIONS[AlertName.VM_DOWN].severity,
    "layer": DEFINITIONS[AlertName.VM_DOWN].layer,
}
"""The constant labels of that alert."""
NOT_ADDED = (*VM_LABELS, *DOWN_LABELS, *PART_LABELS, *HOLD_LABEL, *LOCATION_LABELS)
"""Labels that Prometheus adds to none of our alerts."""
OTHER_ALERT = "InstanceDown"
"""The name of an alert that is not ours."""


class LabelValues(NamedTuple):
    """Values of a label that differ between the alerts about a VM."""

    vm_down: tuple[str, ...]
    """On alerts that a VM is or may be down."""
    other: tuple[str, ...]
    """On all other alerts of Vergewatch."""


OF_PLATFORM = (
    "VergeAPIKeyExpiring",
    "VergeAdministratorWithoutMFA",
    "VergeAlarmRaised",
    "VergeAlarmRaisedCritical",
    "VergeCertificateExpiring",
    "VergeClusterNoHeadroom",
    "VergeClusterReduced",
    "VergeDriveFailing",
    "VergeDriveOffline",
    "VergeDriveWearingOut",
    "VergeFabricDegraded",
    "VergeFabricSlow",
    "VergeGatewayLossy",
    "VergeGatewaySlow",
    "VergeGatewayUnreachable",
    "VergeLicenseExpiring",
    "VergeLicenseExpiringCritical",
    "VergeMemoryModuleFailing",
    "VergeNetworkChangesPending",
    "VergeNetworkDown",
    "VergeNetworkMTUTooSmall",
    "VergeNetworkTroubled",
    "VergeNoSnapshotProfiles",
    "VergeNodeDriverReload",
    "VergeNodeHot",
    "VergeNodeIPMIError",
    "VergeNodeImpaired",
    "VergeNodeNICDown",
    "VergeNodeSingleSwitch",
    "VergeNodeVersionsDiffer",
    "VergeOnlyOneAdministrator",
    "VergeRebootRequired",
    "VergeReplicaTooOld",
    "VergeReplicationFailing",
    "VergeStorageRepairsGrow",
    "VergeStorageTierFull",
    "VergeStorageTierFullCritical",
    "VergeStorageTierNotRedundant",
    "VergeStorageWritesThrottled",
    "VergeTenantDown",
    "VergeTenantError",
    "VergeTenantStorageAlmostFull",
    "VergeUpdateAvailable",
    "VergeVMSnapshotOverdue",
)
"""Alerts about VergeOS, whose silences are not about a VM that is down."""
VARYING_LABELS: Mapping[str, LabelValues] = {
    "alertname": LabelValues(
        (
            *(name for name, definition in DEFINITIONS.items() if definition.vm_down),
            "VergeVMWentDown",
            "VergeVMUnresponsive",
            "VergeVMError",
            "VergeVMStuckInTransition",
            "VergeVMMigrationStuck",
            "VergeVMFlapping",
            "VergeVMFailoverWindow",
            "VergeNodeOffline",
            "VergeNodeStatusFrozen",
            "VergeStorageTierDown",
        ),
        (
            *(name for name, definition in DEFINITIONS.items() if not definition.vm_down),
            *OF_PLATFORM,
            "VergeVMRestartPending",
            "VergeVMGuestAgentLost",
            "VergeVMFilesystemFilling",
            "VergeVMFilesystemAlmostFull",
            "VergeVMCPUSaturated",
            "VergeVMGuestMemoryPressure",
            "VergeRecoveryClockJumps",
            "VergeRecoveryInputMissing",
            "VergeRecoveryKeyReadOnly",
            "VergeRecoveryLeaderChanging",
            "VergeRecoveryNoLeader",
            "VergeRecoveryNotReady",
            "VergeRecoveryPausedTooLong",
            "VergeRecoverySeveralLeaders",
            "VergeTableFailing",
            "VergeRowsSkipped",
            "VergeAPIBudgetLow",
            "VergeDuplicateSeries",
            "VergeEventLoopStalling",
            "VergeReloadFailed",
            "VergeExporterAbsent",
            "VergeExporterDown",
            "VergeExporterReplicaDown",
            "VergeExporterRestarting",
            "VergeWatchdog",
        ),
    ),
    "severity": LabelValues(("warning", "critical"), ("info", "none")),
    "layer": LabelValues(
        ("vm", "node", "system", "recovery"), ("exporter", "inhibitor", "platform")
    ),
}
"""The names are those of the daemon's own alerts and of the alert rules for Prometheus."""


class VMSilences:
    """
    The silences that apply to the VMs of all systems.

    Args:
        pollers: One for each Alertmanager.

    """

    def __init__(
        self, pollers: Sequence[SilencePoller], settings: AlertmanagerSettings, clock: Clock
    ) -> None:
        self._pollers: Sequence[SilencePoller] = ()
        self._clock = clock
        self._former: Sequence[SilencesResponse] = ()
        """What Alertmanagers said that are no longer used."""
        self.all: Sequence[SilenceInterval] = ()
        """Every silence of every Alertmanager, also of other alerts."""
        self._intervals: Sequence[SilenceInterval] = ()
        self.use(pollers, settings)

    def use(self, pollers: Sequence[SilencePoller], settings: AlertmanagerSettings) -> None:
        """
        Read the silences from *pollers* from now on.

        Silences of an Alertmanager that is no longer used hold VMs until every present one has
        answered: a change of its address must not start a VM that is silenced.
        """
        urls = {poller.url for poller in pollers}
        gone = [one.response for one in self._pollers if one.url not in urls]
        known = [one for one in gone if one is not None]
        for poller in pollers:
            for former in self._pollers:
                if former.url == poller.url:
                    poller.take_over(former)
            poller.on_response = self._merge
        self._former = [*self._former, *known] if pollers else []
        self._pollers, self._settings = pollers, settings
        self._merge()

    def _merge(self) -> None:
        responses = [poller.response for poller in self._pollers]
        if None not in responses:
            self._former = ()
        present = [one for one in responses if one is not None]
        self.all = silence_intervals([*self._former, *present])
        added = self._settings.external_labels
        self._intervals = [one for one in self.all if may_hold_vms(one.silence, added)]

    @property
    def unknown(self) -> str:
        """Why the silences of an Alertmanager are unknown; empty if all are known."""
        return next(filter(None, (poller.unknown for poller in self._pollers)), "")

    @property
    def are_needed(self) -> bool:
        """Whether recovery sends no action while they are unknown."""
        return self._settings.unreachable == "hold"

    async def refresh(self) -> None:
        """Read the silences of every Alertmanager now."""
        running = [poller for poller in self._pollers if poller.is_running]
        if running:
            await asyncio.gather(*(poller.refresh() for poller in running))

    def hold_reason(self, labels: Mapping[str, str]) -> str:
        """Return why recovery must not act on the VM with *labels*; empty if it may."""
        at, after = self._clock.monotonic(), self._settings.after_silence_seconds
        added = self._settings.external_labels
        reason = hold_reason(
            self._intervals, labels, at=at, after_seconds=after, external_labels=added
        )
        return reason or (self.unknown if self.are_needed else "")


class SystemSilences:
    """
    The silences that apply to the VMs of one system, as recovery asks for them.

    Args:
        system_names: Returns the name of the system and those it had before: the silence of a VM
            holds although the system was renamed.

    """

    def __init__(self, silences: VMSilences, system_names: Callable[[], Sequence[str]]) -> None:
        self._silences = silences
        self._system_names = system_names

    @property
    def unknown(self) -> str:
        return self._silences.unknown

    @property
    def are_needed(self) -> bool:
        return self._silences.are_needed

    async def refresh(self) -> None:
        await self._silences.refresh()

    def holding(self, vm: VMLocation, /) -> str:
        location = {"node_name": vm.node, "cluster_name": vm.cluster}
        known = {label: value for label, value in location.items() if value}
        known |= {"vm_id": str(vm.vm_key), "vm_name": vm.vm_name}
        reasons = (
            self._silences.hold_reason({**known, "system_name": name})
            for name in self._system_names()
        )
        return next(filter(None, reasons), "")


def hold_reason(
    intervals: Iterable[SilenceInterval],
    labels: Mapping[str, str],
    *,
    at: float,
    after_seconds: float,
    external_labels: Mapping[str, str] = NONE,
) -> str:
    """
    Return which silence holds the VM with *labels*; empty if none does.

    Args:
        external_labels: See `holds_vm`.
        at: Our monotonic clock, in seconds.
        after_seconds: How long a VM is still held after its silence has ended.

    """
    holding = [
        one
        for one in intervals
        if one.starts <= at < one.ends + after_seconds
        and holds_vm(one.silence, labels, external_labels)
    ]
    if not holding:
        return ""
    last = max(holding, key=lambda one: one.ends)
    silence = last.silence
    author = _printable(silence.created_by) or "an unnamed author"
    detail = f"{_printable(silence.comment) or 'no comment'} (silence {_printable(silence.id)})"
    if at >= last.ends:
        ago = f"{at - last.ends:.0f} s ago, less than {after_seconds:g} s"
        return f"the silence of {author} ended {ago}: {detail}"
    invalid = _printable(", ".join(str(one) for one in silence.matchers if not one.is_valid))
    note = f"; {invalid} is not a valid pattern and matches every VM" if invalid else ""
    return f"it is silenced by {author} until {_utc(silence.ends_at)}: {detail}{note}"


def holds_vm(
    silence: Silence, labels: Mapping[str, str], external_labels: Mapping[str, str] = NONE
) -> bool:
    """
    Return whether *silence* holds the VM with *labels* while it applies.

    Args:
        external_labels: The labels that each of our alerts has besides, by the settings.

    """
    others = []
    for matcher in silence.matchers:  # most silences are of another VM
        if matcher.name not in VM_LABELS:
            others.append(matcher)
        elif not matcher.matches(labels.get(matcher.name, "")):
            return False
    if _mutes_down_alert(others, external_labels, of_ours=_is_of_ours(silence)):
        return True
    return silence.selects_vms and _may_mute(silence, {**external_labels, **labels})


def may_hold_vms(silence: Silence, external_labels: Mapping[str, str] = NONE) -> bool:
    """Return whether *silence* may hold a VM, whatever its labels are: most silences do not."""
    others = [one for one in silence.matchers if one.name not in VM_LABELS]
    return silence.selects_vms or _mutes_down_alert(
        others, external_labels, of_ours=_is_of_ours(silence)
    )


def _mutes_down_alert(
    matchers: Sequence[Matcher], external_labels: Mapping[str, str], *, of_ours: bool
) -> bool:
    """
    Return whether Alertmanager mutes VergeVMDown.

    Args:
        matchers: Those that do not concern which VM it is.
        of_ours: Whether the silence is of our alerts, so that it may name ``job`` too.

    """
    labels = {**external_labels, **DOWN_LABELS}
    unmatched = [one for one in matchers if not one.matches(labels.get(one.name, ""))]
    is_known = any(one.name in external_labels or one.name in NOT_ADDED for one in unmatched)
    return not is_known and (of_ours or not unmatched)


def _is_of_ours(silence: Silence) -> bool:
    """Return whether *silence* names a VM, a system or our alert, be it to exclude it."""
    return any(
        one.name in VM_LABELS
        or (
            one.name == "alertname"
            and one.matches(AlertName.VM_DOWN)
            and not one.matches(OTHER_ALERT)
        )
        for one in silence.matchers
    )


def _may_mute(silence: Silence, labels: Mapping[str, str]) -> bool:
    """Return whether *silence* matches an alert that may be raised while the VM is down."""
    by_label: dict[str, list[Matcher]] = defaultdict(list)
    for matcher in silence.matchers:
        by_label[matcher.name].append(matcher)
    known, own = {**labels, **HOLD_LABEL}, silence.selects_own_label
    ignored = _ignored_labels(silence, known)
    return all(
        label in ignored or _may_match(label, matchers, known, own=own)
        for label, matchers in by_label.items()
    )


def _ignored_labels(silence: Silence, labels: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return the labels that do not matter because a narrower label selects the VM.

    Our VM alerts have no such label, but those of an operator's own rules may.
    """
    equal = {
        one.name
        for one in silence.matchers
        if one.is_equal and not one.is_regex and one.value == labels.get(one.name)
    }
    if equal & {"vm_id", "vm_name"}:
        return ("node_name", "cluster_name")
    return ("cluster_name",) if "system_name" in equal and "node_name" in equal else ()


def _may_match(
    label: str, matchers: Sequence[Matcher], labels: Mapping[str, str], *, own: bool
) -> bool:
    """Return whether *matchers* match a value that *label* may have while the VM is down."""
    if label in labels:
        return all_match(matchers, labels[label])
    if label in LOCATION_LABELS:
        return True  # the table with the name could not be read: it may be this one
    values = VARYING_LABELS.get(label)
    if values is not None:
        if any(all_match(matchers, value) for value in values.vm_down):
            return True
        return own and not any(all_match(matchers, value) for value in values.other)
    if own and label not in PART_LABELS:
        return True  # added by Prometheus
    return all_match(matchers, "")


def _utc(moment: datetime) -> str:
    try:
        return minute(moment)
    except OverflowError:  # after the year 9999
        return "the year 9999"


def _printable(text: str) -> str:
    """Return text of the silence's author, safe for pages, logs and terminals."""
    return "".join(char if char.isprintable() else " " for char in text[:200]).strip()
