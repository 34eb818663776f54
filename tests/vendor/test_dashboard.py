"""A real Prometheus scrapes the vendor's page, and has data for whatever dashboards ask for."""

import re
from pathlib import Path

from tests.daemon_process import REAL_TIME
from tests.real_prometheus import prometheus
from tests.vendor.scrape import PATH, monitored, scraped_until
from tests.vendor.test_families import vendor_families

QUERIES = Path(__file__).with_name("dashboard_queries.txt")
VARIABLES = re.compile(r"\$(system|cluster|node_name)\b")
ALL = ".*"


def dashboard_queries() -> list[str]:
    lines = QUERIES.read_text().splitlines()
    return [VARIABLES.sub(ALL, line) for line in lines if line and not line.startswith("#")]


def query_of(name: str, kind: str) -> str:
    """Return a query of a single family, as a panel has it."""
    series = f'{name}{{system_name=~"{ALL}"}}'
    return f"rate({series}[10s])" if kind == "counter" else series


async def test_every_query_returns_data(tmp_path: Path) -> None:
    families = vendor_families()
    queries = dashboard_queries() + [query_of(name, kind) for name, (kind, _) in families.items()]
    async with monitored() as daemon:
        await scraped_until(daemon, set(families))
        job = {
            "job_name": "vergeos",
            "metrics_path": PATH,
            "static_configs": [{"targets": [daemon.url.removeprefix("http://")]}],
        }
        async with prometheus(tmp_path, {}, scrape_configs=[job]) as server:
            await server.ask_until('up{job="vergeos"} == 1', 1)
            await REAL_TIME.sleep(3)  # two scrapes, for the rates
            empty = [query for query in queries if not await server.ask(query)]

    assert empty == []
