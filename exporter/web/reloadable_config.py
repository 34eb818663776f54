"""The web configuration as it is now: read again when its file, or a certificate, changes."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.web.tls import FollowingContext, make_context
from exporter.web.webconfig import WebConfig, read_web_config

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 1.0

_Fingerprint = tuple[int, int, int]


class LastGood(NamedTuple):
    """The last configuration that could be honoured."""

    config: WebConfig
    context: ssl.SSLContext | None


class ReloadableWebConfig:
    """
    The web configuration file, followed without a restart.

    Users, headers, the rate limit and everything about certificates take effect within a second
    of the edit. An edit that cannot be honoured changes nothing: the last good configuration
    stays, the log says why once, and `error` says so for as long as it is true.
    Whether there is TLS at all is decided at the start.

    Raises:
        ConfigError: The file cannot be honoured at the start.

    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seen: dict[Path, _Fingerprint | None] = {}
        self._looked_at = clock.monotonic()
        self._good = self._read()
        self.error: str | None = None
        """Why the file as it is now is not the configuration in force."""

    def current(self) -> WebConfig:
        """Return the configuration in force, having looked at the file if it is time to."""
        self._look()
        return self._good.config

    def reload(self) -> None:
        """Read the file now, changed or not; raises `ConfigError` and keeps the last good one."""
        try:
            self._good = self._read_in_place()
        except ConfigError as error:
            if str(error) != self.error:
                log.warning("web.config_rejected", file=str(self._path), error=str(error))
            self.error = str(error)
            raise
        self.error = None
        log.info("web.config_loaded", file=str(self._path))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a context for the server's whole life, or ``None`` to serve plain HTTP."""
        first = self._good.context
        if first is None:
            return None
        return FollowingContext.of(lambda: self._context() or first)

    def _context(self) -> ssl.SSLContext | None:
        self._look()
        return self._good.context

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        if all(_fingerprint(path) == seen for path, seen in self._seen.items()):
            return
        with suppress(ConfigError):  # logged once, kept in `error`; the last good one serves on
            self.reload()

    def _read_in_place(self) -> LastGood:
        good = self._read()
        if (good.context is None) is not (self._good.context is None):
            raise ConfigError(
                f"{self._path}: tls_server_config cannot be added or removed while running; "
                "restart to switch TLS on or off"
            )
        return good

    def _read(self) -> LastGood:
        # Fingerprints come before contents: a change in between is then seen at the next look.
        # Those of a rejected attempt stay, so that the file it lacked is noticed when it comes.
        self._seen = {self._path: _fingerprint(self._path)}
        config = read_web_config(self._path)
        if config.tls is None:
            return LastGood(config, None)
        self._seen |= {path: _fingerprint(path) for path in config.tls.files}
        return LastGood(config, make_context(config.tls))


def _fingerprint(path: Path) -> _Fingerprint | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
