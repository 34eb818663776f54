"""How every command prints what is wrong: one line each, without a traceback."""

import io
import sys
from collections.abc import Sequence

from exporter.errors import ConfigError, UnavailableError
from exporter.formatting import plain

FAILED = 1
INVALID = 2


def tolerate_any_character() -> None:
    """Let the output replace the characters that it lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_errors(error: ConfigError | BaseExceptionGroup[BaseException]) -> int:
    """Print one line for each configuration error and return the exit code; re-raise bugs."""
    if isinstance(error, BaseExceptionGroup):
        problems, bugs = error.split(ConfigError)
        if bugs is not None or problems is None:
            raise error
        errors: Sequence[BaseException] = problems.exceptions
    else:
        errors = [error]
    for problem in errors:
        text = "\n".join(map(plain, str(problem).split("\n")))  # it may quote the name of a VM
        sys.stderr.write(f"vergewatch: {text}\n")
    temporary = all(isinstance(problem, UnavailableError) for problem in errors)
    return FAILED if temporary else INVALID
