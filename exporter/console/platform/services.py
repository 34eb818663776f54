"""Networks, tenants, protection, certificates and licenses as tables."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from exporter.collectors.certificates import CERTIFICATES
from exporter.collectors.licenses import LICENSES
from exporter.collectors.replication import INCOMING, OUTGOING, outgoing_syncs
from exporter.collectors.tenants import TENANTS
from exporter.collectors.vm_snapshots import MACHINE_SNAPSHOTS, NONE, due_times
from exporter.collectors.vnets import VNETS, VnetRow
from exporter.console.platform.sheet import (
    Column,
    Kind,
    Sheet,
    SheetRow,
    judged,
    moment,
    worst_first,
)
from exporter.console.table_access import absence
from exporter.console.tones import CRITICAL, WARNING
from exporter.exposition.view import RenderView
from exporter.vergeos.rows import key_number, lower_case

SOON = timedelta(days=30)
"""Before the end of a certificate or license, as the doctor judges it."""
TROUBLED = ("warning", "error")
ALWAYS_ON = "power_on"


def networks(view: RenderView) -> Sheet:
    """Return each virtual network."""
    columns = (
        Column("Network"), Column("Type"), Column("Cluster"), Column("Enabled", Kind.YES_NO),
        Column("Router"), Column("MTU", Kind.NUMBER),
    )  # fmt: skip
    rows = worst_first(_network(view, row) for row in view.rows(VNETS.name).values())
    absent = "" if rows else absence(view.inventory, view.report, VNETS.name)
    return Sheet("networks", "Networks", columns, rows, absent)


def _network(view: RenderView, row: VnetRow) -> SheetRow:
    is_on = row.enabled is not False
    stopped = row.running is False and row.on_power_loss == ALWAYS_ON
    pending = [
        what
        for what, is_pending in (
            ("firewall rules", row.need_fw_apply),
            ("DNS", row.need_dns_apply),
            ("a restart", row.need_restart),
        )
        if is_pending
    ]
    return judged(
        (
            row.label, row.type, view.clusters[key_number(row.cluster)], row.enabled,
            row.router_status or None, row.mtu,
        ),
        (WARNING, "router in trouble" if is_on and row.router_state in TROUBLED else ""),
        (WARNING, "router not running" if is_on and stopped else ""),
        (WARNING, f"waits for {', '.join(pending)}" if pending else ""),
    )  # fmt: skip


def tenants(view: RenderView) -> Sheet:
    """Return each tenant."""
    columns = (
        Column("Tenant"), Column("Running", Kind.YES_NO), Column("Status"),
        Column("Started", Kind.DAY),
    )  # fmt: skip
    rows = [
        judged(
            (row.name, row.running, row.tenant_status or None, moment(row.started)),
            (WARNING, "in trouble" if row.tenant_state in TROUBLED else ""),
        )
        for row in view.rows(TENANTS.name).values()
    ]
    absent = "" if rows else absence(view.inventory, view.report, TENANTS.name)
    return Sheet("tenants", "Tenants", columns, worst_first(rows), absent)


def snapshots(view: RenderView) -> Sheet:
    """Return the VMs whose snapshot is overdue."""
    columns = (Column("VM"), Column("Newest snapshot", Kind.AGE), Column("Due", Kind.AGE))
    taken = view.rows(MACHINE_SNAPSHOTS.name)
    machines = {str(vm.config.key): vm.config for vm in view.inventory.vms}
    due, now = due_times(view), view.inventory.taken_at.timestamp()
    rows = []
    for (_, key, *_), at in zip(due.identities, due.objects, strict=True):
        if at < now:
            config = machines[key]
            newest = moment(taken.get(config.machine, NONE).newest_at)
            values = (config.name, newest, moment(at))
            rows.append((at, judged(values, (WARNING, "overdue"))))
    rows.sort(key=lambda one: one[0])
    is_known = MACHINE_SNAPSHOTS.name in view.inventory.sources
    absent = "" if is_known else absence(view.inventory, view.report, MACHINE_SNAPSHOTS.name)
    return Sheet("snapshots", "Overdue snapshots", columns, [row for _, row in rows], absent)


def syncs(view: RenderView) -> Sheet:
    """Return each sync with another site."""
    columns = (
        Column("Sync"), Column("Direction"), Column("Enabled", Kind.YES_NO), Column("Status"),
        Column("Last good sync", Kind.AGE),
    )  # fmt: skip
    rows = worst_first([*_outgoing(view), *_incoming(view)])
    absent = "" if rows else absence(view.inventory, view.report, OUTGOING.name)
    return Sheet("syncs", "Replication", columns, rows, absent)


def _outgoing(view: RenderView) -> Iterator[SheetRow]:
    for sync in outgoing_syncs(view).objects:
        row, runs = sync.row, sync.runs
        succeeded = moment(runs.succeeded_at) if runs is not None else None
        yield judged(
            (_name(row.name, row), "sends", row.enabled, lower_case(row.status), succeeded),
            (WARNING, "its newest run failed" if sync.failed and row.enabled is not False else ""),
        )


def _incoming(view: RenderView) -> Iterator[SheetRow]:
    for row in view.rows(INCOMING.name).values():
        is_wrong = lower_case(row.status) == "error" or lower_case(row.state) == "error"
        yield judged(
            (
                _name(row.name, row), "receives", row.enabled, lower_case(row.status),
                moment(row.last_sync),
            ),
            (WARNING, "in trouble" if is_wrong else ""),
        )  # fmt: skip


def certificates(view: RenderView) -> Sheet:
    """Return each certificate."""
    columns = (
        Column("Domain"), Column("Type"), Column("Valid", Kind.YES_NO), Column("Expires", Kind.DAY),
    )  # fmt: skip
    rows = []
    for row in view.rows(CERTIFICATES.name).values():
        expires = moment(row.expires)
        invalid = (CRITICAL, "not valid" if row.valid is False else "")
        values = (_name(row.domain, row), row.type, row.valid, expires)
        rows.append(judged(values, invalid, _end(expires, view.inventory.taken_at)))
    absent = "" if rows else absence(view.inventory, view.report, CERTIFICATES.name)
    return Sheet("certificates", "Certificates", columns, worst_first(rows), absent)


def licenses(view: RenderView) -> Sheet:
    """Return each license."""
    columns = (
        Column("License"), Column("Valid from", Kind.DAY), Column("Valid until", Kind.DAY),
        Column("Renewed automatically", Kind.YES_NO),
    )  # fmt: skip
    now, rows = view.inventory.taken_at, []
    for row in view.rows(LICENSES.name).values():
        begins, ends = moment(row.valid_from), moment(row.valid_until)
        early = (CRITICAL, "not valid yet" if begins is not None and now < begins else "")
        values = (_name(row.name, row), begins, ends, row.auto_renewal)
        rows.append(judged(values, early, _end(ends, now)))
    absent = "" if rows else absence(view.inventory, view.report, LICENSES.name)
    return Sheet("licenses", "Licenses", columns, worst_first(rows), absent)


def _end(end: datetime | None, now: datetime) -> tuple[str, str]:
    """Return the problem of what ends then."""
    if end is None or end - now > SOON:
        return WARNING, ""
    return (CRITICAL, "expired") if end <= now else (WARNING, "expires soon")


def _name(name: str | None, row: Any) -> str:
    return name or f"#{key_number(row.key)}"
