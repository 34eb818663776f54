"""
The kill switch: while its file exists, recovery sends no action.

A missing file proves nothing: its directory may have been unmounted. So a kill switch that was set
stays set until its directory can be listed, on the same mounted file system, and does not have it.
"""

import os
from contextlib import suppress
from pathlib import Path

SEEN = "kill-switch-seen"
"""The file that keeps, across restarts, that the kill switch was set."""


class KillSwitch:
    """
    The kill switch of one system.

    Args:
        path: The file that an operator creates.
        seen: Exists while the switch was set when it was last looked at.

    """

    def __init__(self, path: Path, seen: Path) -> None:
        self.path = path.absolute()
        self._seen = seen
        self._is_loaded = self._is_saved = False
        self._mount_point = ""
        """Of its directory, when the switch was last seen set; empty if it was removed since."""

    def __call__(self) -> str:
        """Return why the kill switch is on: its path, and what is wrong with it; empty when off."""
        if not self._is_loaded:
            self._load()
        try:
            self.path.lstat()
        except FileNotFoundError:
            return self._reason_to_stay_set() if self._mount_point else ""
        except OSError:
            return f"{self.path}, which cannot be read,"
        self._mount_point = mount_point(self.path.parent)
        self._save()
        return str(self.path)

    def _reason_to_stay_set(self) -> str:
        """Return why its absence does not show that it was removed; empty if it was."""
        directory = self.path.parent
        try:
            names = {found.name for found in directory.iterdir()}
        except OSError:
            return f"{self.path}, whose directory cannot be listed,"
        if self.path.name in names:
            return str(self.path)
        if mount_point(directory) != self._mount_point:
            return f"{self.path}, whose file system {self._mount_point} is not mounted,"
        self._mount_point, self._is_saved = "", False
        with suppress(OSError):
            self._seen.unlink()
        return ""

    def _load(self) -> None:
        self._is_loaded = True
        with suppress(OSError, ValueError):
            path, place = self._seen.read_text().splitlines()
            if path == str(self.path):
                self._mount_point, self._is_saved = place, True

    def _save(self) -> None:
        """Keep that it is set; where that cannot be written, neither can the journal."""
        if self._is_saved:
            return
        with suppress(OSError):
            self._seen.write_text(f"{self.path}\n{self._mount_point}\n")
            self._is_saved = True


def mount_point(directory: Path) -> str:
    """Return where the file system of *directory* is mounted."""
    place = Path(os.path.realpath(directory))
    while not os.path.ismount(place):
        place = place.parent
    return str(place)
