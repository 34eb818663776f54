"""A few rounds of what ``make chaos`` plays for as long as it is asked to."""

from pathlib import Path

import pytest

from tests.chaos.chaos import play
from tests.postgres import Postgres


async def test_replicas_under_faults_repeat_no_action_and_recover_every_vm(
    tmp_path: Path, postgres: Postgres
) -> None:
    result = await play(tmp_path, postgres, rounds=3, seed=1)

    assert result.posts >= result.crashes >= 4


async def test_without_the_fence_an_earlier_leader_writes_and_that_is_found(
    tmp_path: Path, postgres: Postgres
) -> None:
    with pytest.raises(AssertionError, match="an older epoch wrote intents"):
        await play(tmp_path, postgres, rounds=0, seed=1, fenced=False)
