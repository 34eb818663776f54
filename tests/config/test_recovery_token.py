"""A recovery token that could be guessed is refused, with what to do."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from exporter.config.recovery import MIN_TOKEN_CHARACTERS, RecoverySettings
from exporter.config.recovery_setup import RecoveryToken
from exporter.errors import ConfigError


@pytest.mark.parametrize("short", ["x", "sesame", "a" * (MIN_TOKEN_CHARACTERS - 1)])
def test_short_token_is_refused_without_showing_it(short: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RecoverySettings(token=SecretStr(short))

    (error,) = caught.value.errors()
    assert error["msg"] == (
        "Value error, token is shorter than 16 characters, so it could be guessed; make a token "
        "with: openssl rand -hex 32"
    )


def test_short_token_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sesame\n")

    with pytest.raises(ConfigError) as caught:
        RecoveryToken(RecoverySettings(token_file=file))()

    assert str(caught.value).startswith(f"{file} is shorter than 16 characters")
    assert "sesame" not in str(caught.value)


def test_token_of_sixteen_characters_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a" * MIN_TOKEN_CHARACTERS + "\n")

    assert RecoveryToken(RecoverySettings(token_file=file))() == SecretStr(
        "a" * MIN_TOKEN_CHARACTERS
    )
    assert RecoveryToken(RecoverySettings())() is None
