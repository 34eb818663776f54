"""Which guests a request asks for, and how they are addressed: the parameters of its URL."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from exporter.formatting import nearest_or_all

Network = IPv4Network | IPv6Network
MAX_PORT = 65_535
MAX_VALUES = 16
"""Of one parameter: the work for a request must stay small."""


class TargetQuery(NamedTuple):
    """
    The parameters of a request.

    Values of one parameter are alternatives, and capitals do not matter. An empty set selects all.
    """

    system: frozenset[str] = frozenset()
    cluster: frozenset[str] = frozenset()
    tag: frozenset[str] = frozenset()
    """Each ``category/name``, or a category."""
    os: frozenset[str] = frozenset()
    port: int | None = None
    network: tuple[Network, ...] = ()

    def selects(self, *, cluster: str, os: str, tags: Iterable[str]) -> bool:
        """Return whether it asks for a guest with these properties."""
        return (
            (not self.cluster or cluster.casefold() in self.cluster)
            and (not self.os or os.casefold() in self.os)
            and (not self.tag or any(map(self._has_tag, tags)))
        )

    def _has_tag(self, tag: str) -> bool:
        tag = tag.casefold()
        return tag in self.tag or any(tag.startswith(f"{one}/") for one in self.tag)


def parse_query(parameters: Mapping[str, Sequence[str]]) -> TargetQuery:
    """
    Return the query with these *parameters*.

    Raises:
        ValueError: One is unknown, or has an invalid value.

    """
    for name, values in parameters.items():
        if name not in TargetQuery._fields:
            known = nearest_or_all(name, TargetQuery._fields)
            raise ValueError(f"the parameter {name} is unknown{known}")
        if len(values) > MAX_VALUES:
            raise ValueError(f"the parameter {name} has more than {MAX_VALUES} values")

    def words(name: str) -> frozenset[str]:
        values = frozenset(value.casefold() for value in parameters.get(name, ()))
        if "" in values:
            raise ValueError(f"the parameter {name} is empty")
        return values

    return TargetQuery(
        system=words("system"),
        cluster=words("cluster"),
        tag=words("tag"),
        os=words("os"),
        port=_port(parameters.get("port", ())),
        network=tuple(_network(value) for value in parameters.get("network", ())),
    )


def port_number(text: str) -> int | None:
    """Return the port that *text* names, or None if it names none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT))
    return int(text) if is_number and 1 <= int(text) <= MAX_PORT else None


def _port(values: Sequence[str]) -> int | None:
    if not values:
        return None
    number = port_number(values[0])
    if len(values) > 1 or number is None:
        raise ValueError(f"the parameter port is {', '.join(values)}; it is one number, 1 to 65535")
    return number


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"the parameter network is {text}; write it like 10.20.0.0/16") from None
