"""The list of VMs, as a browser and as a program read it: real server, real socket."""

import csv
import json
import re
from html import unescape
from io import StringIO
from urllib.parse import quote

import pytest

from exporter.model import SystemState
from tests.web.conftest import Serve
from tests.web.fleets import Systems, fleet
from tests.web.samples import system
from tests.web.site import Reply

DASH = "\N{EN DASH}"
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    '=HYPERLINK("http://evil")',
    "\u202egpj.exe",
    "one\ntwo\r\nthree",
    "a/b?c=d&e#f",
    "x" * 255,
)


async def asked(serve: Serve, path: str, *states: SystemState, **headers: str) -> Reply:
    server = await serve(overview=Systems(*states))
    return await server.request(
        path, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def names(reply: Reply) -> list[str]:
    """Return the names in the table, in its order."""
    found = re.findall(r'<th scope="row"><a [^>]*><bdi>(.*?)</bdi>', reply.text, re.DOTALL)
    return [unescape(one) for one in found]


async def test_vms_that_are_down_come_first_with_the_reason(serve: Serve) -> None:
    reply = await asked(serve, "/vms", fleet("app", "db", "web", down=["web"]))

    assert reply.status == 200
    assert names(reply) == ["web", "app", "db"]
    assert f"<title>1 down {DASH} VMs {DASH} Vergewatch</title>" in reply.text
    row = reply.text.split('<tr class="down">')[1].split("</tr>")[0]
    assert '<span class="state warning">held</span>' in row
    assert "failed guard: circuit breaker closed" in row
    assert "5 min ago" in row
    assert 'href="/vms/production/3"' in row


async def test_each_row_has_the_bar_of_the_last_day(serve: Serve) -> None:
    reply = await asked(serve, "/vms", fleet("web", "app", down=["web"]))

    down, running = reply.text.split("<svg ")[1:]
    assert "<title>Last 24 h: down 30 min, unobserved 23 h 30 min</title>" in down
    assert '<path class="unobserved" d="M0 8h187"/><path class="down" d="M188 8h3"/>' in down
    assert '<path class="running" d="M188 8h3"/>' in running


async def test_each_condition_is_a_link_to_its_vms(serve: Serve) -> None:
    reply = await asked(serve, "/vms?q=b", fleet("web", "db", "app", down=["web", "app"]))

    links = {
        unescape(href): int(count)
        for href, count in re.findall(r'<a href="([^"]*)"[^>]*><b>(\d+)</b>', reply.text)
    }
    assert links["/vms?q=b&condition=down"] == 1
    assert links["/vms?q=b&condition=running"] == 1
    assert links["/vms?q=b&condition=off"] == 0
    assert links["/vms?q=b"] == 2


async def test_filters_in_use_can_each_be_removed(serve: Serve) -> None:
    reply = await asked(serve, "/vms?q=web&status=running&sort=-cpu", fleet("web", "db"))

    chips = reply.text.split('class="chips"')[1].split("</ul>")[0]
    assert [unescape(one) for one in re.findall(r'href="([^"]*)"', chips)] == [
        "/vms?status=running&sort=-cpu",
        "/vms?q=web&sort=-cpu",
        "/vms",
    ]


async def test_heads_sort_in_both_orders_and_say_which(serve: Serve) -> None:
    once = await asked(serve, "/vms?sort=name", fleet("b", "a"))
    back = await asked(serve, "/vms?sort=-name", fleet("b", "a"))

    assert (names(once), names(back)) == (["a", "b"], ["b", "a"])
    assert '<th scope="col" aria-sort="ascending"><a href="/vms?sort=-name">' in once.text
    assert '<th scope="col" aria-sort="descending"><a href="/vms?sort=name">' in back.text
    assert '<a href="/vms?sort=-cpu">CPU</a>' in once.text


async def test_one_page_has_a_hundred_vms(serve: Serve) -> None:
    state = fleet(*(f"vm-{number:03}" for number in range(250)))

    second = await asked(serve, "/vms?page=2", state)
    after_last = await asked(serve, "/vms?page=9", state)

    assert (names(second)[0], names(second)[-1]) == ("vm-100", "vm-199")
    assert f"101{DASH}200 of 250" in second.text
    assert re.findall(r'href="([^"]*)" rel', second.text) == ["/vms", "/vms?page=3"]
    assert f"201{DASH}250 of 250" in after_last.text


async def test_form_that_is_typed_in_names_the_shortest_address(serve: Serve) -> None:
    path = "/vms?q=web&status=&sort=condition"
    state = fleet("web")

    typed = await asked(serve, path, state, HX_Request="true", HX_Trigger_Name="q")
    chosen = await asked(serve, path, state, HX_Request="true", HX_Trigger_Name="status")
    poll = await asked(serve, path, state, HX_Request="true")

    assert typed.headers["HX-Replace-Url"] == "/vms?q=web"
    assert chosen.headers["HX-Push-Url"] == "/vms?q=web"
    assert not {"HX-Push-Url", "HX-Replace-Url"} & set(poll.headers)


async def test_page_ignores_what_it_does_not_know_and_refuses_what_is_wrong(serve: Serve) -> None:
    strange = await asked(serve, "/vms?utm_source=mail&per_page=1000", fleet("web"))
    wrong = await asked(serve, "/vms?condition=<b>", fleet("web"))

    assert (strange.status, names(strange)) == (200, ["web"])
    assert wrong.status == 400
    assert "the parameter condition is &#39;&lt;b&gt;&#39;; it is one of down, " in wrong.text


async def test_nothing_that_fits_offers_the_whole_list(serve: Serve) -> None:
    nothing = await asked(serve, "/vms?q=nowhere", fleet("web"))
    starting = await asked(serve, "/vms", SystemState(None, system()))

    assert '<a href="/vms">Show all 1</a>' in nothing.text
    assert "No VM is known yet." in starting.text


@pytest.mark.parametrize("name", HOSTILE)
async def test_any_name_is_text_and_can_be_found(serve: Serve, name: str) -> None:
    reply = await asked(serve, f"/vms?q={quote(name[:200])}", fleet(name, name=name))

    assert reply.status == 200
    assert names(reply) == [name]
    assert f'href="/vms/{quote(name, safe="")}/1"' in reply.text
    assert "<script>" not in reply.text
    assert "<img" not in reply.text
    assert "49" not in names(reply)
    assert "style=" not in reply.text


async def test_api_has_a_page_of_vms_and_the_counts(serve: Serve) -> None:
    state = fleet("app", "db", "web", down=["web"])

    reply = await asked(serve, "/api/v1/vms?per_page=1&sort=condition", state)
    answer = json.loads(reply.body)

    assert reply.headers["Content-Type"] == "application/json"
    assert [answer[one] for one in ("total", "page", "pages")] == [3, 1, 3]
    assert answer["conditions"] == {"down": 1, "running": 2}
    (vm,) = answer["vms"]
    assert (vm["name"], vm["condition"], vm["failed_guard"], vm["down_since"]) == (
        "web", "down", "circuit_breaker_closed", "2026-03-01T11:55:00Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("?condition=dwn", 400, "the parameter condition is 'dwn'; it is one of down, trouble"),
        ("?utm=1", 400, "the parameter 'utm' is unknown; known are q, system, "),
        ("?format=xml", 400, "the parameter format is 'xml'; it is one of json, csv"),
        ("?q=a&q=b", 400, "the parameter q is given twice"),
        ("?system=produktion", 404, "no system is named 'produktion'; did you mean production?"),
    ],
)
async def test_api_refuses_in_json(serve: Serve, path: str, code: int, told: str) -> None:
    reply = await asked(serve, f"/api/v1/vms{path}", fleet("web"))

    assert reply.status == code
    assert json.loads(reply.body)["error"].startswith(told)


async def test_csv_has_every_vm_that_fits_and_no_formula(serve: Serve) -> None:
    many = [f"vm-{number:03}" for number in range(150)]
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", 'a,"b"\nc']

    short = await asked(serve, "/api/v1/vms?format=csv&q=vm-00", fleet(*many, *formulas))
    whole = await asked(serve, "/api/v1/vms?sort=name&format=csv", fleet(*many, *formulas))

    rows = list(csv.DictReader(StringIO(whole.text)))
    assert whole.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert len(rows) == 156
    found = {row["vm"] for row in rows} - set(many)
    assert found == {"'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", 'a,"b"\nc'}
    assert rows[0]["enrolled"] == "no"
    assert len(list(csv.reader(StringIO(short.text)))) == 1 + 10


async def test_links_of_the_page_lead_to_what_is_shown(serve: Serve) -> None:
    state = fleet(*(f"vm-{number:03}" for number in range(150)), "web")
    page = await asked(serve, "/vms?q=vm&page=2&sort=-name", state)
    links = {unescape(href) for href in re.findall(r'<a href="([^"]*)">(?:CSV|JSON)', page.text)}
    assert links == {"/api/v1/vms?q=vm&sort=-name&format=csv", "/api/v1/vms?q=vm&sort=-name&page=2"}

    answer = json.loads((await asked(serve, "/api/v1/vms?q=vm&sort=-name&page=2", state)).body)

    assert [one["name"] for one in answer["vms"]] == names(page)
