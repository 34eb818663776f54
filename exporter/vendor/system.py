"""The system, as the vendor's exporter shows it; what is unknown is an empty label."""

from typing import Any, NamedTuple

from exporter.collectors.update_settings import UPDATE_SETTINGS, newest_version
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import IDENTITY
from exporter.vendor.families import ones, vendor_gauge, vendor_group


class _System(NamedTuple):
    """What the labels show."""

    version: str
    latest: str
    branch: str
    version_hash: str


def _system(view: RenderView) -> _System | None:
    identity = view.inventory.identity
    if identity is None:
        return None
    settings: Any = list(view.rows(UPDATE_SETTINGS.name).values())
    return _System(
        identity.version,
        newest_version(view.inventory),
        (settings[0].branch_name or "") if settings else "",
        identity.version_hash,
    )


def _running(view: RenderView) -> Items:
    found = _system(view)
    return _one(view, found.version) if found is not None else Items([], [])


def _all(view: RenderView) -> Items:
    found = _system(view)
    if found is None:
        return Items([], [])
    return _one(view, found.version, found.latest, found.branch, found.version_hash)


def _branch(view: RenderView) -> Items:
    found = _system(view)
    return _one(view, found.branch) if found is not None and found.branch else Items([], [])


def _latest(view: RenderView) -> Items:
    found = _system(view)
    return _one(view, found.latest) if found is not None and found.latest else Items([], [])


def _one(view: RenderView, *labels: str) -> Items:
    return Items([(view.system, *map(escape, labels))], [None])


_TABLES = f"{IDENTITY} update_settings update_source_packages"
_VERSION = vendor_group("version", "system_name version", IDENTITY, _running)
_INFO = vendor_group(
    "system", "system_name current_version latest_version branch hash", _TABLES, _all
)
_BRANCH = vendor_group("branch", "system_name branch", _TABLES, _branch)
_LATEST = vendor_group("latest version", "system_name version", _TABLES, _latest)

FAMILIES = (
    vendor_gauge("system_version", _VERSION, "Always 1; the running version is a label", ones),
    vendor_gauge("system_info", _INFO,
                 "Always 1; versions, update branch and hash are labels", ones),
    vendor_gauge("system_branch", _BRANCH, "Always 1; the update branch is a label", ones),
    vendor_gauge("system_version_latest", _LATEST,
                 "Always 1; the newest version that is offered is a label", ones),
)  # fmt: skip
