"""Faults of the API that can be turned on: what exists, and the injector that applies them."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from exporter.errors import VergewatchError
from exporter.simulator.api.fault_types import API_ROOT, FaultType, Parameter
from exporter.simulator.api.subject_faults import SUBJECT_FAULTS
from exporter.simulator.world.rng import Rng

ACTIONS = "/api/v4/vm_actions"
NOTHING: Mapping[str, Any] = MappingProxyType({})


class FaultError(VergewatchError):
    """An unknown fault or parameter, or an invalid value."""


def _share(default: float, about: str = "share of the rows") -> Parameter:
    return Parameter(default, about, least=0.0, most=1.0)


_AFTER = Parameter(default=False, about="apply the fault after the request took effect")

FAULTS: Mapping[str, FaultType] = {
    "latency": FaultType(
        "responses are delayed",
        {"seconds": Parameter(1.0, "delay in seconds", least=0.0), "after": _AFTER},
    ),
    "hang": FaultType(
        "no response until the fault is turned off or the client disconnects", {"after": _AFTER}
    ),
    "status": FaultType(
        "responses are errors",
        {
            "code": Parameter(500, "the HTTP status", least=400, most=599),
            "text": Parameter("internal error", "the error text"),
            "after": _AFTER,
        },
    ),
    "reset": FaultType("the connection is reset before the request takes effect"),
    "reset_after": FaultType("the connection is reset after the request took effect"),
    "reset_before_acting": FaultType("like reset, for actions only", path=ACTIONS, method="POST"),
    "reset_after_acting": FaultType(
        "like reset_after, for actions only", path=ACTIONS, method="POST"
    ),
    "truncate": FaultType(
        "responses are cut in half",
        {
            "mode": Parameter(
                "length",
                "length: the body is shorter than Content-Length; json: the JSON is incomplete",
                choices=("length", "json"),
            )
        },
    ),
    "html": FaultType("responses are an HTML login page with status 200"),
    "wrong_types": FaultType(
        "numbers become strings, booleans become objects", {"share": _share(0.2)}
    ),
    "object_instead_of_list": FaultType("lists are objects"),
    "missing_key": FaultType("rows have no $key", {"share": _share(0.1)}),
    "duplicate_keys": FaultType("rows are repeated", {"share": _share(0.1)}),
    "unknown_status": FaultType(
        "rows have an unknown status",
        {"word": Parameter("defragmenting", "the status"), "share": _share(0.1)},
    ),
    "oversize": FaultType(
        "responses are padded with spaces",
        {"mebibytes": Parameter(101.0, "padding", least=0.0, most=512.0)},
    ),
    "frozen_writer": FaultType("statuses stay as they were when the fault was turned on"),
    "frozen_clock": FaultType("last_update and local_time stop"),
    "short_list": FaultType(
        "rows are missing", {"keep": _share(0.5, "share of the rows that are returned")}
    ),
    "empty_list": FaultType("lists are empty"),
    "late_logs": FaultType(
        "log rows become visible late", {"seconds": Parameter(30.0, "delay in seconds", least=0.0)}
    ),
    "lost_logs": FaultType("some log rows never appear", {"share": _share(0.2)}),
    "outage": FaultType(
        "the API is unreachable",
        {
            "mode": Parameter(
                "refuse",
                "refuse: the port is closed; abort: connections are reset at once",
                choices=("refuse", "abort"),
            )
        },
    ),
    "reject_key": FaultType(
        "all credentials are refused",
        {
            "locks": Parameter(default=True, about="count refusals towards the lockout"),
            "empty": Parameter(default=False, about="send an empty body"),
        },
    ),
    "string_keys": FaultType("keys are strings"),
    "expanded_keys": FaultType("foreign keys are objects"),
    "null_subrows": FaultType("sub-rows are null"),
    "missing_stats": FaultType("rows of statistics are missing", {"share": _share(0.3)}),
    "empty_arrays": FaultType("objects are empty arrays"),
    "null_nodes": FaultType("machines have no node"),
    "accepted_but_never_starts": FaultType(
        "power-on is accepted with 201 and has no effect",
        {"word": Parameter("stopped", "the status it keeps")},
        path=ACTIONS,
        method="POST",
    ),
    "no_capacity": FaultType(
        "power-on is refused for lack of resources",
        {"code": Parameter(422, "the HTTP status", least=400, most=599)},
        path=ACTIONS,
        method="POST",
    ),
    "busy": FaultType(
        "actions are refused because of another operation on the VM",
        {
            "code": Parameter(409, "the HTTP status", least=400, most=599),
            "text": Parameter("Error: VM is locked: operation in progress", "the error text"),
        },
        path=ACTIONS,
        method="POST",
    ),
    "storage_tier": FaultType(
        "a storage tier has another status",
        {
            "word": Parameter("offline", "the status"),
            "cluster": Parameter("", "the cluster's name; empty: every cluster"),
            "tier": Parameter(1, "its number", least=0, most=5),
            "repairs_per_minute": Parameter(0, "how fast its repairs grow", least=0),
        },
        path=f"{API_ROOT}cluster_tiers",
    ),
    "platform_update": FaultType(
        "VergeOS is being updated",
        {
            "word": Parameter(
                "applying",
                "the status of the update source",
                choices=("refreshing", "downloading", "installing", "applying"),
            )
        },
        path=f"{API_ROOT}update_*",
    ),
    "missing_devices": FaultType(
        "devices passed through to VMs are missing",
        {"vm": Parameter("", "the VM's name; empty: every VM")},
        path=f"{API_ROOT}machine_devices",
    ),
    **SUBJECT_FAULTS,
}

PLACES = ("path", "method", "probability", "times", "lasting")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is turned on."""

    name: str
    path: str | None
    """A path or a pattern such as ``/api/v4/machine_*``; None: everywhere."""
    method: str | None
    probability: float
    times: int | None
    """Requests left until the fault turns itself off; None: no limit."""
    until: float | None
    """Unix seconds at which the fault turns itself off; None: never."""
    parameters: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def applies_to(self, method: str, path: str) -> bool:
        if self.method is not None and self.method != method:
            return False
        if self.path is None:
            return True
        return fnmatchcase(path, self.path) or path.startswith(f"{self.path}/")


ActiveFaults = Mapping[str, Fault]
"""The faults that apply to one request, by name."""


class FaultInjector:
    """Turns faults on and off, and chooses those that apply to a request."""

    def __init__(self, *, seed: int = 0, time: Callable[[], float] = lambda: 0.0) -> None:
        self.time = time
        self.watchers: list[Callable[[], None]] = []
        self.row_faults: tuple[Fault, ...] = ()
        """Those that are on and change rows, see `FaultType.rows`."""
        self._rng = Rng(seed)
        self._on: dict[tuple[str, str | None], Fault] = {}

    def turn_on(
        self,
        name: str,
        *,
        path: str | None = None,
        method: str | None = None,
        probability: float = 1.0,
        times: int | None = None,
        lasting: float | None = None,
        **parameters: Any,
    ) -> Fault:
        """
        Turn a fault on; replace the same fault for the same path.

        Args:
            name: A key of `FAULTS`.
            path: A path, a table's name or a pattern; None: the fault's default, or everywhere.
            method: An HTTP method; None: the fault's default, or all.
            probability: Share of the requests that it applies to, 0 to 1.
            times: Requests until it turns itself off.
            lasting: Seconds until it turns itself off.
            parameters: Parameters of the fault.

        Raises:
            FaultError: The fault or a parameter is unknown, or a value is invalid.

        """
        kind = _known(name)
        _check("probability", probability, Parameter(1.0, "", least=0.0, most=1.0), name)
        place = _place(path) or kind.path
        fault = Fault(
            name=name,
            path=place,
            method=method or kind.method,
            probability=probability,
            times=times,
            until=None if lasting is None else self.time() + lasting,
            parameters=_parameters(name, kind, parameters),
        )
        self._on[name, place] = fault
        self._notify()
        return fault

    def turn_off(self, name: str, *, path: str | None = None) -> bool:
        """Turn a fault off, for one *path* or for all; return whether it was on."""
        _known(name)
        place = _place(path)
        gone = [key for key in self._on if key[0] == name and place in (None, key[1])]
        for key in gone:
            del self._on[key]
        if gone:
            self._notify()
        return bool(gone)

    def clear(self) -> None:
        """Turn all faults off."""
        self._on.clear()
        self._notify()

    @contextmanager
    def on(self, name: str, **settings: Any) -> Iterator[Fault]:
        """Turn a fault on for a ``with`` block."""
        fault = self.turn_on(name, **settings)
        try:
            yield fault
        finally:
            if self._on.pop((fault.name, fault.path), None) is not None:
                self._notify()

    def active(self, name: str | None = None) -> tuple[Fault, ...]:
        """Return the faults that are on."""
        if not self._on:
            return ()  # tables ask for every row
        self._expire()
        return tuple(fault for fault in self._on.values() if name in (None, fault.name))

    def next_expiry(self) -> float | None:
        """Return when the next fault turns itself off, in Unix seconds."""
        return min((f.until for f in self._on.values() if f.until is not None), default=None)

    def faults_for(self, method: str, path: str) -> ActiveFaults:
        """Return the faults that apply to a request, and count it against their ``times``."""
        self._expire()
        hits: dict[str, Fault] = {}
        for key, fault in tuple(self._on.items()):
            if not fault.applies_to(method, path):
                continue
            if fault.probability < 1.0 and not self._rng.chance(fault.probability):
                continue
            hits[fault.name] = fault
            if fault.times is not None:
                self._count_down(key, fault)
        return hits

    def _count_down(self, key: tuple[str, str | None], fault: Fault) -> None:
        left = (fault.times or 0) - 1
        if left > 0:
            self._on[key] = replace(fault, times=left)
        else:
            del self._on[key]
            self._notify()

    def _expire(self) -> None:
        now = self.time()
        over = [key for key, f in self._on.items() if f.until is not None and f.until <= now]
        for key in over:
            del self._on[key]
        if over:
            self._notify()

    def _notify(self) -> None:
        self.row_faults = tuple(fault for fault in self._on.values() if FAULTS[fault.name].rows)
        for watcher in tuple(self.watchers):
            watcher()


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `FaultError` if `FaultInjector.turn_on` does not accept these settings."""
    FaultInjector().turn_on(name, **settings)


def _place(path: str | None) -> str | None:
    """Return the full path of a path or table name."""
    return path if path is None or path.startswith("/") else API_ROOT + path


def _known(name: str) -> FaultType:
    if name in FAULTS:
        return FAULTS[name]
    raise FaultError(f"there is no fault {name!r}{nearest(name, FAULTS)}")


def nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Return a suffix for an error message about the unknown *name*."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid: {', '.join(known)}" if known else "; it has none"


def _parameters(name: str, kind: FaultType, given: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in given:
        if key not in kind.parameters:
            known = (*kind.parameters, *PLACES)
            raise FaultError(f"{name} has no parameter {key!r}{nearest(key, known)}")
    values = {}
    for key, parameter in kind.parameters.items():
        values[key] = given.get(key, parameter.default)
        _check(key, values[key], parameter, name)
    return MappingProxyType(values)


def _check(key: str, value: Any, parameter: Parameter, fault: str) -> None:
    default = parameter.default
    if isinstance(default, bool | str):
        valid, wanted = isinstance(value, type(default)), type(default).__name__
    else:
        valid, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    if not valid:
        raise FaultError(f"{fault}.{key} must be {wanted}, not {value!r}")
    if parameter.choices and value not in parameter.choices:
        allowed = " or ".join(parameter.choices)
        raise FaultError(f"{fault}.{key} must be {allowed}, not {value!r}")
    if parameter.least is not None and value < parameter.least:
        raise FaultError(f"{fault}.{key} must be at least {parameter.least:g}, not {value!r}")
    if parameter.most is not None and value > parameter.most:
        raise FaultError(f"{fault}.{key} must be at most {parameter.most:g}, not {value!r}")
