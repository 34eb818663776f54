"""Storage: the hardware of physical drives, and the tiers of clusters and of the whole system."""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.simulator.world.load import Load
from exporter.simulator.world.rng import Rng

DRIVE_BYTES = 3840 * 10**9
DRIVES_PER_NODE = 4
GROWTH_PER_SECOND = 0.02 / 2_592_000
"""Two percent a month."""
HOUR = 3600.0
RATED_HOURS = 43_800
SECONDS_BEFORE_START = 30 * 86_400
READS_PER_DRIVE, WRITES_PER_DRIVE = 180, 420

TIER_SHARES = {0: 0.02, 1: 0.44, 3: 0.0}
"""Storage tiers and the share of each that is used; one without drives has a row too."""


@dataclass(slots=True)
class StorageTier:
    """A storage tier of a cluster; one without drives has a capacity of 0."""

    key: int
    number: int
    cluster: int
    capacity_bytes: int
    used_bytes: int
    status: str = "online"
    repairs: int = 0

    @property
    def name(self) -> str:
        return str(self.number)

    def used(self, seconds: float) -> int:
        """Return the used bytes, *seconds* after the start of the world: they grow slowly."""
        grown = int(self.used_bytes * (1 + GROWTH_PER_SECOND * seconds))
        return min(self.capacity_bytes, grown)


@dataclass(frozen=True, slots=True)
class SystemTier:
    """A storage tier of the whole system: the sum of those of the clusters."""

    number: int
    parts: tuple[StorageTier, ...]

    @property
    def key(self) -> int:
        return self.number

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def capacity_bytes(self) -> int:
        return sum(tier.capacity_bytes for tier in self.parts)

    def used(self, seconds: float) -> int:
        return sum(tier.used(seconds) for tier in self.parts)

    @property
    def dedupe_percent(self) -> int:
        """Return the deduplication ratio as VergeOS counts it; tier 0 has the metadata."""
        return 138 + 3 * self.number if self.number else 100

    def operations(self, per_drive: int, *, start: float, at: float) -> int:
        """Return the operations until *at* of a world that began at *start*."""
        drives = self.capacity_bytes / DRIVE_BYTES
        seconds = self._load.active_seconds(start - SECONDS_BEFORE_START, at)
        return int(per_drive * drives * seconds)

    def operations_per_second(self, per_drive: int, at: float) -> int:
        return int(per_drive * self.capacity_bytes / DRIVE_BYTES * self._load.rate(at))

    @property
    def _load(self) -> Load:
        return Load(level=1.0, phase=float(self.number), memory_share=0.0)


def system_tiers(tiers: Iterable[StorageTier]) -> tuple[SystemTier, ...]:
    """Return the tiers of a system by number."""
    by_number: dict[int, list[StorageTier]] = {}
    for tier in tiers:
        by_number.setdefault(tier.number, []).append(tier)
    return tuple(SystemTier(number, tuple(by_number[number])) for number in sorted(by_number))


def tier_of_drive(number: int, drives: int) -> int:
    """Return the tier of a node's drive: the first one of several is for metadata."""
    return 0 if number == 0 and drives > 1 else 1


def tier_bytes(tier: int, *, nodes: int, drives_per_node: int) -> int:
    """Return the capacity of a tier in a cluster."""
    numbers = [tier_of_drive(number, drives_per_node) for number in range(drives_per_node)]
    return numbers.count(tier) * DRIVE_BYTES * nodes


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware of a physical drive, as its SMART values show it; it is healthy."""

    path: str
    model: str
    firmware: str
    slot: int
    hours_at_start: int
    wear_per_hour: float
    """Share of its rated writes, 0 to 1."""
    base_temperature: float
    latency_microseconds: float

    def hours(self, seconds: float) -> int:
        """Return the hours of operation, *seconds* after the start of the world."""
        return self.hours_at_start + int(seconds / HOUR)

    def wear_percent(self, seconds: float) -> int:
        return int(100 * self.wear_per_hour * self.hours(seconds))


def hardware(serial: str, number: int) -> Hardware:
    """Return the hardware of the drive *number* of a node; the same for the same serial number."""
    rng = Rng(serial)
    model, firmware = rng.choice(
        (
            ("SAMSUNG MZQL23T8HCLS-00A07", "GDC5602Q"),
            ("Micron_7450_MTFDKCC3T8TFS", "E2MU200"),
            ("INTEL SSDPF2KX038T1", "9CV10450"),
        )
    )
    return Hardware(
        path=f"/dev/nvme{number}n1",
        model=model,
        firmware=firmware,
        slot=number + 1,
        hours_at_start=rng.randrange(2_000, 30_000),
        wear_per_hour=rng.uniform(0.15, 0.6) / RATED_HOURS,
        base_temperature=rng.uniform(31.0, 38.0),
        latency_microseconds=rng.uniform(90.0, 240.0),
    )
