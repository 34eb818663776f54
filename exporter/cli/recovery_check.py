"""One look at recovery, for a person: whom it would look after, and how it is stopped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from exporter.clock import Clock
from exporter.config.recovery_setup import directory, recovery_setup, token
from exporter.config.systems import ResolvedSystem
from exporter.daemon.clients import connect_actions, make_session
from exporter.errors import ConfigError, VergeOSError
from exporter.model import Inventory
from exporter.recovery.model.cases import Enrolment, OnHang
from exporter.recovery.observe.enrolment import enrol_all
from exporter.recovery.observe.inventory_checks import is_eligible
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.inventory import join
from exporter.vergeos.tables import VMS


class CareFinding(NamedTuple):
    """What there is to say of recovery in a cloud."""

    mode: str
    vms: int | None
    """How many there are; None where they, or their tags, cannot be read."""
    enrolled: Mapping[str, int]
    """How many are looked after, by where that is said."""
    directory: str
    kill_switch: str
    steered: bool
    """Whether there is a token, without which nobody can pause or disarm it from here."""
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    """What may be meant so, and may not."""


def look_at_care(
    resolved: ResolvedSystem, rows: Mapping[str, Any], clock: Clock, action_problem: str
) -> CareFinding:
    """
    Return what recovery would do in *cloud*.

    Args:
        rows: Of the tables that could be read, by their names.
        action_problem: Why its credential for acting is refused; empty when it is not.

    """
    settings = resolved.recovery
    made = recovery_setup(settings, resolved.recovery_mode)
    place, problems = directory(settings), [action_problem] if action_problem else []
    steered = False
    try:
        steered = token(settings) is not None
    except ConfigError as error:
        problems.append(f"recovery.token_file: {error}")
    if not _can_be_written(place):
        problems.append(f"recovery.directory: {place} cannot be written by this user")
    inventory = join(rows, system_name="", identity=None, taken_at=clock.now())
    known = VMS.name in rows and inventory.tags is not None
    enrolments = enrol_all(inventory, made.enrolment_rules) if known else {}
    enrolled = _enrolled(inventory, enrolments)
    return CareFinding(
        mode=made.limits.mode.value,
        vms=len(inventory.vms) if known else None,
        enrolled=enrolled,
        directory=str(place),
        kill_switch=made.kill_switch_file,
        steered=steered,
        problems=tuple(problems),
        notes=(
            *(
                f"{rule.title} fits no VM, or none that another rule or tag does not speak for"
                for rule in made.enrolment_rules
                if known and rule.policy is not None and rule.policy.acts
                if rule.title not in enrolled
            ),
            *_of_kills(enrolments.values(), made.own_user),
        ),
    )


def _of_kills(enrolments: Iterable[Enrolment], own_user: str) -> Iterator[str]:
    """Yield what to bear in mind where VMs that hang may be killed to be started anew."""
    may = any(one.policy.acts and one.on_hang is OnHang.POWER_CYCLE for one in enrolments)
    if may and not own_user:
        yield (
            "recovery.own_user is not set: if the answer to a kill is lost, nobody can tell that "
            "it was ours, and the VM stays off until a person starts it"
        )


def _enrolled(inventory: Inventory, enrolments: Mapping[str, Enrolment]) -> Mapping[str, int]:
    """Return how many VMs would be started if they crashed, by where that is said."""
    return Counter(
        enrolment.because
        for vm in inventory.vms
        if (enrolment := enrolments.get(vm.config.uuid)) is not None
        if enrolment.policy.acts and is_eligible(vm, enrolment)
    )


async def refusal_to_act(resolved: ResolvedSystem, client: VergeOSClient, clock: Clock) -> str:
    """Return why the credential for acting is refused; empty when it is not, or there is none."""
    system = resolved.system
    if system.action_api_key is None and system.action_api_key_file is None:
        return ""
    async with make_session(system.tls, keeps_connections=False) as session:
        meter = Telemetry().meter(resolved.host)
        hand = connect_actions(resolved, session, meter, clock, client.budget)
        try:
            query = {"fields": "$key", "limit": "1"}
            await hand.read(VMS.path, query, endpoint=VMS.name)
        except (ConfigError, VergeOSError) as error:
            return f"action_api_key: {error}"
        finally:
            await hand.close()
    return ""


def _can_be_written(place: Path) -> bool:
    """Return whether *place* is a directory to write to, or could be made one; tries it."""
    there = next((one for one in (place, *place.parents) if one.exists()), Path("/"))
    try:
        with TemporaryDirectory(dir=there):
            return True
    except OSError:
        return False
