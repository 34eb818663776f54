"""``make upgrade``: upgrade the daemon of an earlier commit to the present code, and what held."""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.postgres import postgres_server
from tests.upgrade.earlier_code import (
    POSTGRES_MODULES,
    MissingError,
    code_of,
    has_replicas,
    oldest_with_replicas,
    short_name,
)
from tests.upgrade.replicas_upgrade import upgrade_replicas
from tests.upgrade.sqlite_upgrade import upgrade_sqlite


def say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def sqlite(commit: str) -> None:
    sys.stdout.write(f"SQLite, from {commit}\n")
    with code_of(commit) as code, TemporaryDirectory() as folder:
        asyncio.run(upgrade_sqlite(Path(folder), code, say))


def postgres(commit: str, seed: int, *, one_key: bool) -> None:
    if not has_replicas(commit):
        oldest = oldest_with_replicas()
        sys.stdout.write(
            f"{commit} has no journal on PostgreSQL; {oldest} is the oldest commit of this history "
            "that runs replicas\n"
        )
        commit = oldest
    sys.stdout.write(f"PostgreSQL, two replicas, from {commit}\n")
    with (
        code_of(commit, POSTGRES_MODULES) as code,
        postgres_server() as server,
        TemporaryDirectory() as folder,
    ):
        asyncio.run(upgrade_replicas(Path(folder), server, code, seed, say, one_key=one_key))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make upgrade ARGS=...", description=__doc__)
    parser.add_argument("--from", dest="commit", required=True, help="the earlier commit")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which VMs crash")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="the database to test")
    parser.add_argument(
        "--one-key", action="store_true", help="let the replicas share one key of VergeOS"
    )
    given = parser.parse_args()
    try:
        commit = short_name(given.commit)
        if given.only != "postgres":
            sqlite(commit)
        if given.only != "sqlite":
            postgres(commit, given.seed, one_key=given.one_key)
    except MissingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
