"""Work that takes long lets scrapes and commands run between its steps."""

import pytest

from exporter.recovery.pauses import BETWEEN_PAUSES, with_pauses
from tests.recovery.harness import Harness


@pytest.mark.parametrize(
    ("count", "pauses"),
    [(0, 0), (BETWEEN_PAUSES - 1, 0), (BETWEEN_PAUSES, 1), (5 * BETWEEN_PAUSES + 1, 5)],
)
def test_others_run_after_every_few_items(count: int, pauses: int) -> None:
    seen: list[int] = []

    async def work() -> None:
        seen.extend([item async for item in with_pauses(range(count))])

    steps = work().__await__()
    assert sum(1 for _ in steps) == pauses
    assert seen == list(range(count))


@pytest.mark.parametrize("work", ["diagnosed", "explained"])
def test_others_run_while_many_vms_that_are_down_are_judged(work: str) -> None:
    harness = Harness(vms=40).warm()
    for name in harness.names[: 2 * BETWEEN_PAUSES]:
        harness.world.crash(name)
    harness.advance(20)
    recovery = harness.recovery

    steps = getattr(recovery._diagnoser, work)(recovery.state).__await__()

    assert sum(1 for _ in steps) >= 2
