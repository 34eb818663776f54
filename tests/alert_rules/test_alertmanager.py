"""The shipped configuration in a real Alertmanager."""

import asyncio
import re
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from tests.alert_rules.promtool import ALERTS
from tests.daemon_process import REAL_TIME
from tests.debian import needs
from tests.real_prometheus import free_port
from tools.alert_rules.inhibitions import INHIBITIONS, NOTIFYING
from tools.alert_rules.model import Severity

CONFIG = Path(__file__).parent.parent.parent / "alerts" / "alertmanager.yml"
TEMPLATE = CONFIG.with_name("vergewatch.tmpl")
TIMEOUT_SECONDS = 20
GROUPS_SECONDS = 0.3

WAITS = {
    "group_wait": "100ms",
    "group_interval": "300ms",
}


def muted_pairs() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for rule in INHIBITIONS:
        for source in rule.sources:
            for target in rule.targets:
                yield source, target, rule.equal


def test_amtool_accepts_the_configuration() -> None:
    done = subprocess.run(
        [needs("amtool"), "check-config", CONFIG],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        *(
            (
                (f"alertname={alert.name}", f"severity={alert.severity}", f"layer={alert.layer}"),
                {
                    Severity.CRITICAL: "pager",
                    Severity.WARNING: "tickets",
                    Severity.INFO: "none",
                    Severity.NONE: "watchdog" if alert.name == "VergeWatchdog" else "none",
                }[alert.severity],
            )
            for alert in ALERTS.values()
            if alert.name.startswith(("VergeVMD", "VergeVMF", "VergeW", "VergeRecoveryA"))
        ),
        (("alertname=OfAnotherProject",), "tickets"),
    ],
)
def test_alert_is_routed_to_its_receiver(labels: tuple[str, ...], receiver: str) -> None:
    done = subprocess.run(
        [needs("amtool"), "config", "routes", "test", f"--config.file={CONFIG}",
         f"--verify.receivers={receiver}", *labels],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_has_the_inhibitions_of_the_rules() -> None:
    rules = yaml.safe_load(CONFIG.read_text())["inhibit_rules"]

    found = {
        (source.name, target.name, tuple(rule["equal"]))
        for rule in rules
        for source in ALERTS.values()
        if meets(rule["source_matchers"], labels_of(source.name))
        for target in ALERTS.values()
        if target.severity in NOTIFYING and meets(rule["target_matchers"], labels_of(target.name))
    }

    assert found == set(muted_pairs())


def meets(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, operator, value = re.fullmatch(r'(\w+) (=~|=) "(.*)"', matcher).groups()  # type: ignore[union-attr]
        pattern = value if operator == "=~" else re.escape(value)
        if not re.fullmatch(pattern, labels[name]):
            return False
    return True


def labels_of(name: str) -> dict[str, str]:
    alert = ALERTS[name]
    return {"alertname": name, "severity": alert.severity.value, "layer": alert.layer.value}


def title(labels: dict[str, str]) -> str:
    """Return the summary of the alert with *labels*."""
    return ALERTS[labels["alertname"]].summary.format_map(defaultdict(str, labels))


@dataclass
class Alertmanager:
    """A running Alertmanager, and the notifications that its receivers received."""

    url: str
    http: aiohttp.ClientSession
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def post(self, *alerts: dict[str, str], over: bool = False) -> None:
        now = datetime.now(UTC)  # noqa: TID251  # Alertmanager uses the real clock
        began, ended = now - timedelta(minutes=1), now - timedelta(seconds=1)
        body = [
            {
                "labels": labels,
                "annotations": {
                    "summary": title(labels),
                    "description": f"{labels.get('vm_name', 'it')} is down",
                    "runbook_url": f"https://runbooks.example/{labels['alertname']}",
                    "dashboard_url": "https://grafana.example/d/x",
                },
                "startsAt": began.isoformat(),
                **({"endsAt": ended.isoformat()} if over else {}),
            }
            for labels in alerts
        ]
        async with self.http.post(f"{self.url}/api/v2/alerts", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def muted(self) -> dict[tuple[str, str], bool]:
        """Return whether each alert is muted, by its name and its system."""
        async with self.http.get(f"{self.url}/api/v2/alerts") as answer:
            return {
                (one["labels"]["alertname"], one["labels"].get("system_name", "")): bool(
                    one["status"]["inhibitedBy"]
                )
                for one in await answer.json()
            }

    def notifications(self, path: str, status: str, name: str, system: str) -> list[dict[str, Any]]:
        return [
            message
            for at, message in self.received
            if at == path
            and message.get("status") == status
            and message["groupLabels"].get("alertname") == name
            and message["groupLabels"].get("system_name", "") == system
        ]

    async def until_notified(
        self, path: str, status: str, name: str, system: str = ""
    ) -> list[dict[str, Any]]:
        for _ in range(TIMEOUT_SECONDS * 20):
            if found := self.notifications(path, status, name, system):
                return found
            await REAL_TIME.sleep(0.05)
        raise AssertionError(
            f"no notification that {name} of {system} is {status}: {self.received}"
        )


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[Alertmanager]:
    """Run Debian's Alertmanager with the shipped configuration and shorter waits."""
    program = needs("prometheus-alertmanager")
    port = free_port()
    async with aiohttp.ClientSession() as http:
        manager = Alertmanager(f"http://127.0.0.1:{port}", http)

        async def receive(request: web.Request) -> web.Response:
            manager.received.append((request.path, await request.json()))
            return web.Response()

        receiver = web.Application()
        receiver.router.add_post("/{name}", receive)
        runner = web.AppRunner(receiver)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        text = CONFIG.read_text().replace(":5001/", f":{runner.addresses[0][1]}/")
        for name, wait in WAITS.items():
            text = re.sub(rf"{name}: \w+", f"{name}: {wait}", text)
        (folder / "alertmanager.yml").write_text(text)
        (folder / TEMPLATE.name).write_text(TEMPLATE.read_text())
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until_ready(manager)
            yield manager
        finally:
            process.terminate()
            await process.wait()
            await runner.cleanup()


async def until_ready(manager: Alertmanager) -> None:
    for _ in range(TIMEOUT_SECONDS * 10):
        try:
            async with manager.http.get(f"{manager.url}/-/ready") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await REAL_TIME.sleep(0.1)
    raise AssertionError("Alertmanager is not ready")


def instance(name: str, system: str, **more: str) -> dict[str, str]:
    labels = {"system_name": system, "vm_id": "7", "vm_name": "web", "node_name": "n1",
              "table": "vms", "mountpoint": "/"}  # fmt: skip
    mine = {label: labels[label] for label in ALERTS[name].identity if label in labels}
    return {**labels_of(name), **mine, **more}


async def test_each_source_mutes_only_its_targets(tmp_path: Path) -> None:
    pairs = list(muted_pairs())
    async with alertmanager(tmp_path) as manager:
        for number, (source, target, equal) in enumerate(pairs):
            last = equal[-1]
            other = {last: "another"} if last != "system_name" else {}
            await manager.post(
                instance(source, f"c{number}"),
                instance(target, f"c{number}"),
                instance(source, f"d{number}", **other),
                instance(target, f"d{number}" if other else f"e{number}"),
            )

        muted: dict[tuple[str, str], bool] = {}
        for _ in range(TIMEOUT_SECONDS * 10):  # Alertmanager notices new sources with a delay
            muted = await manager.muted()
            if all(muted[target, f"c{number}"] for number, (_, target, _) in enumerate(pairs)):
                break
            await REAL_TIME.sleep(0.1)

        for number, (source, target, equal) in enumerate(pairs):
            elsewhere = f"e{number}" if equal[-1] == "system_name" else f"d{number}"
            assert muted[target, f"c{number}"], f"{source} does not mute {target}"
            assert not muted[target, elsewhere], f"{source} mutes {target} of another object"


async def test_muted_alert_sends_resolved_only_if_it_outlasts_its_source(
    tmp_path: Path,
) -> None:
    """Without freezing, an alert that ends while it is muted never sends "resolved"."""
    pairs = [
        ("VergeRecoveryQuarantined", "VergeVMDown", "pager"),
        ("VergeRecoveryFailed", "VergeVMUnresponsive", "tickets"),
        ("VergeSystemDataStale", "VergeVMDown", "pager"),
        ("VergeRecoveryCircuitBreakerOpen", "VergeRecoveryFailed", "pager"),
    ]
    async with alertmanager(tmp_path) as manager:
        for number, (_, target, path) in enumerate(pairs):
            for system in (f"later{number}", f"earlier{number}"):
                await manager.post(instance(target, system))
            for system in (f"later{number}", f"earlier{number}"):
                await manager.until_notified(f"/{path}", "firing", target, system)
        for number, (source, target, _) in enumerate(pairs):
            for system in (f"later{number}", f"earlier{number}"):
                await manager.post(instance(source, system))
            await manager.post(instance(target, f"earlier{number}"), over=True)
        await REAL_TIME.sleep(4 * GROUPS_SECONDS)
        for number, (source, _, _) in enumerate(pairs):
            for system in (f"later{number}", f"earlier{number}"):
                await manager.post(instance(source, system), over=True)
        await REAL_TIME.sleep(2 * GROUPS_SECONDS)
        for number, (_, target, _) in enumerate(pairs):
            await manager.post(instance(target, f"later{number}"), over=True)

        for number, (_, target, path) in enumerate(pairs):
            await manager.until_notified(f"/{path}", "resolved", target, f"later{number}")
            assert manager.notifications(f"/{path}", "resolved", target, f"earlier{number}") == []


async def test_many_vms_are_one_readable_notification(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as manager:
        await manager.post(
            *(
                instance("VergeVMDown", "meadowlark", vm_id=str(number), vm_name=f"web-{number}")
                for number in range(3)
            ),
            instance("VergeWatchdog", ""),
            instance("VergeRecoveryActed", "meadowlark"),
        )

        await manager.until_notified("/pager", "firing", "VergeVMDown", "meadowlark")
        await manager.until_notified("/watchdog", "firing", "VergeWatchdog")
        shown: dict[str, Any] = {"title": ""}
        for _ in range(TIMEOUT_SECONDS * 20):
            chats = [message for path, message in manager.received if path == "/chat"]
            if chats:
                (shown,) = chats[-1]["attachments"]
            if shown["title"].startswith("3 firing"):  # on a slow machine, not the first one
                break
            await REAL_TIME.sleep(0.05)

        assert shown["title"] == (
            "3 firing: VM web-0 is down unexpectedly (meadowlark), and 2 more"
        )
        assert shown["title_link"] == "https://runbooks.example/VergeVMDown"
        assert shown["text"].splitlines() == [
            *(
                f"• web-{number} is down <https://grafana.example/d/x|dashboard>"
                for number in range(3)
            ),
            "What to do: https://runbooks.example/VergeVMDown",
        ]
        assert "RecoveryActed" not in str(manager.received)
