"""Programs of Debian's that some tests need, and what happens where they are missing."""

import os
import shutil
from typing import NoReturn

import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "chromium": "chromium",
    "postgres": "postgresql",
}


def needs(program: str) -> str:
    """Return where *program* is; skip the test where it is not, but fail it in CI."""
    found = shutil.which(program)
    return found or missing(program)


def missing(program: str) -> NoReturn:
    """Skip the test, for which *program* is missing; fail it in CI."""
    reason = f"{program} is missing: install Debian's package {PACKAGES[program]}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
