"""Faults of certificates and licenses: they expire, or have expired."""

from collections.abc import Callable
from typing import Any

from exporter.simulator.api.fault_types import row_fault

DAY = 86_400


def _after_start(days: int) -> Callable[[Any, Any], int]:
    return lambda _row, view: int(view.world.started_at) + days * DAY


FAULTS = {
    "certificate_expiring": row_fault(
        "a certificate expires ten days after the start",
        certificates={"expires": _after_start(10)},
    ),
    "certificate_invalid": row_fault("a certificate is invalid", certificates={"valid": False}),
    "license_expiring": row_fault(
        "a license expires ten days after the start", licenses={"valid_until": _after_start(10)}
    ),
    "license_expired": row_fault(
        "a license expired a day before the start", licenses={"valid_until": _after_start(-1)}
    ),
}
