"""Files that settings name, changed while they are in use."""

import gc
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.errors import ConfigError
from exporter.inputs.files import SecretFile, stamp
from exporter.inputs.live_file import FileWatch, LiveFile
from tests.fakes import FakeClock


def number_in(path: Path) -> LiveFile[int]:
    def read() -> int:
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            raise ConfigError(f"{path} holds no number") from None

    return LiveFile(path, read)


def swapped(path: Path, text: str) -> None:
    """Replace the file at *path* by an atomic rename."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_changed_file_is_used_at_the_next_use(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = number_in(path)
    path.write_text("22")
    assert file.current() == 22
    swapped(path, "33")
    assert file.current() == 33


def test_link_that_is_swapped_as_kubernetes_does_is_followed(tmp_path: Path) -> None:
    for version, text in (("v1", "1"), ("v2", "2")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "number").write_text(text)
    data, path = tmp_path / "..data", tmp_path / "number"
    data.symlink_to("v1")
    path.symlink_to("..data/number")
    file, secret = number_in(path), SecretFile(path)
    assert (file.current(), secret.read().get_secret_value()) == (1, "1")

    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").replace(data)

    assert (file.current(), secret.read().get_secret_value()) == (2, "2")


def test_change_that_keeps_size_and_modification_time_is_noticed(tmp_path: Path) -> None:
    import os

    path = tmp_path / "number"
    path.write_text("1")
    before, first = path.stat(), stamp(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_text("2")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert stamp(path) != first


@pytest.mark.parametrize("broken", ["", "half a num", None])
def test_broken_file_leaves_the_last_good_one_in_force(tmp_path: Path, broken: str | None) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    file = number_in(path)
    with capture_logs() as logs:
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)
        assert [file.current() for _ in range(3)] == [1, 1, 1]
        assert file.problem == f"{path} holds no number"
        path.write_text("2")
        assert file.current() == 2
    assert file.problem == ""
    assert [entry["event"] for entry in logs] == ["file.rejected", "file.loaded"]


def test_watch_reports_broken_files_as_long_as_they_are_used(tmp_path: Path) -> None:
    counts: list[int] = []
    watch = FileWatch(FakeClock(), counts.append)
    path = tmp_path / "number"
    path.write_text("1")
    file = number_in(path)
    watch.add(file)
    watch.check()
    path.write_text("x")
    watch.check()
    assert list(watch.problems) == [f"{path} holds no number"]
    del file
    gc.collect()
    watch.check()
    assert counts == [0, 1, 0]
