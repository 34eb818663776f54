"""Runs Debian's PostgreSQL for tests: on a Unix socket in a directory of its own, or on TCP."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from exporter.journal.place import PostgresServer
from tests.daemon_process import PATIENCE_SECONDS
from tests.debian import missing

USER = "vergewatch"
GUARDED = "guarded"
"""A user who needs a password."""
PASSWORD = "päss word"
NOBODY = 65534
"""PostgreSQL refuses to run as root."""
AUTHENTICATION = f"local all {GUARDED} scram-sha-256\nlocal all all trust\nhost all all all trust\n"
SETTINGS = {
    "shared_buffers": "16MB",
    "max_connections": "40",
    "wal_level": "minimal",  # fsync stays on: the journal refuses a server without it
    "max_wal_senders": "0",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


class Postgres:
    """
    A PostgreSQL server.

    Args:
        folder: For its data and its socket.
        address: Where it listens too, and is used; empty for the socket alone.

    """

    def __init__(self, folder: Path, address: str = "") -> None:
        self.folder = folder
        self.address = address
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = _programs()
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._run("initdb", "--no-sync", "--username=postgres", "--encoding=UTF8", "--locale=C",
                  "--auth=trust", f"--pgdata={self.data}")  # fmt: skip
        (self.data / "pg_hba.conf").write_text(AUTHENTICATION)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, **settings: str) -> None:
        """Start the server and wait until it accepts connections."""
        settings = {**SETTINGS, "listen_addresses": self.address, **settings}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-k", self.folder, *options],
                stderr=log,
                cwd=self.folder,
                **self._user,
            )
        ready = [str(self._programs / "pg_isready"), "--quiet", f"--host={self.folder}"]
        until = time.monotonic() + PATIENCE_SECONDS  # noqa: TID251 - of a real process
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > until:  # noqa: TID251
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGQUIT stops it as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()

    def url(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@/{database}?host={quote(self.address or str(self.folder))}"

    async def execute(self, *statements: str, database: str = "postgres") -> Sequence[Any]:
        """Execute *statements* as the superuser; return the rows of the last one."""
        connection = await asyncpg.connect(self.url(database, "postgres"))
        try:
            rows: Sequence[Any] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    def execute_now(self, *statements: str, database: str = "postgres") -> None:
        """Execute *statements* as the superuser, outside an event loop."""
        commands = [f"--command={statement}" for statement in statements]
        subprocess.run(
            ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *commands,
             self.url(database, "postgres")],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def new_database(self, options: str = "") -> PostgresServer:
        """Create an empty database."""
        name = f"journal_{next(self._numbers)}"
        self.execute_now(f"CREATE DATABASE {name} OWNER {USER} {options}")
        return PostgresServer(self.url(name))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            **self._user,
        )


@contextmanager
def postgres_server(address: str = "") -> Iterator[Postgres]:
    """Run a server with the users `USER` and `GUARDED`; `Postgres` has the argument."""
    folder = Path(tempfile.mkdtemp(prefix="vergewatch-postgres-"))  # a socket's path must be short
    try:
        server = Postgres(folder, address)
        server.start()
        try:
            server.execute_now(
                f"CREATE ROLE {USER} LOGIN",
                f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}' IN ROLE {USER}",
            )
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def database_of(place: PostgresServer) -> str:
    """Return the name of the database of *place*."""
    return place.url.partition("?")[0].rpartition("/")[2]


async def backends(server: Postgres, place: PostgresServer) -> Sequence[int]:
    """Return the process ids of the sessions of the journal at *place*."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'vergewatch'"
    rows = await server.execute(f"{query} AND datname = '{database_of(place)}'")
    return [row["pid"] for row in rows]


def _programs() -> Path:
    """Return the directory of the server's programs; Debian has them outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        missing("postgres")
    return found[-1].parent
