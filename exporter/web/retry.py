"""The API that tries refused credentials again: the token permits it, recovery on or off."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from exporter.model import Retried, RetryBody
from exporter.web.commands import CommandChecks, json_handler

PATH = "/api/v1/systems/{system:[^/]+}/retry"

Retry = Callable[[str], Retried]
"""Tries the credentials of the system of that name. Raises UnknownNameError."""


class RetryAPI:
    """The handler of ``POST /api/v1/systems/SYSTEM/retry``."""

    def __init__(self, retry: Retry, checks: CommandChecks) -> None:
        self._retry = retry
        self._checks = checks

    def install(self, app: web.Application) -> None:
        app.router.add_post(PATH, json_handler(self._command))

    async def _command(self, request: web.Request) -> msgspec.Struct:
        await self._checks.body(request, RetryBody)
        return self._retry(request.match_info["system"])
