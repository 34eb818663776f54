"""Work that takes long lets scrapes and commands run between its steps."""

import pytest

from exporter.recovery.pauses import BETWEEN_PAUSES, with_pauses


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
