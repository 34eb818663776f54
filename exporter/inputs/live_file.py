"""Files that settings name, followed while the daemon runs."""

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.inputs.files import Stamp, stamp

log = structlog.get_logger()

T = TypeVar("T")

CHECK_EVERY_SECONDS = 2.0
"""How soon an invalid file is reported that nothing uses meanwhile."""


class LiveFile(Generic[T]):
    """
    What is made of a file, made again when the file changes.

    A change that is invalid, or not yet complete, changes nothing: what was made last stays in
    force. The error is logged once.

    Args:
        make: Reads the file. Raises ConfigError.

    Raises:
        ConfigError: The file is invalid at the start.

    """

    def __init__(self, path: Path, make: Callable[[], T]) -> None:
        self._path = path
        self._make = make
        self._stamp: Stamp | None = stamp(
            path
        )  # before the content: a change in between is found later
        self._made = make()
        self.problem = ""
        """Why the present file is not in force; empty if it is."""

    def current(self) -> T:
        """Return what is in force, after another look at the file."""
        self.check()
        return self._made

    def check(self) -> None:
        """Read the file if it has changed."""
        found = stamp(self._path)
        if found == self._stamp:
            return
        self._stamp = found
        try:
            self._made = self._make()
        except ConfigError as error:
            if str(error) != self.problem:
                log.warning("file.rejected", file=str(self._path), error=str(error))
            self.problem = str(error)
        else:
            self.problem = ""
            log.info("file.loaded", file=str(self._path))


class Followed(Protocol):
    """A file that is followed."""

    @property
    def problem(self) -> str:
        """Why the present file is not in force; empty if it is."""
        ...

    def check(self) -> None:
        """Read the file if it has changed."""
        ...


class FileWatch:
    """
    Looks after all followed files, so that an invalid one is reported before it is needed.

    Args:
        report: Receives the number of files that are not in force, after each look.

    """

    def __init__(self, clock: Clock, report: Callable[[int], None]) -> None:
        self._clock = clock
        self._report = report
        # A file is followed as long as something uses it.
        self._files: weakref.WeakSet[Followed] = weakref.WeakSet()

    def add(self, file: Followed) -> None:
        """Follow *file* as long as it is used."""
        self._files.add(file)

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with each file whose previous content stays in force."""
        return sorted({file.problem for file in self._files if file.problem})

    def check(self) -> None:
        """Read every file that has changed."""
        for file in tuple(self._files):
            file.check()
        self._report(len(self.problems))

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.check()
            await self._clock.sleep(CHECK_EVERY_SECONDS)
