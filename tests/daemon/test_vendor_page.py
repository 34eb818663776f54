"""The vendor's page: rendered only while it is scraped, under the rules of /metrics."""

import asyncio
import gzip
from typing import Any

import pytest

from exporter.collectors.vms import MACHINE_STATS
from exporter.daemon.vendor_page import WANTED_SECONDS, VendorPage, VendorPublisher
from exporter.exposition.renderer import Renderer
from exporter.model import Cluster, Node
from exporter.telemetry import SystemMeter, Telemetry
from tests.daemon_process import pointing_at, running, simulating
from tests.exposition.builders import config, load, nic, report, status, system
from tests.fakes import FakeClock


def rows(cpu: float = 12, **changes: Any) -> dict[str, Any]:
    return {
        "vms": (config(1, "web-1"),),
        "machine_status": {11: status(11)},
        MACHINE_STATS.name: {11: load(cpu, 2048)},
        "clusters": {1: Cluster(1, "Harbour")},
        "nodes": {1: Node(1, "node1", 1, 91, None, None)},
        **changes,
    }


class Site:
    """A page with one system, and how often it was rendered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.renders = FakeClock(), 0
        self.page = VendorPage(self.clock)
        self.telemetry = Telemetry()
        self.meter = SystemMeter(self.telemetry, "prod")
        self.publisher = self.page.publisher(self.meter)
        original = Renderer.render

        def counted(renderer: Renderer, *args: Any) -> Any:
            self.renders += 1
            return original(renderer, *args)

        monkeypatch.setattr(Renderer, "render", counted)

    def poll(self, publisher: VendorPublisher | None = None, **changes: Any) -> None:
        (publisher or self.publisher)(*system(rows(**changes)))

    async def samples(self, name: str) -> list[str]:
        text = (await self.page.page(gzipped=False)).read().decode()
        return [line for line in text.splitlines() if line.startswith(f"{name}{{")]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


async def test_page_that_is_not_scraped_is_not_rendered(site: Site) -> None:
    site.poll()
    site.poll(cpu=13)

    assert site.renders == 0


async def test_first_scrape_renders_the_newest_inventory_and_polls_render_the_next(
    site: Site,
) -> None:
    site.poll()
    site.poll(cpu=13)

    (first,) = await site.samples("vergeos_vm_cpu_total")
    await site.samples("vergeos_vm_cpu_total")
    assert first.endswith(" 13.0")
    assert site.renders == 1

    site.poll(cpu=14)
    assert site.renders == 2
    (second,) = await site.samples("vergeos_vm_cpu_total")
    assert second.endswith(" 14.0")
    assert site.renders == 2


async def test_several_first_scrapes_render_once(site: Site) -> None:
    site.poll()

    pages = await asyncio.gather(*(site.samples("vergeos_vm_running") for _ in range(5)))

    assert [len(one) for one in pages] == [1] * 5
    assert site.renders == 1


async def test_page_is_dropped_when_it_was_not_scraped_for_a_while(site: Site) -> None:
    site.poll()
    await site.samples("vergeos_vm_running")

    site.clock.elapsed += WANTED_SECONDS - 1
    site.poll(cpu=13)
    assert site.renders == 2
    site.clock.elapsed += 1
    site.poll(cpu=14)
    assert site.renders == 2
    assert site.publisher._renderer is None
    assert not any(site.page.cache._systems.values())

    (again,) = await site.samples("vergeos_vm_cpu_total")
    assert again.endswith(" 14.0")


async def test_failed_first_scrape_lets_the_next_one_render(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.poll()

    def fails() -> None:
        raise RuntimeError

    monkeypatch.setattr(site.publisher, "render", fails)
    with pytest.raises(RuntimeError):
        await site.samples("vergeos_vm_running")
    monkeypatch.undo()

    assert await site.samples("vergeos_vm_running")


async def test_system_without_an_inventory_has_no_samples(site: Site) -> None:
    site.poll()
    await site.samples("vergeos_vm_running")

    site.publisher(None, report(up=False))

    assert await site.samples("vergeos_vm_running") == []


async def test_successor_of_a_system_takes_its_place_and_the_former_writes_no_more(
    site: Site,
) -> None:
    site.poll()
    await site.samples("vergeos_vm_running")

    successor = site.page.publisher(site.meter)
    assert len(await site.samples("vergeos_vm_running")) == 1  # until there is a newer one
    site.poll(successor, cpu=20)
    site.poll(cpu=10)

    (one,) = await site.samples("vergeos_vm_cpu_total")
    assert one.endswith(" 20.0")

    site.page.remove(site.meter)
    site.poll(successor, cpu=21)
    assert await site.samples("vergeos_vm_running") == []


async def test_duplicates_are_dropped_and_counted_while_the_page_is_scraped(site: Site) -> None:
    # The vendor's own page fails then.
    twins = (nic(1, 11, "eth0"), nic(2, 11, "eth0"))
    site.poll(machine_nics={11: twins})

    def counted() -> float | None:
        labels = {"system_name": "prod"}
        return site.telemetry.registry.get_sample_value(
            "vergewatch_vendor_duplicate_series", labels
        )

    assert counted() is None
    assert len(await site.samples("vergeos_vm_nic_rx_bytes_total")) == 1
    assert counted() == 1
    site.clock.elapsed += WANTED_SECONDS
    site.poll()
    assert counted() == 0


async def test_daemon_serves_the_page_in_the_classic_format_and_compressed() -> None:
    async with simulating() as simulator, running(pointing_at(simulator)) as daemon:
        await daemon.until_up()
        accept = {
            "Accept": "application/openmetrics-text; version=1.0.0",
            "Accept-Encoding": "gzip",
        }
        async with daemon.http.get(
            f"{daemon.url}/metrics/vendor", headers=accept, auto_decompress=False
        ) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = gzip.decompress(await answer.read()).decode()

        assert text.count("vergeos_vm_running{") == len(list(simulator.world.live_vms()))
        assert "vergewatch_" not in text
        assert "# EOF" not in text
