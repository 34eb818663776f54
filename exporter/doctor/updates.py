"""Checks of the updates of VergeOS."""

import re
from collections.abc import Iterator
from typing import Any

from exporter.collectors.update_settings import UPDATE_PACKAGES, UPDATE_SETTINGS, newest_version
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")


def _updates(inventory: Inventory) -> Iterator[Finding]:
    settings: Any = inventory.sources[UPDATE_SETTINGS.name]
    if any(row.reboot_required for row in settings.values()):
        yield Finding(Level.WARNING, "VergeOS", "a restart of the nodes is required")


def _updates_available(inventory: Inventory) -> Iterator[Finding]:
    running = inventory.identity.version if inventory.identity else ""
    newest = newest_version(inventory)
    if (ours := _number(running)) and (theirs := _number(newest)) and theirs > ours:
        yield Finding(
            Level.WARNING, "VergeOS", f"version {newest} is available, {running} is running"
        )


def _number(version: str) -> tuple[int, ...]:
    """Return the parts of a version such as ``26.1.8``; none if it has another form."""
    found = _VERSION.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()


CHECKS = (
    Check(
        "updates",
        "VergeOS requires no restart of its nodes.",
        (UPDATE_SETTINGS.name,),
        _updates,
        "Restart the nodes one after the other, in maintenance mode.",
        "VergeRebootRequired",
        "VergeOS requires a restart of its nodes.",
    ),
    Check(
        "updates_available",
        "The update source offers no newer version than the running one.",
        (UPDATE_SETTINGS.name, UPDATE_PACKAGES.name),
        _updates_available,
        "Read the release notes and plan the update.",
        "VergeUpdateAvailable",
        "A newer version of VergeOS is available.",
    ),
)
