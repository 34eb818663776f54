"""What operators told recovery before an upgrade and what it did, to be found after it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.simulator.world.machines import VM
from tests.daemon_process import Daemon
from tests.upgrade.site import NORTH, ROW, SOUTH, Site, command, get, status_of, vms_of

PAUSE_SECONDS = 3600.0
LOG = "/log?limit=1000"


class Knowledge(NamedTuple):
    """What the journal has before an upgrade."""

    events: frozenset[tuple[str, ...]]
    """Changes, decisions, actions and commands: when, in which system, of which VM, what."""
    budgets: Mapping[frozenset[tuple[str, str]], float]
    """What remains of the restart budgets, by VM and window."""
    denied: VM
    """A VM of `SOUTH` that is down, and that an operator denied to start."""
    question: int
    """The one that was denied."""


async def teach_and_hold(site: Site, daemon: Daemon) -> Knowledge:
    """Teach recovery a template, deny it to start a VM, and pause it; return what it knows."""
    crashed = site.crash()

    async def is_unclear() -> bool:
        events = (await get(daemon, LOG))["events"]
        return any(ROW in one["text"] for one in events if one["vm"] == crashed.vm.name)

    await site.until(is_unclear, f"the row of {crashed.vm.name} is unclear")
    assert site.seconds_to_start(crashed) is None
    await _give(daemon, "teach", system=NORTH, template=ROW, means="harmless")
    await site.until_recovered([crashed])
    denied = vms_of(site.systems[SOUTH])[0]
    question = await _ask_about(site, daemon, denied)
    await _give(daemon, "deny", system=SOUTH, question=question)
    await _give(daemon, "pause", system=SOUTH, seconds=PAUSE_SECONDS)
    return Knowledge(await _events(daemon), await _budgets(daemon), denied, question)


async def check_known(site: Site, daemon: Daemon, known: Knowledge) -> None:
    """Check that a daemon knows what an earlier one did, and that its commands hold."""
    missing = known.events - await _events(daemon)
    assert not missing, f"not in the journal any more: {sorted(missing)}"
    budgets = await _budgets(daemon)
    assert {one: budgets.get(one) for one in known.budgets} == known.budgets
    patterns = (await get(daemon, f"/patterns?system={NORTH}"))["systems"]
    taught = [one for system in patterns for one in system["taught"]]
    assert [(one["template"], one["means"], one["owner"]) for one in taught] == [
        (ROW, "harmless", "anna")
    ]
    status = await status_of(daemon, SOUTH)
    paused = status["paused"]
    assert (status["mode"], paused["owner"], paused["reason"]) == ("ask", "anna", "a test")
    assert 0 < paused["left_seconds"] < PAUSE_SECONDS
    assert [one["number"] for one in status["questions"]] == []
    code, text = await command(daemon, "approve", system=SOUTH, question=known.question)
    assert code != 200, text
    assert "denied by anna" in text, text
    assert known.denied.key not in [vm for _, vm in site.posts(SOUTH)]


async def resume_and_ask(site: Site, daemon: Daemon, known: Knowledge, *, number: int = 1) -> None:
    """
    End the pause: recovery asks about another VM and starts it, and not about the denied one.

    Args:
        number: Of that VM, beginning with 1; each may be used once.

    """
    await _give(daemon, "resume", system=SOUTH)
    vm = vms_of(site.systems[SOUTH])[number]
    question = await _ask_about(site, daemon, vm)
    await _give(daemon, "approve", system=SOUTH, question=question)

    async def runs() -> bool:
        return vm.machine.status.running

    await site.until(runs, f"{vm.name} runs")
    assert [key for _, key in site.posts(SOUTH)].count(vm.key) == 1
    assert known.denied.key not in [key for _, key in site.posts(SOUTH)]


async def _ask_about(site: Site, daemon: Daemon, vm: VM) -> int:
    """Crash a VM of `SOUTH`; return the number of the question about it, the only one."""
    site.systems[SOUTH].world.crash(vm)

    async def is_asked() -> bool:
        return bool((await status_of(daemon, SOUTH))["questions"])

    await site.until(is_asked, f"a question about {vm.name}")
    (question,) = (await status_of(daemon, SOUTH))["questions"]
    assert question["vm_name"] == vm.name, question
    return int(question["number"])


async def _give(daemon: Daemon, kind: str, **details: Any) -> None:
    code, text = await command(daemon, kind, **details)
    assert code == 200, f"{kind}: {text}"


async def _events(daemon: Daemon) -> frozenset[tuple[str, ...]]:
    events = (await get(daemon, LOG))["events"]
    return frozenset((one["time"], one["system"], one["vm"], one["kind"]) for one in events)


async def _budgets(daemon: Daemon) -> Mapping[frozenset[tuple[str, str]], float]:
    return (await daemon.page()).samples.get("vergewatch_recovery_vm_budget_remaining", {})
