"""What is remembered of a system is there after a restart, and its loss stops nothing."""

from pathlib import Path

import pytest

from exporter.daemon.system_memory import Remembered, SystemMemory

URL = "https://user@verge-1.example.com:8443"


def test_is_kept_across_restarts(tmp_path: Path) -> None:
    SystemMemory(tmp_path, URL).remember(system_name="prod")
    assert SystemMemory(tmp_path, URL).remembered.system_name == "prod"


def test_each_system_has_its_own(tmp_path: Path) -> None:
    SystemMemory(tmp_path, URL).remember(system_name="prod")
    assert SystemMemory(tmp_path, URL.replace("-1", "-2")).remembered == Remembered()
    assert SystemMemory(tmp_path, URL.replace("https", "http")).remembered == Remembered()


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    memory = SystemMemory(tmp_path, URL)
    memory.remember(system_name="prod")
    assert memory.path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in memory.path.parent.iterdir()] == [memory.path.name]


@pytest.mark.parametrize("text", ["", "[]", '{"system_name": 7}', '{"system_name":"pr', "\x00"])
def test_a_damaged_file_is_as_none(tmp_path: Path, text: str) -> None:
    memory = SystemMemory(tmp_path, URL)
    memory.path.parent.mkdir()
    memory.path.write_text(text)
    damaged = SystemMemory(tmp_path, URL)
    assert damaged.remembered == Remembered()
    damaged.remember(system_name="prod")
    assert SystemMemory(tmp_path, URL).remembered.system_name == "prod"


def test_fields_of_another_version_are_ignored(tmp_path: Path) -> None:
    memory = SystemMemory(tmp_path, URL)
    memory.path.parent.mkdir()
    memory.path.write_text('{"system_name": "prod", "of_the_future": 1}')
    assert SystemMemory(tmp_path, URL).remembered.system_name == "prod"


def test_a_directory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "systems").write_text("a file, not a directory")
    memory = SystemMemory(tmp_path, URL)
    memory.remember(system_name="prod")
    assert memory.remembered.system_name == "prod"
