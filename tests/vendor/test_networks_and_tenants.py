"""Networks and tenants on the vendor's page, made of the fixtures of our collectors."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import Identity, SystemReport
from exporter.vendor import networks, tenants

FIXTURES = Path(__file__).parent.parent / "collectors"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
REPORT = SystemReport(
    system_name="meadowlark",
    url="https://verge.example.com",
    identity=None,
    up=True,
    authenticated=True,
    taken_at=AT,
    tables=(),
    requests_remaining=1,
    requests_per_hour=1,
    recent_errors=(),
)
FAMILIES = (*tenants.FAMILIES, *networks.FAMILIES)
TABLES = {table.name: table for table in tables_of(COLLECTORS)}


def page(*, of: tuple[str, ...]) -> str:
    """Return the page of the fixtures of these collectors."""
    rows = {}
    for name in of:
        for table, answer in json.loads((FIXTURES / f"{name}.json").read_text()).items():
            rows[table] = TABLES[table].decode(json.dumps(answer).encode()).rows
    inventory = join(
        rows, system_name="meadowlark", identity=Identity("meadowlark", "26.1.8"), taken_at=AT
    )
    rendered = Renderer(FAMILIES).render(inventory, REPORT)
    text = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def samples(text: str, name: str) -> list[str]:
    """Return the samples of a family, without the system's label."""
    found = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return [re.sub(r'system_name="meadowlark",?', "", line.removeprefix(name)) for line in found]


EVERYTHING = page(
    of=(
        *("vnets", "vnet_monitor", "tenants", "tenant_stats", "tenant_nodes", "tenant_storage"),
        "tenant_networks",
    )
)


def test_every_family_has_a_sample() -> None:
    names = {line.partition("{")[0] for line in EVERYTHING.splitlines()}

    assert len(FAMILIES) == 26 + 18
    assert names == {family.name for family in FAMILIES}


def test_network_has_the_labels_of_the_vendor_and_zeros_for_what_is_unknown() -> None:
    assert samples(EVERYTHING, "vergeos_vnet_powerstate") == [
        (
            '{cluster="harrier \\"north\\"",layer2_type="vlan",type="external",'
            'vnet_id="21",vnet_name="Extern \\"A\\" \\\\ Büro"} 1.0'
        ),
        (
            '{cluster="Südcluster",layer2_type="vxlan",type="internal",'
            'vnet_id="22",vnet_name="Intern"} 0.0'
        ),
        '{cluster="cluster_0",layer2_type="vxlan",type="core",vnet_id="23",vnet_name="Core"} 0.0',
        '{cluster="cluster_9",layer2_type="",type="",vnet_id="24",vnet_name=""} 0.0',
        (
            '{cluster="harrier \\"north\\"",layer2_type="none",type="dmz",'
            'vnet_id="25",vnet_name="DMZ"} 0.0'
        ),
    ]


def test_only_a_gateway_that_is_monitored_has_samples() -> None:
    (line,) = samples(EVERYTHING, "vergeos_vnet_monitor_quality")

    assert 'vnet_id="21"' in line
    assert line.endswith(" 92.0")


def test_storage_is_labeled_with_the_key_of_the_tier() -> None:
    lines = samples(EVERYTHING, "vergeos_tenant_storage_used_pct")

    assert [re.search(r'tier="(\d+)"', line)[1] for line in lines] == ["2", "4", "2"]  # type: ignore[index]


def test_tenant_without_networks_or_nodes_has_no_count() -> None:
    assert samples(EVERYTHING, "vergeos_tenant_layer2_networks_total") == [
        '{tenant_name="Löwenzahn \\"GmbH\\""} 2.0'
    ]
    assert len(samples(EVERYTHING, "vergeos_tenant_nodes_total")) == 2


def test_system_without_tenants_has_none_and_one_whose_tenants_are_unknown_has_no_number() -> None:
    assert samples(EVERYTHING, "vergeos_tenants_total") == ["{} 3.0"]
    assert samples(page(of=("vnets",)), "vergeos_tenants_total") == []
