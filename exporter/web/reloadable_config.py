"""The web configuration, read again when its file or a certificate changes."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.http import following
from exporter.inputs.files import Stamp, stamp
from exporter.web.tls import make_context
from exporter.web.webconfig import WebConfig, read_web_config

log = structlog.get_logger()

CHECK_EVERY_SECONDS = 1.0


class _Loaded(NamedTuple):
    """A valid configuration."""

    config: WebConfig
    context: ssl.SSLContext | None


class ReloadableWebConfig:
    """
    The web configuration file, reloaded without a restart.

    Users, headers, the rate limit and certificates take effect within a second of the edit. An
    invalid edit changes nothing: the last valid configuration stays in force and the error is
    logged once. TLS cannot be switched on or off without a restart.

    Raises:
        ConfigError: The file is invalid at the start.

    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._stamps: dict[Path, Stamp | None] = {}
        self._checked_at = clock.monotonic()
        self._loaded = self._load()
        self.error: str | None = None
        """Why the present file was rejected; ``None`` if it is in force."""

    def current(self) -> WebConfig:
        """Return the configuration in force, after a reload if the file has changed."""
        self._reload_if_changed()
        return self._loaded.config

    def reload(self) -> None:
        """
        Read the file now, changed or not.

        Raises:
            ConfigError: The file is invalid; the last valid configuration stays in force.

        """
        try:
            self._loaded = self._load_again()
        except ConfigError as error:
            if str(error) != self.error:
                log.warning("web.config_rejected", file=str(self._path), error=str(error))
            self.error = str(error)
            raise
        self.error = None
        log.info("web.config_loaded", file=str(self._path))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a context for the life of the server, or ``None`` to serve plain HTTP."""
        first = self._loaded.context
        if first is None:
            return None

        def current() -> ssl.SSLContext:
            self._reload_if_changed()
            return self._loaded.context or first

        return following(current, ssl.PROTOCOL_TLS_SERVER)

    @property
    def problem(self) -> str:
        """Why the present file was rejected; empty if it is in force."""
        return self.error or ""

    def check(self) -> None:
        """Read the file again if it, or a file that it names, has changed."""
        self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        now = self._clock.monotonic()
        if now - self._checked_at < CHECK_EVERY_SECONDS:
            return
        self._checked_at = now
        if any(stamp(path) != known for path, known in self._stamps.items()):
            with suppress(ConfigError):  # logged, and kept in `error`
                self.reload()

    def _load_again(self) -> _Loaded:
        loaded = self._load()
        if (loaded.context is None) is not (self._loaded.context is None):
            raise ConfigError(
                f"{self._path}: tls_server_config cannot be added or removed while running; "
                "restart to switch TLS on or off"
            )
        return loaded

    def _load(self) -> _Loaded:
        # Stamps are taken before contents, so that the next check finds a change in between.
        # Those of a rejected file stay, so that a certificate that was missing is found later.
        self._stamps = {self._path: stamp(self._path)}
        config = read_web_config(self._path)
        tls = config.tls_server_config
        if tls is None:
            return _Loaded(config, None)
        self._stamps |= {path: stamp(path) for path in tls.files}
        return _Loaded(config, make_context(tls, self._path))
