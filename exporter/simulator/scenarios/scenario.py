"""Scenarios: a simulated system and its scheduled events, read from a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.simulator.api.faults import FAULTS, FaultError, check_settings, nearest
from exporter.simulator.scenarios.schedule import RATES, ScheduledEvent, Subject, add_schedule
from exporter.simulator.scenarios.yaml_document import YamlDocument
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.events import EVENTS, Event
from exporter.simulator.world.factory import create_world
from exporter.simulator.world.world import World

MAX_VMS = 50_000
MAX_NODES = 500
MAX_PER_HOUR = 100_000

FILE_KEYS = (
    "about",
    "seed",
    "system",
    "vms",
    "clusters",
    "names",
    "stopped_share",
    "gpus",
    "tags",
    "schedule",
    "rates",
)
ENTRY_KEYS = (
    "at",
    "every",
    "jitter",
    "event",
    "fault",
    "vm",
    "role",
    "tag",
    "node",
    "count",
    "for",
    "with",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A system to simulate, and the events that happen to it."""

    name: str
    about: str = ""
    seed: int = 1
    system: str = "northwind"
    vms: int = 40
    clusters: tuple[ClusterPlan, ...] | None = None
    names: tuple[str, ...] = ()
    stopped_share: float = 0.06
    gpus: int = 0
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tags by VM name."""
    schedule: tuple[ScheduledEvent, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)

    def with_changes(self, *, seed: int | None = None, vms: int | None = None) -> "Scenario":
        """Return this scenario with another seed or number of VMs."""
        changed = replace(self, seed=self.seed if seed is None else seed)
        return changed if vms is None else replace(changed, vms=vms)

    def build(self, clock: Clock) -> World:
        """Create the world of this scenario, starting now."""
        world = create_world(
            seed=self.seed,
            vms=self.vms,
            start=clock.now().timestamp(),
            system_name=self.system,
            clusters=self.clusters,
            names=self.names[: self.vms],
            stopped_share=self.stopped_share,
            gpus=self.gpus,
        )
        for name, tags in self.tags.items():
            for vm in [one for one in world.live_vms() if one.name == name]:
                for tag in tags:
                    world.tag(vm, tag, user="admin")
        add_schedule(world, self.schedule, self.rates)
        return world


def built_in() -> tuple[str, ...]:
    """Return the names of the built-in scenarios."""
    return tuple(sorted(one.name.removesuffix(".yaml") for one in _files() if one.is_file()))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """
    Return a built-in scenario by name, or one from a file.

    Raises:
        ConfigError: There is none, or the file is invalid.

    """
    text_name = str(name_or_path)
    if text_name in built_in():
        file = resources.files(__package__) / f"{text_name}.yaml"
        return read_scenario(file.read_text(encoding="utf-8"), file=f"{text_name}.yaml")
    path = Path(name_or_path)
    if not path.is_file():
        problem = f"there is no scenario {text_name!r}, neither a file nor built in"
        raise ConfigError(problem + nearest(text_name, built_in()))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return read_scenario(text, file=str(path))


def read_scenario(text: str, *, file: str) -> Scenario:
    """
    Return the scenario in a file's *text*.

    Raises:
        ConfigError: The text is invalid; the message names file, line and key.

    """
    parts = YamlDocument.read(text, file=file).mapping(FILE_KEYS)
    scenario = Scenario(name=Path(file).stem)
    values: dict[str, Any] = {}
    for name, part in parts.items():
        values[name] = _READERS[name](part)
    return replace(scenario, **values)


def _files() -> list[Any]:
    folder = resources.files(__package__)
    return [one for one in folder.iterdir() if one.name.endswith(".yaml")]


def _clusters(part: YamlDocument) -> tuple[ClusterPlan, ...]:
    found = []
    for item in part.items():
        fields = item.mapping(("name", "nodes"))
        if len(fields) < len(("name", "nodes")):
            raise item.error("needs 'name' and 'nodes'")
        nodes = fields["nodes"].whole(least=1, most=MAX_NODES)
        found.append(ClusterPlan(fields["name"].text(), nodes))
    if not found:
        raise part.error("must have at least one cluster")
    return tuple(found)


def _names(part: YamlDocument) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for item in part.items():
        name = item.text()
        if name in names:
            raise item.error(f"{name!r} is given twice")
        names[name] = None
    return tuple(names)


def _tags(part: YamlDocument) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, tags in part.mapping().items():
        for tag in tags.items():
            _tag(tag)
        found[name] = tuple(tag.text() for tag in tags.items())
    return found


def _tag(part: YamlDocument) -> str:
    category, slash, name = part.text().partition("/")
    if not (slash and category and name):
        raise part.error(f"must be written category/tag, not {part.text()!r}")
    return part.text()


def _rates(part: YamlDocument) -> dict[str, float]:
    return {
        name: one.number(least=0, most=MAX_PER_HOUR) for name, one in part.mapping(RATES).items()
    }


def _schedule(part: YamlDocument) -> tuple[ScheduledEvent, ...]:
    return tuple(_entry(item) for item in part.items())


def _entry(line: YamlDocument) -> ScheduledEvent:
    fields = line.mapping(ENTRY_KEYS)
    if "at" not in fields and "every" not in fields:
        raise line.error("needs 'at' or 'every'")
    if ("event" in fields) == ("fault" in fields):
        raise line.error("needs either an 'event' or a 'fault'")
    every = fields["every"].seconds() if "every" in fields else None
    if every is not None and every <= 0:
        raise fields["every"].error("must be positive")
    at = fields["at"].seconds() if "at" in fields else every or 0.0
    jitter = fields["jitter"].seconds() if "jitter" in fields else 0.0
    lasting = fields["for"].seconds() if "for" in fields else None
    scheduled = _fault_line(fields) if "fault" in fields else _event_line(line, fields)
    return replace(scheduled, at=at, every=every, jitter=jitter, lasting=lasting)


def _fault_line(fields: Mapping[str, YamlDocument]) -> ScheduledEvent:
    for name in ("vm", "role", "tag", "node", "count"):
        if name in fields:
            raise fields[name].error("does not apply to a fault; set 'path' under 'with'")
    name = fields["fault"].text()
    if name not in FAULTS:
        raise fields["fault"].error(f"there is no fault {name!r}{nearest(name, FAULTS)}")
    settings = {key: one.value() for key, one in _with(fields).items()}
    try:
        check_settings(name, settings)
    except (FaultError, TypeError) as error:
        raise fields.get("with", fields["fault"]).error(str(error)) from error
    return ScheduledEvent(at=0.0, fault=name, parameters=settings)


def _event_line(line: YamlDocument, fields: Mapping[str, YamlDocument]) -> ScheduledEvent:
    name = fields["event"].text()
    if name not in EVENTS:
        raise fields["event"].error(f"there is no event {name!r}{nearest(name, EVENTS)}")
    event = EVENTS[name]
    if "for" in fields and event.undone_by is None:
        raise fields["for"].error(f"{name} has no duration")
    if event.subject == "node":
        for key in ("vm", "role", "tag"):
            if key in fields:
                raise fields[key].error(f"{name} applies to a node; set 'node'")
    parameters = _with(fields)
    for key, value in parameters.items():
        if key not in event.parameters and not (name == "changes"):
            raise value.error(f"{name} has no parameter {key!r}{nearest(key, event.parameters)}")
    required = _required(event)
    if missing := [word for word in required if word not in parameters]:
        raise line.error(f"{name} needs {missing[0]!r} under 'with'")
    values = {key: value.value() for key, value in parameters.items()}
    return ScheduledEvent(at=0.0, event=name, subject=_subject(fields), parameters=values)


def _required(event: Event) -> Sequence[str]:
    return [word for word in event.parameters if word in ("name", "tag")]


def _with(fields: Mapping[str, YamlDocument]) -> dict[str, YamlDocument]:
    return fields["with"].mapping() if "with" in fields else {}


def _subject(fields: Mapping[str, YamlDocument]) -> Subject:
    count: int | None = 1
    if "count" in fields and fields["count"].value() == "all":
        count = None
    elif "count" in fields:
        count = fields["count"].whole(least=1, most=MAX_VMS)
    return Subject(
        vm=_pattern(fields.get("vm")),
        role=fields["role"].text() if "role" in fields else None,
        tag=_tag(fields["tag"]) if "tag" in fields else None,
        node=_pattern(fields.get("node")),
        count=count,
    )


def _pattern(part: YamlDocument | None) -> str | None:
    """Return a name pattern; None for ``any``."""
    if part is None:
        return None
    return None if part.text() == "any" else part.text()


_READERS: Mapping[str, Any] = {
    "about": YamlDocument.text,
    "seed": lambda part: part.whole(least=0, most=2**53),
    "system": YamlDocument.text,
    "vms": lambda part: part.whole(least=1, most=MAX_VMS),
    "clusters": _clusters,
    "names": _names,
    "stopped_share": lambda part: part.number(least=0, most=1),
    "gpus": lambda part: part.whole(least=0, most=MAX_NODES),
    "tags": _tags,
    "schedule": _schedule,
    "rates": _rates,
}
