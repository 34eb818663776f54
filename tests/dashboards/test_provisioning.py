"""`docker compose up` mounts files that exist, where the services read them."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dotenv import dotenv_values
from pydantic import SecretStr

from exporter.config.recovery import RecoverySettings
from tests.dashboards.shipped import FOLDER, ROOT

COMPOSE = ROOT / "deploy" / "compose"
COMPOSED: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSED["services"]


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


KNOWN = {
    "providers": {
        "allowUiUpdates",
        "disableDeletion",
        "folder",
        "folderUid",
        "name",
        "options",
        "orgId",
        "type",
        "updateIntervalSeconds",
    },
    "datasources": {
        "access",
        "basicAuth",
        "basicAuthUser",
        "correlations",
        "database",
        "editable",
        "isDefault",
        "jsonData",
        "name",
        "orgId",
        "secureJsonData",
        "type",
        "uid",
        "url",
        "user",
        "version",
        "withCredentials",
    },
}
"""The keys of Grafana's provisioning files, version 1. It ignores others, and has no schema."""


@pytest.mark.parametrize(
    ("file", "kind"),
    [("dashboards/vergewatch", "providers"), ("datasources/prometheus", "datasources")],
)
def test_grafana_knows_every_key_of_its_provisioning(file: str, kind: str) -> None:
    content = _yaml(f"grafana/{file}.yml")

    assert content["apiVersion"] == 1
    assert set(content) == {"apiVersion", kind}
    for entry in content[kind]:
        assert set(entry) <= KNOWN[kind]
        assert {"name", "type"} <= set(entry)


def test_scrape_targets_are_services() -> None:
    config = _yaml("prometheus.yml")
    jobs = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    static = {
        target.split(":")[0]
        for job in jobs
        for one in job["static_configs"]
        for target in one["targets"]
    }
    resolved = {
        name for job in jobs for one in job.get("dns_sd_configs", ()) for name in one["names"]
    }

    assert static - {"localhost"} <= {
        name for name, service in SERVICES.items() if "profiles" not in service
    }
    assert resolved == {"vergewatch-2"}
    assert resolved <= set(SERVICES)


def test_secrets_are_files_of_the_simulator() -> None:
    files = {name: COMPOSE / secret["file"] for name, secret in COMPOSED["secrets"].items()}

    assert (
        files["api_key"].read_text().strip()
        == (SERVICES["simulator"]["environment"]["VERGEWATCH_SIMULATOR_API_KEY"])
    )
    token = files["recovery_token"].read_text().strip()
    assert RecoverySettings(token=SecretStr(token)).token is not None
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= set(files)


def test_replicas_have_the_same_settings_and_other_names() -> None:
    first, second = SERVICES["vergewatch"], SERVICES["vergewatch-2"]
    same = ("image", "build", "environment", "secrets", "healthcheck")

    assert [first[key] for key in same] == [second[key] for key in same]
    assert first["hostname"] != second["hostname"]
    assert first["volumes"] != second["volumes"]
    assert first["environment"]["VERGEWATCH_JOURNAL__URL"] is None  # as the environment has it
    variables = dotenv_values(COMPOSE / "replicas.env")
    assert variables["COMPOSE_PROFILES"] in second["profiles"]
    url = urlsplit(variables["VERGEWATCH_JOURNAL__URL"] or "")
    assert url.hostname == "postgres"
    assert url.username == SERVICES["postgres"]["environment"]["POSTGRES_USER"]


def test_services_are_confined() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_images_can_be_replaced() -> None:
    for service in ("prometheus", "alertmanager", "grafana", "postgres"):
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w/]+:v?[\d.]+\}", SERVICES[service]["image"])
