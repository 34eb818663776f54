"""The command that lets a running daemon try refused credentials again."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are needed

from typing import Annotated

import typer

from exporter.cli.daemon_url import DEFAULT_URL, Url
from exporter.cli.json_output import AsJson, print_json
from exporter.cli.recovery import TokenFile


def retry(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="Name of the system.")],
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """
    Try the credentials of a system again that VergeOS refused.

    Use it after the account or the key was repaired in VergeOS. The daemon asks at once, but at
    most once a minute, because repeated refusals lock the account. It needs the recovery token,
    with recovery off too.
    """
    from exporter.cli.daemon_client import DaemonClient, read_token
    from exporter.formatting import plain

    done = DaemonClient(url, read_token(token_file)).retry(system)
    if as_json:
        print_json(done)
        return
    if not done.refused:
        text = "nothing to try again: VergeOS has not refused the credentials"
    elif done.in_seconds:
        text = (
            f"the credentials were tried less than a minute ago; they are tried again in "
            f"{done.in_seconds:.0f} s"
        )
    else:
        text = "the credentials are tried again now"
    typer.echo(f"{plain(done.system)}: {text}")
