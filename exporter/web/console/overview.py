"""The page ``/``: how each system and its VMs are doing, the worst first."""

from aiohttp import web

from exporter.console.fleet import count_conditions
from exporter.console.health import reason_of, state_of
from exporter.web.console.console import Console


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the overview."""
    vms, now = console.vms(), console.clock.now()
    systems = [
        {
            "report": state.report,
            "state": state_of(state.report).value,
            "reason": reason_of(state.report, now),
            "conditions": count_conditions(
                vm for vm in vms if vm.system == state.report.system_name
            ),
        }
        for state in console.states()
    ]
    return await console.page(request, "overview.html", {"systems": systems})
