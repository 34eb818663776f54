"""Secrets in files that change, and their masking."""

import os
import traceback
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from exporter.errors import ConfigError
from exporter.inputs.files import SecretFile
from exporter.vergeos.credentials import Credentials

SECRET = "correct-horse"
OTHER = "battery-stap"
assert len(SECRET) == len(OTHER) + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "api_key"
    path.write_text(f"{SECRET}\n")
    return path


def read(file: SecretFile) -> str:
    return file.read().get_secret_value()


def set_back(path: Path, stat: os.stat_result) -> None:
    """Set the times of *path* to those of *stat*."""
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "content",
    [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"{SECRET}\n\n", f"{SECRET}\nand a remark\n"],
    ids=repr,
)
def test_secret_is_the_first_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content.encode())

    assert read(SecretFile(path)) == SECRET


def test_a_secret_may_hold_spaces_quotes_and_letters_of_any_kind(path: Path) -> None:
    path.write_text('pass "wörd" ☃ #1\n', encoding="utf-8")

    assert read(SecretFile(path)) == 'pass "wörd" ☃ #1'


def test_missing_file_is_no_error_until_read(tmp_path: Path) -> None:
    assert SecretFile(tmp_path / "missing").path == tmp_path / "missing"


def test_changed_size_is_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    path.write_text(f"{OTHER}\n")
    set_back(path, before)

    assert read(file) == OTHER


def test_changed_time_is_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    path.write_text(f"{OTHER}s\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 1))  # an older file, put back

    assert read(file) == f"{OTHER}s"


def test_replaced_file_is_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    new = path.with_name("new")
    new.write_text(f"{OTHER}s\n")
    set_back(new, before)
    new.rename(path)

    assert read(file) == f"{OTHER}s"


def test_changed_link_is_read_again(tmp_path: Path) -> None:
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.write_text(SECRET)
    second.write_text(f"{OTHER}s")
    link.symlink_to(first)
    file = SecretFile(link)
    assert read(file) == SECRET

    link.unlink()
    link.symlink_to(second)

    assert read(file) == f"{OTHER}s"


def test_unchanged_file_is_not_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert file.read() is file.read()


def test_file_deleted_and_restored_is_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET

    path.unlink()
    with pytest.raises(ConfigError):
        file.read()
    path.write_text(OTHER)

    assert read(file) == OTHER


def test_file_that_became_empty_is_an_error_every_time(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET

    path.write_text("")

    for _ in range(2):
        with pytest.raises(ConfigError, match="the file is empty"):
            file.read()


@pytest.mark.parametrize("content", ["", "\n", " \t\r\n\n"], ids=repr)
def test_empty_file_is_named(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: the file is empty"


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing"

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: No such file or directory"


def test_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        SecretFile(tmp_path).read()


def test_binary_file_is_an_error_without_its_content(path: Path) -> None:
    path.write_bytes(SECRET.encode() + b"\xff\xfe")

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: it is not text"
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None  # it would hold every byte of the file
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mark", ["\x00", "\r", "\x1b", "\x7f"], ids=ascii)
def test_control_character_is_an_error_without_the_secret(path: Path, mark: str) -> None:
    path.write_bytes(f"{SECRET}{mark}{OTHER}\n".encode())

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value).startswith(f"the secret in {path} ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("content", [f"\n{SECRET}\n", f" \r\n{SECRET}"], ids=repr)
def test_empty_first_line_is_an_error(path: Path, content: str) -> None:
    path.write_bytes(content.encode())

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: its first line is empty"


def test_secrets_are_masked(path: Path) -> None:
    file = SecretFile(path)
    credentials = Credentials(file.read(), "monitor", SecretStr(OTHER))

    shown = f"{file!r} {file} {vars(file)} {credentials!r} {credentials} {[credentials]}"

    assert SECRET not in shown
    assert OTHER not in shown
    assert "monitor" in shown


def test_credentials_cannot_be_encoded() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Credentials(SecretStr(SECRET)))


def test_credentials_compare_by_value() -> None:
    assert Credentials(SecretStr(SECRET)) == Credentials(SecretStr(SECRET))
    assert Credentials(SecretStr(SECRET)) != Credentials(SecretStr(OTHER))
    assert Credentials(None, "a", SecretStr(SECRET)) != Credentials(None, "b", SecretStr(SECRET))


def test_trailing_space_is_part_of_the_secret(path: Path) -> None:
    path.write_text(f"{SECRET} \n")

    assert read(SecretFile(path)) == f"{SECRET} "


@pytest.mark.parametrize("mark", ["\x85", "\u2028"], ids=ascii)
def test_only_a_newline_ends_a_secret(path: Path, mark: str) -> None:
    path.write_text(f"{SECRET}{mark}{OTHER}\n", encoding="utf-8")

    assert read(SecretFile(path)) == f"{SECRET}{mark}{OTHER}"


def test_bom_is_not_part_of_the_secret(path: Path) -> None:
    path.write_text(SECRET, encoding="utf-8-sig")

    assert read(SecretFile(path)) == SECRET
