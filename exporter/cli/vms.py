"""The command that lists the VMs of a running daemon."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are needed

from typing import TYPE_CHECKING, Annotated

import typer

from exporter.cli.daemon_url import DEFAULT_URL, Url
from exporter.cli.json_output import print_json
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from exporter.console.vm_list import VMListResponse
    from exporter.console.vm_query import VMQuery


def _filter(name: str, help_text: str, metavar: str = "NAME") -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{name}", metavar=metavar, help=help_text)
    return option


def vms(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILTER",
            help="Words; each must be part of the name, a tag, the node, the cluster, an IP "
            "address, the operating system, the system or the UUID.",
        ),
    ] = None,
    system: Annotated[str, _filter("system", "Name of one system. Default: all.")] = "",
    condition: Annotated[
        str,
        _filter(
            "condition", "down, trouble, unknown, changing, running or off.", metavar="CONDITION"
        ),
    ] = "",
    status: Annotated[
        str, _filter("status", "Status in VergeOS, such as running.", metavar="STATUS")
    ] = "",
    state: Annotated[
        str, _filter("state", "State in recovery, such as held.", metavar="STATE")
    ] = "",
    cause: Annotated[
        str, _filter("cause", "Cause of the diagnosis, such as crashed.", metavar="CAUSE")
    ] = "",
    guard: Annotated[str, _filter("guard", "Guard that forbids an action.", metavar="GUARD")] = "",
    enrolment: Annotated[
        str, _filter("enrolment", "enrolled or monitored.", metavar="ENROLMENT")
    ] = "",
    tag: Annotated[str, _filter("tag", "CATEGORY/NAME, or a category.", metavar="TAG")] = "",
    node: Annotated[str, _filter("node", "Name of the node.")] = "",
    cluster: Annotated[str, _filter("cluster", "Name of the cluster.")] = "",
    sort: Annotated[
        str,
        _filter(
            "sort",
            "condition, name, node, cpu, memory, down_since, ...; -cpu is descending. "
            "Default: condition, the worst first.",
            metavar="COLUMN",
        ),
    ] = "",
    print_all: Annotated[
        bool, typer.Option("--all", help="Print every VM that fits, not only the first 100.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every VM that fits as JSON.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every VM that fits as CSV.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """
    List VMs, the ones that are down first.

    Exit codes: 0 the list was printed, also an empty one; 1 the daemon cannot be reached, 2 an
    invalid option or filter.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other")
    from exporter.console.vm_query import InvalidQueryError, parse_query

    given = {
        "q": " ".join(words or ()),
        "system": system,
        "condition": condition,
        "status": status,
        "state": state,
        "cause": cause,
        "guard": guard,
        "enrolment": enrolment,
        "tag": tag,
        "node": node,
        "cluster": cluster,
        "sort": sort,
    }
    try:
        query = parse_query(given.items())
    except InvalidQueryError as error:
        raise ConfigError(str(error)) from None
    _print(_asked(url, query, whole=print_all or as_json or as_csv), as_json, as_csv)


def _asked(url: str, query: "VMQuery", *, whole: bool) -> "VMListResponse":
    """Return the first page of the VMs that fit, or all of them."""
    from msgspec.structs import replace

    from exporter.cli.daemon_client import DaemonClient
    from exporter.console.vm_query import MAX_PAGE_SIZE

    client = DaemonClient(url)
    if not whole:
        return client.list_vms(query)
    answer = client.list_vms(replace(query, per_page=MAX_PAGE_SIZE))
    found = list(answer.vms)
    for page in range(2, answer.pages + 1):
        found += client.list_vms(replace(query, per_page=MAX_PAGE_SIZE, page=page)).vms
    return replace(answer, vms=found, total=len(found), pages=1)


def _print(answer: "VMListResponse", as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(answer)
    elif as_csv:
        from exporter.console.vm_list import vms_csv

        typer.echo(vms_csv(answer.vms), nl=False)
    else:
        from exporter.cli.vms_output import print_vms
        from exporter.clock import SystemClock

        print_vms(answer, SystemClock().now())
