"""The names of the systems: configured, remembered or reported, and never the same for two."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from exporter.daemon.system_memory import Remembered

log = structlog.get_logger()

NAMES_KEPT = 10


class Remember(Protocol):
    """Changes what is remembered of the system."""

    def __call__(self, *, system_name: str, used_names: tuple[str, ...]) -> None: ...


class SystemName:
    """
    The name of one system.

    A name once known is kept, also while VergeOS does not tell it, until VergeOS reports another.
    A system that reports none, because its key may not read the settings, is named by its host.

    Args:
        configured: The name in the settings, which wins; empty if there is none.
        host: Of the system's URL.
        remembered: What is known from before.
        taken: Returns the names that are not free for this one: those of all other systems.

    """

    def __init__(
        self,
        configured: str,
        host: str,
        remembered: Remembered,
        remember: Remember,
        taken: "Callable[[SystemName], Collection[str]]",
    ) -> None:
        self._configured = configured
        self._host = host
        self._given = remembered.system_name
        self._used = remembered.used_names
        self._remember = remember
        self._taken = taken
        self.current = self._free(configured or self._given or host)
        self.is_known = bool(configured or self._given)
        """Whether `current` is the name, and no stand-in for one that is not known yet."""
        if self.is_known:
            self._use(self.current)

    @property
    def silenced_names(self) -> Sequence[str]:
        """The names of which a silence holds its VMs: the current one, then those before it."""
        return [self.current, *(name for name in self._used if name != self.current)]

    def reported(self, cloud_name: str) -> str:
        """Return the name to use after VergeOS reported *cloud_name*, which may be empty."""
        if self._configured:
            return self.current
        wanted = cloud_name or (self.current if self.is_known else self._host)
        if self.is_known and self.current in (wanted, self._with_host(wanted)):
            return self.current
        former, name = self.current, self._free(wanted)
        if self.is_known:
            log.warning(
                "system.renamed",
                former=former,
                name=name,
                effect="its series and alerts continue under the new name; silences of both hold",
            )
        self.is_known = True
        self._use(name)
        return name

    def _use(self, name: str) -> None:
        """Make *name* the current one, and remember it."""
        self.current = name
        given = self._given if self._configured else name
        used = (*(one for one in self._used if one != name), name)[-NAMES_KEPT:]
        if (given, used) != (self._given, self._used):
            self._given, self._used = given, used
            self._remember(system_name=given, used_names=used)

    def _free(self, name: str) -> str:
        """Return *name*, with the host added if another system uses it: series must not mix."""
        if name not in self._taken(self):
            return name
        free = self._with_host(name)
        log.warning(
            "system.name_taken", name=name, uses=free, advice="give each of these systems a name"
        )
        return free

    def _with_host(self, name: str) -> str:
        return f"{name} ({self._host})"
