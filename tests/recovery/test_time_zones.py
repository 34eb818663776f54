"""Maintenance windows on a machine without time zone data, and with odd zones."""

import json
import os
import subprocess
import sys
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from exporter.recovery.decide import maintenance_windows
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow, active_window

BLOCKING = """
import sys
class NoTzdata:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tzdata":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTzdata())
"""
"""As on a machine on which the package tzdata is not installed either."""
CHECK = f"{BLOCKING}import runpy\nrunpy.run_module('exporter', run_name='__main__')"
WINDOW = f"""{BLOCKING}
from datetime import UTC, datetime, time
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow, active_window
window = MaintenanceWindow(start=time(22), hours=2, reason="backup")
print(active_window([window], "web-01", datetime(2026, 11, 2, 23, tzinfo=UTC)))
"""
NOWHERE = "http://127.0.0.1:9"


def run(code: str, *args: str, **env: str) -> tuple[int, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERGE")}
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**bare, "PYTHONTZPATH": "", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def check(folder: Path, window: Mapping[str, object], **env: str) -> str:
    """Return what `vergewatch check` says of settings with a maintenance window."""
    settings = {
        "systems": [{"url": NOWHERE, "api_key": "k" * 40}],
        "recovery": {
            "directory": str(folder / "state"),
            "mode": "shadow",
            "maintenance_windows": [{"start": "22:00", "hours": 2, "reason": "backup", **window}],
        },
    }
    file = folder / "settings.yaml"
    file.write_text(json.dumps(settings))
    code, text = run(CHECK, "check", "--config", str(file), **env)
    assert code
    assert "Traceback" not in text
    return " ".join(text.split())


@pytest.mark.parametrize("tz", ["", "Mars/Base", ":nonsense", "UTC-25:99"])
def test_default_zone_needs_no_time_zone_data(tz: str) -> None:
    code, text = run(WINDOW, TZ=tz)

    assert (code, text) == (0, "backup (until Tue 00:00 UTC)\n")


@pytest.mark.parametrize("window", [{}, {"zone": "UTC"}])
def test_settings_with_utc_are_valid_without_time_zone_data(
    tmp_path: Path, window: Mapping[str, object]
) -> None:
    assert "cannot connect" in check(tmp_path, window)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Etc/UTC", "nonsense"])
def test_other_zone_without_time_zone_data_says_what_to_install(tmp_path: Path, zone: str) -> None:
    text = check(tmp_path, {"zone": zone})

    assert "maintenance_windows[0].zone" in text
    assert "install the package tzdata" in text


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "Europe", "/etc/localtime"])
def test_unknown_zone_is_named_where_there_are_zones(zone: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone such as Europe/Berlin"):
        maintenance_windows.is_zone(zone)


def test_without_any_zone_every_zone_is_said_to_need_tzdata(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(ValueError, match="install the package tzdata"):
            maintenance_windows.is_zone("Asia/Tashkent")
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()


def test_zone_that_is_removed_later_stays_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    window = MaintenanceWindow(start=time(22), hours=2, zone="Europe/Paris", reason="backup")
    maintenance_windows.is_zone(window.zone)

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(maintenance_windows, "ZoneInfo", missing)

    assert maintenance_windows.is_zone(window.zone)
    at = datetime(2026, 7, 1, 21, tzinfo=UTC)
    assert active_window([window], "web-01", at) == "backup (until Thu 00:00 Europe/Paris)"
