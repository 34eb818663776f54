"""Every endpoint of the API below ``/api/v1``, as data: its OpenAPI document follows from it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from exporter.alerting.views import AlertsAnswer, SilencesAnswer
from exporter.console.vm_list import VMS_PATH, VMListResponse
from exporter.console.vm_query import VMQuery
from exporter.console.vm_responses import VMHistoryResponse, VMResponse
from exporter.doctor.responses import DOCTOR_PATH, DoctorQuery, DoctorResponse
from exporter.model import Retried, RetryBody
from exporter.recovery.model.commands import GIVEN_BY_OPERATORS, CommandKind
from exporter.recovery.model.views import API_ROOT as RECOVERY
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.requests import (
    CommandBody,
    ExplainQuery,
    LogQuery,
    ReportQuery,
    SystemQuery,
    VMsQuery,
)
from exporter.recovery.report.responses import (
    CommandResponse,
    LogResponse,
    PatternsResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)
from exporter.web.alerts import ALERTS, SILENCES

OPENAPI = "/api/v1/openapi.json"
VM = f"{VMS_PATH}/{{system}}/{{key}}"

Document = dict[str, Any]


class Access(StrEnum):
    """Who may send a request."""

    READ = "read"
    """Who may read the metrics."""
    COMMAND = "command"
    """The same, with the recovery token."""


class Endpoint(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    """Its variable parts are in braces."""
    summary: str
    answer: Any
    """The type of the JSON document."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    access: Access = Access.READ
    also: str = ""
    """Another content type of the answer."""


def _get(path: str, summary: str, answer: Any, query: type[msgspec.Struct]) -> Endpoint:
    return Endpoint("GET", path, summary, answer, query)


COMMANDS: Mapping[CommandKind, str] = {
    CommandKind.PAUSE: "Pause recovery for a time",
    CommandKind.RESUME: "End a pause",
    CommandKind.DISARM: "Stop recovery until it is armed",
    CommandKind.ARM: "Let a disarmed recovery act again",
    CommandKind.ACCEPT: "Accept the current inventory as correct",
    CommandKind.CLEAR: "Refill the restart budget of a VM",
    CommandKind.TEACH: "Give a log template a meaning",
    CommandKind.FORGET: "Forget what was taught or learned about a log template",
    CommandKind.STEP_DOWN: "Leave the lead of recovery to another replica",
    CommandKind.APPROVE: "Approve the action that a question asks for",
    CommandKind.DENY: "Deny the action that a question asks for",
}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", OPENAPI, "This document", Document),
    _get(DOCTOR_PATH, "The results of the doctor", DoctorResponse, DoctorQuery),
    _get(VMS_PATH, "The VMs that fit a query", VMListResponse, VMQuery)._replace(also="text/csv"),
    Endpoint("GET", VM, "What is known of a VM, and what happened to it", VMResponse),
    Endpoint("GET", f"{VM}/history", "Resources and conditions of a VM", VMHistoryResponse),
    Endpoint("GET", ALERTS, "The alerts of the daemon, the worst first", AlertsAnswer),
    Endpoint("GET", SILENCES, "The silences, with the VMs that each mutes", SilencesAnswer),
    _get(RECOVERY, "The state of recovery in each system", StatusResponse, SystemQuery),
    _get(f"{RECOVERY}/vms", "The VMs in trouble, the most urgent first", VMsResponse, VMsQuery),
    _get(f"{RECOVERY}/explain/{{vm}}", "Why a VM is acted on or not", Explanation, ExplainQuery),
    _get(f"{RECOVERY}/log", "What recovery did, the newest first", LogResponse, LogQuery),
    _get(f"{RECOVERY}/report", "A summary of a period", ReportResponse, ReportQuery),
    _get(f"{RECOVERY}/patterns", "The meanings of log rows", PatternsResponse, SystemQuery),
    Endpoint(
        "POST",
        "/api/v1/systems/{system}/retry",
        "Try refused credentials again",
        Retried,
        body=RetryBody,
        access=Access.COMMAND,
    ),
    *(
        Endpoint(
            "POST",
            f"{RECOVERY}/{kind}",
            COMMANDS[kind],
            CommandResponse,
            body=CommandBody,
            access=Access.COMMAND,
        )
        for kind in GIVEN_BY_OPERATORS
    ),
)
"""In the order of the document. The query is what the handler decodes, and the answer what it
encodes."""
