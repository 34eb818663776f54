"""YAML that an operator writes. Errors name the file and the line, and repeat no value of it."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from exporter.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Safe YAML loader that rejects duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key_node.value} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, path: Path) -> Any:
    """
    Return the document in *text*, the content of the file at *path*.

    Raises:
        ConfigError: It is not one YAML document.

    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: a value cannot be converted, such as an invalid date") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise ConfigError(f"{path}{line}: {problem}") from None
