"""The inventory of a simulated system, without a server and a client between."""

import json
from datetime import UTC, datetime

from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.model import Inventory
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.world import World


def inventory_of(world: World) -> Inventory:
    """Return the inventory of *world* as it is now."""
    view = RequestView(world=world, now=world.now, stamp=world.now)
    rows = {}
    for table in tables_of(COLLECTORS):
        query = {"fields": ",".join(table.fields), "filter": table.condition(now=world.now)}
        found = list_rows(TABLES[table.endpoint], query, view, joined="work").rows
        rows[table.name] = table.decode(json.dumps(found).encode()).rows
    at = datetime.fromtimestamp(world.now, UTC)
    return join(rows, system_name=world.system_name, identity=None, taken_at=at)
