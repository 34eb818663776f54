"""A simulated system of few VMs that are all enrolled, and that stay down when they crash."""

from exporter.simulator import Timings, create_world
from exporter.simulator.world.world import World
from tests.daemon_process import REAL_TIME


def enrolled_world(vms: int, *, seed: int = 1) -> World:
    """Return a system of *vms* VMs, one of which belongs to a service and is never acted on."""
    world = create_world(
        seed=seed,
        vms=vms,
        start=REAL_TIME.now().timestamp(),
        stopped_share=0.0,
        timings=Timings(running=0.1),
    )
    for vm in world.live_vms():
        for tag in [tag for tag in world.tags_of(vm) if tag.startswith("recovery/")]:
            world.untag(vm, tag)
        world.tag(vm, "recovery/auto")
        # A new daemon cannot tell a crash from a power cut, after which some are left off.
        vm.on_power_loss = "last_state"
    return world
