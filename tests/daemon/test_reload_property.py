"""Any setting that is changed and reloaded is in force, or named as needing a restart."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from pydantic import SecretStr

from exporter.alerting.alerting import Alerting
from exporter.collectors.registry import FAMILIES
from exporter.config.changes import Place, values_by_place
from exporter.config.loader import SINGLE_SYSTEM, load
from exporter.config.recovery_setup import RecoveryToken
from exporter.config.settings import Settings
from exporter.config.systems import resolve_systems
from exporter.daemon.app import Parts
from exporter.daemon.guest_discovery import GuestDiscovery
from exporter.daemon.poll_plan import plan_of
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.reload import Reload
from exporter.daemon.systems import SystemManager
from exporter.daemon.watched_system import WatchedSystem
from exporter.errors import ConfigError
from exporter.exposition.cache import PageCache
from exporter.inputs.live_file import FileWatch
from exporter.telemetry import Telemetry
from exporter.web.ports import Reloaded
from tests.daemon.test_daemon import self_signed
from tests.daemon_process import REAL_TIME

QUERY = 'up{vm="{{vm}}"}[{{window}}]'
BASE: dict[str, Any] = {
    "systems": [{"name": "a", "url": "http://127.0.0.1:1", "api_key": "k"}],
    "api": {"requests_per_hour": 100_000},
    "alertmanager": {"urls": ["http://127.0.0.1:2"]},
    "recovery": {"confirm": {"url": "http://127.0.0.1:3", "query": QUERY}},
}
BY_SYSTEM = ("systems", "a")
NOT_RELOADED = {"config_file", "url", *SINGLE_SYSTEM}
"""A reload reads the same file; the settings of a single system become those of `systems`."""


class Daemon(NamedTuple):
    """The parts of a daemon that a reload changes."""

    reload: Reload
    systems: SystemManager
    alerting: Alerting
    journal: JournalHandle
    token: RecoveryToken
    guests: GuestDiscovery

    @property
    def watched(self) -> WatchedSystem:
        (one,) = self.systems._watched
        return one

    @property
    def recovery(self) -> Any:
        return self.watched.recovery


@asynccontextmanager
async def reloadable(config: Path) -> AsyncIterator[Daemon]:
    telemetry = Telemetry()
    settings = load(config)
    files = FileWatch(REAL_TIME, lambda _: None)
    journal = JournalHandle(settings.recovery, REAL_TIME)
    meter = telemetry.alertmanager_meter()
    alerting = Alerting(settings.alertmanager, journal.directory, REAL_TIME, meter, files)
    token = RecoveryToken(settings.recovery)
    cache = PageCache(FAMILIES, lambda form: b"")
    async with asyncio.TaskGroup() as tasks:
        systems = SystemManager(tasks, cache, telemetry, REAL_TIME, journal, alerting, files)
        guests = GuestDiscovery(systems.states, settings.discovery)
        parts = Parts(systems, alerting, journal, token, None, guests)
        reload = Reload(parts, lambda: load(config), settings, files, telemetry, REAL_TIME)
        await systems.apply(resolve_systems(settings))
        try:
            yield Daemon(reload, systems, alerting, journal, token, guests)
        finally:
            await systems.stop()
            await journal.close()


def instances(root: object, kind: type, *, depth: int = 8) -> list[Any]:
    """Return every instance of *kind* that *root* holds, directly or not."""
    found: list[Any] = []
    seen: set[int] = set()
    todo = [(root, 0)]
    while todo:
        one, steps = todo.pop()
        if id(one) in seen or steps > depth:
            continue
        seen.add(id(one))
        if isinstance(one, kind):
            found.append(one)
        if isinstance(one, list | tuple | set | frozenset):
            inner: Iterator[Any] = iter(one)
        elif isinstance(one, dict):
            inner = iter(one.values())
        elif type(one).__module__.startswith("exporter.") and hasattr(one, "__dict__"):
            inner = iter(vars(one).values())
        else:
            continue
        todo += [(item, steps + 1) for item in inner]
    return found


def held_by_recovery(kind: type, wanted: Callable[[Settings], Any]) -> Callable[..., bool]:
    """Return whether everything of *kind* that recovery holds is what is *wanted*."""

    def check(daemon: Daemon, new: Settings) -> bool:
        found = instances(daemon.recovery, kind)
        return bool(found) and all(one == wanted(new) for one in found)

    return check


def polls_by(daemon: Daemon, new: Settings) -> bool:
    (system,) = resolve_systems(new)
    poller = daemon.watched.poller
    plan = plan_of(system, poller.source)._replace(refit=None)  # type: ignore[arg-type]
    return (
        tuple(poller.tables.schedules.values()) == tuple(system.schedules)
        and tuple(poller.besides()) == tuple(system.besides)
        and poller.plan._replace(refit=None, besides=plan.besides) == plan
        and poller.source._page_rows == system.api.page_rows  # type: ignore[attr-defined]
    )


def limited_by(daemon: Daemon, new: Settings) -> bool:
    (system,) = resolve_systems(new)
    api, clients = system.api, daemon.watched.clients
    limits = [one._transport.limits for one in clients]
    return polls_by(daemon, new) and all(
        one.timeout_seconds == api.timeout_seconds
        and one.spacing_seconds == api.spacing_seconds
        and one.max_body_bytes == api.max_answer_mib * 2**20
        and one.refused_wait_seconds == api.refused_wait_seconds
        and client.budget.per_hour == api.requests_per_hour
        and client.budget.for_polling == resolve_budget(api)
        for one, client in zip(limits, clients, strict=True)
    )


def resolve_budget(api: Any) -> int:
    from exporter.vergeos.budget import RequestBudget

    return RequestBudget(api.requests_per_hour, reserve=api.reserve).for_polling


def connects_by(daemon: Daemon, new: Settings) -> bool:
    """Return whether a system was started with its settings: everything is made from them."""
    system = new.systems[0]
    started = daemon.watched.settings.system == system
    key = daemon.watched.client._credentials().api_key if system.api_key else None
    session = daemon.watched.sessions[0].connector
    verifies = session is not None and session._ssl is not False  # type: ignore[attr-defined]
    return started and key == system.api_key and verifies is system.tls.verify


def notifies_by(daemon: Daemon, new: Settings) -> bool:
    alerting, wanted = daemon.alerting, new.alertmanager
    pollers = [one.url for one in alerting.pollers]
    return (
        alerting.settings == wanted
        and alerting.silences._settings == wanted
        and all(one._settings == wanted for one in alerting.pollers)
        and pollers == list(wanted.urls if wanted.reads_silences else ())
    )


def has_token(daemon: Daemon, new: Settings) -> bool:
    file = new.recovery.token_file
    line = SecretStr(file.read_text().splitlines()[0]) if file else new.recovery.token
    return daemon.token() == line


def knows_users(daemon: Daemon, new: Settings) -> bool:
    from exporter.recovery.detect.context import LogUsers

    users = instances(daemon.recovery, LogUsers)
    names = frozenset(one.casefold() for one in new.recovery.system_users)
    own = frozenset(one.casefold() for one in new.recovery.own_user)
    return len(users) > 0 and all(one == (own, names) for one in users)


def classifies_by(daemon: Daemon, new: Settings) -> bool:
    from exporter.recovery.detect.log_patterns import LogClassifier

    own = tuple(new.recovery.log_patterns)
    found = instances(daemon.recovery, LogClassifier)
    return len(found) > 0 and all(tuple(one.patterns[: len(own)]) == own for one in found)


def enrols_by(daemon: Daemon, new: Settings) -> bool:
    rules = new.recovery.rules
    cache, loop = daemon.recovery._enrolment_cache, daemon.recovery._loop
    return bool(cache._rules == loop._config.enrolment_rules == rules)


def in_mode(daemon: Daemon, new: Settings) -> bool:
    (system,) = resolve_systems(new)
    if not system.recovers:
        return daemon.recovery is None
    return bool(daemon.recovery.mode == daemon.recovery._loop._config.mode == system.recovery_mode)


def logs_by(_: Daemon, new: Settings) -> bool:
    config = structlog.get_config()
    level = structlog.make_filtering_bound_logger(logging.getLevelName(new.log.level.upper()))
    rendering = type(config["processors"][-1]).__name__
    is_json = rendering == "JSONRenderer"
    return config["wrapper_class"] is level and is_json is (new.log.format != "console")


def confirms_by(daemon: Daemon, new: Settings) -> bool:
    from exporter.prometheus.client import PrometheusConfirmer

    found = instances(daemon.recovery, PrometheusConfirmer)
    wanted = new.recovery.confirm
    return bool(found) is bool(wanted.url) and all(one._settings == wanted for one in found)


def switched_by(daemon: Daemon, new: Settings) -> bool:
    path, recovery = new.recovery.kill_switch_file, daemon.recovery
    setup = recovery.setup
    return bool(recovery._control._read_kill_switch.path == path == Path(setup.kill_switch_file))


def shows_tags_by(daemon: Daemon, new: Settings) -> bool:
    (system,) = resolve_systems(new)
    families = {family for one in system.collectors for family in one.families}
    shown = daemon.watched.publisher._renderer._by_group.values()
    return {family for group in shown for family in group} == families


def limits_of_recovery(daemon: Daemon, new: Settings) -> bool:
    from exporter.recovery.model.limits import Limits

    return held_by_recovery(Limits, lambda settings: settings.recovery.limits)(daemon, new)


OBSERVED: Mapping[tuple[str, ...], Callable[[Daemon, Settings], bool]] = {
    ("recovery", "mode"): in_mode,
    ("recovery", "retention_days"): lambda daemon, new: (
        daemon.journal.retention.days == new.recovery.retention_days
    ),
    ("recovery", "token"): has_token,
    ("recovery", "token_file"): has_token,
    ("recovery", "kill_switch_file"): switched_by,
    ("recovery", "own_user"): knows_users,
    ("recovery", "system_users"): knows_users,
    ("recovery", "powerstate"): lambda daemon, new: (
        daemon.recovery._diagnoser._powerstate is new.recovery.powerstate
    ),
    ("recovery", "rules"): enrols_by,
    ("recovery", "maintenance_windows"): lambda daemon, new: (
        daemon.recovery.system_facts.maintenance_windows == new.recovery.maintenance_windows
    ),
    ("recovery", "log_patterns"): classifies_by,
    ("recovery", "confirm"): confirms_by,
    ("recovery", "limits"): limits_of_recovery,
    # It only lets `load` accept what it would refuse.
    ("recovery", "i_accept_endless_restarts"): lambda *_: True,
    ("poll",): polls_by,
    ("collectors",): polls_by,
    ("vm_tag_categories",): shows_tags_by,
    ("discovery",): lambda daemon, new: daemon.guests._settings == new.discovery,
    ("api",): limited_by,
    ("alertmanager",): notifies_by,
    ("log",): logs_by,
    ("secrets_dir",): has_token,
    ("systems", "a", "recovery_mode"): in_mode,
    ("systems", "a", "poll"): polls_by,
    ("systems", "a", "api"): limited_by,
    ("systems", "a"): connects_by,
    ("systems", "b"): connects_by,
}


def observer(place: Place) -> Callable[[Daemon, Settings], bool] | None:
    groups = (place[:length] for length in range(len(place), 0, -1))
    return next((OBSERVED[group] for group in groups if group in OBSERVED), None)


def words(schema: Any) -> list[str]:
    """Return every word that a setting may be limited to."""
    if isinstance(schema, list):
        return [word for one in schema for word in words(one)]
    if not isinstance(schema, dict):
        return []
    own = [word for word in schema.get("enum", ()) if isinstance(word, str)]
    return own + [word for one in schema.values() for word in words(one)]


def candidates(place: Place, value: Any, folder: Path) -> Iterator[Any]:
    """Yield values, one of which is valid and new, whatever setting has *value*."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, Enum):
        yield from (one.value for one in type(value) if one is not value)
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2, value - 1, value / 2, 0.5, 0.25)
    if place == ("secrets_dir",):
        yield str(folder)
    if place[-1].startswith("proxy_login"):
        yield str(folder / "login") if place[-1].endswith("file") else "ada:secret"
    yield str(folder / "pem")
    yield from words(Settings.model_json_schema())
    yield from (
        ":1234",
        "/m",
        "http://127.0.0.1:4",
        "postgresql://u@127.0.0.1/db",
        'max(up{vm="{{vm}}"}[{{window}}])',
        "x",
    )
    yield from (
        [{"names": ["x"], "policy": "no"}],
        [{"names": ["x"], "query": QUERY}],
    )
    yield [{"start": "01:00", "hours": 1, "reason": "x"}]
    yield {"prometheus": "eu"}
    yield [{"pattern": "x", "means": "harmless"}]
    yield from ({"machine_nics": 77.0}, {"nics": False}, {"fast_seconds": 33.0}, {"page_rows": 9})
    yield from (["http://127.0.0.1:5"], ["10.0.0.0/8"], ["x"], str(folder))


def with_leaf(raw: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    changed = deepcopy(raw)
    group, steps = changed, list(place)
    if place[:2] == BY_SYSTEM:
        group, steps = changed["systems"][0], steps[2:]
    for step in steps[:-1]:
        group = group.setdefault(step, {})
    if value is None:
        group.pop(steps[-1], None)
    else:
        group[steps[-1]] = value
    if steps[-1].startswith("proxy_login"):
        group["proxy"] = "http://127.0.0.1:6"  # which they need
    return changed


def loaded(config: Path, raw: Mapping[str, Any]) -> Settings | None:
    config.write_text(json.dumps(raw))
    try:
        settings = load(config)
        resolve_systems(settings)
    except (ConfigError, TypeError):
        return None
    return settings


def changed(config: Path, place: Place, base: Settings, folder: Path) -> dict[str, Any] | None:
    """Return settings in which the one at *place* is another, others only if they must."""
    old = values_by_place(base)
    alone = [with_leaf(BASE, place, value) for value in candidates(place, old[place], folder)]
    siblings = [one for one in old if one[:-1] == place[:-1] and one != place]
    together = (
        with_leaf(raw, one, value) for raw in alone for one in siblings for value in (None, "x")
    )
    for attempt in chain(alone, together):
        new = loaded(config, attempt)
        if new is not None and values_by_place(new).get(place, new) != old[place]:
            return attempt
    return None


def named_by(done: Reloaded, place: Place) -> bool:
    return ".".join(place) in done.needs_restart


async def comes_true(check: Callable[[], bool]) -> bool:
    for _ in range(100):
        if check():
            return True
        await REAL_TIME.sleep(0.02)
    return False


async def test_changed_setting_is_in_force_after_a_reload_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    certificate, _ = self_signed(tmp_path)
    certificate.rename(tmp_path / "pem")
    (tmp_path / "login").write_text("ada:secret")
    (tmp_path / "recovery_token").write_text("of-the-secrets-directory")
    config, before = tmp_path / "vergewatch.yaml", structlog.get_config()
    base = loaded(config, BASE)
    assert base is not None
    places = [one for one in values_by_place(base) if one[0] not in NOT_RELOADED]
    wrong: list[str] = []
    try:
        async with reloadable(config) as daemon:
            for place in places:
                raw = changed(config, place, base, tmp_path)
                if raw is None:
                    wrong.append(f"{place}: no valid other value found")
                    continue
                new = loaded(config, raw)
                assert new is not None
                done = await daemon.reload()
                look = observer(place)
                in_force = look is not None and await comes_true(lambda: look(daemon, new))  # noqa: B023
                name = ".".join(place)
                if in_force is named_by(done, place):
                    wrong.append(f"{name}: in force {in_force}, named {named_by(done, place)}")
                if in_force and not any(name.startswith(one) for one in done.applied):
                    wrong.append(f"{name}: in force, but not among {done.applied}")
                loaded(config, BASE)
                await daemon.reload()
    finally:
        structlog.configure(**before)
    assert not wrong, "\n".join(wrong)
    assert len(places) > 100


async def test_daemon_stops_while_a_reload_waits_for_a_poll_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    config = tmp_path / "vergewatch.yaml"
    assert loaded(config, BASE) is not None
    reached = asyncio.Event()

    async with reloadable(config) as daemon:
        recovery = daemon.recovery

        async def hang(_: object) -> None:
            async with recovery._turn:
                reached.set()
                await asyncio.Event().wait()

        monkeypatch.setattr(recovery, "process", hang)
        async with asyncio.timeout(10):
            await reached.wait()  # the first poll fails at once
        rule = with_leaf(BASE, ("recovery", "rules"), [{"names": ["x"], "policy": "no"}])
        assert loaded(config, rule) is not None
        reloading = asyncio.create_task(daemon.reload())
        await REAL_TIME.sleep(0.1)
        assert not reloading.done()
        assert recovery.changing  # and no action is sent meanwhile
        async with asyncio.timeout(5):
            await daemon.systems.stop()
        await reloading
