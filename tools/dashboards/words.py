"""
Words that are values of labels: statuses, recovery states, readiness.

Grafana's state timeline needs one series with a number per VM; the metrics have one series per
word. `LabelValues.codes` turns the latter into the former, `code_texts` turns the numbers back.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from exporter.recovery.report import presentation
from tools.dashboards.panels import DARK_GREY, GREY, Color, Texts, texts
from tools.dashboards.queries import series


class Meaning(NamedTuple):
    """Words that are shown as one text."""

    text: str
    color: Color
    words: tuple[str, ...]


class LabelValues(NamedTuple):
    """The values of a label of an info metric. The code of a meaning is its place, from 1."""

    metric: str
    label: str
    meanings: tuple[Meaning, ...]

    def codes(self, by: str, *matchers: str) -> str:
        """Return PromQL for the largest code for each *by*; 0 is a word without a meaning."""
        choices = [
            f"{code} * {series(self.metric, *matchers, among(self.label, meaning.words))}"
            for code, meaning in enumerate(self.meanings, start=1)
        ]
        known = "|".join(word for meaning in self.meanings for word in meaning.words)
        unknown = series(self.metric, *matchers, f'{self.label}!~"{known}"')
        return f"max by ({by}) ({' or '.join([*choices, f'0 * {unknown}'])})"

    def code_texts(self) -> Texts:
        """Return the texts of the codes."""
        shown = {str(code): one[:2] for code, one in enumerate(self.meanings, start=1)}
        return texts({**shown, "0": ("Unknown value", "purple")})

    def texts(self) -> Texts:
        """Return the texts of the words."""
        return texts({word: one[:2] for one in self.meanings for word in one.words})

    def colors(self) -> Mapping[str, Color]:
        """Return the colors of the words."""
        return {word: one.color for one in self.meanings for word in one.words}


def among(label: str, words: Collection[str]) -> str:
    """Return a matcher for any of *words*."""
    return f'{label}{"=~" if len(words) > 1 else "="}"{"|".join(words)}"'


STATUSES = LabelValues(
    "vm_status_info",
    "status",
    (
        Meaning(
            "Running", "green", ("running", "needsrefresh", "needsrestart", "driversreloading")
        ),
        Meaning("Starting", "light-blue", ("starting", "initializing", "importing")),
        Meaning(
            "Migrating", "blue", ("initmigrate", "startmigrate", "migrating", "migratecomplete")
        ),
        Meaning("Stopping", GREY, ("stopping", "hibernating")),
        Meaning("Stopped", DARK_GREY, ("stopped",)),
        Meaning("Hibernated", "purple", ("hibernated",)),
        Meaning("Maintenance", "purple", ("maintenance", "leavingmaintenance")),
        Meaning("Waiting", "orange", ("waitingforresources", "unlicensed")),
        Meaning("Unresponsive", "red", ("unresponsive",)),
        Meaning("Error", "semi-dark-red", ("error",)),
    ),
)
"""Statuses of VMs and nodes in VergeOS."""

ROUTER_STATUSES = STATUSES._replace(metric="vnet_status_info")
"""Statuses of the routers of networks."""

TENANT_STATUSES = LabelValues(
    "tenant_status_info",
    "status",
    (
        Meaning("Online", "green", ("online",)),
        Meaning("Starting", "light-blue", ("starting", "provisioning", "restarting")),
        Meaning("Migrating", "blue", ("migrating",)),
        Meaning("Stopping", GREY, ("stopping",)),
        Meaning("Offline", DARK_GREY, ("offline",)),
        Meaning("Reduced", "orange", ("reduced",)),
        Meaning("Nodes offline", "red", ("nodesoffline",)),
        Meaning("Error", "semi-dark-red", ("error", "errormigrating")),
    ),
)
"""Statuses of tenants in VergeOS."""

TROUBLE = ("waitingforresources", "unlicensed", "unresponsive", "error")
"""Statuses that indicate a problem."""

_COLORS: Mapping[presentation.Tone, Color] = {
    presentation.Tone.GOOD: "green",
    presentation.Tone.MOVING: "blue",
    presentation.Tone.QUIET: DARK_GREY,
    presentation.Tone.WARN: "orange",
    presentation.Tone.BAD: "red",
}


def _presented(tones: Mapping[str, presentation.Tone]) -> tuple[Meaning, ...]:
    """Return the meanings of words; the first, the most urgent one, gets the largest code."""
    meanings = [
        Meaning(str(word).replace("_", " ").capitalize(), _COLORS[tone], (str(word),))
        for word, tone in tones.items()
    ]
    return tuple(reversed(meanings))


STATES = LabelValues("recovery_vm_state_info", "state", _presented(presentation.STATES))
"""Recovery states of VMs."""

READINESS = LabelValues("recovery_info", "readiness", _presented(presentation.READINESS))
"""Readiness of recovery."""

TROUBLE_STATE = f'state!~"{"|".join(sorted(presentation.CALM_STATES))}"'
"""A matcher for the recovery states that need attention, unknown ones included."""
