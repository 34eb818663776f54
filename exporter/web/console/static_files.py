"""The scripts and styles of the console, served under names that change with their content."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from aiohttp import hdrs, web

FOLDER = Path(__file__).with_name("static")
ROOT = "/static"
CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"
"""The address of a file has a checksum of its content."""


class StaticFile(NamedTuple):
    """A file of the console."""

    body: bytes
    content_type: str
    address: str
    """From the root of the host."""


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Return every file by its name."""
    return {
        path.name: _static_file(path)
        for path in sorted(FOLDER.iterdir())
        if path.suffix in CONTENT_TYPES
    }


def address(name: str) -> str:
    """Return the address of the file *name*."""
    return static_files()[name].address


async def serve(request: web.Request) -> web.Response:
    """Respond with the file that the path names; an old checksum is as unknown as any name."""
    path = request.path
    for file in static_files().values():
        if file.address == path:
            return web.Response(
                body=file.body,
                content_type=file.content_type,
                charset="utf-8",
                headers={hdrs.CACHE_CONTROL: FOREVER},
            )
    raise web.HTTPNotFound


def _static_file(path: Path) -> StaticFile:
    body = path.read_bytes()
    checksum = hashlib.sha256(body).hexdigest()[:16]
    return StaticFile(body, CONTENT_TYPES[path.suffix], f"{ROOT}/{checksum}/{path.name}")
