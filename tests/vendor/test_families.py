"""The page has exactly the families of the vendor's exporter: name, type and labels."""

from pathlib import Path

from exporter.vendor.registry import FAMILIES
from tests.vendor.scrape import monitored, scraped_until

LIST = Path(__file__).with_name("families.txt")


def vendor_families() -> dict[str, tuple[str, frozenset[str]]]:
    """Return the type and the labels of each family of the vendor's exporter."""
    lines = (line.split() for line in LIST.read_text().splitlines() if not line.startswith("#"))
    return {name: (kind, frozenset(labels.split(","))) for name, kind, labels in lines}


def test_declared_families_are_those_of_the_vendor_in_its_order() -> None:
    declared = [(one.name, (one.kind.value, frozenset(one.labels))) for one in FAMILIES]

    assert len(declared) == 135
    assert declared == list(vendor_families().items())


async def test_page_of_a_simulated_system_has_a_sample_of_every_family() -> None:
    expected = vendor_families()
    async with monitored() as daemon:
        found = await scraped_until(daemon, set(expected))

    assert {name for name, (_, labels) in found.items() if not labels} == set()
    assert found == {name: (kind, {labels}) for name, (kind, labels) in expected.items()}
