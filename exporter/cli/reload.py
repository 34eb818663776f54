"""The command that lets a running daemon read its settings again."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are needed

import typer

from exporter.cli.daemon_url import DEFAULT_URL, Url
from exporter.cli.json_output import AsJson, print_json


def reload(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """
    Let the running daemon read its settings again, and print which it applied.

    Exit codes: 0 the settings are in force, except those that the output names as needing a
    restart; 1 the daemon cannot be reached; 2 a setting is invalid, and all that were in force
    before stay in force. It needs no recovery token.
    """
    from exporter.cli.daemon_client import DaemonClient
    from exporter.formatting import plain

    done = DaemonClient(url).reload()
    if as_json:
        print_json(done)
        return
    for line in done.text.split("\n"):
        typer.echo(plain(line))
