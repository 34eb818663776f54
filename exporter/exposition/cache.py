"""The newest page in each format, ready to be copied to whoever scrapes."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from exporter.exposition.formats import Format
from exporter.exposition.page import Page, bind
from exporter.exposition.renderer import Rendered

KEPT_SECONDS = 1.0
"""How old our own metrics on a page may be: fifty clients at once must not cost fifty pages."""


class _Copy(NamedTuple):
    page: Page
    made_at: float
    body: bytes


class PageCache:
    """
    Holds what each cloud's renderer wrote last, bound into pages.

    Filled by worker threads, read by the event loop; a page is replaced whole.

    Args:
        own: Returns the daemon's own metrics in a format, its end mark included.

    """

    def __init__(self, own: Callable[[Format], bytes]) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._systems: dict[Hashable, Rendered | None] = {}
        self._copies: dict[tuple[Format, bool], _Copy] = {}
        self._rebind()

    def add(self, system: Hashable) -> None:
        """Make room for *cloud*."""
        with self._lock:
            self._systems[system] = None

    def put(self, system: Hashable, rendered: Rendered) -> bool:
        """Replace what *cloud* shows; return False, and show nothing, if it was removed."""
        with self._lock:
            if system not in self._systems:
                return False
            self._systems[system] = rendered
            self._rebind()
            return True

    def remove(self, system: Hashable) -> None:
        """Show *cloud* no longer."""
        with self._lock:
            self._systems.pop(system, None)
            self._rebind()

    def page(self, form: Format, *, gzipped: bool, now: float) -> bytes:
        """Return the whole page, at most a second old; *now* is in seconds, monotonic."""
        page = self._pages[form]
        copy = self._copies.get((form, gzipped))
        if copy is not None and copy.page is page and now - copy.made_at < KEPT_SECONDS:
            return copy.body
        rest = self._own(form)
        body = page.gzipped(rest) if gzipped else page.plain(rest)
        self._copies[form, gzipped] = _Copy(page, now, body)
        return body

    def _rebind(self) -> None:
        systems = [rendered for rendered in self._systems.values() if rendered is not None]
        self._pages: Mapping[Format, Page] = {form: bind(systems, form) for form in Format}
        self._copies.clear()  # a plain copy of a large fleet is not worth keeping for nobody
