"""A network for tests: each replica has a namespace of its own, and links that can be cut."""

import ctypes
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from tests.daemon_process import PATIENCE_SECONDS

CLONE_NEWNET = 0x40000000
OWN_NAMESPACE = "/proc/thread-self/ns/net"
MAC = "02:00:00:00:00:01"
"""Of the far end of each link: known in advance, so that a replica never has to ask for it."""

_LIBC = ctypes.CDLL(None, use_errno=True)  # Python has unshare and setns since 3.12


class Peer(IntEnum):
    """What each replica has a link to; its number is the last one of the addresses."""

    POSTGRESQL = 1
    VERGEOS = 2
    OPERATOR = 3

    @property
    def address(self) -> str:
        return f"10.201.0.{self}"


def unavailable() -> str:
    """Return why no network can be made on this machine, which fails in CI; empty if one can."""
    trial = ["unshare", "--net", "ip", "link", "add", "type", "veth"]
    try:
        done = subprocess.run(trial, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        reason = str(error)
    else:
        reason = (done.stderr.strip() or str(done)) if done.returncode else ""
    assert not (reason and os.environ.get("CI")), f"{reason}: needs root and Debian's iproute2"
    return reason


class Network:
    """
    The peers, in the namespace of the calling thread, and the replicas.

    A replica has one link to each peer and no other interface, so no packet leaves this machine.
    """

    def __init__(self) -> None:
        self._replicas: dict[str, int] = {}

    def namespace(self, replica: str) -> str:
        """Return the path of a replica's namespace, which `enter` takes; make it if it is new."""
        if replica not in self._replicas:
            self._add(replica)
        return f"/proc/{os.getpid()}/fd/{self._replicas[replica]}"

    def address(self, replica: str, peer: Peer = Peer.OPERATOR) -> str:
        """Return the replica's address on its link to *peer*."""
        return f"10.201.{self._number(replica)}.{peer}"

    def cut(self, replica: str, *peers: Peer) -> None:
        """Let every packet between a replica and *peers* vanish: neither end is told."""
        self._set(replica, *peers, state="down")

    def heal(self, replica: str, *peers: Peer) -> None:
        self._set(replica, *peers, state="up")

    def heal_all(self) -> None:
        for replica in self._replicas:
            self.heal(replica, *Peer)

    def close(self) -> None:
        """Let go of the namespaces: the kernel deletes each with its last process."""
        for descriptor in self._replicas.values():
            os.close(descriptor)

    def _add(self, replica: str) -> None:
        with inside():
            self._replicas[replica] = os.open(OWN_NAMESPACE, os.O_RDONLY)
            _ip("link set lo up")
        links = [(self._link(replica, one), one, self.address(replica, one)) for one in Peer]
        for link, peer, address in links:
            _ip(
                f"link add {link} address {MAC} type veth "
                f"peer name {peer.name} netns {self.namespace(replica)}",
                f"address add {peer.address} peer {address} dev {link}",
                f"link set {link} up",
            )
        with inside(self.namespace(replica)):
            for _, peer, address in links:
                _ip(
                    f"address add {address} peer {peer.address} dev {peer.name}",
                    f"link set {peer.name} up",
                    # Else connecting fails at once when nothing answers for its MAC.
                    f"neighbor add {peer.address} lladdr {MAC} dev {peer.name} nud permanent",
                )
            _until_up(*(peer.name for _, peer, _ in links))
        _until_up(*(link for link, _, _ in links))

    def _set(self, replica: str, *peers: Peer, state: str) -> None:
        _ip(*(f"link set {self._link(replica, peer)} {state}" for peer in peers))

    def _link(self, replica: str, peer: Peer) -> str:
        """Return the name of the link's far end."""
        return f"{self._number(replica)}-{peer.name}"

    def _number(self, replica: str) -> int:
        return list(self._replicas).index(replica) + 1


@contextmanager
def network() -> Iterator[Network]:
    """Provide a network; the calling thread is in the namespace of the peers meanwhile."""
    with inside():
        _ip("link set lo up", *(f"address add {peer.address} dev lo" for peer in Peer))
        made = Network()
        try:
            yield made
        finally:
            made.close()


def enter(namespace: str) -> None:
    """Move the calling thread to the network namespace of this path."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        _call(_LIBC.setns(descriptor, CLONE_NEWNET))
    finally:
        os.close(descriptor)


@contextmanager
def inside(namespace: str = "") -> Iterator[None]:
    """Let the calling thread be in a network namespace meanwhile, in a new one without a path."""
    own = os.open(OWN_NAMESPACE, os.O_RDONLY)
    try:
        if namespace:
            enter(namespace)
        else:
            _call(_LIBC.unshare(CLONE_NEWNET))
        yield
    finally:
        _call(_LIBC.setns(own, CLONE_NEWNET))
        os.close(own)


def _call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*commands: str) -> None:
    """Execute commands of ``ip`` in the namespace of the calling thread."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def _until_up(*links: str) -> None:
    """Return when *links* of the calling thread's namespace carry packets: new ones drop some."""
    until = time.monotonic() + PATIENCE_SECONDS  # noqa: TID251 - of the kernel
    while True:
        shown = subprocess.run(["ip", "-json", "link"], capture_output=True, check=True)
        states = {link["ifname"]: link["operstate"] for link in json.loads(shown.stdout)}
        if all(states[link] == "UP" for link in links):
            return
        assert time.monotonic() < until, states  # noqa: TID251
        time.sleep(0.02)
