"""``make chaos``: random faults against three replicas, and what held."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.chaos.chaos import play


def main() -> None:
    """Play the rounds, and print what happened."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        playing = play(Path(folder), rounds=given.rounds, seed=given.seed, told=print)
        print(asyncio.run(playing))  # noqa: T201


if __name__ == "__main__":
    main()
