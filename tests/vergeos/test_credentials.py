"""Secrets that change under our hands, and that nobody gets to read."""

import os
import traceback
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from exporter.errors import ConfigError
from exporter.vergeos.credentials import Credentials, SecretFile

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
    """Give *path* the time that *stat* has, as a copying tool would."""
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "content",
    [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"{SECRET}\n\n", f"{SECRET}\nand a remark\n"],
    ids=repr,
)
def test_the_secret_is_the_first_line_without_its_end(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content.encode())

    assert read(SecretFile(path)) == SECRET


def test_a_secret_may_hold_spaces_quotes_and_letters_of_any_kind(path: Path) -> None:
    path.write_text('pass "wörd" ☃ #1\n', encoding="utf-8")

    assert read(SecretFile(path)) == 'pass "wörd" ☃ #1'


def test_a_file_that_is_never_read_need_not_be_there(tmp_path: Path) -> None:
    assert SecretFile(tmp_path / "missing").path == tmp_path / "missing"


def test_a_secret_of_another_length_is_read_though_the_time_is_the_same(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    path.write_text(f"{OTHER}\n")
    set_back(path, before)

    assert read(file) == OTHER


def test_a_secret_of_the_same_length_is_read_when_the_time_is_another(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    path.write_text(f"{OTHER}s\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 1))  # an older file, put back

    assert read(file) == f"{OTHER}s"


def test_a_file_put_in_its_place_is_read_though_size_and_time_are_the_same(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET
    before = path.stat()

    new = path.with_name("new")
    new.write_text(f"{OTHER}s\n")
    set_back(new, before)
    new.rename(path)

    assert read(file) == f"{OTHER}s"


def test_a_link_that_points_elsewhere_is_followed(tmp_path: Path) -> None:
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.write_text(SECRET)
    second.write_text(f"{OTHER}s")
    link.symlink_to(first)
    file = SecretFile(link)
    assert read(file) == SECRET

    link.unlink()
    link.symlink_to(second)

    assert read(file) == f"{OTHER}s"


def test_a_file_that_looks_unchanged_is_not_read_again(path: Path) -> None:
    file = SecretFile(path)
    first = file.read()
    before = path.stat()

    path.write_text(f"{OTHER}s\n")
    set_back(path, before)

    assert file.read() is first


def test_a_secret_that_vanished_and_came_back_is_read_again(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET

    path.unlink()
    with pytest.raises(ConfigError):
        file.read()
    path.write_text(OTHER)

    assert read(file) == OTHER


def test_a_file_that_became_empty_is_an_error_each_time_and_not_the_old_secret(path: Path) -> None:
    file = SecretFile(path)
    assert read(file) == SECRET

    path.write_text("")

    for _ in range(2):
        with pytest.raises(ConfigError, match="the file is empty"):
            file.read()


@pytest.mark.parametrize("content", ["", "\n", " \t\r\n\n"], ids=repr)
def test_an_empty_file_is_an_error_that_names_it(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: the file is empty"


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "missing"

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: No such file or directory"


def test_a_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        SecretFile(tmp_path).read()


def test_a_file_that_is_not_text_is_an_error_that_does_not_repeat_it(path: Path) -> None:
    path.write_bytes(SECRET.encode() + b"\xff\xfe")

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: it is not text"
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None  # it would hold every byte of the file
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mark", ["\x00", "\r", "\x1b", "\x7f"], ids=ascii)
def test_a_secret_that_no_header_can_carry_is_an_error_that_does_not_repeat_it(
    path: Path, mark: str
) -> None:
    path.write_bytes(f"{SECRET}{mark}{OTHER}\n".encode())

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value).startswith(f"the secret in {path} ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("content", [f"\n{SECRET}\n", f" \r\n{SECRET}"], ids=repr)
def test_a_first_line_that_is_empty_is_an_error_that_says_so(path: Path, content: str) -> None:
    path.write_bytes(content.encode())

    with pytest.raises(ConfigError) as caught:
        SecretFile(path).read()

    assert str(caught.value) == f"the secret in {path} cannot be read: its first line is empty"


def test_what_holds_secrets_does_not_show_them(path: Path) -> None:
    file = SecretFile(path)
    credentials = Credentials(file.read(), "monitor", SecretStr(OTHER))

    shown = f"{file!r} {file} {vars(file)} {credentials!r} {credentials} {[credentials]}"

    assert SECRET not in shown
    assert OTHER not in shown
    assert "monitor" in shown


def test_credentials_cannot_be_written_out_by_accident() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Credentials(SecretStr(SECRET)))


def test_credentials_compare_by_what_they_hold() -> None:
    assert Credentials(SecretStr(SECRET)) == Credentials(SecretStr(SECRET))
    assert Credentials(SecretStr(SECRET)) != Credentials(SecretStr(OTHER))
    assert Credentials(None, "a", SecretStr(SECRET)) != Credentials(None, "b", SecretStr(SECRET))


def test_a_blank_at_the_end_of_a_password_belongs_to_it(path: Path) -> None:
    path.write_text(f"{SECRET} \n")

    assert read(SecretFile(path)) == f"{SECRET} "


@pytest.mark.parametrize("mark", ["\x85", "\u2028"], ids=ascii)
def test_only_a_newline_ends_a_secret(path: Path, mark: str) -> None:
    path.write_text(f"{SECRET}{mark}{OTHER}\n", encoding="utf-8")

    assert read(SecretFile(path)) == f"{SECRET}{mark}{OTHER}"


def test_the_mark_that_some_editors_put_first_is_no_part_of_the_secret(path: Path) -> None:
    path.write_text(SECRET, encoding="utf-8-sig")

    assert read(SecretFile(path)) == SECRET
