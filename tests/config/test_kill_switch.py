"""The kill switch: what sets it, and what it takes to believe that it was removed."""

import os
from pathlib import Path

import pytest

from exporter.config.kill_switch import KillSwitch, mount_point
from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.recovery.model.limits import Mode


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "ops"
    place.mkdir()
    return place


@pytest.fixture
def switch(directory: Path, tmp_path: Path) -> KillSwitch:
    return KillSwitch(directory / "stop", tmp_path / "seen")


def test_switch_is_on_while_its_file_exists(switch: KillSwitch) -> None:
    assert switch() == ""
    switch.path.touch()
    assert switch() == str(switch.path)
    switch.path.unlink()
    assert switch() == ""


def test_broken_symbolic_link_sets_the_switch(switch: KillSwitch) -> None:
    switch.path.symlink_to("/nowhere")
    assert switch() == str(switch.path)


def test_switch_in_a_directory_that_never_existed_is_off(tmp_path: Path) -> None:
    assert KillSwitch(tmp_path / "absent" / "stop", tmp_path / "seen")() == ""


def test_set_switch_stays_set_while_its_directory_is_gone(
    switch: KillSwitch, directory: Path
) -> None:
    switch.path.touch()
    switch()
    away = directory.rename(directory.with_name("away"))

    assert switch() == f"{switch.path}, whose directory cannot be listed,"
    away.rename(directory)
    assert switch() == str(switch.path)
    switch.path.unlink()
    assert switch() == ""


def test_set_switch_stays_set_while_its_file_system_is_not_mounted(
    switch: KillSwitch, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = {str(directory)}
    monkeypatch.setattr(
        os.path, "ismount", lambda place: str(place) == "/" or str(place) in mounted
    )
    switch.path.touch()
    assert mount_point(directory) == str(directory)
    switch()

    mounted.clear()
    switch.path.unlink()  # what is left is the empty directory below the mount point
    assert switch() == f"{switch.path}, whose file system {directory} is not mounted,"
    mounted.add(str(directory))
    assert switch() == ""


def test_set_switch_stays_set_across_a_restart(
    switch: KillSwitch, directory: Path, tmp_path: Path
) -> None:
    switch.path.touch()
    switch()
    away = directory.rename(directory.with_name("away"))

    later = KillSwitch(switch.path, tmp_path / "seen")
    assert later().startswith(f"{switch.path}, whose directory")
    (away / "stop").unlink()
    away.rename(directory)
    assert later() == ""
    assert KillSwitch(switch.path, tmp_path / "seen")() == ""
    assert not (tmp_path / "seen").exists()


def test_another_switch_is_not_remembered_as_set(switch: KillSwitch, tmp_path: Path) -> None:
    switch.path.touch()
    switch()

    assert KillSwitch(tmp_path / "other" / "stop", tmp_path / "seen")() == ""


@pytest.mark.parametrize("garbage", ["", "one line", "\0"])
def test_unreadable_memory_is_no_reason_to_stop(
    switch: KillSwitch, tmp_path: Path, garbage: str
) -> None:
    (tmp_path / "seen").write_text(garbage)
    assert switch() == ""


def test_setup_keeps_the_memory_beside_the_journal(directory: Path, tmp_path: Path) -> None:
    settings = RecoverySettings(directory=tmp_path, kill_switch_file=directory / "stop")
    (directory / "stop").touch()
    assert recovery_setup(settings, Mode.ENFORCE).kill_switch()
    directory.rename(tmp_path / "away")

    assert recovery_setup(settings, Mode.ENFORCE).kill_switch()
