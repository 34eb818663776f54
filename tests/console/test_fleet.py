"""The entries of all systems: made again for what is newer, and only for that."""

from exporter.console.fleet import Fleet, VMEntry
from exporter.console.newest import OfNewest
from exporter.model import SystemState
from tests.console.entries import vm
from tests.web.fleets import fleet


def test_entries_are_the_same_while_nothing_is_newer() -> None:
    known, states = Fleet(), [fleet("a", name="north"), fleet("b", name="south")]

    assert known.entries(states) is known.entries(list(states))


def test_only_a_system_with_a_newer_inventory_or_report_has_new_entries() -> None:
    known, north, south = Fleet(), fleet("a", name="north"), fleet("b", name="south")
    before = known.entries([north, south])
    newer = fleet("b", name="south", down=["b"])

    after_report = known.entries([north, SystemState(south.inventory, newer.report)])
    after_both = known.entries([north, newer])

    assert after_report[0] is before[0]
    assert after_report[1].recovery_state == "held"
    assert [one.condition for one in after_both] == ["running", "down"]


def test_system_that_is_gone_or_renamed_leaves_no_entries() -> None:
    known, north, south = Fleet(), fleet("a", name="north"), fleet("b", name="south")
    known.entries([north, south])

    assert [one.system for one in known.entries([south])] == ["south"]
    assert known.entries([]) == ()
    assert [one.system for one in known.entries([north])] == ["north"]


def test_what_is_made_of_entries_is_made_once_for_the_same_ones() -> None:
    made: list[int] = []

    def length(entries: tuple[VMEntry, ...]) -> int:
        made.append(len(entries))
        return len(entries)

    of_newest, one, two = OfNewest(length), (vm(),), (vm(), vm())

    assert [of_newest(one), of_newest(one), of_newest(two), of_newest(one)] == [1, 1, 2, 1]
    assert made == [1, 2, 1]
