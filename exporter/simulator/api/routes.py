"""The VergeOS REST API, version 4, on a world; without sockets."""

from collections.abc import Mapping
from dataclasses import replace

from exporter.simulator.api.accounts import Accounts, Caller
from exporter.simulator.api.actions import ApiBehavior, act
from exporter.simulator.api.faults import NOTHING, ActiveFaults
from exporter.simulator.api.listing import list_rows, show_row
from exporter.simulator.api.messages import EMPTY, Answer, Call, error
from exporter.simulator.api.query import InvalidQueryError
from exporter.simulator.api.response_faults import with_response_faults
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.api.writes import WRITES
from exporter.simulator.api.writes.write import RefusedError, Write
from exporter.simulator.world.machines import Status
from exporter.simulator.world.world import World

ROOT = "/api/v4/"
TOKENS = "/api/sys/tokens"
NO_FAULTS: ActiveFaults = {}
FROZEN_TABLES = ("machine_status", "machines", "vms", "nodes")


class Api:
    """Handles requests, with faults of content; faults of transport are in `server`."""

    def __init__(self, world: World, accounts: Accounts, behavior: ApiBehavior) -> None:
        self._world = world
        self._accounts = accounts
        self._behaviour = behavior
        self._frozen: tuple[float, Mapping[int, Status]] | None = None
        self._stopped_clock: float | None = None

    def notice_faults(self) -> None:
        """Remember the view at which something froze; called whenever a fault changes."""
        faults = self._world.faults
        if not faults.active("frozen_writer"):
            self._frozen = None
        elif self._frozen is None:
            statuses = {key: one.status for key, one in self._world.machines.items()}
            self._frozen = (self._world.now, statuses)
        if not faults.active("frozen_clock"):
            self._stopped_clock = None
        elif self._stopped_clock is None:
            self._stopped_clock = self._world.now

    def caller(self, call: Call, *, at: float, faults: ActiveFaults = NO_FAULTS) -> Caller | None:
        """Return the authenticated caller, or None; *at* is in monotonic seconds."""
        caller = self._accounts.identify(call.headers, at=at)
        if caller is not None and "reject_key" in faults:
            if faults["reject_key"]["locks"]:
                self._accounts.refuse(caller.account.name, at=at)
            return None
        return caller

    def answer(
        self, call: Call, caller: Caller | None, *, at: float, faults: ActiveFaults = NO_FAULTS
    ) -> Answer:
        """Execute *call* and return its response."""
        if call.path == "/version.json":
            version = self._world.version
            return Answer(payload={"name": "v4", "version": version, "hash": "simulated"})
        if call.path == TOKENS and call.method == "POST":
            return self._log_in(call, at=at)
        if caller is None:
            return self._unauthorized(faults)
        if call.path.startswith(f"{TOKENS}/") and call.method == "DELETE":
            known = self._accounts.log_out(call.path.rpartition("/")[2])
            return Answer() if known else error(404, "Not found")
        if not call.path.startswith(ROOT):
            return error(404, "Not found")
        table, _, key = call.path.removeprefix(ROOT).strip("/").partition("/")
        return self._table(call, caller, table, key, faults)

    def _unauthorized(self, faults: ActiveFaults) -> Answer:
        empty = self._behaviour.empty_401 or (
            "reject_key" in faults and faults["reject_key"]["empty"]
        )
        return Answer(401, EMPTY) if empty else error(401, "Login required")

    def _log_in(self, call: Call, *, at: float) -> Answer:
        body = call.body if isinstance(call.body, dict) else NOTHING
        name = str(body.get("login", ""))
        token = self._accounts.log_in(name, str(body.get("password", "")), at=at)
        if token is None:
            self._world.platform_log.record(
                "login_failed", at=self._world.now, name=name, object_type="user", user=name
            )
            return error(401, "Login required")
        self._world.platform_log.record(
            "logged_in", at=self._world.now, name=name, object_type="user", user=name
        )
        location = {"location": f"/sys/tokens/{token}", "dbpath": f"tokens/{token}"}
        return Answer(201, {**location, "$row": 1, "$key": token})

    def _table(
        self, call: Call, caller: Caller, table: str, key: str, faults: ActiveFaults
    ) -> Answer:
        if table == "vm_actions":
            return self._act(call, caller, faults)
        if table not in TABLES:
            return error(404, f"Table '{table}' not found\n")
        if call.method == "GET":
            return self._read(call, table, key, faults)
        if not caller.account.may_write:
            return error(403, "Permission denied")
        return self._write(call, caller, table, key)

    def _write(self, call: Call, caller: Caller, table: str, key: str) -> Answer:
        writer = WRITES.get((call.method, table))
        if writer is None:
            return error(405, "Method not allowed")
        body = call.body if isinstance(call.body, dict) else {}
        try:
            return writer(Write(self._world, key, body, caller.account.name))
        except RefusedError as refused:
            return refused.answer
        except (TypeError, ValueError):
            return error(422, "Invalid argument")

    def _act(self, call: Call, caller: Caller, faults: ActiveFaults) -> Answer:
        if call.method != "POST":
            return error(405, "Method not allowed")
        if not caller.account.may_write:
            return error(403, "Permission denied")
        return act(
            self._world,
            call.body,
            user=caller.account.name,
            behavior=self._behaviour,
            faults=faults,
        )

    def _read(self, call: Call, name: str, key: str, faults: ActiveFaults) -> Answer:
        table, view = TABLES[name], self._moment(name, faults)
        try:
            if not key:
                joined = self._behaviour.joined_filters
                listing = list_rows(table, call.query, view, joined=joined)
                return with_response_faults(
                    Answer(payload=listing.rows, listing=listing), faults, view
                )
            shown = show_row(table, key, call.query.get("fields"), view)
        except InvalidQueryError:
            return error(422, "Invalid argument")
        if shown is None:
            return error(404, f"{name}/{key} - No such file or directory\n")
        return with_response_faults(Answer(payload=shown.rows[0], listing=shown), faults, view)

    def _moment(self, table: str, faults: ActiveFaults) -> RequestView:
        world = self._world
        view = RequestView(world, now=world.now, stamp=world.now)
        if "frozen_clock" in faults and self._stopped_clock is not None:
            view = replace(view, stamp=self._stopped_clock)
        if "frozen_writer" in faults and self._frozen is not None and table in FROZEN_TABLES:
            at, statuses = self._frozen
            view = replace(view, now=at, stamp=min(at, view.stamp), statuses=statuses)
        if "late_logs" in faults:
            view = replace(view, logs_until=world.now - faults["late_logs"]["seconds"])
        if "lost_logs" in faults:
            view = replace(view, logs_lost=faults["lost_logs"]["share"])
        return view
