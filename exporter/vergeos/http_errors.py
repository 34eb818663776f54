"""
Translate VergeOS' error responses to `VergeOSError`.

A response can repeat credentials, so its text is redacted.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from exporter.errors import BadReplyError, ForbiddenError, UnauthorizedError
from exporter.vergeos.rows import UNREADABLE

MIN_SECRET_LENGTH = 6
"""Shorter words are not redacted: that would make error texts unreadable."""
MAX_TEXT_LENGTH = 200


def secrets_of(headers: Mapping[str, str], login: Mapping[str, str] | None) -> tuple[str, ...]:
    """Return the words of a request's headers and login body that no error text may contain."""
    sent = " ".join([*headers.values(), *(login or {}).values()])
    return tuple(word for word in sent.split() if len(word) >= MIN_SECRET_LENGTH)


def check_status(
    path: str, response: aiohttp.ClientResponse, body: bytes, *, secrets: tuple[str, ...]
) -> None:
    """
    Accept every 2xx; raise an error for any other status.

    Raises:
        UnauthorizedError: 401.
        ForbiddenError: 403.
        BadReplyError: Any other status, redirects included.

    """
    status = response.status
    if status < 300:  # noqa: PLR2004 - some tables answer 201
        return
    if status < 400:  # noqa: PLR2004
        where = response.headers.get("Location", "elsewhere")
        raise BadReplyError(path, f"redirects to {_printable(where)}: check the URL", status=status)
    text = _error_text(body, secrets)
    if status == 401:  # noqa: PLR2004
        raise UnauthorizedError(f"{path} answered 401{text}: the credentials are refused")
    if status == 403:  # noqa: PLR2004
        what = "read it" if response.method == "GET" else "do this"
        raise ForbiddenError(f"{path} answered 403{text}: this user may not {what}")
    raise BadReplyError(path, f"answered {status}{text}", status=status)


def _error_text(body: bytes, secrets: tuple[str, ...]) -> str:
    """Return `` (the error text of VergeOS)``, redacted; empty where the body has none."""
    try:
        decoded = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        return ""
    text = decoded.get("err") or decoded.get("error") or decoded.get("message")
    if not isinstance(text, str) or not text.strip():
        return ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return f" ({_printable(text.strip())})"


def _printable(text: str) -> str:
    """Return *text* shortened, and without characters that break logs and terminals."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT_LENGTH])
