"""
The tables of updates: ``update_settings``, its branches and sources, and what they offer.

Fields: what pyvergeos requests, without user and password.
"""

from dataclasses import dataclass

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    constant,
    live,
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A row with a name: the settings, a branch, a source or a package."""

    key: int
    name: str


SETTINGS, BRANCH, SOURCE = _Named(1, "settings"), _Named(4, "stable-26.1"), _Named(2, "Verge.io")
PACKAGES = (_Named(31, "ybos"), _Named(32, "yb-tools"))


def _source_status(view: RequestView) -> str:
    fault = next(iter(view.world.faults.active("platform_update")), None)
    return "idle" if fault is None else str(fault["word"])


def _nodes_updated(view: RequestView) -> int:
    return 1 if _source_status(view) == "applying" else 0


_UPDATE_SETTINGS = Table(
    name="update_settings",
    rows=lambda _view: (SETTINGS,),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "source": constant(SOURCE.key),
        "branch": constant(BRANCH.key),
        "auto_refresh": constant(value=True),
        "auto_update": constant(value=False),
        "auto_reboot": constant(value=False),
        "update_time": constant("02:00"),
        "max_vsan_usage": constant(80),
        "warm_reboot": constant(value=True),
        "multi_cluster_update": constant(value=False),
        "snapshot_cloud_on_update": constant(value=True),
        "snapshot_cloud_expire_seconds": constant(604_800),
        "installed": live(lambda _row, view: _source_status(view) == "applying"),
        "reboot_required": constant(value=False),
        "applying_updates": live(lambda _row, view: _source_status(view) == "applying"),
        "applying_updates_force": constant(value=False),
        "release_notes_url": constant(""),
        "anonymize_statistics": constant(value=True),
    },
    links={
        "branch": Link("update_branches", lambda _row, _view: BRANCH),
        "source": Link("update_sources", lambda _row, _view: SOURCE),
    },
)

_UPDATE_SOURCE_STATUS = Table(
    name="update_source_status",
    rows=lambda _view: (SOURCE,),
    columns={
        "$key": attribute("key"),
        "source": attribute("key", leads_to="update_sources"),
        "status": live(lambda _row, view: _source_status(view)),
        "info": constant(""),
        "nodes_updated": live(lambda _row, view: _nodes_updated(view)),
        "last_update": live(lambda _row, view: int(view.now)),
    },
    links={"source": Link("update_sources", lambda _row, _view: SOURCE)},
)

_NAMED = {
    "$key": attribute("key"),
    "name": attribute("name"),
    "description": constant(""),
}
_UPDATE_BRANCHES = Table("update_branches", lambda _view: (BRANCH,), _NAMED)
_UPDATE_SOURCES = Table(
    "update_sources", lambda _view: (SOURCE,), {**_NAMED, "enabled": constant(value=True)}
)
_UPDATE_PACKAGES = Table(
    name="update_source_packages",
    rows=lambda _view: PACKAGES,
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "version": live(lambda _row, view: view.world.version),
        "branch": constant(BRANCH.key),
        "source": constant(SOURCE.key),
        "downloaded": constant(value=True),
        "optional": constant(value=False),
        "require_license_feature": constant(""),
        "created": live(lambda _row, view: int(view.world.started_at) - 6_000_000),
    },
    links={
        "branch": Link("update_branches", lambda _row, _view: BRANCH),
        "source": Link("update_sources", lambda _row, _view: SOURCE),
    },
)


TABLES = (
    _UPDATE_SETTINGS,
    _UPDATE_SOURCE_STATUS,
    _UPDATE_PACKAGES,
    _UPDATE_BRANCHES,
    _UPDATE_SOURCES,
)
