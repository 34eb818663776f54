"""``make chaos``: random faults against three replicas, and what held."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.chaos.chaos import play
from tests.postgres import postgres_server


def main() -> None:
    """Play the rounds, and print what happened."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with postgres_server() as postgres, tempfile.TemporaryDirectory() as folder:
        playing = play(Path(folder), postgres, rounds=given.rounds, seed=given.seed, told=print)
        print(asyncio.run(playing))  # noqa: T201


if __name__ == "__main__":
    main()
