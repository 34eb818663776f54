"""YAML values with their position, for error messages that name file, line and path."""

import re
from collections.abc import Collection
from typing import Any

import yaml

from exporter.errors import ConfigError
from exporter.simulator.api.faults import nearest

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}


class YamlDocument:
    """A mapping, list or scalar in a YAML file."""

    def __init__(self, node: yaml.Node, *, file: str, path: str = "") -> None:
        self._node = node
        self._file = file
        self.path = path

    @classmethod
    def read(cls, text: str, *, file: str) -> "YamlDocument":
        """
        Return the root value of a file's *text*.

        Raises:
            ConfigError: The text is empty or not YAML.

        """
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
            raise ConfigError(f"{file}, line {line}: {error.problem}") from error
        if node is None:
            raise ConfigError(f"{file}: the file is empty")
        return cls(node, file=file)

    def error(self, problem: str) -> ConfigError:
        """Return an error that names this position."""
        line = self._node.start_mark.line + 1
        where = f"{self.path}: " if self.path else ""
        return ConfigError(f"{self._file}, line {line}: {where}{problem}")

    def mapping(self, allowed: Collection[str] | None = None) -> "dict[str, YamlDocument]":
        """Return the keys and values of a mapping; only *allowed* keys are valid."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"must be a mapping, not {self._shown()}")
        found: dict[str, YamlDocument] = {}
        for key_node, value_node in self._node.value:
            key = YamlDocument(key_node, file=self._file, path=self.path)
            name = key.text()
            if allowed is not None and name not in allowed:
                raise key.error(f"unknown key {name!r}{nearest(name, tuple(allowed))}")
            if name in found:
                raise key.error(f"{name!r} is given twice")
            path = f"{self.path}.{name}" if self.path else name
            found[name] = YamlDocument(value_node, file=self._file, path=path)
        return found

    def items(self) -> "list[YamlDocument]":
        """Return the items of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"must be a list, not {self._shown()}")
        return [
            YamlDocument(node, file=self._file, path=f"{self.path}[{number}]")
            for number, node in enumerate(self._node.value)
        ]

    def text(self) -> str:
        """Return a scalar as text."""
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.error(f"must be text, not {self._shown()}")
        return str(self._node.value)

    def number(self, *, least: float, most: float) -> float:
        """Return a number from *least* to *most*."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"must be a number, not {self._shown()}")
        if not least <= value <= most:
            raise self.error(f"must be between {least:g} and {most:g}, not {value}")
        return float(value)

    def whole(self, *, least: int, most: int) -> int:
        """Return an integer from *least* to *most*."""
        value = self.number(least=least, most=most)
        if value != int(value):
            raise self.error(f"must be an integer, not {self._shown()}")
        return int(value)

    def seconds(self) -> float:
        """Return a duration such as ``45s``, ``2m`` or ``1.5h``, in seconds."""
        match = _DURATION.fullmatch(self.text().strip())
        if match is None:
            raise self.error(f"must be a duration such as 45s, 2m or 1.5h, not {self._shown()}")
        return float(match[1]) * _UNITS[match[2]]

    def value(self) -> Any:
        """Return the value as Python data."""
        if isinstance(self._node, yaml.MappingNode):
            return {name: one.value() for name, one in self.mapping().items()}
        if isinstance(self._node, yaml.SequenceNode):
            return [one.value() for one in self.items()]
        return yaml.safe_load(yaml.serialize(self._node))

    def _shown(self) -> str:
        if isinstance(self._node, yaml.ScalarNode):
            return repr(self._node.value)
        return "a mapping" if isinstance(self._node, yaml.MappingNode) else "a list"
