"""`check` refuses every file that `run` would refuse at its start."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import structlog

from exporter.cli.check import check_offline
from exporter.clock import SystemClock
from exporter.config.loader import SINGLE_SYSTEM, load
from exporter.config.settings import Settings
from exporter.daemon.app import _run_until
from exporter.errors import ConfigError
from exporter.inputs.validation import walk
from tests.daemon.test_daemon import self_signed

Place = tuple[str, ...]

QUERY = 'up{vm="{{vm}}"}[{{window}}]'
SYSTEM: dict[str, Any] = {"name": "a", "url": "https://127.0.0.1:1", "api_key": "k"}
BASE: dict[str, Any] = {
    "systems": [SYSTEM],
    "web": {"listen_address": "127.0.0.1:0"},
    "alertmanager": {"urls": ["https://127.0.0.1:2"]},
    "prometheus": {"url": "https://127.0.0.1:3"},
    "recovery": {"confirm": {"url": "https://127.0.0.1:4", "query": QUERY}},
}
NEEDS: Mapping[str, Mapping[str, str]] = {
    "password_file": {"username": "ada"},
    "proxy_login_file": {"proxy": "http://127.0.0.1:5"},
}
"""What a setting of a file needs besides, by its name."""
PROBLEMS: Mapping[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "unreadable": lambda path: path.mkdir(),  # by root, too
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "empty": lambda path: path.touch(),
    "of one letter": lambda path: path.write_text("x"),
}


def names_file(annotation: Any) -> bool:
    return annotation is Path or any(map(names_file, get_args(annotation)))


def files() -> Iterator[Place]:
    """Yield the place of every setting that names a file."""
    for place, field in walk(Settings):
        if names_file(field.annotation) and place[0] not in {*SINGLE_SYSTEM, "config_file"}:
            yield place


FILES = sorted(files())


def with_file(place: Place, path: Path, mode: str) -> dict[str, Any]:
    raw = deepcopy(BASE)
    raw["recovery"]["mode"] = mode
    group: Any = raw
    for step in place[:-1]:
        group = group.setdefault(step, {})
        group = group[0] if isinstance(group, list) else group
    group |= NEEDS.get(place[-1], {})
    group[place[-1]] = str(path)
    if place[-1] in ("api_key_file", "password_file"):
        group.pop("api_key", None)
    return raw


async def run_refuses(settings: Settings) -> bool:
    """Return whether `run` would exit with 2 at its start; it ends as soon as it has started."""
    stopping = asyncio.Event()
    try:
        await _run_until(stopping, settings, lambda: settings, SystemClock(), stopping.set, None)
    except ConfigError:
        return True
    except BaseExceptionGroup as errors:
        if errors.split(ConfigError)[1] is not None:
            raise
        return True
    return False


async def check_refuses(settings: Settings) -> bool:
    try:
        return not (await check_offline(settings, lambda _: None)).passed
    except ConfigError:
        return True


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    yield
    structlog.configure(**before)


def test_every_setting_of_a_file_is_found() -> None:
    assert {
        ("systems", "tls", "ca_file"),
        ("recovery", "token_file"),
        ("prometheus", "ca_file"),
        ("recovery", "confirm", "ca_file"),
        ("web", "config_file"),
        ("journal", "password_file"),
    } <= {*FILES}


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize("place", FILES, ids=".".join)
async def test_check_refuses_each_file_that_run_refuses(
    tmp_path: Path, place: Place, mode: str
) -> None:
    config, wrong = tmp_path / "vergewatch.yaml", []
    for problem, make in PROBLEMS.items():
        path = tmp_path / problem
        make(path)
        config.write_text(json.dumps(with_file(place, path, mode)))
        try:
            settings = load(config)
        except ConfigError:
            continue  # both load it
        if await run_refuses(settings) and not await check_refuses(settings):
            wrong.append(problem)

    assert not wrong


@pytest.mark.parametrize("key", ["cert_file", "key_file", "client_ca_file"])
async def test_check_refuses_each_file_of_the_web_configuration_that_run_refuses(
    tmp_path: Path, key: str
) -> None:
    certificate, private = self_signed(tmp_path)
    named = {"cert_file": str(certificate), "key_file": str(private)}
    verifying = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": named["cert_file"],
    }
    config, web, wrong = tmp_path / "vergewatch.yaml", tmp_path / "web.yml", []
    config.write_text(json.dumps(with_file(("web", "config_file"), web, "off")))
    for problem, make in PROBLEMS.items():
        path = tmp_path / problem
        make(path)
        web.write_text(json.dumps({"tls_server_config": {**named, **verifying, key: str(path)}}))
        settings = load(config)
        assert await run_refuses(settings)
        if not await check_refuses(settings):
            wrong.append(problem)

    assert not wrong


async def test_run_and_check_accept_settings_without_a_problem(tmp_path: Path) -> None:
    config, token = tmp_path / "vergewatch.yaml", tmp_path / "token"
    token.write_text("token-of-this-test")
    config.write_text(json.dumps(with_file(("recovery", "token_file"), token, "off")))
    settings = load(config)

    assert not await run_refuses(settings)
    assert not await check_refuses(settings)
