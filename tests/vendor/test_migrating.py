"""docs/migrating.md names every metric of the vendor, and only metrics that we have."""

import re
from pathlib import Path

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS
from tests.vendor.test_families import vendor_families

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
ROW = re.compile(r"^\| `(vergeos_\w+)` \| [^|]* \| .+ \|$", re.MULTILINE)


def test_every_metric_of_the_vendor_is_listed_once_in_its_order() -> None:
    assert ROW.findall(PAGE) == list(vendor_families())


def test_every_metric_of_ours_that_is_named_exists() -> None:
    ours = {one.name for one in (*FAMILIES, *INSTRUMENTS)}

    assert set(re.findall(r"vergewatch_\w+", PAGE)) - ours == set()
