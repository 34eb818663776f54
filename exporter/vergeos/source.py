"""A VergeOS as polling sees it: name a table, get its rows."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from exporter.errors import BadReplyError, ForbiddenError, VergeOSError
from exporter.executor import run_in_thread
from exporter.model import Identity
from exporter.vergeos import rows, tables, wire
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.rows import TableRows
from exporter.vergeos.tables import Table

IDENTITY = "identity"
"""The table that is none: the cloud's name and version."""
IDENTITY_REQUESTS = 2
SETTINGS_PATH = "/api/v4/settings"
VERSION_PATH = "/version.json"
NOT_FOR_US = frozenset({404, 405, 422})
SMALL_BODY_BYTES = 32 * 1024

_DECODERS: dict[str, Callable[[bytes, str], TableRows[Any]]] = {
    tables.VMS.name: rows.vm_configs,
    tables.MACHINE_STATUS.name: rows.machine_statuses,
    tables.GUESTS.name: rows.guests,
    tables.MACHINE_STATS.name: rows.machine_stats,
    tables.MACHINE_NICS.name: rows.nics,
    tables.MACHINE_DRIVES.name: rows.disks,
    tables.MACHINE_DRIVE_STATS.name: rows.disk_stats,
    tables.CLUSTERS.name: rows.clusters,
    tables.NODES.name: rows.nodes,
    tables.VM_SNAPSHOTS.name: rows.vm_snapshot_count,
    tables.TAG_MEMBERS.name: rows.tags,
}
_TABLES = {table.name: table for table in (*tables.TABLES, tables.TAG_MEMBERS)}


def decoder_of(table: str) -> Callable[[bytes, str], TableRows[Any]]:
    """Return what turns an answer's body, and the path for errors, into the rows of *table*."""
    return _DECODERS[table]


class _Last(NamedTuple):
    digest: bytes
    reading: TableRows[Any]


class VergeOSSource:
    """
    Reads tables of one VergeOS.

    An answer that is byte for byte the last one is not decoded again, and yields the very same
    rows: configuration changes rarely, and everything after us can see by identity that
    nothing happened.

    Args:
        page_rows: Rows to ask for at a time; 0 for all at once, which is what VergeOS expects.

    """

    def __init__(self, client: VergeOSClient, *, page_rows: int = 0) -> None:
        self._client = client
        self._page_rows = page_rows
        self._last: dict[str, _Last] = {}

    async def read(self, name: str) -> TableRows[Any]:
        """
        Return today's rows of the table *name*.

        Raises:
            VergeOSError: Nothing usable came.

        """
        if name == IDENTITY:
            return TableRows(await self._identity(), 1)
        table = _TABLES[name]
        body = await self._whole(table)
        if len(body) < SMALL_BODY_BYTES:
            return self._decoded(table, body)
        return await run_in_thread(self._decoded, table, body)

    def _decoded(self, table: Table, body: bytes) -> TableRows[Any]:
        digest = hashlib.sha256(body).digest()
        last = self._last.get(table.name)
        if last is not None and last.digest == digest:
            return last.reading
        reading = decoder_of(table.name)(body, table.path)
        self._last[table.name] = _Last(digest, reading)
        return reading

    async def _whole(self, table: Table) -> bytes:
        query = {"fields": ",".join(table.fields)}
        if self._page_rows:
            return await self._paged(table, query)
        if table.where:
            query["filter"] = table.where
        return await self._client.read(table.path, query, endpoint=table.name)

    async def _paged(self, table: Table, query: dict[str, str]) -> bytes:
        """
        Read page after page until one is empty; any failure is the whole's.

        Each page begins after the last key of the one before, and not at a number of rows:
        rows that vanish meanwhile then shift no others out of observed.
        """
        found: list[msgspec.Raw] = []
        after = 0
        while True:
            page = {"sort": "+$key", "limit": str(self._page_rows), "filter": _after(table, after)}
            body = await self._client.read(table.path, query | page, endpoint=table.name)
            rows_of_page = wire.raw_rows(body, table.path)
            if not rows_of_page:
                return b"[" + b",".join(found) + b"]"
            found += rows_of_page
            last = rows.key_of(rows_of_page[-1])
            if last is None or last <= after:
                raise BadReplyError(table.path, "cannot be read in pages: its keys do not ascend")
            after = last

    async def _identity(self) -> Identity:
        """
        Ask for the cloud's name, then for its version.

        The name comes first because it needs credentials: if those are refused,
        one request is all that was made.
        """
        cloud_name = version = ""
        try:
            query = {"fields": "key,value", "filter": "key eq 'cloud_name'"}
            body = await self._client.read(SETTINGS_PATH, query, endpoint="settings")
            cloud_name = rows.setting(body, SETTINGS_PATH, "cloud_name") or ""
        except VergeOSError as error:
            _raise_unless_hidden(error)  # who may not read settings can still read VMs
        try:
            body = await self._client.read(VERSION_PATH, {}, endpoint="version")
            version = rows.version(body, VERSION_PATH)
        except VergeOSError as error:
            _raise_unless_hidden(error)
        return Identity(cloud_name, version)


def _raise_unless_hidden(error: VergeOSError) -> None:
    """Raise *error* unless it says that there is nothing here for us, now or later."""
    hidden = isinstance(error, BadReplyError) and error.status in NOT_FOR_US
    if not hidden and not isinstance(error, ForbiddenError):
        raise error


def _after(table: Table, key: int) -> str:
    """Return the filter for the rows of *table* whose key is higher; and/or want parentheses."""
    higher = f"$key gt {key}"
    return f"({table.where}) and ({higher})" if table.where else higher
