"""Hypothesis strategies for the tables of a system: with any values, or with a few that collide."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from exporter.collectors.disks import DriveRow, DriveStatsRow
from exporter.collectors.guests import MemInfo
from exporter.model import (
    Cluster,
    Identity,
    MachineStatus,
    Node,
    SystemReport,
    TableReport,
    VMConfig,
)
from tests.exposition.builders import (
    AT,
    GUEST,
    config,
    disk,
    disk_stats,
    filesystem,
    guest,
    load,
    nic,
    report,
    status,
    table,
)

Rows = dict[str, Any]
MACHINES = (11, 12, 13)
NODE_MACHINES = (91, 92)
DISKS = (111, 112, 121, 131)

# Any values

texts = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", "\n", '\\"', "\\n", "%s", "{}", "\r\n", "\u2028", "\x00", "é🦊", "שלום", 'a"} 1\n#']
)
numbers = (
    st.integers(-(2**63), 2**63)
    | st.floats(width=64)
    | st.sampled_from([0, 1, 4_095, 4_096, 999_999, 1_000_000, 2**53, 0.1, 1e-9])
).filter(lambda number: str(number) != "-0.0")
counts = st.integers(0, 2**63) | st.sampled_from([0, 999_999, 1_000_000])
optional_numbers = st.none() | numbers
optional_counts = st.none() | counts
optional_percents = st.none() | st.integers(0, 100) | st.floats(0, 100)
optional_booleans = st.none() | st.booleans()


@st.composite
def vms(draw: st.DrawFn) -> tuple[VMConfig, ...]:
    keys = draw(st.lists(st.integers(1, 3), unique=True, max_size=3).map(sorted))
    return tuple(
        VMConfig(
            key=key,
            machine=key + 10,
            name=draw(texts),
            uuid=draw(texts),
            enabled=draw(optional_booleans),
            need_restart=draw(optional_booleans),
            cpu_cores=draw(optional_numbers),  # type: ignore[arg-type]
            memory_bytes=draw(optional_numbers),  # type: ignore[arg-type]
            cluster=draw(st.sampled_from([None, 1, 2])),
            os_family=draw(texts),
            machine_type="",
            ha_group=draw(texts),
            on_power_loss="",
            created_from="",
            guest_agent=draw(optional_booleans),
            service=draw(st.booleans()),
            disable_powercycle=draw(optional_booleans),
        )
        for key in keys
    )


filesystems = st.builds(filesystem, texts, optional_counts, optional_counts)
guests = st.builds(
    guest,
    pretty_name=texts,
    version=texts,
    kernel_release=texts,
    memory=st.builds(MemInfo, optional_counts, optional_numbers),
    hostname=texts,
    fsinfo=st.lists(filesystems, max_size=2),
    last_refresh=optional_numbers,
)
statuses = st.builds(
    MachineStatus,
    machine=st.just(0),
    running=optional_booleans,
    powered_on=optional_booleans,
    word=st.sampled_from(["running", "stopped", "levitating"]),
    state=st.just("online"),
    migratable=optional_booleans,
    node=st.sampled_from([None, 1, 2]),
    started_at=optional_numbers,
    updated_at=optional_numbers,
    running_cpu_cores=optional_counts,
    running_memory_bytes=optional_counts,
    agent_version=texts,
)
nics = st.builds(
    nic,
    st.integers(1, 9),
    st.just(0),
    texts,
    status=texts,
    speed=optional_percents,
    rx_bytes=optional_counts,
    tx_bytes=optional_counts,
    rx_pckts=optional_counts,
    tx_pckts=optional_counts,
)
disks = st.builds(
    DriveRow,
    key=st.sampled_from(DISKS),
    machine=st.just(0),
    name=texts,
    media=texts,
    interface=texts,
    preferred_tier=texts,
    disksize=optional_numbers,
    used_bytes=optional_numbers,
)


def nodes(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[int, Node]]:
    node = st.builds(
        Node,
        key=st.just(0),
        name=names,
        cluster=st.sampled_from([None, 1, 2, 3]),
        machine=st.sampled_from([None, *NODE_MACHINES]),
        maintenance=optional_booleans,
        status=st.none(),
    )
    return st.dictionaries(st.integers(1, 2), node)


any_rows = st.fixed_dictionaries(
    {"vms": vms()},
    optional={
        "identity": st.builds(Identity, cloud_name=texts, version=texts),
        "clusters": st.dictionaries(st.integers(1, 2), st.builds(Cluster, st.just(0), texts)),
        "nodes": nodes(texts),
        "machine_status": st.dictionaries(st.sampled_from(MACHINES + NODE_MACHINES), statuses),
        "guests": st.dictionaries(st.sampled_from(MACHINES), guests),
        "machine_stats": st.dictionaries(
            st.sampled_from(MACHINES),
            st.builds(load, optional_percents, optional_numbers),
        ),
        "machine_nics": st.dictionaries(
            st.sampled_from(MACHINES), st.lists(nics, max_size=2).map(tuple)
        ),
        "machine_drives": st.dictionaries(
            st.sampled_from(MACHINES), st.lists(disks, max_size=2).map(tuple)
        ),
        "machine_drive_stats": st.dictionaries(
            st.sampled_from(DISKS),
            st.builds(
                DriveStatsRow,
                reads=optional_counts,
                writes=optional_counts,
                read_bytes=optional_counts,
                write_bytes=optional_counts,
                util=optional_percents,
                service_time=optional_percents,
            ),
        ),
    },
)
any_reports: st.SearchStrategy[SystemReport] = st.builds(
    report,
    system_name=texts,
    up=st.booleans(),
    taken_at=st.sampled_from([None, AT]),
    requests_remaining=counts,
    tables=st.lists(
        st.builds(
            table,
            st.sampled_from(["vms", "machine_status"]),  # from our own code: never an unusual name
            success=optional_booleans,
            last_success_at=st.sampled_from([None, AT]),
            duration_seconds=optional_numbers,
            rows=optional_counts,
            failures_total=counts,
        ),
        max_size=2,
    ).map(tuple),
)

# A few values, so that equal ones are likely

names = st.sampled_from(["web", "db", 'q"\\', "two\nlines"])


def _some(keys: tuple[int, ...], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(keys), value, max_size=len(keys))


few_statuses = st.builds(
    status,
    st.just(0),
    word=st.sampled_from(["running", "stopped", "migrating", "levitating"]),
    running=optional_booleans,
    node=st.sampled_from([None, 1, 2, 3]),
    running_cpu_cores=st.sampled_from([None, 0, 2]),
)
few_guests = st.sampled_from(
    [
        GUEST,
        guest(hostname="other", fsinfo=[filesystem("/", 1, 1), filesystem("/a", None, 2)]),
    ]
)
few_rows: dict[str, st.SearchStrategy[Any]] = {
    "identity": st.builds(Identity, names, st.sampled_from(["", "26.1.8"])),
    "clusters": st.dictionaries(st.integers(1, 2), st.builds(Cluster, st.just(0), names)),
    "nodes": nodes(names),
    "vms": st.dictionaries(
        st.integers(1, 3),
        st.builds(
            config,
            st.just(0),
            names,
            cluster=st.sampled_from([None, 1, 2]),
            enabled=optional_booleans,
        ),
    ).map(
        lambda found: tuple(
            msgspec.structs.replace(found[key], key=key, machine=key + 10) for key in sorted(found)
        )
    ),
    "machine_status": _some(MACHINES + NODE_MACHINES, few_statuses),
    "guests": _some(MACHINES, few_guests),
    "machine_stats": _some(
        MACHINES,
        st.builds(load, st.sampled_from([None, 0.0, 50.0, 100]), st.just(5)),
    ),
    "machine_nics": _some(
        MACHINES,
        st.lists(
            st.builds(nic, st.integers(1, 9), st.just(0), names, rx_bytes=optional_counts),
            max_size=2,
        ).map(tuple),
    ),
    "machine_drives": _some(
        MACHINES,
        st.lists(
            st.builds(disk, st.sampled_from(DISKS), st.just(0), names, disksize=optional_counts),
            max_size=2,
        ).map(tuple),
    ),
    "machine_drive_stats": _some(DISKS, st.builds(disk_stats, reads=st.sampled_from([None, 1, 2]))),
}
"""By table, its rows."""

few_tables: st.SearchStrategy[tuple[TableReport, ...]] = st.lists(
    st.builds(
        table, st.sampled_from(["vms", "nodes"]), success=optional_booleans, failures_total=counts
    ),
    max_size=2,
).map(tuple)
