"""Where the answers of the API are decoded: large ones in a thread."""

from collections.abc import Callable
from typing import Any

from exporter.executor import run_in_thread
from exporter.polling.state import TableRows

SMALL_BODY_BYTES = 32 * 1024


async def decode_in_thread(
    decode: Callable[[bytes], TableRows[Any]], body: bytes
) -> TableRows[Any]:
    """Return what *decode* makes of *body*; in a thread where that takes long."""
    if len(body) < SMALL_BODY_BYTES:
        return decode(body)
    return await run_in_thread(decode, body)
