"""The effective configuration as it is shown: all of it but the secrets."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from exporter.config.loader import merged
from exporter.config.setting_lines import HIDDEN, setting_lines
from exporter.config.settings import Settings

PLANTED = "planted-7e57-secret"
LOGIN = f"user:{PLANTED}"
URL = "https://verge.example"


def text_of(settings: Settings) -> str:
    return "\n".join("  " * line.depth + line.text for line in setting_lines(settings))


def made(**values: Any) -> Settings:
    return Settings(**merged({"systems": [{"url": URL, "api_key": PLANTED}]}, values))


def secret_places(model: type[BaseModel], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where *model* has a secret."""
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, SecretStr):
                yield (*place, name)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from secret_places(kind, (*place, name))


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


SECRETS = {place for place in secret_places(Settings) if len(place) > 1}


def nested(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    *outer, name = place
    found: dict[str, Any] = {name: value}
    for step in reversed(outer):
        found = {step: found}
    return found


def test_the_secrets_are_found() -> None:
    assert ("systems", "api_key") in SECRETS
    assert ("systems", "action_api_key") in SECRETS
    assert ("recovery", "token") in SECRETS
    assert ("alertmanager", "password") in SECRETS
    assert ("recovery", "confirm", "token") in SECRETS


@pytest.mark.parametrize("place", sorted(SECRETS), ids=".".join)
def test_no_secret_is_shown(place: tuple[str, ...]) -> None:
    needs = {
        "proxy_login": {"proxy": "http://proxy.example:3128"},
        "password": {"username": "ada"},
    }
    value = LOGIN if place[-1] == "proxy_login" else PLANTED
    given = nested(place, value)
    inner: Any = given
    for step in place[:-1]:
        inner = inner[step]
    if place[0] != "journal":
        inner |= needs.get(place[-1], {})
    if place[0] == "systems":
        system = {"url": URL, **given["systems"]}
        if place[-1] not in ("api_key", "password"):
            system["api_key"] = PLANTED
        values: dict[str, Any] = {"systems": [system]}
        settings = Settings(**values)
    else:
        settings = made(**given)

    text = text_of(settings)

    assert PLANTED not in text
    assert f"{place[-1]}: {HIDDEN}" in text


def test_login_in_a_url_is_hidden() -> None:
    text = text_of(made(alertmanager={"runbooks": f"https://{LOGIN}@books.example/x"}))

    assert PLANTED not in text
    assert f"//{HIDDEN}@books.example/x" in text


def test_lines_are_yaml_with_the_values_in_force() -> None:
    settings = made(
        poll={"fast_seconds": 7.5},
        recovery={
            "rules": [{"names": ["web-*", "db: 1"], "policy": "always"}],
        },
        collectors={"guests": False},
    )

    read = yaml.safe_load(text_of(settings))

    assert read["systems"][0]["url"] == URL
    assert read["systems"][0]["api_key"] == HIDDEN
    assert read["poll"]["fast_seconds"] == 7.5
    assert read["collectors"] == {"guests": False}
    assert read["recovery"]["mode"] == "shadow"
    assert read["recovery"]["rules"][0]["names"] == ["web-*", "db: 1"]


@pytest.mark.parametrize("word", ["no", "Off", "null", "7", "*", "a:", "a: b", "a #b", "- x", "é"])
def test_every_name_is_read_back(word: str) -> None:
    settings = made(recovery={"rules": [{"names": [word], "policy": "no"}], "own_user": word})

    read = yaml.safe_load(text_of(settings))["recovery"]

    assert read["rules"] == [{"names": [word], "policy": "no"}]
    assert read["own_user"] == [word]


def test_a_single_system_is_shown_once() -> None:
    assert text_of(made()).count("api_key") == 1


def test_a_system_begins_with_its_name_and_url() -> None:
    values: dict[str, Any] = {"systems": [{"name": "lab 1", "url": URL, "api_key": PLANTED}]}
    settings = Settings(**values)

    lines = [line.text for line in setting_lines(settings)]

    start = lines.index("systems:")
    assert lines[start + 1 : start + 4] == [
        '- name: "lab 1"',
        f"url: {URL}",
        f"api_key: {HIDDEN}",
    ]
