"""
The systemd unit and docs/operations.md, in a container with a systemd of its own.

`make systemd` runs it; `make test` does not, because it takes minutes, root and a Debian mirror.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.simulator.api.accounts import API_KEY
from tests.systemd.machine import (
    Machine,
    booted,
    commands,
    is_possible,
    make_root,
    status_fields,
)

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "deploy/systemd/README.md"
OPERATIONS = CHECKOUT / "docs/operations.md"
SETTINGS = "/etc/vergewatch/vergewatch.yaml"
URL = "url: http://127.0.0.1:8000\n"
MAX_EXPOSURE = 15
"""Of systemd-analyze, in tenths: 0 is safest, 100 is worst."""
SIMULATOR = """\
[Service]
ExecStart=/opt/vergewatch/bin/vergewatch simulate --vms 12
"""


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Install Vergewatch on a new machine, as the documentation says, and start it."""
    if missing := is_possible():
        pytest.fail(missing)
    root = tmp_path_factory.mktemp("machine") / "root"
    make_root(root, CHECKOUT, CHECKOUT / ".venv")
    with booted(root) as new:
        new.script(commands(README, "install") + "\n" + commands(README, "activate"))
        (root / "etc/systemd/system/simulator.service").write_text(SIMULATOR)
        new.do("systemctl", "start", "simulator")
        new.script(commands(README, "configure"), stdin=API_KEY)
        (root / SETTINGS[1:]).write_text(URL)
        new.until(lambda: new.run("vergewatch", "check").returncode == 0)
        new.script(commands(README, "start"))
        new.until_up()
        yield new


@pytest.fixture(autouse=True)
def _is_up(machine: Machine) -> None:
    """Begin each test with a daemon that has never failed."""
    (machine.root / SETTINGS[1:]).write_text(URL)
    machine.do("systemctl", "reset-failed")
    machine.do("systemctl", "restart", "vergewatch")
    machine.until_up()


def configure(machine: Machine, text: str) -> None:
    (machine.root / SETTINGS[1:]).write_text(URL + text)


def restarts(machine: Machine) -> int:
    return int(machine.show("NRestarts"))


def test_unit_is_enabled_and_its_state_belongs_to_a_user_of_its_own(machine: Machine) -> None:
    assert machine.do("systemctl", "is-enabled", "vergewatch") == "enabled\n"
    assert machine.do("systemctl", "--failed", "--quiet") == ""
    user = status_fields(machine, machine.main_pid())["Uid"].split()[0]
    assert user != "0"
    modes = machine.do("stat", "-c", "%a %u", "/var/lib/private/vergewatch").split()
    assert modes == ["750", user]
    machine.until(
        lambda: machine.show("StatusText") == "1 of 1 system up. Recovery: shadow, warming up."
    )


def test_credentials_are_copies_that_only_the_daemon_can_read(machine: Machine) -> None:
    files = machine.do("sh", "-c", "stat -c '%a %n' /run/credentials/vergewatch.service/*")
    assert [line.rpartition("/")[::2] for line in files.splitlines()] == [
        ("400 /run/credentials/vergewatch.service", "api_key"),
        ("400 /run/credentials/vergewatch.service", "recovery_token"),
    ]
    assert API_KEY not in machine.do("cat", f"/proc/{machine.main_pid()}/environ")


def test_process_has_no_privileges_and_writes_no_core_dump(machine: Machine) -> None:
    machine.do("systemd-analyze", "security", f"--threshold={MAX_EXPOSURE}", "vergewatch")
    fields = status_fields(machine, machine.main_pid())
    assert {fields[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    limits = machine.do("cat", f"/proc/{machine.main_pid()}/limits")
    assert "Max core file size        0                    0" in limits


def test_reload_applies_settings_without_a_restart(machine: Machine) -> None:
    before = machine.main_pid()
    configure(machine, "name: renamed\n")

    machine.do("systemctl", "reload", "vergewatch")

    assert machine.main_pid() == before
    machine.until(lambda: "renamed" in machine.do("vergewatch", "vms", "--json"))


def test_reload_of_refused_settings_fails_and_changes_nothing(machine: Machine) -> None:
    before = machine.main_pid()
    configure(machine, "poll: {fast_seconds: -1}\n")

    assert machine.run("systemctl", "reload", "vergewatch").returncode != 0

    assert (machine.main_pid(), machine.show("ActiveState")) == (before, "active")
    machine.until(lambda: "poll.fast_seconds" in machine.show("StatusText"))
    warnings = machine.do("journalctl", "--no-pager", "-p", "warning", "-u", "vergewatch")
    assert "poll.fast_seconds" in warnings
    assert "daemon.started" not in warnings
    configure(machine, "")
    machine.do("systemctl", "reload", "vergewatch")
    machine.until_up()


def test_reload_finds_the_daemon_at_another_address(machine: Machine) -> None:
    configure(machine, "web: {listen_address: '127.0.0.1:9000'}\n")
    machine.do("systemctl", "restart", "vergewatch")
    machine.until_up()

    machine.do("systemctl", "reload", "vergewatch")
    machine.do("vergewatch", "recovery", "status")


def test_daemon_that_hangs_is_restarted_by_the_watchdog(machine: Machine) -> None:
    before = restarts(machine)

    machine.kill(signal.SIGSTOP)

    machine.until(lambda: restarts(machine) == before + 1)
    machine.until_up()
    assert machine.do("sh", "-c", "ls /var/lib/private/vergewatch/core* 2>&1 || true").endswith(
        "No such file or directory\n"
    )


def test_killed_daemon_is_restarted_and_finds_its_journal(machine: Machine) -> None:
    before = restarts(machine)
    machine.do("vergewatch", "recovery", "disarm", "--reason", "test")

    machine.kill(signal.SIGKILL)

    machine.until(lambda: restarts(machine) == before + 1)
    machine.until_up()
    machine.until(lambda: "disarmed" in machine.show("StatusText"))
    machine.do("vergewatch", "recovery", "arm", "--reason", "test")


def test_stop_is_orderly(machine: Machine) -> None:
    machine.do("systemctl", "stop", "vergewatch")

    assert (machine.show("Result"), machine.show("ExecMainStatus")) == ("success", "0")
    left = machine.do("ls", "/var/lib/private/vergewatch").split()
    assert "journal.sqlite" in left
    assert not [name for name in left if name.endswith(("-wal", "listen.json"))]


def test_invalid_setting_at_the_start_is_not_retried(machine: Machine) -> None:
    configure(machine, "poll: {fast_seconds: -1}\n")
    machine.do("systemctl", "stop", "vergewatch")

    assert machine.run("systemctl", "start", "vergewatch").returncode != 0

    assert (machine.show("ActiveState"), machine.show("ExecMainStatus")) == ("failed", "2")
    assert restarts(machine) == 0
    assert "poll.fast_seconds" in machine.log()


def test_upgrade_and_the_way_back(machine: Machine) -> None:
    first = machine.do("readlink", "/opt/vergewatch").strip()
    machine.do("vergewatch", "recovery", "disarm", "--reason", "before")
    install = commands(README, "install") + "\n" + commands(README, "activate") + "\n"
    after = "\n".join(commands(OPERATIONS, name) for name in ("check", "upgrade", "look"))

    remember = commands(OPERATIONS, "remember") + "\n"
    machine.script(f"{remember}{install}{after}")

    assert machine.do("readlink", "/opt/vergewatch").strip() != first
    machine.until_up()
    machine.until(lambda: "disarmed" in machine.show("StatusText"))

    back, restart = (commands(OPERATIONS, name) for name in ("back", "restart"))
    machine.script("\n".join((back, commands(README, "activate"), restart)))

    assert machine.do("readlink", "/opt/vergewatch").strip() == first
    machine.until_up()
    machine.until(lambda: "disarmed" in machine.show("StatusText"))
    machine.do("vergewatch", "recovery", "arm", "--reason", "after")

    machine.script(commands(OPERATIONS, "restore"))
    machine.until_up()
    machine.until(lambda: "disarmed" in machine.show("StatusText"))
    machine.do("rm", "/var/lib/private/vergewatch/kill-switch")
    machine.do("vergewatch", "recovery", "arm", "--reason", "after")


def test_rotated_key_and_token_are_in_force_after_the_documented_commands(
    machine: Machine,
) -> None:
    token = machine.do("cat", "/etc/vergewatch/recovery_token")

    machine.script(commands(OPERATIONS, "key"), stdin=API_KEY)
    machine.script(commands(OPERATIONS, "token"))

    assert machine.do("cat", "/etc/vergewatch/recovery_token") != token
    machine.until_up()
    machine.do("vergewatch", "recovery", "pause", "--for", "1m", "--reason", "test")
