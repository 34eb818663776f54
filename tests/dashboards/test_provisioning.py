"""`docker compose up` mounts files that exist, where the services read them."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.dashboards.shipped import FOLDER, ROOT

COMPOSE = ROOT / "deploy" / "compose"
SERVICES: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]


def _yaml(name: str) -> Any:
    return yaml.safe_load((COMPOSE / name).read_text(encoding="utf-8"))


def _mounts(service: str) -> dict[str, Path]:
    """Return the mounted files by their path in the container."""
    pairs = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {pair[1]: (COMPOSE / pair[0]).resolve() for pair in pairs if pair[0].startswith(".")}


def test_mounted_files_exist() -> None:
    for service in ("prometheus", "alertmanager", "grafana"):
        for path in _mounts(service).values():
            assert path.exists(), path


def test_grafana_reads_the_dashboards_and_opens_the_first() -> None:
    (provider,) = _yaml("grafana/dashboards/vergewatch.yml")["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert _mounts("grafana")[provider["options"]["path"]] == FOLDER
    assert home.removeprefix(provider["options"]["path"] + "/") == "systems.json"


def test_grafana_queries_the_prometheus_with_our_rules() -> None:
    sources = _yaml("grafana/datasources/prometheus.yml")["datasources"]
    (source,) = [one for one in sources if one["type"] == "prometheus"]
    config = _yaml("prometheus.yml")

    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    assert config["rule_files"] == ["rules/*.rules.yml"]
    assert _mounts("prometheus")["/etc/prometheus/rules"] == ROOT / "alerts"
    assert list((ROOT / "alerts").glob("*.rules.yml"))


def test_scrape_targets_are_services() -> None:
    config = _yaml("prometheus.yml")
    jobs = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    targets = {
        target.split(":")[0]
        for job in jobs
        for static in job["static_configs"]
        for target in static["targets"]
    }

    assert targets - {"localhost"} <= set(SERVICES)


def test_images_can_be_replaced() -> None:
    for service in ("prometheus", "alertmanager", "grafana"):
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w/]+:v?[\d.]+\}", SERVICES[service]["image"])
