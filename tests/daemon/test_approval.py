"""Mode ask with everything real: an alert asks, and an operator answers with its commands."""

import asyncio
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.simulator import Simulator
from tests.alerting.real_alertmanager import Real, alertmanagers
from tests.daemon.test_end_to_end import actions, is_running, made
from tests.daemon_process import REAL_TIME, Daemon, pointing_at, running, simulating
from tests.forking import told

PATIENCE_SECONDS = 40.0
QUESTION_SECONDS = 15.0
ALERT = "VergeRecoveryApprovalNeeded"
COMMAND = re.compile(r"`(vergewatch recovery (approve|deny) (\d+) [^`]*)`")
APPROVED, DENIED, STOPPED, EXPIRED = "web-01", "app-01", "db-01", "db-02"
SETTINGS = {
    "VERGEWATCH_RECOVERY__MODE": "ask",
    "VERGEWATCH_RECOVERY__TOKEN": "a token for tests",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_SETTLE_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__BREAKER_MIN_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__NODE_FAILURE_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__QUESTION_SECONDS": f"{QUESTION_SECONDS}",
    "VERGEWATCH_ALERTMANAGER__EVALUATE_EVERY_SECONDS": "0.2",
    "VERGEWATCH_ALERTMANAGER__POST_EVERY_SECONDS": "0.5",
}


class Question(NamedTuple):
    """A question as its alert shows it."""

    number: int
    description: str
    commands: Mapping[str, str]


async def test_operator_answers_questions_with_the_commands_of_the_alert(tmp_path: Path) -> None:
    async with simulating(vms=12) as system, alertmanagers(tmp_path) as (people,):
        for name in (APPROVED, DENIED, STOPPED, EXPIRED):
            system.world.untag(name, "recovery/never")
            system.world.tag(name, "recovery/auto")
        env = {
            **pointing_at(system),
            **SETTINGS,
            "VERGEWATCH_RECOVERY__DIRECTORY": str(made(tmp_path / "state")),
            "VERGEWATCH_ALERTMANAGER__URLS": json.dumps([people.url]),
        }
        async with running(env) as daemon:
            await until(lambda: is_active(daemon))
            await approved_vm_is_started(system, daemon, people)
            denied = await denied_question_is_closed(system, daemon, people)
            await stopped_vm_is_refused(system, daemon, people)
            await expired_question_is_refused(system, daemon, people)
            await denied_vm_is_not_asked_about_again(system, daemon, denied)
            _, log = await daemon.get("/api/v1/recovery/log")
    assert f"{APPROVED}" in log
    assert "anna approved question" in log
    assert "anna denied question" in log
    assert actions(system) == [(APPROVED, "poweron"), (EXPIRED, "poweron")]


async def approved_vm_is_started(system: Simulator, daemon: Daemon, people: Real) -> None:
    system.world.crash(APPROVED)
    question = await asked(people, APPROVED)

    status = await vergewatch(daemon, "vergewatch recovery status")
    code, answer = await answered(daemon, question.commands["approve"])

    assert "VergeOS logged no stop request" in question.description
    assert "send the action poweron" in question.description
    assert f"question {question.number}: poweron of {APPROVED}" in status[1]
    assert code == 0, answer
    assert f"question {question.number} is approved; Vergewatch started it" in answer
    await until(lambda: is_running(system, APPROVED))
    await until(lambda: is_resolved(people, APPROVED))


async def denied_question_is_closed(system: Simulator, daemon: Daemon, people: Real) -> Question:
    system.world.crash(DENIED)
    question = await asked(people, DENIED)

    code, answer = await answered(daemon, question.commands["deny"])

    assert code == 0, answer
    assert f"no further question about {DENIED} until it was up" in answer
    await until(lambda: is_resolved(people, DENIED))
    return question


async def denied_vm_is_not_asked_about_again(
    system: Simulator, daemon: Daemon, question: Question
) -> None:
    """Check it when other questions have expired: one about this VM would have, too."""
    asked = [one["vm"] for one in daemon.log if one["event"] == "recovery.asked"]
    assert asked.count(DENIED) == 1
    assert asked.count(EXPIRED) == 2
    code, answer = await answered(daemon, question.commands["approve"])
    assert code == 2
    assert "denied by anna" in answer
    assert not is_running(system, DENIED)


async def stopped_vm_is_refused(system: Simulator, daemon: Daemon, people: Real) -> None:
    system.world.crash(STOPPED)
    question = await asked(people, STOPPED)
    system.world.operator_stops(STOPPED, user="jonas", graceful=False)

    code, answer = await answered(daemon, question.commands["approve"])

    assert code == 2
    assert "stopped_by_person" in answer
    assert "jonas" in answer
    await until(lambda: is_resolved(people, STOPPED))
    assert not is_running(system, STOPPED)


async def expired_question_is_refused(system: Simulator, daemon: Daemon, people: Real) -> None:
    system.world.crash(EXPIRED)
    first = await asked(people, EXPIRED)
    second = await asked(people, EXPIRED, after=first.number)

    code, answer = await answered(daemon, first.commands["approve"])
    assert code == 2
    assert f"open questions: {second.number} ({EXPIRED})" in answer
    assert not is_running(system, EXPIRED)

    code, answer = await answered(daemon, second.commands["approve"])
    assert code == 0, answer
    await until(lambda: is_running(system, EXPIRED))


async def is_active(daemon: Daemon) -> bool:
    _, text = await daemon.get("/api/v1/recovery")
    return bool(json.loads(text)["systems"][0]["readiness"] == "active")


async def asked(people: Real, name: str, *, after: int = 0) -> Question:
    """Wait for the alert that asks about a VM, and take the commands from its text."""
    found: list[Question] = []

    async def posted() -> bool:
        alert = (await people.alerts()).get(f"{ALERT} {name}")
        if alert is None:
            return False
        description = alert["annotations"]["description"]
        commands = {
            kind: (text, int(number)) for text, kind, number in COMMAND.findall(description)
        }
        number = commands["approve"][1]
        found.append(Question(number, description, {one: commands[one][0] for one in commands}))
        return number > after

    await until(posted)
    return found[-1]


async def is_resolved(people: Real, name: str) -> bool:
    return f"{ALERT} {name}" not in await people.alerts()


async def answered(daemon: Daemon, command: str) -> tuple[int, str]:
    return await vergewatch(daemon, f"{command} --owner anna")


async def vergewatch(daemon: Daemon, command: str) -> tuple[int, str]:
    """Run *command* as it would be pasted; return the exit code and the output."""
    env = {"VERGEWATCH_RECOVERY__TOKEN": SETTINGS["VERGEWATCH_RECOVERY__TOKEN"]}
    return await told(*shlex.split(command)[1:], "--url", daemon.url, env=env)


async def until(holds: Any) -> None:
    """Wait until *holds*, which may be asynchronous."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            result = holds()
            if await result if asyncio.iscoroutine(result) else result:
                return
            await REAL_TIME.sleep(0.1)
