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
