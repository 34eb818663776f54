"""What all tests have in common."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.postgres import Postgres, postgres_server

# Machines stall now and then, and an example that took long is no failure; a seed is worth having.
settings.register_profile("ours", deadline=None, print_blob=True)
settings.load_profile("ours")


LONG = (
    "browser/",
    "chaos/",
    "siege/",
    "recovery/test_replicas.py",
    "daemon/test_one_notification.py",
    "recovery/test_sigkill.py",
    "daemon/test_reload_property.py",
    "alert_rules/test_storage.py",
    "daemon/test_end_to_end.py",
    "daemon/test_down_alerts.py",
    "recovery/test_usefulness.py",
    "alert_rules/test_cases.py",
    "daemon/test_approval.py",
    "daemon/test_shared_key_hours.py",
    "daemon/test_frozen_status.py",
)
"""Where the tests are that take half a minute and more, most of them waiting for processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal out the long tests, so that every worker begins with some and none ends with them."""

    def place(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        return next((n for n, part in enumerate(LONG) if path.startswith(part)), len(LONG))

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    rest: list[pytest.Item] = []
    for item in sorted(items, key=place):
        number = place(item)
        (hands[number % workers] if number < len(LONG) else rest).append(item)
    share = len(items) // workers + 1
    items.clear()
    for hand in hands:
        others = max(0, share - len(hand))
        items += [*hand, *rest[:others]]
        rest = rest[others:]


@pytest.fixture(autouse=True)
def _same_log_configuration() -> Iterator[None]:
    """Undo what a command that a test runs in its own process configures."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="session")
def _own_state_directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what a daemon in this process remembers out of the home directory."""
    state = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(state)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server
