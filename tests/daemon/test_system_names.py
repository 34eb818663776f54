"""The name of a system: configured, remembered or reported, and never the same for two."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from structlog.testing import capture_logs

from exporter.daemon.system_memory import Remembered
from exporter.daemon.system_names import NAMES_KEPT, SystemName

HOST = "10.0.0.5:443"


class Memory:
    """Remembers one system's name from one run to the next."""

    def __init__(self, **known: object) -> None:
        self.known = Remembered(**known)  # type: ignore[arg-type]
        self.writes = 0

    def remember(self, *, system_name: str, used_names: tuple[str, ...]) -> None:
        self.known = Remembered(system_name=system_name, used_names=used_names)
        self.writes += 1

    def start(
        self, configured: str = "", *, host: str = HOST, others: Sequence[SystemName] = ()
    ) -> SystemName:
        """Return the name that the system has at its start beside *others*."""

        def taken(by: SystemName) -> set[str]:
            return {other.current for other in others if other is not by}

        return SystemName(configured, host, self.known, self.remember, taken)


def test_first_start_has_no_name_before_the_first_report() -> None:
    name = Memory().start()

    assert (name.current, name.is_known) == (HOST, False)
    assert name.reported("prod") == "prod"
    assert name.is_known


def test_reported_name_is_known_at_the_next_start() -> None:
    memory = Memory()
    memory.start().reported("prod")

    name = memory.start()

    assert (name.current, name.is_known) == ("prod", True)


@pytest.mark.parametrize("reports", [[""], ["", ""], ["prod", ""]], ids=str)
def test_system_that_stops_to_report_its_name_keeps_it(reports: list[str]) -> None:
    memory = Memory()
    memory.start().reported("prod")
    name = memory.start()

    assert {name.reported(one) for one in reports} == {"prod"}
    assert memory.start().current == "prod"


def test_system_that_reports_no_name_is_named_by_its_host_also_at_the_next_start() -> None:
    memory = Memory()
    assert memory.start().reported("") == HOST

    name = memory.start()

    assert (name.current, name.is_known) == (HOST, True)
    assert name.reported("prod") == "prod"  # its key may read the settings now


def test_configured_name_wins_over_what_is_remembered_and_reported() -> None:
    memory = Memory(system_name="prod", used_names=("prod",))

    name = memory.start("mine")

    assert (name.current, name.is_known) == ("mine", True)
    assert name.reported("prod") == "mine"


def test_removed_setting_gives_the_system_its_reported_name_back() -> None:
    memory = Memory()
    memory.start().reported("prod")
    memory.start("mine")

    assert memory.start().current == "prod"


@pytest.mark.parametrize("restart", [False, True])
def test_renamed_system_has_the_new_name_and_silences_of_both_hold(restart: bool) -> None:
    memory = Memory()
    name = memory.start()
    name.reported("prod")
    if restart:
        name = memory.start()
    with capture_logs() as logs:
        assert name.reported("nordwolke") == "nordwolke"
        assert name.reported("nordwolke") == "nordwolke"

    assert [entry["event"] for entry in logs] == ["system.renamed"]
    assert name.silenced_names == ["nordwolke", "prod"]
    assert memory.start().silenced_names == ["nordwolke", "prod"]


def test_changed_setting_keeps_the_silences_of_the_name_before() -> None:
    memory = Memory()
    memory.start("mine")

    assert memory.start("ours").silenced_names == ["ours", "mine"]


def test_system_that_is_renamed_back_and_forth_fills_no_memory() -> None:
    memory = Memory()
    name = memory.start()
    for number in range(100):
        name.reported(f"prod-{number}")
        name.reported("prod")

    assert len(memory.known.used_names) == NAMES_KEPT
    assert name.silenced_names[0] == "prod"


def test_unchanged_name_is_not_written_again() -> None:
    memory = Memory()
    name = memory.start()
    for _ in range(5):
        name.reported("prod")
    memory.start().reported("prod")

    assert memory.writes == 1


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
@pytest.mark.parametrize("answers", list(permutations("abc")), ids="".join)
def test_systems_with_one_name_keep_their_names_in_every_order_of_starts_and_answers(
    order: Sequence[str], answers: Sequence[str]
) -> None:
    memories = {host: Memory() for host in "abc"}

    def run(order: Sequence[str], answers: Sequence[str]) -> dict[str, str]:
        names: list[SystemName] = []
        by_host = {}
        for host in order:
            by_host[host] = memories[host].start(host=host, others=names)
            names.append(by_host[host])
        for host in answers:
            by_host[host].reported("prod")
        return {host: name.current for host, name in by_host.items()}

    first = run("abc", "abc")

    assert first == {"a": "prod", "b": "prod (b)", "c": "prod (c)"}
    assert run(order, answers) == first
    assert run(order, "") == first  # while none of them answers


def test_name_that_another_system_was_given_meanwhile_is_not_used_twice() -> None:
    memory = Memory(system_name="prod", used_names=("prod",))
    other = Memory().start("prod", host="other")

    assert memory.start(others=[other]).current == f"prod ({HOST})"
