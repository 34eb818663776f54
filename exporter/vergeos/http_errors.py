"""
Translate VergeOS' error responses to `VergeOSError`.

A response can repeat credentials, so its text is redacted.
"""

from collections.abc import Mapping

import aiohttp
import msgspec

from exporter.errors import BadReplyError, ForbiddenError, UnauthorizedError
from exporter.tolerant_json import UnreadableError, decode_object

MIN_SECRET_LENGTH = 6
"""Shorter words are not redacted: that would make error texts unreadable."""
MAX_TEXT_LENGTH = 200


class _ErrorAnswer(msgspec.Struct):
    """An answer to a request that failed; releases differ in the field of the text."""

    err: str | None = None
    error: str | None = None
    message: str | None = None


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
        problem = f"redirects to {_printable(where)}: check the URL"
        raise BadReplyError(path, problem, status=status, is_foreign=True)
    text = _error_text(body, secrets)
    if status == 401:  # noqa: PLR2004
        raise UnauthorizedError(f"{path} answered 401{text}: the credentials are refused")
    if status == 403:  # noqa: PLR2004
        what = "read it" if response.method == "GET" else "do this"
        raise ForbiddenError(f"{path} answered 403{text}: this user may not {what}")
    is_foreign = not text and not body.lstrip().startswith((b"{", b"["))
    raise BadReplyError(path, f"answered {status}{text}", status=status, is_foreign=is_foreign)


def _error_text(body: bytes, secrets: tuple[str, ...]) -> str:
    """Return `` (the error text of VergeOS)``, redacted; empty where the body has none."""
    try:
        decoded = decode_object(body, _ErrorAnswer, [])
    except UnreadableError:
        return ""
    text = decoded.err or decoded.error or decoded.message or ""
    if not text.strip():
        return ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return f" ({_printable(text.strip())})"


def _printable(text: str) -> str:
    """Return *text* shortened, and without characters that break logs and terminals."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT_LENGTH])
