"""The command that prints what the doctor of a running daemon found."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are needed

from typing import TYPE_CHECKING, Annotated

import typer

from exporter.cli.daemon_url import DEFAULT_URL, Url
from exporter.cli.json_output import print_json
from exporter.cli.times import Utc

if TYPE_CHECKING:
    from exporter.doctor.responses import DoctorResponse

WARNING = 3
CRITICAL = 4


def doctor(
    system: Annotated[
        str | None, typer.Argument(metavar="SYSTEM", help="Name of one system. Default: all.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as JSON.")] = False,
    utc: Utc = False,
) -> None:
    """
    Print what is wrong with each system, and what to do about it.

    Exit codes: 0 no problem, 3 a warning, 4 a critical finding; 1 the daemon cannot be reached, 2
    an invalid option. Skipped checks change nothing.
    """
    from exporter.cli.daemon_client import DaemonClient

    answer = DaemonClient(url).doctor(system)
    if as_json:
        print_json(answer)
    else:
        from exporter.cli.doctor_output import print_examinations

        print_examinations(answer)
    raise typer.Exit(_exit_code(answer))


def _exit_code(answer: "DoctorResponse") -> int:
    from exporter.doctor.responses import Outcome

    results = {one.result for one in answer.systems}
    if Outcome.CRITICAL in results:
        return CRITICAL
    return WARNING if Outcome.WARNING in results else 0
