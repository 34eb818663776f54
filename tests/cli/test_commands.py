"""Every command keeps the contract of docs/commands.md; completion, manual page and license."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from flit_core.wheel import make_wheel_in

from exporter.alerting.config import RUNBOOKS
from exporter.cli import reference
from exporter.cli.command_tree import Command, Parameter, commands
from exporter.cli.main import main

ROOT = Path(__file__).parents[2]
COMMANDS = list(commands())
NOWHERE = "http://127.0.0.1:1"
VALUES = {"NUMBER": "1", "MEANING": "harmless"}
SERVES = {"vergewatch run", "vergewatch demo", "vergewatch simulate"}
CHANGES_JOURNAL = {f"vergewatch journal {word}" for word in ("migrate", "export", "import")}
"""They print what they did."""
PRINTS_NO_DATA = {*SERVES, *CHANGES_JOURNAL, "vergewatch completion"}


def named(command: Command) -> str:
    return command.name


def ended(
    command: Command, args: list[str], monkeypatch: pytest.MonkeyPatch, name: str = "vergewatch"
) -> int:
    """Run a command in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", [name, *command.words[1:], *args])
    with pytest.raises(SystemExit) as ending:
        main()
    assert isinstance(ending.value.code, int)
    return ending.value.code


def needed(command: Command) -> list[str]:
    """Return the least arguments that *command* takes."""
    found = []
    for one in command.parameters:
        if one.is_required:
            words = one.usage.split()
            found += [words[0]] * one.is_option + [VALUES.get(words[-1], "word")]
    return found


def has(command: Command, option: str) -> bool:
    return any(option in one.usage.replace(",", "").split() for one in command.parameters)


def test_the_tree_is_walked() -> None:
    names = set(map(named, COMMANDS))
    assert {"vergewatch run", "vergewatch explain", "vergewatch recovery log"} <= names
    assert len(COMMANDS) >= 25


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_command_and_its_options_have_help_and_are_documented(command: Command) -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    assert command.help
    assert f"### {command.name}\n" in page
    unexplained: list[Parameter] = [one for one in command.parameters if not one.help]
    assert unexplained == []


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_unknown_option_is_one_line_and_status_2(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(command, ["--bogus"], monkeypatch) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"vergewatch: No such option: --bogus; see {command.name} --help\n"


@pytest.mark.parametrize("command", [one for one in COMMANDS if has(one, "--url")], ids=named)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_unreachable_daemon_is_one_line_and_status_1(
    command: Command,
    more: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERGEWATCH_RECOVERY__TOKEN", "token-of-the-operator")
    assert ended(command, [*needed(command), "--url", NOWHERE, *more], monkeypatch) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"vergewatch: cannot reach a daemon at {NOWHERE}: .*\n", err)


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_command_that_prints_data_has_json(command: Command) -> None:
    assert has(command, "--json") is (command.name not in PRINTS_NO_DATA)


@pytest.mark.parametrize("name", ["metrics", "settings"])
def test_json_is_one_document(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = next(one for one in COMMANDS if one.words[1] == name)
    assert ended(command, ["--json"], monkeypatch) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) > 50
    assert err == ""


def test_group_without_a_command_prints_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(Command(("vergewatch", "recovery"), "", ()), [], monkeypatch) == 2
    out, err = capsys.readouterr()
    assert "status" in out + err


def test_generated_pages_are_up_to_date() -> None:
    for name in ("commands.md", "vergewatch.1"):
        page = ROOT / "docs" / name
        assert reference.updated(page) == page.read_text(), "run make docs"


def test_manual_page_has_no_warnings() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-ww", "-Tutf8", str(ROOT / "docs" / "vergewatch.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "recovery status" in re.sub(".\x08", "", done.stdout)  # bold letters are struck twice


@pytest.mark.parametrize(
    ("words", "expected"),
    [("vergewatch recovery sta", ["status"]), ("vergewatch explain --ur", ["--url"])],
)
def test_bash_completes_commands_and_options(
    tmp_path: Path, words: str, expected: list[str]
) -> None:
    program = tmp_path / "vergewatch"
    program.write_text(f"#!{sys.executable}\nfrom exporter.__main__ import main\nmain()\n")
    program.chmod(0o755)
    script = f"""
source <(vergewatch completion bash)
COMP_WORDS=({words}) COMP_CWORD=2
_vergewatch_completion vergewatch
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=env
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_of_each_shell(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = next(one for one in COMMANDS if one.words[1] == "completion")
    assert ended(command, [shell], monkeypatch) == 0
    assert "_VERGEWATCH_COMPLETE" in capsys.readouterr().out
    assert ended(command, ["tcsh"], monkeypatch) == 2


def test_wheel_has_the_license_and_the_addresses_have_one_base(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = project["urls"]["Repository"]
    assert RUNBOOKS.startswith(f"{base}/")
    assert all(url.startswith(base) for url in project["urls"].values())
    wheel = make_wheel_in(ROOT / "pyproject.toml", tmp_path).file
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        license_file = next(name for name in names if name.endswith("/LICENSE"))
        text = archive.read(license_file).decode()
        metadata = archive.read(next(one for one in names if one.endswith("/METADATA"))).decode()
    assert "Apache License" in text
    assert len(text) > 10_000
    assert "License-Expression: Apache-2.0\n" in metadata
    assert f"Project-URL: Repository, {base}\n" in metadata
