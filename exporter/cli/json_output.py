"""The option `--json`, and the document that it prints."""

from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(document: Any) -> None:
    """Print *document* as JSON."""
    import msgspec  # noqa: PLC0415 - commands without output in JSON do not load it

    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
