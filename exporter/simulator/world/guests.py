"""Operating systems of the VMs, as their guest agents describe them."""

from dataclasses import dataclass

from exporter.simulator.world.machines import Filesystem, Guest
from exporter.simulator.world.rng import Rng

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class System:
    """An operating system."""

    family: str
    description: str
    name: str
    version: str
    identifier: str
    kernel: str
    filesystem: str


SYSTEMS = {
    "ubuntu": System(
        "linux", "Ubuntu 24.04 LTS", "Ubuntu", "24.04", "ubuntu", "6.8.0-48-generic", "ext4"
    ),
    "debian": System(
        "linux", "Debian 12", "Debian GNU/Linux", "12", "debian", "6.1.0-27-amd64", "ext4"
    ),
    "rocky": System(
        "linux", "Rocky Linux 9", "Rocky Linux", "9.4", "rocky", "5.14.0-427.el9.x86_64", "xfs"
    ),
    "windows": System(
        "windows",
        "Windows Server 2022",
        "Microsoft Windows",
        "Microsoft Windows Server 2022",
        "mswindows",
        "20348",
        "NTFS",
    ),
    "freebsd": System(
        "freebsd", "FreeBSD 14", "FreeBSD", "14.1", "freebsd", "14.1-RELEASE-p5", "ufs"
    ),
    "appliance": System("other", "", "", "", "", "", ""),
}


def guest(system: System, *, hostname: str, sizes: list[int], rng: Rng) -> Guest:
    """Return what the agent of a guest with disks of these *sizes* (bytes) reports."""
    return Guest(
        agent_version="8.2.1" if system.family == "linux" else "107.0.1",
        pretty_name=system.description,
        name=system.name,
        version=system.version,
        identifier=system.identifier,
        kernel=system.kernel,
        hostname=hostname,
        address=f"10.{rng.randrange(8, 64)}.{rng.randrange(256)}.{rng.randrange(2, 254)}",
        filesystems=tuple(_filesystems(system, sizes, rng)),
        lists_as_maps=rng.chance(0.3),
        connects_after=rng.uniform(6, 25),
    )


def _filesystems(system: System, sizes: list[int], rng: Rng) -> list[Filesystem]:
    windows = system.family == "windows"
    letters = ("C:\\", "D:\\", "E:\\", "F:\\")
    mounts = ("/", "/srv", "/var/lib/data", "/backup")
    found = [
        Filesystem(
            name=f"\\\\?\\Volume{{{number}}}\\" if windows else f"vd{'abcd'[number]}1",
            kind=system.filesystem,
            mountpoint=(letters if windows else mounts)[number],
            total_bytes=int(size * 0.97),
            used_share=round(rng.triangular(0.08, 0.93, 0.45), 4),
        )
        for number, size in enumerate(sizes[:4])
    ]
    if not windows and rng.chance(0.5):
        found.append(Filesystem("vda15", "vfat", "/boot/efi", 109_395_456, 0.058))
    return found
