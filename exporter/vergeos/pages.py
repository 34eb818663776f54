"""Which page of a table is the last, and how many requests a read of the table needs."""

from typing import NamedTuple


class Page(NamedTuple):
    """The rows of one answer, in descending order of their keys."""

    rows: int
    newest: int = 0
    """The key of the first row."""
    oldest: int = 0
    """The key of the last row."""


NO_PAGE = Page(0)


class PageMemory:
    """
    What the pages of one table have shown of the server.

    VergeOS documents no maximum of ``limit``, and a server with one would cut each page. So a page
    that is shorter than asked for is the last one only if that is known:

    - the server has given a longer page of this table before, or
    - the same page was followed by an empty one before. The newest rows come first, so a new row
      changes the page even where the server cuts it.

    Otherwise one more page is asked for. A server that cut a page is always asked until a page is
    empty.

    Args:
        asked: Rows to ask for at a time.

    """

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self._largest = 0
        self._last: Page | None = None
        """A short page that an empty one followed."""
        self._cuts = False
        """Whether the server gave fewer rows than it was asked for and than it had."""
        self.requests = 1
        """Requests of the next read, if the table stays as it is."""

    def is_last(self, page: Page, before: Page, number: int) -> bool:
        """
        Note a page; return whether it is the last of this read.

        Args:
            before: The preceding page of the same read; `NO_PAGE` for the first one.
            number: The number of pages of this read so far.

        """
        needed = number
        if 0 < before.rows < self._asked:
            if page.rows:
                self._cuts = True
            elif not self._cuts:
                self._last = before
                needed = number - 1  # the next read knows this page
        is_known = page.rows < self._largest or page == self._last
        is_last = not page.rows or (page.rows < self._asked and is_known and not self._cuts)
        self._largest = max(self._largest, page.rows)
        if is_last:
            self.requests = needed
        return is_last

    def forget(self) -> None:
        """Forget what the server has shown: after a failure, another release may answer."""
        self._largest, self._last, self._cuts = 0, None, False
