"""The settings of the confirmation by Prometheus: its server and its queries."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from exporter.inputs.http_settings import HTTPServerSettings, normalized_url
from exporter.inputs.validation import STRICT
from exporter.patterns import Patterns, fits
from exporter.prometheus.query_template import checked, names_vm


def _normalized_url(text: str) -> str:
    return normalized_url(text, example="http://prometheus:9090", api="/api/v1") if text else ""


def _about_a_vm(query: str) -> str:
    if query and not names_vm(query):
        raise ValueError("has neither {{vm}} nor {{uuid}}: it would confirm every VM")
    return query


def _checked(query: str) -> str:
    return checked(query) if query else ""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Query = Annotated[str, AfterValidator(checked)]


class ConfirmationRule(BaseModel):
    """A query for some VMs."""

    model_config = STRICT

    names: Annotated[Patterns, BeforeValidator(_listed)]
    """Patterns of VM names, such as `db-*`."""
    query: Query
    """As `recovery.confirm.query`. It may also name a fixed target."""


class PrometheusSettings(HTTPServerSettings):
    """The Prometheus that scrapes Vergewatch: the console draws charts from it."""

    section = "prometheus"

    url: Annotated[str, AfterValidator(_normalized_url)] = ""
    """`http[s]://host[:port][/prefix]` of Prometheus. The daemon sends the queries; browsers do
    not. Without it, charts are drawn from what the daemon keeps in memory (`web.history_hours`)."""
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 3
    """Timeout of one query."""


class ConfirmationSettings(PrometheusSettings):
    """A Prometheus that must confirm that a VM is down before recovery acts on it."""

    section = "recovery.confirm"

    url: Annotated[str, AfterValidator(_normalized_url)] = ""
    """`http[s]://host[:port][/prefix]` of Prometheus. Without it, nothing is confirmed."""
    query: Annotated[str, AfterValidator(_checked), AfterValidator(_about_a_vm)] = ""
    """A PromQL query for every VM that no rule names. It must return 1 while the VM is down and 0
    while its service works. `{{vm}}`, `{{uuid}}` and `{{system}}` stand in label matchers; every
    selector has the range `[{{window}}]`, the time since the VM went down. Example:
    `max_over_time(probe_success{vm_name="{{vm}}"}[{{window}}]) == bool 0`."""
    rules: tuple[ConfirmationRule, ...] = ()
    """Queries for some VMs; the first that names a VM applies. A VM without a query needs no
    confirmation."""
    unreachable: Literal["hold", "go_on"] = "hold"
    """What recovery does while Prometheus cannot be reached. `hold`: it starts no VM that needs a
    confirmation. `go_on`: it starts VMs without one, and the decision says so."""
    timeout_seconds: Annotated[float, Field(gt=0, le=3)] = 2
    """Timeout of one query."""

    @model_validator(mode="after")
    def _complete(self) -> "ConfirmationSettings":
        if bool(self.url) is not bool(self.queries):
            raise ValueError("url and a query (or rules) must be set together")
        return self

    @property
    def queries(self) -> tuple[str, ...]:
        """Every query template."""
        return tuple(filter(None, (self.query, *(rule.query for rule in self.rules))))

    def query_of(self, vm_name: str) -> str:
        """Return the query template for the VM *vm_name*; empty if it needs no confirmation."""
        for rule in self.rules:
            if fits(vm_name, rule.names):
                return rule.query
        return self.query
