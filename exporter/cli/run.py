"""The command ``vergewatch run``: the daemon, until SIGTERM or Ctrl-C."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from exporter.cli.errors import print_errors, tolerate_any_character
from exporter.clock import SystemClock
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from exporter.config.settings import Settings


def main() -> None:
    """Run the daemon as the command without options does."""
    tolerate_any_character()
    try:
        run_daemon(None, {})
    except (ConfigError, BaseExceptionGroup) as error:
        sys.exit(print_errors(error))


def run_daemon(config: Path | None, options: Mapping[str, Any]) -> None:
    """
    Run the daemon.

    Args:
        config: The settings file.
        options: Settings that take precedence over the file and the environment.

    Raises:
        ConfigError: The settings are invalid.

    """
    _import_structlog_alone()
    _import_aiohttp_without_certificates()
    import structlog

    from exporter import logs
    from exporter.config.loader import load, unknown_variables
    from exporter.daemon import app

    def read() -> "Settings":
        return load(config, options)

    settings = read()
    logs.configure(settings.log.level, settings.log.format)
    for problem in unknown_variables(os.environ):
        structlog.get_logger().warning("settings.unknown", problem=problem)
    asyncio.run(app.run(settings, read, SystemClock()))


def _import_structlog_alone() -> None:
    """
    Import structlog without the packages that it imports if they are installed.

    Rich is 6 MiB and greenlet is 1 MiB that the daemon never uses.
    """
    unused = ("rich", "greenlet")
    for name in unused:
        sys.modules[name] = cast("Any", None)
    import structlog  # noqa: F401

    for name in unused:
        del sys.modules[name]


def _import_aiohttp_without_certificates() -> None:
    """
    Import aiohttp without the certificates of the operating system.

    aiohttp loads them twice, 1 MiB each, whether a server needs them or not. `exporter.http` loads
    them once, for the first server that does. aiohttp's own contexts then trust no server.
    """
    places = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where OpenSSL looks for them
    before = {name: os.environ.get(name) for name in places}
    for name in places:
        os.environ[name] = os.devnull
    import aiohttp  # noqa: F401

    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
