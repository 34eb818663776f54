"""Fleets that hypothesis makes up: of a few things that often meet, or of any values at all."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from exporter.model import (
    Cluster,
    Disk,
    DiskStats,
    Filesystem,
    Guest,
    Identity,
    MachineStats,
    MachineStatus,
    Nic,
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
    nic,
    report,
    status,
    table,
)

Rows = dict[str, Any]
MACHINES = (11, 12, 13)
NODE_MACHINES = (91, 92)
DISKS = (111, 112, 121, 131)

# Any values at all

texts = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", "\n", '\\"', "\\n", "%s", "{}", "\r\n", "\u2028", "\x00", "é🦊", "שלום", 'a"} 1\n#']
)
numbers = (
    st.integers(-(2**63), 2**63)
    | st.floats(width=64)
    | st.sampled_from([0, 1, 4_095, 4_096, 999_999, 1_000_000, 2**53, 0.1, 1e-9])
).filter(lambda number: str(number) != "-0.0")
tallies = st.integers(0, 2**63) | st.sampled_from([0, 999_999, 1_000_000])
perhaps = st.none() | numbers
tally = st.none() | tallies
flags = st.none() | st.booleans()


@st.composite
def vms(draw: st.DrawFn) -> tuple[VMConfig, ...]:
    keys = draw(st.lists(st.integers(1, 3), unique=True, max_size=3).map(sorted))
    return tuple(
        VMConfig(
            key=key,
            machine=key + 10,
            name=draw(texts),
            uuid=draw(texts),
            enabled=draw(flags),
            need_restart=draw(flags),
            cpu_cores=draw(perhaps),  # type: ignore[arg-type]
            memory_bytes=draw(perhaps),  # type: ignore[arg-type]
            cluster=draw(st.sampled_from([None, 1, 2])),
            os_family=draw(texts),
            machine_type="",
            ha_group=draw(texts),
            on_power_loss="",
            created_from="",
            guest_agent=draw(flags),
            service=draw(st.booleans()),
            disable_powercycle=draw(flags),
        )
        for key in keys
    )


filesystems = st.builds(
    Filesystem, mountpoint=texts, kind=st.just("ext4"), size_bytes=tally, used_bytes=tally
)
guests = st.builds(
    Guest,
    os_name=texts,
    os_version=texts,
    kernel=texts,
    hostname=texts,
    memory_total_bytes=tally,
    memory_used_bytes=perhaps,
    filesystems=st.lists(filesystems, max_size=2).map(tuple),
    refreshed_at=perhaps,
)
states = st.builds(
    MachineStatus,
    machine=st.just(0),
    running=flags,
    powered_on=flags,
    word=st.sampled_from(["running", "stopped", "levitating"]),
    word_info=st.just(""),
    state=st.just("online"),
    migratable=flags,
    node=st.sampled_from([None, 1, 2]),
    started_at=perhaps,
    updated_at=perhaps,
    running_cpu_cores=tally,
    running_memory_bytes=tally,
    agent_version=texts,
)
cards = st.builds(
    Nic,
    key=st.integers(1, 9),
    machine=st.just(0),
    name=texts,
    status=st.none() | texts,
    speed_bytes_per_second=perhaps,
    received_bytes=tally,
    transmitted_bytes=tally,
    received_packets=tally,
    transmitted_packets=tally,
)
drives = st.builds(
    Disk,
    key=st.sampled_from(DISKS),
    machine=st.just(0),
    name=texts,
    media=texts,
    interface=texts,
    tier=texts,
    size_bytes=perhaps,
    used_bytes=perhaps,
)
any_rows = st.fixed_dictionaries(
    {"vms": vms()},
    optional={
        "identity": st.builds(Identity, cloud_name=texts, version=texts),
        "vm_snapshots": st.integers(0, 2**40),
        "clusters": st.dictionaries(st.integers(1, 2), st.builds(Cluster, st.just(0), texts)),
        "nodes": st.dictionaries(
            st.integers(1, 2),
            st.builds(
                Node,
                key=st.just(0),
                name=texts,
                cluster=st.sampled_from([None, 1, 3]),
                machine=st.sampled_from([None, *NODE_MACHINES]),
                maintenance=flags,
                status=st.none(),
            ),
        ),
        "machine_status": st.dictionaries(st.sampled_from(MACHINES + NODE_MACHINES), states),
        "guests": st.dictionaries(st.sampled_from(MACHINES), guests),
        "machine_stats": st.dictionaries(
            st.sampled_from(MACHINES), st.builds(MachineStats, st.just(0), perhaps, perhaps)
        ),
        "machine_nics": st.dictionaries(
            st.sampled_from(MACHINES), st.lists(cards, max_size=2).map(tuple)
        ),
        "machine_drives": st.dictionaries(
            st.sampled_from(MACHINES), st.lists(drives, max_size=2).map(tuple)
        ),
        "machine_drive_stats": st.dictionaries(
            st.sampled_from(DISKS),
            st.builds(
                DiskStats,
                disk=st.just(0),
                reads=tally,
                writes=tally,
                read_bytes=tally,
                written_bytes=tally,
                utilization_ratio=perhaps,
                service_time_seconds=perhaps,
            ),
        ),
    },
)
any_reports: st.SearchStrategy[SystemReport] = st.builds(
    report,
    system_name=texts,
    up=st.booleans(),
    taken_at=st.sampled_from([None, AT]),
    requests_remaining=tallies,
    tables=st.lists(
        st.builds(
            table,
            st.sampled_from(["vms", "machine_status"]),  # ours, and never odd
            success=flags,
            last_success_at=st.sampled_from([None, AT]),
            duration_seconds=perhaps,
            rows=tally,
            failures_total=tallies,
        ),
        max_size=2,
    ).map(tuple),
)

# A few things that often meet

names = st.sampled_from(["web", "db", 'q"\\', "two\nlines"])


def _some(machines: tuple[int, ...], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(machines), value, max_size=len(machines))


few_states = st.builds(
    status,
    st.just(0),
    word=st.sampled_from(["running", "stopped", "migrating", "levitating"]),
    running=flags,
    node=st.sampled_from([None, 1, 2, 3]),
    running_cpu_cores=st.sampled_from([None, 0, 2]),
)
few_guests = st.sampled_from(
    [
        GUEST,
        msgspec.structs.replace(
            GUEST,
            hostname="other",
            filesystems=(Filesystem("/", "", 1, 1), Filesystem("/a", "", None, 2)),
        ),
    ]
)
few_rows: dict[str, st.SearchStrategy[Any]] = {
    "identity": st.builds(Identity, names, st.sampled_from(["", "26.1.8"])),
    "vm_snapshots": st.sampled_from([0, 1, 1000]).map(lambda count: count + 0),
    "clusters": st.dictionaries(st.integers(1, 2), st.builds(Cluster, st.just(0), names)),
    "nodes": st.dictionaries(
        st.integers(1, 2),
        st.builds(
            Node,
            key=st.just(0),
            name=names,
            cluster=st.sampled_from([None, 1, 2]),
            machine=st.sampled_from([None, *NODE_MACHINES]),
            maintenance=flags,
            status=st.none(),
        ),
    ),
    "vms": st.dictionaries(
        st.integers(1, 3),
        st.builds(config, st.just(0), names, cluster=st.sampled_from([None, 1, 2]), enabled=flags),
    ).map(
        lambda found: tuple(
            msgspec.structs.replace(found[key], key=key, machine=key + 10) for key in sorted(found)
        )
    ),
    "machine_status": _some(MACHINES + NODE_MACHINES, few_states),
    "guests": _some(MACHINES, few_guests),
    "machine_stats": _some(
        MACHINES,
        st.builds(MachineStats, st.just(0), st.sampled_from([None, 0.0, 0.5, 1]), st.just(5)),
    ),
    "machine_nics": _some(
        MACHINES,
        st.lists(
            st.builds(nic, st.integers(1, 9), st.just(0), names, received_bytes=tally), max_size=2
        ).map(tuple),
    ),
    "machine_drives": _some(
        MACHINES,
        st.lists(
            st.builds(disk, st.sampled_from(DISKS), st.just(0), names, size_bytes=tally), max_size=2
        ).map(tuple),
    ),
    "machine_drive_stats": _some(
        DISKS, st.builds(disk_stats, st.just(0), reads=st.sampled_from([None, 1, 2]))
    ),
}
"""By table, what may be read of it."""

few_tables: st.SearchStrategy[tuple[TableReport, ...]] = st.lists(
    st.builds(table, st.sampled_from(["vms", "nodes"]), success=flags, failures_total=tallies),
    max_size=2,
).map(tuple)
