"""Read tables from one VergeOS: name a table, get its rows."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from exporter.errors import BadReplyError, ForbiddenError, UnreachableError, VergeOSError
from exporter.model import IDENTITY, Identity
from exporter.polling.state import TableRows
from exporter.tolerant_json import LostValue, UnreadableError, decode_object
from exporter.vergeos import rows
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.decoding import decode_in_thread
from exporter.vergeos.pages import NO_PAGE, Page, PageMemory
from exporter.vergeos.skipped_fields import count_skipped_fields
from exporter.vergeos.tables import Pace, Table

IDENTITY_REQUESTS = 2
SETTINGS_PATH = "/api/v4/settings"
VERSION_PATH = "/version.json"
HIDDEN = frozenset({404, 405, 422})
"""Statuses of an endpoint that this release or this user does not have."""
NO_ROWS: TableRows[Any] = TableRows({}, 0)


class Setting(msgspec.Struct, gc=False):
    """A row of ``settings``."""

    key: str | None = None
    value: rows.Name | None = None


class Version(msgspec.Struct, frozen=True, gc=False):
    """``/version.json``."""

    version: rows.Name | None = None
    hash: rows.Name | None = None


class _Decoded(NamedTuple):
    digest: bytes
    rows: TableRows[Any]


class VergeOSSource:
    """
    Reads tables of one VergeOS.

    An answer that equals the previous one byte for byte is not decoded again and returns the very
    same rows, so that the renderer recognizes unchanged tables by identity.

    Tables that need the same request share it: the first one that is read asks for the fields of
    all of them, and the others decode the same answer.

    Args:
        tables: The tables that may be read.
        page_rows: Rows to ask for at a time; 0 for all at once, which is what VergeOS expects.

    """

    def __init__(
        self, client: VergeOSClient, tables: Iterable[Table], *, page_rows: int = 0
    ) -> None:
        self._client = client
        self._tables = {table.name: table for table in tables}
        self._page_rows = page_rows
        self._pages: dict[tuple[str, str, Pace], PageMemory] = {
            table.request: PageMemory(page_rows) for table in self._tables.values()
        }
        """By request."""
        self._decoded: dict[str, _Decoded] = {}
        self._version = Version()
        """The last one that was read."""
        self._shared: dict[str, bytes] = {}
        """By table, an answer that the request of another table brought and nothing used yet."""

    async def read(self, name: str) -> TableRows[Any]:
        """
        Return the current rows of the table *name*.

        Raises:
            VergeOSError: No usable answer.

        """
        found = await (self._identity() if name == IDENTITY else self._read(self._tables[name]))
        count_skipped_fields(self._client.meter, name, found)
        return found

    async def _read(self, table: Table) -> TableRows[Any]:
        body = self._shared.pop(table.name, None)
        if body is None:
            try:
                body = await self._request(table)
            except (ForbiddenError, BadReplyError) as error:
                if table.may_be_hidden and _hides(error):
                    return NO_ROWS
                raise
        return await decode_in_thread(partial(self._decode, table), body)

    def requests(self) -> dict[str, int]:
        """
        Return how many requests a read of each table needs, if the tables stay as they are.

        One page is assumed for a table that was not read yet. Of tables that share a request, only
        the first needs requests.
        """
        first = {table.request: table.name for table in reversed(self._tables.values())}
        return {name: self._pages[request].requests for request, name in first.items()}

    def carry_on(self, former: "VergeOSSource") -> None:
        """Take over what *former*, a source of the same system, has learned of it."""
        self._version = former._version  # noqa: SLF001 - same class
        if former._page_rows == self._page_rows:  # noqa: SLF001
            for request in self._pages.keys() & former._pages.keys():  # noqa: SLF001
                self._pages[request] = former._pages[request]  # noqa: SLF001

    def _decode(self, table: Table, body: bytes) -> TableRows[Any]:
        digest = hashlib.sha256(body).digest()
        last = self._decoded.get(table.name)
        if last is not None and last.digest == digest:
            return last.rows
        decoded = table.decode(body)
        self._decoded[table.name] = _Decoded(digest, decoded)
        return decoded

    async def _request(self, table: Table) -> bytes:
        """Return the answer for *table*, and keep it for the tables that share its request."""
        sharing = [other for other in self._tables.values() if other.request == table.request]
        fields = dict.fromkeys(field for one in sharing for field in one.fields)
        query = {"fields": ",".join(fields)}
        if self._page_rows:
            body = await self._paged(table, query)
        else:
            if where := table.condition(now=self._client.time()):
                query["filter"] = where
            body = await self._client.read(table.path, query, endpoint=table.name)
        self._shared |= {other.name: body for other in sharing if other is not table}
        return body

    async def _paged(self, table: Table, query: dict[str, str]) -> bytes:
        """
        Read page after page, the newest rows first, until the last; if one fails, all fail.

        Each page begins after the last key of the previous one, not at a row number: rows that
        are deleted meanwhile then hide no others.
        """
        found: list[bytes | msgspec.Raw] = []
        memory = self._pages[table.request]
        before, number, is_last = NO_PAGE, 0, False
        try:
            while not is_last:
                page_query = {"sort": "-$key", "limit": str(self._page_rows)}
                if where := _where(table, before, now=self._client.time()):
                    page_query["filter"] = where
                body = await self._client.read(table.path, query | page_query, endpoint=table.name)
                rows_of_page = rows.raw_rows(body, table.path)
                keys = [rows.raw_row_key(row) for row in rows_of_page]
                if keys and not any(keys) and len(rows_of_page) < self._page_rows:
                    found += rows_of_page
                    break  # none tells where the next page begins
                page = _page(keys, before, table.path)
                number += 1
                before, is_last = page, memory.is_last(page, before, number)
                # Rows at its end whose key cannot be read are on the next page too.
                found += rows_of_page if is_last else rows_of_page[: _with_key(keys)]
        except VergeOSError:
            memory.forget()
            raise
        return b"[" + b",".join(reversed(found)) + b"]"

    async def _identity(self) -> TableRows[Identity]:
        """
        Return the system's name and version.

        The name is asked for first because it needs credentials: if they are refused, only one
        request was made. The version alone is no reason to go without a name: the last one stays.
        """
        query = {"fields": "key,value", "filter": "key eq 'cloud_name'"}
        settings = await self._read_if_visible(SETTINGS_PATH, query, endpoint="settings")
        lost: list[LostValue] = []
        name = _setting(settings, "cloud_name", lost) if settings is not None else ""
        problem = None
        try:
            version = await self._read_if_visible(VERSION_PATH, {}, endpoint="version")
            self._version = _version(version, lost) if version is not None else Version()
        except (BadReplyError, UnreachableError) as error:
            problem = str(error)
        return TableRows(
            Identity(name, self._version.version or "", self._version.hash or ""),
            1,
            skipped=int(problem is not None),
            problem=problem,
            skipped_values=rows.counted(lost, IDENTITY),
        )

    async def _read_if_visible(
        self, path: str, query: dict[str, str], *, endpoint: str
    ) -> bytes | None:
        """Return the answer; None if the endpoint is absent or forbidden to this user."""
        try:
            return await self._client.read(path, query, endpoint=endpoint)
        except (ForbiddenError, BadReplyError) as error:
            if _hides(error):
                return None
            raise


def _hides(error: ForbiddenError | BadReplyError) -> bool:
    """Return whether this release or this user does not have the endpoint."""
    return isinstance(error, ForbiddenError) or error.status in HIDDEN


def _setting(body: bytes, name: str, lost: list[LostValue]) -> str:
    """Return the value of the setting *name* from rows of ``settings``; empty if absent."""
    for raw in rows.raw_rows(body, SETTINGS_PATH):
        missed: list[LostValue] = []
        with suppress(UnreadableError):
            row = decode_object(raw, Setting, missed)
            if row.key == name:
                lost += missed
                return row.value or ""
    return ""


def _version(body: bytes, lost: list[LostValue]) -> Version:
    try:
        return decode_object(body, Version, lost)
    except UnreadableError as problem:
        raise rows.bad_answer(VERSION_PATH, body, str(problem)) from None


def _page(keys: Sequence[int | None], before: Page, path: str) -> Page:
    """
    Return what is known of a page with rows of these *keys*, of which some cannot be read.

    Raises:
        BadReplyError: Its rows do not descend from those of the page *before*.

    """
    if not keys:
        return NO_PAGE
    known = [key for key in keys if key is not None]
    ceiling = [before.oldest] if before.rows else []
    if not known or not all(newer > older for newer, older in pairwise([*ceiling, *known])):
        raise BadReplyError(path, "cannot be read in pages: its keys do not descend")
    return Page(len(keys), known[0], known[-1])


def _with_key(keys: Sequence[int | None]) -> int:
    """Return how many rows there are up to the last one whose key can be read."""
    return max((number for number, key in enumerate(keys, 1) if key is not None), default=0)


def _where(table: Table, before: Page, *, now: float) -> str:
    """Return the filter for the rows of *table* after the page *before*."""
    wanted = table.condition(now=now)
    lower = f"$key lt {before.oldest}" if before.rows else ""
    if wanted and lower:
        return f"({wanted}) and ({lower})"
    return wanted or lower
