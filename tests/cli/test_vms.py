"""`vergewatch vms`: what a person and a program read, over a real socket."""

import csv
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO

import pytest
from msgspec.structs import replace

from exporter.formatting import plain
from exporter.model import SystemState
from exporter.recovery.model.decision import GuardName
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.cli.test_daemon_client import UNREACHABLE, ran
from tests.cli.test_hostile_names import CONTROL, NAMES
from tests.web.fleets import Systems, fleet
from tests.web.samples import HandClock
from tests.web.site import StubPages, StubReload

LIST = re.compile(r"^(down|running) +(\S+)", re.MULTILINE)


@asynccontextmanager
async def daemon(*states: SystemState) -> AsyncIterator[str]:
    """Serve *states*; yields the URL."""
    app = make_app(StubPages(), Systems(*states), StubReload(), clock=HandClock())
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        yield f"http://127.0.0.1:{where.port}"


async def test_vms_that_are_down_come_first_with_the_reason() -> None:
    async with daemon(fleet("app", "web-01", "web-02", down=["web-02"])) as url:
        code, out, err = await ran("vms", "--url", url)

    lines = out.splitlines()
    assert (code, err, lines[0]) == (0, "", "3 VMs: 1 down, 2 running")
    assert LIST.findall(out) == [("down", "web-02"), ("running", "app"), ("running", "web-01")]
    assert "held: circuit_breaker_closed" in " ".join(lines[3].split())
    assert lines[4].split() == ["running", "app", "node_1", "monitored"]
    assert max(map(len, lines)) <= 80


async def test_vm_that_is_down_and_not_enrolled_is_not_said_to_be_enrolled() -> None:
    state = fleet("web-01", down=["web-01"])
    recovery = state.report.recovery
    assert recovery is not None
    held = [replace(vm, failed_guard=GuardName.ENROLLED) for vm in recovery.vms]
    report = replace(state.report, recovery=replace(recovery, vms=tuple(held)))
    async with daemon(state._replace(report=report)) as url:
        _, out, _ = await ran("vms", "--url", url)

    assert "held: not enrolled" in out


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("web",), ["web-02", "web-01"]),
        (("web", "000000000002"), ["web-01"]),
        (("--condition", "down"), ["web-02"]),
        (("--sort", "-name"), ["web-02", "web-01", "app"]),
        (("--state", "held", "--guard", "circuit_breaker_closed"), ["web-02"]),
        (("--enrolment", "monitored", "--status", "running"), ["app", "web-01"]),
        (("--system", "production", "--cause", "crashed"), ["web-02"]),
    ],
)
async def test_filters_are_those_of_the_page(args: tuple[str, ...], names: list[str]) -> None:
    state = fleet("app", "web-01", "web-02", down=["web-02"])
    async with daemon(state) as url:
        code, out, _ = await ran("vms", *args, "--url", url)

    assert (code, [name for _, name in LIST.findall(out)]) == (0, names)


async def test_names_of_systems_are_printed_where_there_are_several() -> None:
    async with daemon(fleet("a", name="north"), fleet("a", name="south")) as url:
        both = await ran("vms", "--url", url)
        one = await ran("vms", "--system", "south", "--url", url)

    assert "SYSTEM" in both[1]
    assert "north" in both[1]
    assert "SYSTEM" not in one[1]


async def test_first_hundred_are_printed_and_all_on_request() -> None:
    async with daemon(fleet(*(f"vm-{number:04}" for number in range(1250)))) as url:
        first = await ran("vms", "--url", url)
        whole = await ran("vms", "--all", "--url", url)
        document = await ran("vms", "--json", "--url", url)
        table = await ran("vms", "--csv", "--sort", "-name", "--url", url)

    assert len(LIST.findall(first[1])) == 100
    assert first[1].endswith("and 1,150 more; name a filter, or --all\n")
    assert len(LIST.findall(whole[1])) == 1250
    answer = json.loads(document[1])
    assert (answer["total"], answer["pages"], len(answer["vms"])) == (1250, 1, 1250)
    rows = list(csv.DictReader(StringIO(table[1])))
    assert (len(rows), rows[0]["vm"], rows[-1]["vm"]) == (1250, "vm-1249", "vm-0000")


async def test_empty_list_is_no_failure() -> None:
    async with daemon(fleet("app")) as url:
        assert await ran("vms", "nowhere", "--url", url) == (0, "No VM fits.\n", "")


async def test_other_conditions_are_told_beside_the_one_asked_for() -> None:
    async with daemon(fleet("app", "web", down=["web"])) as url:
        _, out, _ = await ran("vms", "--condition", "down", "--url", url)

    assert out.startswith("1 VM; with any condition: 1 down, 1 running\n")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--condition", "dwn"), "the parameter condition is 'dwn'; it is one of down, trouble"),
        (("--sort", "size"), "the parameter sort is 'size'; it is one of condition, -condition"),
        (("--system", "produktion"), "no system is named 'produktion'; did you mean production?"),
        (("--json", "--csv"), "--json and --csv exclude each other"),
        (("x" * 201,), "the parameter q is longer than 200 characters"),
    ],
)
async def test_invalid_option_is_told_in_one_line(args: tuple[str, ...], told: str) -> None:
    async with daemon(fleet("app")) as url:
        code, out, err = await ran("vms", *args, "--url", url)

    assert (code, out) == (2, "")
    assert err.startswith(f"vergewatch: {told}")
    assert err.count("\n") == 1


async def test_daemon_that_is_not_there_is_a_failure() -> None:
    code, out, err = await ran("vms", "--url", UNREACHABLE)

    assert (code, out) == (1, "")
    assert "cannot reach a daemon" in err


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_printed_as_it_is(name: str) -> None:
    async with daemon(fleet(name, name=name)) as url:
        code, out, err = await ran("vms", "--url", url, COLUMNS="400")

    assert (code, err) == (0, "")
    assert not CONTROL.search(out)
    assert " ".join(plain(name).split()) in " ".join(out.split())


async def test_long_name_is_whole_and_fits_the_terminal() -> None:
    async with daemon(fleet("x" * 255)) as url:
        _, out, _ = await ran("vms", "--url", url)

    assert out.count("x") == 255
    assert max(map(len, out.splitlines())) <= 80
