"""What an operator does in the console: log in, search, and send commands."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from exporter.cli.main import DEMO_TOKEN
from tests.browser.live_demo import LiveDemo
from tests.browser.visitor import Visitor

OPEN_DISARM = """() => {
  const all = [...document.querySelectorAll("details")];
  all.find((one) => one.innerText.startsWith("Disarm")).open = true;
}"""

MARK_CONTENT = """() => { document.getElementById("content").dataset.old = ""; }"""
IS_REPLACED = """() => !("old" in document.getElementById("content").dataset)"""

ACTS_MS = 30_000


@pytest.fixture
def operator(visitor: Visitor) -> Iterator[Page]:
    """Return the page of an operator who has logged in from the recovery page."""
    yield from logged_in(visitor)


@pytest.fixture
def asked_operator(asked: Visitor) -> Iterator[Page]:
    """Return the page of an operator of the demo that asks; see `operator`."""
    yield from logged_in(asked)


def logged_in(visitor: Visitor) -> Iterator[Page]:
    page = visitor.open("/recovery")
    page.get_by_role("link", name="Log in", exact=True).click()
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Recovery token").fill(DEMO_TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/recovery")
    yield page
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in", exact=True)).to_be_visible()


def test_a_wrong_token_is_refused_and_the_name_is_kept(visitor: Visitor) -> None:
    page = visitor.open("/login")
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Recovery token").fill("not-the-token-of-the-demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The token is wrong")
    assert page.get_by_label("Your name").input_value() == "anna"
    assert page.get_by_label("Recovery token").input_value() == ""
    assert visitor.barriers() == []
    visitor.expect_failure("403")


def test_an_operator_pauses_and_resumes_recovery(operator: Page, visitor: Visitor) -> None:
    operator.locator("summary", has_text="Pause").click()
    pause = operator.locator("details", has=operator.get_by_role("button", name="Pause"))
    pause.get_by_label("Reason").fill("upgrade of node2")
    for look in visitor.looks():
        assert visitor.faults_of(look) == [], look
    pause.get_by_role("button", name="Pause").click()
    expect(operator.get_by_text("upgrade of node2").first).to_be_visible()

    operator.locator("summary", has_text="Resume").click()
    resume = operator.locator("details", has=operator.get_by_role("button", name="Resume"))
    resume.get_by_label("Reason").fill("done")
    resume.get_by_role("button", name="Resume").click()
    expect(operator.locator("summary", has_text="Resume")).to_have_count(0)


def test_what_an_operator_types_survives_a_poll(operator: Page) -> None:
    operator.locator("summary", has_text="Disarm").click()
    disarm = operator.locator("details", has=operator.get_by_role("button", name="Disarm"))
    disarm.get_by_label("Reason").fill("half a sen")
    operator.wait_for_timeout(2_500)  # longer than the interval of polls
    assert disarm.get_by_label("Reason").input_value() == "half a sen"
    disarm.get_by_label("Reason").fill("")
    operator.locator("summary", has_text="Disarm").click()


def test_what_an_operator_selects_survives_a_poll(asked_operator: Page) -> None:
    page = asked_operator
    page.get_by_role("link", name="Alerts", exact=True).click()
    page.wait_for_url("**/alerts")
    page.evaluate(MARK_CONTENT)
    page.wait_for_function(IS_REPLACED)  # nothing is selected yet, so a poll replaces it

    page.get_by_label("Duration").select_option("24h")
    page.get_by_role("heading", level=1).click()
    page.evaluate(MARK_CONTENT)
    page.wait_for_timeout(2_500)  # longer than the interval of polls
    assert page.get_by_label("Duration").input_value() == "24h"

    page.get_by_label("Duration").select_option("1h")
    page.get_by_role("heading", level=1).click()
    page.wait_for_function(IS_REPLACED)


def test_typing_in_the_list_narrows_it_without_a_new_page(visitor: Visitor) -> None:
    page = visitor.open("/vms")
    every = page.locator("table.vms tbody tr").count()
    page.locator("#search").press_sequentially("web-")
    rows = page.locator("table.vms tbody tr")
    expect(rows.first).to_contain_text("web-")
    expect(page.locator("table.vms tbody tr", has_text="db-oak")).to_have_count(0)
    assert 0 < rows.count() < every


def test_the_list_is_sorted_and_filtered(visitor: Visitor) -> None:
    page = visitor.open("/vms")
    page.get_by_role("link", name="Name", exact=True).click()
    page.wait_for_url("**sort=*name*")
    names = page.locator("table.vms tbody th bdi").all_inner_texts()
    assert names == sorted(names, reverse="sort=-name" in page.url)

    page.locator("#vms-enrolment").select_option("enrolled")
    expect(page.locator("table.vms tbody tr", has_text="monitored")).to_have_count(0)
    assert page.locator("table.vms tbody tr").count() > 0


def test_a_vm_is_opened_from_the_list_and_says_why_it_is_as_it_is(visitor: Visitor) -> None:
    page = visitor.open("/vms?q=web-blackbird")
    page.get_by_role("link", name="web-blackbird").last.click()
    page.wait_for_url("**/vms/meadowlark/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("web-blackbird")


def test_a_refresh_that_was_on_its_way_leaves_an_open_form(operator: Page) -> None:
    """A poll's page that was asked for before the form was opened arrives after it."""
    operator.wait_for_function("() => window.htmx !== undefined")
    operator.route("**/recovery", lambda route: (operator.evaluate(OPEN_DISARM), route.continue_()))
    with operator.expect_response("**/recovery", timeout=10_000):
        pass
    operator.unroute("**/recovery")
    operator.wait_for_timeout(500)
    assert operator.locator("details[open]", has_text="Disarm").count() == 1
    operator.locator("summary", has_text="Disarm").click()


def test_an_operator_approves_and_vergewatch_starts_the_vm(
    asked_operator: Page, asked: Visitor, asking_demo: LiveDemo
) -> None:
    page, question = asked_operator, asked_about(asked_operator, asking_demo, "web-blackbird")
    for look in asked.looks("light"):
        assert asked.faults_of(look) == [], look

    question.get_by_label("Reason").fill("it must be up")
    question.get_by_role("button", name="Approve").click()

    expect(page.get_by_role("status")).to_be_visible()
    expect(question).to_have_count(0)
    actions = page.locator("ol.events li", has_text="web-blackbird")
    expect(actions.filter(has_text="started")).to_be_visible(timeout=ACTS_MS)


def test_an_operator_denies_and_the_vm_stays_down(
    asked_operator: Page, asking_demo: LiveDemo
) -> None:
    page, question = asked_operator, asked_about(asked_operator, asking_demo, "app-badger")

    question.get_by_label("Reason").fill("it is being replaced")
    question.get_by_role("button", name="Deny").click()

    expect(page.get_by_role("status")).to_be_visible()
    expect(question).to_have_count(0)
    page.locator(".group").get_by_role("link", name="app-badger").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("app-badger")
    expect(page.get_by_role("main")).to_contain_text("anna")
    expect(page.get_by_role("main")).to_contain_text("it is being replaced")


def test_an_operator_teaches_the_row_that_blocks_a_diagnosis_and_forgets_it(
    asked_operator: Page, asked: Visitor, asking_demo: LiveDemo
) -> None:
    page = asked_operator
    asking_demo.happen("db-oak", "crashes_unclearly")
    group = page.locator(".group", has_text="Teach what such a row means")
    group.locator("summary").click(timeout=ACTS_MS)
    for look in asked.looks("dark"):
        assert asked.faults_of(look) == [], look

    group.get_by_label("Meaning").select_option("harmless")
    group.get_by_label("Reason").fill("it is about lamps")
    group.get_by_role("button", name="Teach").click()

    expect(page.get_by_role("status")).to_be_visible()
    expect(group).to_have_count(0, timeout=ACTS_MS)
    expect(page.locator(".question", has_text="db-oak")).to_be_visible(timeout=ACTS_MS)

    taught = page.locator(".group", has_text="Taught by anna")
    expect(taught).to_contain_text("Blinkenlights")
    taught.locator("summary").click()
    taught.get_by_label("Reason").fill("a mistake")
    taught.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(taught).to_have_count(0)


def test_an_operator_silences_a_vm_in_alertmanager_and_ends_the_silence(
    asked_operator: Page, asked: Visitor
) -> None:
    page = asked_operator
    page.goto(f"{asked.url}/vms?q=queue-heron")
    page.locator("table.vms tbody th a").click()
    page.get_by_role("link", name="Silence this VM").click()
    page.get_by_label("Duration").select_option("24h")
    page.get_by_label("Reason").fill("a new disk")
    page.get_by_role("button", name="Silence", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("queue-heron is silenced until")
    silence = page.locator(".group", has_text="a new disk")
    expect(silence).to_contain_text("queue-heron")
    for look in asked.looks():
        assert asked.faults_of(look) == [], look
    silence.get_by_role("button", name="End this silence").click()
    expect(page.get_by_role("status")).to_contain_text("is ended")
    expect(silence).to_have_count(0)


def asked_about(page: Page, demo: LiveDemo, vm: str) -> Locator:
    """Crash *vm*; return what recovery asks about it."""
    demo.happen(vm, "crash")
    question = page.locator(".question", has_text=vm)
    question.wait_for(timeout=ACTS_MS)
    return question
