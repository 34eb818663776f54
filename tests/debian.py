"""Programs of Debian's that some tests need, and what happens where they are missing."""

import os
import shutil

import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "chromium": "chromium",
}


def needs(program: str) -> str:
    """Return where *program* is; skip the test where it is not, but fail it in CI."""
    found = shutil.which(program)
    if found:
        return found
    reason = f"{program} is missing: install Debian's package {PACKAGES[program]}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
