"""The body of a request that acts: it asks once more, right before the first byte is written."""

from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from exporter.errors import NotSentError
from exporter.recovery.model.ports import LastCheck


class CheckedBody(aiohttp.JsonPayload):
    """
    A JSON body that is written only if a last check allows it.

    aiohttp asks for the body once the connection is established, TLS included, and keeps the
    headers until then: both leave in one write, which follows the check without an await between.
    """

    def __init__(self, value: Any, last_check: LastCheck) -> None:
        super().__init__(value)
        self._last_check = last_check
        self._is_withdrawn = False
        self.problem: Exception | None = None
        """Why it was not written: a `NotSentError`, or a bug in the check."""
        self.may_be_sent = False
        """Whether a byte of the request may have left."""

    def withdraw(self) -> None:
        """Never write it from now on."""
        self._is_withdrawn = True

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write it, or raise `NotSentError`."""
        try:
            reason = await self._last_check()
        except Exception as bug:  # aiohttp hides it in an error of its own
            self.problem = bug
            raise
        if reason or self._is_withdrawn:
            self.problem = NotSentError(reason or "the request was withdrawn")
            raise self.problem
        self.may_be_sent = True
        await super().write_with_length(writer, content_length)
