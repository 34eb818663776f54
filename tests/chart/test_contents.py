"""What the chart takes from the repository arrives unchanged."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from exporter.config.loader import load
from tests.chart.helm import (
    CHART,
    HELMS,
    ROOT,
    VALUES,
    config_of,
    container_of,
    helm,
    of_kind,
    one,
    pod_of,
    rendered,
    values_named,
)

DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))


def test_version_is_that_of_the_daemon() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__
    image = container_of(rendered(values_named("sqlite")))["image"]
    assert image == f"vergewatch:{__version__}"


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_settings_arrive_as_they_are_in_the_values(values: Path, tmp_path: Path) -> None:
    given = yaml.safe_load(values.read_text(encoding="utf-8"))["config"]
    assert yaml.safe_load(config_of(rendered(values))) == given


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_daemon_accepts_the_settings(values: Path, tmp_path: Path) -> None:
    text = config_of(rendered(values))
    config = yaml.safe_load(text)
    names = [f"{system['name']}." for system in config.get("systems", ())] or [""]
    for name in names:
        (tmp_path / f"{name}api_key").write_text("key")
    path = tmp_path / "vergewatch.yaml"
    path.write_text(text)
    settings = load(path, environ={"VERGEWATCH_SECRETS_DIR": str(tmp_path)})
    assert [system.api_key_file for system in settings.systems] == [
        tmp_path / f"{name}api_key" for name in names
    ]


def test_rules_are_those_of_the_repository() -> None:
    rule = one(rendered(values_named("sqlite-everything")), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    shipped = yaml.safe_load((ROOT / "alerts/prometheusrule.yaml").read_text(encoding="utf-8"))
    assert (rule["apiVersion"], rule["spec"]) == (shipped["apiVersion"], shipped["spec"])


def test_dashboards_are_those_of_the_repository() -> None:
    maps = [
        object_
        for object_ in of_kind(rendered(values_named("sqlite-everything")), "ConfigMap")
        if "grafana_dashboard" in object_["metadata"]["labels"]
    ]
    found = {name: body for map_ in maps for name, body in map_["data"].items()}
    assert len(maps) == len(found) == len(DASHBOARDS)
    assert {name: json.loads(body) for name, body in found.items()} == {
        f"vergewatch-{path.name}": json.loads(path.read_bytes()) for path in DASHBOARDS
    }
    assert {map_["metadata"]["labels"]["grafana_dashboard"] for map_ in maps} == {"yes"}
    assert {map_["metadata"]["annotations"]["grafana_folder"] for map_ in maps} == {"Vergewatch"}


def test_secrets_are_named_and_not_contained() -> None:
    objects = rendered(values_named("postgres-replicas"))
    assert list(of_kind(objects, "Secret")) == []
    mounts = {mount["name"]: mount["mountPath"] for mount in container_of(objects)["volumeMounts"]}
    secrets = {
        volume["secret"]["secretName"]: mounts[volume["name"]]
        for volume in pod_of(objects)["volumes"]
        if "secret" in volume
    }
    assert secrets == {
        "vergewatch": "/etc/vergewatch/secrets",
        "db-app": "/etc/vergewatch/extra/db-app",
    }


@pytest.mark.parametrize("program", HELMS)
def test_package_contains_the_files_that_the_chart_links_to(program: str, tmp_path: Path) -> None:
    helm(program, "package", str(CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("vergewatch-*.tgz")
    with tarfile.open(archive) as tar:
        assert all(member.isreg() for member in tar)
        for path in (*DASHBOARDS, ROOT / "alerts/prometheusrule.yaml"):
            folder = "files/dashboards" if path.suffix == ".json" else "files"
            packed = tar.extractfile(f"vergewatch/{folder}/{path.name}")
            assert packed is not None
            assert packed.read() == path.read_bytes()
