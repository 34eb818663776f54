"""The VergeOS REST API, version 4, on a world; without sockets."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.simulator.api.accounts import Accounts, Caller
from exporter.simulator.api.actions import ApiBehavior, act
from exporter.simulator.api.faults import NOTHING, ActiveFaults
from exporter.simulator.api.listing import list_rows, show_row
from exporter.simulator.api.messages import EMPTY, Answer, Call, error
from exporter.simulator.api.query import InvalidQueryError
from exporter.simulator.api.response_faults import with_response_faults
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.machines import VM, Status
from exporter.simulator.world.world import World

ROOT = "/api/v4/"
TOKENS = "/api/sys/tokens"
WRITABLE = {
    "name",
    "description",
    "enabled",
    "on_power_loss",
    "ha_group",
    "preferred_node",
    "need_restart",
    "migration_method",
    "guest_agent",
}
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
        try:
            answer = self._write(call, caller, table, key)
        except (TypeError, ValueError):
            answer = error(422, "Invalid argument")
        return answer or error(405, "Method not allowed")

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

    # Writing.

    def _write(self, call: Call, caller: Caller, table: str, key: str) -> Answer | None:
        body = call.body if isinstance(call.body, dict) else {}
        user = caller.account.name
        match call.method, table:
            case "POST", "tag_members":
                return self._tag(body, user)
            case "DELETE", "tag_members":
                return self._untag(key, user)
            case "PUT", "vms":
                return self._change_vm(key, body, user)
            case "DELETE", "vms":
                return self._delete_vm(key, user)
            case "PUT", "machine_status":
                return self._force_status(key, body, user)
            case "PUT", "settings":
                return error(422, "field 'key' is readonly")
            case "PUT", "alarms":
                return self._snooze(key, body)
        return None

    def _tag(self, body: Mapping[str, Any], user: str) -> Answer:
        world = self._world
        tag, vm = world.tags.get(int(body.get("tag", 0))), self._vm_of(body.get("member"))
        if tag is None or vm is None:
            return error(404, "Error setting field 'member' - No such file or directory\n")
        member = f"vms/{vm.key}"
        if any(row.tag is tag and row.member == member for row in world.tag_members.values()):
            return error(409, "Error: tag member already exists\n")
        row = world.add_tag(tag, vm, user=user)
        location = f"tag_members/{row.key}"
        return Answer(
            201,
            {
                "location": f"/v4/{location}",
                "dbpath": location,
                "$row": row.key,
                "$key": str(row.key),
            },
        )

    def _untag(self, key: str, user: str) -> Answer:
        world = self._world
        row = world.tag_members.pop(int(key), None)
        if row is None:
            return _missing("tag_members", key)
        vm = self._vm_of(row.member)
        if vm is not None:
            world.power.record(vm.machine, "untagged", user=user, tag=row.tag.name)
        return Answer()

    def _change_vm(self, key: str, body: Mapping[str, Any], user: str) -> Answer:
        world = self._world
        vm = world.vms.get(int(key))
        if vm is None:
            return _missing("vms", key)
        changes = {name: value for name, value in body.items() if name in WRITABLE}
        name = str(changes.pop("name", vm.name))
        if name != vm.name:
            if any(other.name == name for other in world.live_vms()):
                return error(409, "Error: name already in use\n")
            world.renames(vm, name, user=user)
        if changes:
            world.changes(vm, user=user, **changes)
        return Answer()

    def _delete_vm(self, key: str, user: str) -> Answer:
        vm = self._world.vms.get(int(key))
        if vm is None:
            return _missing("vms", key)
        if vm.machine.status.running:
            return error(422, "Virtual Machine must be stopped to delete\n")
        self._world.deletes(vm, user=user)
        return Answer()

    def _force_status(self, key: str, body: Mapping[str, Any], user: str) -> Answer:
        world = self._world
        shown = show_row(
            TABLES["machine_status"], key, "machine", RequestView(world, world.now, world.now)
        )
        machine = shown.rows[0]["machine"] if shown is not None else None
        vm = next((one for one in world.vms.values() if one.machine.key == machine), None)
        if vm is None:
            return _missing("machine_status", key)
        fields = {"word" if name == "status" else name: value for name, value in body.items()}
        world.forces_status(vm, user=user, **fields)
        return Answer()

    def _snooze(self, key: str, body: Mapping[str, Any]) -> Answer:
        alarm = self._world.alarms.get(int(key))
        if alarm is None:
            return _missing("alarms", key)
        alarm.snooze = int(body.get("snooze", 0))
        return Answer()

    def _vm_of(self, member: object) -> VM | None:
        table, _, key = str(member).rpartition("/")
        return self._world.vms.get(int(key)) if table == "vms" and key.isdecimal() else None


def _missing(table: str, key: str) -> Answer:
    return error(404, f"{table}/{key} - No such file or directory\n")
