"""What `recovery status` prints of many VMs, and `recovery log` while it follows."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from exporter.cli import follow as following
from exporter.cli.recovery_output import print_status
from exporter.errors import UnavailableError
from exporter.recovery.model.views import SystemRecoveryStatus, VMRecoveryStatus
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.responses import LogResponse, StatusResponse, VMsResponse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BREAKER = "the circuit breaker is not closed"
STATUS = StatusResponse(
    [
        SystemRecoveryStatus(
            system="lab", url="https://v", mode="enforce", readiness="ready", because="", vms=40,
            states={"held": 31},
        )
    ],
    "",
)  # fmt: skip


def held(number: int, reason: str = BREAKER) -> VMRecoveryStatus:
    return VMRecoveryStatus(
        system="lab", vm=f"web-{number:02}", vm_key=number, uuid=str(number), state="held",
        sentence=f"web-{number:02} crashed.", reason=reason,
    )  # fmt: skip


def event(number: int, text: str = "text") -> TimelineEvent:
    return TimelineEvent(
        time=NOW + timedelta(seconds=number), system="lab", vm="web-01", kind="change", text=text
    )


def printed(
    vms: Sequence[VMRecoveryStatus], capsys: pytest.CaptureFixture[str], **more: Any
) -> list[str]:
    print_status(STATUS, VMsResponse(vms), **more)
    return [line.strip() for line in capsys.readouterr().out.splitlines() if "web-" in line]


def test_equal_reasons_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(STATUS, VMsResponse([held(one) for one in range(1, 32)]))

    text = " ".join(capsys.readouterr().out.split())  # its lines are as wide as the terminal
    assert f"held 31 VMs: {BREAKER} (web-01, web-02, and 29 more; --all lists them)" in text
    assert text.count("web-") == 2


def test_few_equal_reasons_and_other_ones_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    vms = [held(1), held(2), held(3, "another"), held(4, ""), held(5, ""), held(6, "")]
    assert printed(vms, capsys) == [f"held  {vm.sentence}" for vm in vms]


def test_all_lists_each_vm(capsys: pytest.CaptureFixture[str]) -> None:
    vms = [held(one) for one in range(1, 32)]
    assert printed(vms, capsys, every=True) == [f"held  {vm.sentence}" for vm in vms]


def test_follow_prints_new_events_once_in_their_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY_SECONDS", 0.0)
    answers: Iterator[Any] = iter(
        [
            [event(2), event(1)],
            UnavailableError("no daemon"),
            UnavailableError("no daemon"),
            [event(3), event(2, "its outcome"), event(1)],
            KeyboardInterrupt(),
        ]
    )

    def newest() -> Sequence[TimelineEvent]:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return list(answer)

    following.follow(newest, as_json=True)

    out, err = capsys.readouterr()
    seen = [(one["time"][-3:-1], one["text"]) for one in map(json.loads, out.splitlines())]
    assert seen == [("01", "text"), ("02", "text"), ("02", "its outcome"), ("03", "text")]
    assert err == "vergewatch: no daemon; still trying\n"


@contextmanager
def daemon(asked: list[dict[str, list[str]]]) -> Iterator[str]:
    """Serve the log of a daemon."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            body = msgspec.json.encode(LogResponse([event(len(asked))]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_follow_ends_with_ctrl_c_and_status_0() -> None:
    asked: list[dict[str, list[str]]] = []
    with daemon(asked) as url:
        command = [sys.executable, "-m", "exporter", "recovery", "log", "-f", "--since", "2h"]
        # A program that a script runs in the background ignores SIGINT; one in a terminal does not.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(
            [*command, "--utc", "--url", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            signal.signal(signal.SIGINT, before)
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")
    assert lines[0] == b"2026-03-01 12:00:01 UTC  lab/web-01  text\n"
    assert [one["since"] for one in asked[:2]] == [["2h"], ["2h"]]
