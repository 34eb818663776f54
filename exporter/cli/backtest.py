"""The command `vergewatch backtest`. Heavy modules are imported inside the functions."""

# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from exporter.cli.json_output import print_json
from exporter.cli.times import Utc, shown
from exporter.errors import ConfigError, JournalError, UnavailableError
from exporter.formatting import minute

if TYPE_CHECKING:
    from exporter.backtest.compare import Backtest
    from exporter.config.recovery_file import RecoveryFile
    from exporter.recovery.model.records import History

LEAD_IN = timedelta(days=1)
"""Replayed before the time that is asked for, so that what is down then is known."""
DIFFERENCES = 40
TOLERANCE_POLLS = 2
"""So far apart, two actions count as one if they are known from samples only."""


def backtest(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="JOURNAL|URL",
            help="The journal (file, directory or database URL), or the URL of a Prometheus.",
        ),
    ],
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE", help="Settings file with the new settings."),
    ],
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Start: a time, or a duration before the end."
        ),
    ] = "30d",
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="End: a time, or a duration before now."),
    ] = "",
    system: Annotated[
        str | None, typer.Option("--system", metavar="NAME", help="Name or URL of the system.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    utc: Utc = False,
) -> None:
    """Replay recorded history with other recovery settings, and show what would differ."""
    from exporter.backtest.text import backtest_text
    from exporter.clock import SystemClock
    from exporter.config.recovery_file import read_recovery_file
    from exporter.recovery.report.time_range import InvalidPeriodError, time_range

    _log_nothing()
    try:
        begin, end = time_range(since, until, SystemClock().now())
    except InvalidPeriodError as error:
        raise ConfigError(str(error)) from None
    result = _run(source, read_recovery_file(config), begin, end, system)
    if as_json:
        print_json(result)
    else:
        typer.echo("\n".join(map(shown, backtest_text(result, most=DIFFERENCES))))


def choose(systems: Sequence[str], wanted: str | None, file: RecoveryFile, source: str) -> str:
    """
    Return the key of the system that is meant.

    Raises:
        ConfigError: There is no such system, or more than one.

    """
    if not systems:
        raise ConfigError(f"{source} has no system in that time")
    if wanted is None and len(systems) > 1:
        raise ConfigError(f"{source} has several systems; choose one with --system: "
                          f"{', '.join(systems)}")  # fmt: skip
    if wanted is None:
        return systems[0]
    meant = {wanted.rstrip("/"), file.urls.get(wanted, wanted)}
    found = [one for one in systems if one in meant or urlsplit(one).netloc == wanted]
    if len(found) != 1:
        raise ConfigError(f"{source} has no system {wanted}; it has {', '.join(systems)}")
    return found[0]


def _run(
    source: str, file: RecoveryFile, begin: datetime, end: datetime, system: str | None
) -> Backtest:
    from exporter.backtest.compare import compare
    from exporter.backtest.replay import Replay

    history, causes_unknown = _history(
        source, lambda systems: choose(systems, system, file, source), begin - LEAD_IN, end
    )
    if history.polls[-1].time < begin:
        newest = minute(history.polls[-1].time)
        raise UnavailableError(f"{source} has no poll since --since; its newest is of {newest}")
    config = file.config(file.urls.get(history.system, history.system))
    replayed = asyncio.run(Replay(history, config).run())
    tolerance = 0.0 if history.causes_recorded else TOLERANCE_POLLS * history.polls[0].every_seconds
    return compare(
        history,
        replayed,
        config.classifier,
        begin,
        causes_unknown=causes_unknown,
        tolerance_seconds=tolerance,
    )


def _history(
    source: str, choose: Callable[[Sequence[str]], str], begin: datetime, end: datetime
) -> tuple[History, int]:
    """Return the history of one system, and how many downtimes have no recorded cause."""
    if source.startswith(("http://", "https://")):
        from exporter.cli.prometheus_source import read_metrics

        return asyncio.run(read_metrics(source, choose, begin, end))
    from exporter.journal.history import read_history

    try:
        return read_history(source, choose, begin, end), 0
    except JournalError as error:
        raise UnavailableError(str(error)) from None


def _log_nothing() -> None:
    """Keep what recovery logs during the replay out of the output."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
