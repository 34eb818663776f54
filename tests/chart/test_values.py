"""Values that the chart refuses, each with the reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from exporter.cli.reference import setting_list
from tests.chart.helm import CHART, HELMS, RefusedError, rendered, values_named

REFUSED = {
    "replicas on SQLite": ("replicas=2", "journal"),
    "replicas without the URL of PostgreSQL": (
        "replicas=2,config.journal.password_file=/etc/vergewatch/secrets/password",
        "url",
    ),
    "journal that is not in PostgreSQL": (
        "config.journal.url=sqlite:///journal",
        "pattern",
    ),
    "password in the URL": ("config.journal.url=postgresql://me:password@db/vergewatch", "pattern"),
    "no system": ("config.url=null", "url"),
    "no Secret": ("existingSecret=", "existingSecret"),
    "name that no Secret can have": ("existingSecret=Vergewatch", "existingSecret"),
    "unknown value": ("serviceMonitor.enable=true", "enable"),
    "unknown value at the top": ("replicaCount=2", "replicaCount"),
    "access mode of many pods": ("persistence.accessMode=ReadWriteMany", "accessMode"),
    "text instead of a list": ("extraSecrets=tls", "extraSecrets"),
}
SECRETS = [row["setting"] for row in setting_list() if row["meaning"].endswith("A secret.")]


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("case", REFUSED)
def test_value_is_refused(case: str, program: str) -> None:
    option, reason = REFUSED[case]
    with pytest.raises(RefusedError) as refused:
        rendered(values_named("sqlite"), program, more=("--set", option))
    _, _, explanation = str(refused.value).partition("vergewatch:\n")
    assert reason in explanation


@pytest.mark.parametrize("setting", SECRETS)
def test_secret_in_the_settings_is_refused(setting: str) -> None:
    option = f"config.{setting.replace('[]', '[0]')}=a-secret-of-the-operator"
    with pytest.raises(RefusedError) as refused:
        rendered(values_named("sqlite"), more=("--set", option))
    assert f"named by {setting.rpartition('.')[2]}_file" in str(refused.value)
    assert "a-secret-of-the-operator" not in str(refused.value)


def test_values_and_their_schema_have_the_same_names() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    # Helm adds `global`; `config` is the daemon's business, `resources` Kubernetes'.
    assert set(_names(values)) == set(_declared(schema)) - {"global"}


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield name
        if isinstance(value, dict) and name not in ("config", "resources"):
            yield from (f"{name}.{inner}" for inner in _names(value) if "labels." not in inner)


def _declared(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        yield name
        if "properties" in inner and name != "config":
            yield from (f"{name}.{deeper}" for deeper in _declared(inner))
