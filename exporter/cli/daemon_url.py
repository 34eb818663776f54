"""Where commands find the running daemon."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

URL_VARIABLE = "VERGEWATCH_DAEMON_URL"
DEFAULT_URL = "http://localhost:9888"


def found_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the daemon whose state directory *environ* names, or the default."""
    directory = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not directory:
        return DEFAULT_URL
    import msgspec  # noqa: PLC0415 - with the model 50 ms, which --version does not need

    from exporter.model import LISTEN_FILE, DaemonAddress  # noqa: PLC0415
    from exporter.tolerant_json import UNREADABLE  # noqa: PLC0415

    try:
        raw = (Path(directory) / LISTEN_FILE).read_bytes()
        return msgspec.json.decode(raw, type=DaemonAddress).url
    except (OSError, *UNREADABLE):
        return DEFAULT_URL  # no daemon runs there, or another user may not see it


def _given_or_found(context: typer.Context, parameter: typer.CallbackParam, url: str) -> str:
    source = context.get_parameter_source(parameter.name or "")
    return found_url() if source is not None and source.name == "DEFAULT" else url


Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar=URL_VARIABLE,
        callback=_given_or_found,
        help="URL of the daemon.",
    ),
]
