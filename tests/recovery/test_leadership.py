"""Until when a replica leads by its own clocks, and when it may begin an action."""

import pytest

from exporter.clock import Moment
from exporter.recovery.leadership import LEADS_SECONDS, Tenure

THEN = Moment(1000.0, 1_700_000_000.0)


def later(monotonic: float, unix: float | None = None) -> Moment:
    return Moment(THEN.monotonic + monotonic, THEN.unix + (monotonic if unix is None else unix))


@pytest.mark.parametrize(
    ("now", "leads"),
    [
        (later(LEADS_SECONDS), True),
        (later(LEADS_SECONDS + 0.1), False),
        (later(1.0, unix=LEADS_SECONDS + 0.1), False),  # the machine slept, or its clock was set
        (later(LEADS_SECONDS + 0.1, unix=-3600.0), False),  # its clock was set back
        (later(LEADS_SECONDS, unix=-3600.0), True),
    ],
)
def test_replica_leads_for_so_long_by_both_clocks(now: Moment, leads: bool) -> None:
    tenure = Tenure(3, acquired_at=THEN, renewed_at=THEN)

    assert tenure.leads(now) is leads
    assert (tenure.forbids(now, former_seconds=35.0) == "") is leads


def test_late_renewal_forbids_actions_and_says_for_how_long_it_failed() -> None:
    tenure = Tenure(3, acquired_at=THEN, renewed_at=THEN)

    assert tenure.forbids(later(25.0), former_seconds=35.0) == "the lease was not renewed for 25 s"


@pytest.mark.parametrize(("seconds", "waits"), [(0.0, True), (34.9, True), (35.0, False)])
def test_replica_waits_until_no_action_of_the_former_leader_can_arrive(
    seconds: float, waits: bool
) -> None:
    now = later(seconds)
    tenure = Tenure(4, acquired_at=THEN, renewed_at=now, former="vw-1")

    forbids = tenure.forbids(now, former_seconds=35.0)

    assert ("the replica vw-1 led before" in forbids) is waits


def test_released_lease_needs_no_wait() -> None:
    tenure = Tenure(4, acquired_at=THEN, renewed_at=THEN, former="")

    assert tenure.forbids(later(0.1), former_seconds=35.0) == ""
