"""The state of a system, and its reason."""

import pytest
from msgspec.structs import replace

from exporter.console.health import State, reason_of, state_of
from exporter.model import SystemReport
from tests.web.samples import NOW, REFUSED_ERROR, refused, system, table, unread, waiting


@pytest.mark.parametrize(
    ("report", "state", "reason"),
    [
        (system(), State.UP, ""),
        (waiting(), State.WAITING, ""),
        (system(up=False, tables=(table(), unread("disks"))), State.WAITING, ""),
        (
            system(
                up=False, tables=(table(success=False, seconds_ago=300, error="vms timed out"),)
            ),
            State.STALE,
            "last successful poll 5 min ago; vms timed out",
        ),
        (
            system(up=False, tables=(table(success=False, seconds_ago=None, error="vms refused"),)),
            State.UNREACHABLE,
            "vms refused",
        ),
        (
            replace(
                system(up=False, tables=(table(), table(success=False, error="/settings: 503"))),
                named=False,
            ),
            State.UNNAMED,
            "its VMs are not exported before its name is known: /settings: 503",
        ),
        (replace(waiting(), named=False), State.WAITING, ""),
        (
            replace(system(), frozen=True),
            State.FROZEN,
            "VergeOS no longer updates the status of VMs",
        ),
        (replace(system(), frozen=None), State.UP, ""),
        (replace(refused(), frozen=True), State.REFUSED, REFUSED_ERROR),
        (refused(), State.REFUSED, REFUSED_ERROR),
        (system(authenticated=False), State.REFUSED, ""),
    ],
)
def test_state_and_reason_of_system(report: SystemReport, state: State, reason: str) -> None:
    assert state_of(report) is state
    assert reason_of(report, NOW) == reason
