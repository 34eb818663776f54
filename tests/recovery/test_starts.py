"""Who had a VM started: the person whose start request is the newest one in the logs."""

import pytest
from msgspec.structs import replace

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.detect.starts import started_by
from exporter.recovery.model.cases import Case
from exporter.recovery.model.platform_log import LogRow
from tests.recovery.test_edges import DOWN, UP, row

POWER_ON = "VM action 'poweron' sent"
EFFECT = "VM 'web-01' powered on"
BY_HA = "HA: starting 'web-01' on 'node2'"
OWN = LogUsers(frozenset({"vergewatch"}))
TRIED = replace(DOWN, attempts=1)


def request(user: str, *, text: str = POWER_ON, key: int = UP + 5, at: float = 100.0) -> LogRow:
    return row(text, key=key, at=at, user=user)


def starter(
    *rows: LogRow, case: Case = DOWN, users: LogUsers = OWN, taught: str = "<name> woken"
) -> str:
    classifier = LogClassifier(taught={taught: Meaning.START})
    return started_by(case, rows, users, classifier)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], ""),
        ([request("anna")], "anna"),
        ([request("anna", text=EFFECT)], "anna"),
        ([request("anna", key=UP + 1)], "anna"),
        ([request("anna", key=UP)], ""),  # it was up since
        ([request("anna", text="VM action 'reset' sent")], ""),
        ([request("anna", text="an unknown text")], ""),
        ([request("system")], ""),
        ([request("")], ""),
        ([request("VergeWatch")], ""),
        ([request("anna", at=100.0), request("ben", at=101.0)], "ben"),
        ([request("anna", at=100.0), request("ben", at=99.0)], "anna"),
        ([request("anna", at=100.0), request("ben", at=100.0)], "ben"),
        ([request("anna"), request("ben", at=101.0, key=UP)], "anna"),
        ([request("anna"), request("vergewatch", at=101.0)], ""),
        ([request("vergewatch"), request("anna", at=101.0)], "anna"),
        ([request("anna"), request("system", at=101.0, text=EFFECT)], "anna"),
        ([request("anna"), request("system", at=101.0, text=BY_HA)], ""),
        ([request("anna"), request("ben", at=101.0, text="an unknown text")], "anna"),
    ],
)
def test_newest_request_by_a_person_tells_who_had_it_started(
    rows: list[LogRow], expected: str
) -> None:
    assert starter(*rows) == expected


@pytest.mark.parametrize(
    ("case", "users", "expected"),
    [
        (DOWN, OWN, "anna"),
        (DOWN, LogUsers(), "anna"),
        (TRIED, OWN, "anna"),
        (TRIED, LogUsers(), ""),  # it may have been a start of ours
        (replace(DOWN, log_up=None), OWN, ""),
    ],
)
def test_person_is_known_only_where_it_was_not_us(
    case: Case, users: LogUsers, expected: str
) -> None:
    assert starter(request("anna"), case=case, users=users) == expected


@pytest.mark.parametrize("name", ["web-01", "old-01", "anna"])
def test_names_of_the_vm_and_of_the_user_change_no_meaning(name: str) -> None:
    case = replace(DOWN, former_names=("old-01",))

    assert starter(request("anna", text=f"{name} woken"), case=case) == "anna"
    assert starter(request("anna", text="db-01 woken"), case=case) == ""
