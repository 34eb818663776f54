"""Read tables from one VergeOS: name a table, get its rows."""

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from exporter.errors import BadReplyError, ForbiddenError, UnreachableError
from exporter.model import IDENTITY, Identity
from exporter.polling.state import TableRows
from exporter.vergeos import rows
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.tables import Table, decode_in_thread

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


class Version(msgspec.Struct, gc=False):
    """``/version.json``."""

    version: rows.Name | None = None


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
        self._decoded: dict[str, _Decoded] = {}
        self._version = ""
        """The last one that was read."""
        self._shared: dict[str, bytes] = {}
        """By table, an answer that the request of another table brought and nothing used yet."""

    async def read(self, name: str) -> TableRows[Any]:
        """
        Return the current rows of the table *name*.

        Raises:
            VergeOSError: No usable answer.

        """
        if name == IDENTITY:
            return await self._identity()
        table = self._tables[name]
        body = self._shared.pop(name, None)
        if body is None:
            try:
                body = await self._request(table)
            except (ForbiddenError, BadReplyError) as error:
                if table.may_be_hidden and _hides(error):
                    return NO_ROWS
                raise
        return await decode_in_thread(partial(self._decode, table), body)

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
            if table.where:
                query["filter"] = table.where
            body = await self._client.read(table.path, query, endpoint=table.name)
        self._shared |= {other.name: body for other in sharing if other is not table}
        return body

    async def _paged(self, table: Table, query: dict[str, str]) -> bytes:
        """
        Read page after page until one is empty; if one fails, all fail.

        Each page begins after the last key of the previous one, not at a row number: rows that
        are deleted meanwhile then hide no others.
        """
        found: list[msgspec.Raw] = []
        after = 0
        while True:
            page = {"sort": "+$key", "limit": str(self._page_rows), "filter": _after(table, after)}
            body = await self._client.read(table.path, query | page, endpoint=table.name)
            rows_of_page = rows.raw_rows(body, table.path)
            if not rows_of_page:
                return b"[" + b",".join(found) + b"]"
            found += rows_of_page
            last = rows.raw_row_key(rows_of_page[-1])
            if last is None or last <= after:
                raise BadReplyError(table.path, "cannot be read in pages: its keys do not ascend")
            after = last

    async def _identity(self) -> TableRows[Identity]:
        """
        Return the system's name and version.

        The name is asked for first because it needs credentials: if they are refused, only one
        request was made. The version alone is no reason to go without a name: the last one stays.
        """
        query = {"fields": "key,value", "filter": "key eq 'cloud_name'"}
        settings = await self._read_if_visible(SETTINGS_PATH, query, endpoint="settings")
        name = _setting(settings, "cloud_name") if settings is not None else ""
        try:
            version = await self._read_if_visible(VERSION_PATH, {}, endpoint="version")
            self._version = _version(version) if version is not None else ""
        except (BadReplyError, UnreachableError) as error:
            return TableRows(Identity(name, self._version), 1, skipped=1, problem=str(error))
        return TableRows(Identity(name, self._version), 1)

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


def _setting(body: bytes, name: str) -> str:
    """Return the value of the setting *name* from rows of ``settings``; empty if absent."""
    found = rows.decoded_rows(body, SETTINGS_PATH, Setting, on_skip=lambda _: None)
    return next((row.value or "" for row in found if row.key == name), "")


def _version(body: bytes) -> str:
    try:
        return rows.decoder_of(Version).decode(body).version or ""
    except rows.UNREADABLE as problem:
        raise BadReplyError(VERSION_PATH, rows.describe_body(body, problem)) from None


def _after(table: Table, key: int) -> str:
    """Return the filter for the rows of *table* with a higher key; and/or need parentheses."""
    higher = f"$key gt {key}"
    return f"({table.where}) and ({higher})" if table.where else higher
