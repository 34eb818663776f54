"""The newest page in each format, ready to be written to any number of clients."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from exporter.exposition.collector import Family
from exporter.exposition.formats import Format
from exporter.exposition.page import Body, Page, PageBuilder
from exporter.exposition.renderer import Rendered

KEPT_SECONDS = 1.0
"""How old the daemon's own metrics on a page may be: 50 clients at once share one copy."""


class _Copy(NamedTuple):
    page: Page
    made_at: float
    body: Body


class PageCache:
    """
    Holds what each system's renderer wrote last, put together to pages.

    Filled by worker threads, read by the event loop; a page is replaced whole.

    Args:
        families: The families of the page, in order.
        own: Returns the daemon's own metrics in a format, its end mark included.

    """

    def __init__(self, families: Sequence[Family], own: Callable[[Format], bytes]) -> None:
        self._builder = PageBuilder(families)
        self._own = own
        self._lock = threading.Lock()
        self._systems: dict[Hashable, Rendered | None] = {}
        self._copies: dict[tuple[Format, bool], _Copy] = {}
        self._compressed: dict[Format, tuple[Page, bytes]] = {}
        self._rebuild()

    def add(self, system: Hashable) -> None:
        """Reserve the place of *system* on the page."""
        with self._lock:
            self._systems[system] = None

    def put(self, system: Hashable, rendered: Rendered) -> bool:
        """Replace the samples of *system*; return False, and change nothing, if it was removed."""
        with self._lock:
            if system not in self._systems:
                return False
            self._systems[system] = rendered
            self._rebuild()
            return True

    def clear(self, system: Hashable) -> None:
        """Drop the samples of *system*, which keeps its place."""
        with self._lock:
            if system in self._systems:
                self._systems[system] = None
                self._rebuild()

    def remove(self, system: Hashable) -> None:
        """Remove the samples of *system*."""
        with self._lock:
            self._systems.pop(system, None)
            self._rebuild()

    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        """Return the whole page, at most a second old; *now* is in seconds, monotonic."""
        page = self._pages[form]
        copy = self._copies.get((form, gzipped))
        if copy is not None and copy.page is page and now - copy.made_at < KEPT_SECONDS:
            return copy.body
        rest = self._own(form)
        body = page.gzipped(rest, self._deflated(page, form)) if gzipped else page.plain(rest)
        self._copies[form, gzipped] = _Copy(page, now, body)
        return body

    def _deflated(self, page: Page, form: Format) -> bytes:
        """Return the compressed page, the same bytes for every client until the next poll."""
        known = self._compressed.get(form)
        if known is None or known[0] is not page:
            known = self._compressed[form] = page, page.deflated()
        return known[1]

    def _rebuild(self) -> None:
        systems = [rendered for rendered in self._systems.values() if rendered is not None]
        self._pages: Mapping[Format, Page] = {
            form: self._builder.page(systems, form) for form in Format
        }
        self._copies.clear()
        self._compressed.clear()
