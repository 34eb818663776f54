"""Notices that the file of a secret was written again or touched, before the next poll reads it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from exporter.config.systems import ResolvedSystem
from exporter.inputs.files import stamp


class SecretWatch:
    """
    Follows the files of one system's secrets.

    What they hold is read, and its errors are reported, with each request.

    Args:
        changed: Called after a change.

    """

    problem = ""

    def __init__(self, files: Sequence[Path], changed: Callable[[], None]) -> None:
        self._files = files
        self._changed = changed
        self._stamps = list(map(stamp, files))

    def check(self) -> None:
        """Look at the files again."""
        found = list(map(stamp, self._files))
        if found != self._stamps:
            self._stamps = found
            self._changed()


def secret_files(settings: ResolvedSystem) -> Sequence[Path]:
    """Return the files of the secrets that log in to a system."""
    system = settings.system
    named = (system.api_key_file, system.password_file, system.action_api_key_file)
    return [file for file in named if file is not None]
