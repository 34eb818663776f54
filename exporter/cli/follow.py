"""Prints the events of recovery as they happen."""

import time
from collections.abc import Callable, Sequence

import msgspec
import typer

from exporter.cli.times import moment, shown
from exporter.errors import UnavailableError
from exporter.recovery.report.events import TimelineEvent

EVERY_SECONDS = 2.0


def follow(newest: Callable[[], Sequence[TimelineEvent]], *, as_json: bool) -> None:
    """
    Print the events that *newest* returns, the oldest first, and new ones until Ctrl-C.

    A daemon that does not answer for a while is asked again; the first request must succeed.

    Args:
        as_json: Whether to print each event as JSON, one a line.

    """
    seen: frozenset[TimelineEvent] = frozenset()
    problem = ""
    try:
        events = newest()
        while True:
            for event in reversed(events):
                if event not in seen:  # an action is printed again when its outcome is known
                    typer.echo(_line(event, as_json=as_json))
            seen = frozenset(events)
            time.sleep(EVERY_SECONDS)
            try:
                events, problem = newest(), ""
            except UnavailableError as error:
                if not problem:
                    typer.echo(f"vergewatch: {shown(str(error))}; still trying", err=True)
                problem = str(error)
    except KeyboardInterrupt:
        return


def _line(event: TimelineEvent, *, as_json: bool) -> str:
    if as_json:
        return msgspec.json.encode(event).decode()
    where = f"{event.system}/{event.vm}" if event.vm else event.system
    return shown(f"{moment(event.time)}  {where}  {event.text}", near=event.time)
