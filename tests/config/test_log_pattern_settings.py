"""Patterns for log rows that an operator sets."""

import pytest
from pydantic import ValidationError

from exporter.config.recovery import RecoverySettings


def settings(pattern: str) -> RecoverySettings:
    return RecoverySettings.model_validate(
        {"log_patterns": [{"pattern": pattern, "means": "harmless"}]}
    )


def test_pattern_in_re2_syntax_is_accepted() -> None:
    assert settings(r"\bbacked up \d+ (drives|disks)\b").log_patterns[0].pattern


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=a)", "(?<!a)b", r"(a)\1", "a{1001}", r"a\Z"])
def test_pattern_that_is_not_re2_syntax_is_rejected(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError, match=r"is not a regular expression in RE2 syntax: \w+"):
        settings(pattern)
    assert capfd.readouterr() == ("", "")
