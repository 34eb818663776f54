"""Writes to ``settings``, whose key is read-only."""

from collections.abc import Mapping

from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.writes.write import Write, Writer


def _change(_write: Write) -> Answer:
    return error(422, "field 'key' is readonly")


WRITES: Mapping[tuple[str, str], Writer] = {("PUT", "settings"): _change}
