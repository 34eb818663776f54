"""Small versions of the attacks, at once, against a daemon that may open few files."""

from collections.abc import Sequence

import pytest

from tests.siege.attacks import ATTACKS
from tests.siege.scene import PASSWORDS, besieged

OTHERS = [name for name in ATTACKS if name != PASSWORDS]


@pytest.mark.parametrize("attacks", [OTHERS, [PASSWORDS]], ids=["all without login", PASSWORDS])
async def test_daemon_acts_and_obeys_and_serves_under_attack(attacks: Sequence[str]) -> None:
    async with besieged(60) as scene:
        calm = await scene.calm()

        held = await scene.under(*attacks, seconds=3, share=0.15)

        page = await scene.daemon.page()
        assert scene.daemon.process.returncode is None

    assert held.connections > 20
    assert held.rss_mib < calm.rss_mib + 100
    assert held.acted_seconds < calm.acted_seconds + 15
    assert held.disarm_seconds < 5
    assert sum(page.get("vergewatch_web_refused_total")) > 0
    assert [line for line in scene.daemon.log if line.get("level") in ("error", "critical")] == []
