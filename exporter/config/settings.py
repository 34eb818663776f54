"""
The settings: names, units, defaults and constraints.

Only the upper layers import this module; the layers below receive values.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from exporter.alerting.config import AlertmanagerSettings
from exporter.bounds import MAX_COUNT, Count, PositiveCount, PositiveSeconds, Seconds
from exporter.config.journal import JournalSettings
from exporter.config.recovery import ModeName, RecoverySettings
from exporter.console.external_links import checked_link
from exporter.discovery.config import DiscoverySettings
from exporter.inputs.proxy_settings import ProxySettings
from exporter.inputs.validation import STRICT, Secret, check_alternatives
from exporter.prometheus.config import PrometheusSettings
from exporter.recovery.leadership import MAX_REREAD_SECONDS

PREFIX = "VERGEWATCH_"
DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[A-Za-z0-9._:%-]+")


def _base_url(url: str) -> str:
    """Return *url* normalized to scheme, host and port."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:
        raise ValueError("is not a URL such as https://verge.example.com") from None
    if parts.scheme not in DEFAULT_PORTS or not host or not HOST.fullmatch(host):
        raise ValueError("is not a URL such as https://verge.example.com")
    if parts.username or parts.password:
        raise ValueError("contains a user name or password; use the username and password settings")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("has a path or query after the host name; give only scheme, host and port")
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}" + (
        "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    )


BaseURL = Annotated[str, AfterValidator(_base_url)]


def _pairs(value: Any) -> Any:
    """Return a mapping as pairs: settings must be hashable."""
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


class PollSettings(BaseModel):
    """The intervals between polls."""

    model_config = STRICT

    fast_seconds: PositiveSeconds = 20
    """Poll interval of the tables that show whether a VM runs: `vms`, `machine_status`."""
    slow_seconds: PositiveSeconds = 60
    """Poll interval of load: `machine_stats`, `machine_nics`, `machine_drive_stats`, and the
    guest agent data of `machine_status`."""
    inventory_seconds: PositiveSeconds = 300
    """Poll interval of what seldom changes, and of what VergeOS itself updates that seldom: nodes,
    clusters, storage tiers, the disks and tags of VMs, networks, tenants, alarms."""
    rare_seconds: PositiveSeconds = 900
    """Poll interval of what rarely changes: physical drives, memory modules, snapshots,
    replication, devices, updates of VergeOS."""
    hourly_seconds: PositiveSeconds = 3600
    """Poll interval of what changes a few times a year: certificates, licenses, users, API keys,
    snapshot profiles."""
    identity_seconds: PositiveSeconds = 3600
    """Poll interval of the system's name and version."""
    tables: Annotated[tuple[tuple[str, PositiveSeconds], ...], BeforeValidator(_pairs)] = ()
    """Interval of single tables in seconds, by the `table` label of the metrics, for example
    `{machine_nics: 120}`. The planner does not stretch these."""
    stale_after_polls: Annotated[float, Field(ge=2, le=MAX_COUNT)] = 3
    """A table is stale when its last good rows are older than this many of its intervals."""
    frozen_after_seconds: PositiveSeconds = 180
    """The status of VMs on a node is frozen when VergeOS has updated none of it for this long."""
    frozen_status: Literal["mark", "withdraw"] = "mark"
    """What becomes of the series that a frozen status is the source of: `mark` exports them as
    they are, and `vergewatch_vm_status_frozen` is 1; `withdraw` exports them no longer, and, if the
    whole system is frozen, `vergewatch_up` is 0."""


class APISettings(BaseModel):
    """The use of the VergeOS API."""

    model_config = STRICT

    requests_per_hour: PositiveCount = 1000
    """Requests per hour that VergeOS allows for an API key; those before a restart count, and those
    of replicas that use the same key and share the journal."""
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of these requests reserved for recovery, its regular reads included."""
    timeout_seconds: PositiveSeconds = 30
    """Timeout of one table request, including its retries."""
    spacing_seconds: Seconds = 0.05
    """Minimum time between the starts of two requests. VergeOS drops faster connections."""
    page_rows: Count = 0
    """Rows per request; 0 requests all rows at once, as VergeOS' own clients do. Each further page
    is one request more. Until the first answers, the plan assumes one page for each table."""
    max_answer_mib: PositiveCount = 64
    """Maximum response size; a larger response is rejected."""
    refused_wait_seconds: PositiveSeconds = 1800
    """Pause after a 401, unless the secret changes. Repeated refused logins lock the account,
    including its API keys."""


class TLSSettings(BaseModel):
    """How the certificate of VergeOS is verified."""

    model_config = STRICT

    verify: bool = True
    """Whether to verify the certificate. Without it, an attacker on the network can read
    the API key."""
    ca_file: Path | None = None
    """Additional trusted certificates (PEM), such as that of VergeOS itself. Each new connection
    uses the file as it is then."""


class CommonSystemSettings(ProxySettings):
    """What a system is given in `systems`, or at the top level if it is the only one."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1)] | None = None
    """The label `system_name`. Default: the name that VergeOS reports, or reported last; the host
    if it reports none."""
    api_key: Secret | None = None
    """An API key of a user with list and read permission."""
    api_key_file: Path | None = None
    """A file with the API key, read again when it changes."""
    username: str = ""
    """A user name, to log in without an API key."""
    password: Secret | None = None
    """The user's password."""
    password_file: Path | None = None
    """A file with the password, read again when it changes."""
    action_api_key: Secret | None = None
    """An API key of a user who may start and stop VMs, if the polling user may not. Only recovery
    uses it."""
    action_api_key_file: Path | None = None
    """A file with the action API key, read again when it changes."""
    login: Literal["token", "basic"] = "token"
    """With a user name: `token` logs in once, `basic` sends the password with every request."""
    tls: TLSSettings = TLSSettings()
    recovery_mode: ModeName | None = None
    """Overrides `recovery.mode`."""


class SystemSettings(CommonSystemSettings):
    """One VergeOS system."""

    url: BaseURL
    """`https://host[:port]`."""
    poll: PollSettings | None = None
    """Overrides the common `poll`."""
    api: APISettings | None = None
    """Overrides the common `api`."""

    @property
    def acts_with_another_key(self) -> bool:
        """Whether actions use a separate credential."""
        return self.action_api_key is not None or self.action_api_key_file is not None

    @model_validator(mode="after")
    def _check_credentials(self) -> "SystemSettings":
        check_alternatives(self, "api_key", "password", "action_api_key")
        has_login = self.username and (self.password or self.password_file)
        if not (self.api_key or self.api_key_file or has_login):
            raise ValueError(
                "no credentials: give api_key or api_key_file, or username and password"
            )
        return self


LinkTemplate = Annotated[str, AfterValidator(checked_link)]


class LinkSettings(BaseModel):
    """
    Links from the page of a VM to other tools. `{system}`, `{vm_id}` and `{vm_name}` stand for the
    system's name and the VM's key and name, percent-encoded. Without a URL there is no link.
    """

    model_config = STRICT

    prometheus: LinkTemplate = ""
    """URL in Prometheus, with `{system}`, `{vm_id}` and `{vm_name}` percent-encoded in it; for
    example `https://prometheus.example/graph?g0.expr=vergewatch_vm_info%7Bvm_id="{vm_id}"%7D`."""
    vergeos: LinkTemplate = ""
    """URL in the UI of VergeOS, with the same placeholders; for example
    `https://vergeos.example/#/vms/{vm_id}`."""


class WebSettings(BaseModel):
    """The HTTP server."""

    model_config = STRICT

    listen_address: str = ":9888"
    """Listen address, `[host]:port`; without a host, all addresses."""
    telemetry_path: Annotated[str, Field(pattern="^/")] = "/metrics"
    """Path of the metrics page."""
    config_file: Path | None = None
    """TLS and basic auth: a web configuration file of Prometheus' exporter-toolkit."""
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")], ...] = ()
    """DNS names under which recovery commands and reloads are accepted, besides IP addresses, names
    without a dot, the name of this machine, and names under `.local`, `.internal` and `.svc`."""
    operators: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Users of `basic_auth_users` in the web configuration file that may log in to the console
    without the recovery token; for example `[anna]`."""
    links: LinkSettings = LinkSettings()
    """Links from the page of a VM to Prometheus and VergeOS; that to Grafana is of
    `alertmanager.dashboards`."""
    history_hours: Annotated[int, Field(ge=0, le=168)] = 24
    """Hours of CPU and memory that the console keeps of each VM, in memory: 0.6 kB per VM for a
    day; 0 keeps none. The history of status is 24 hours, and costs 0.1 kB per VM."""

    @model_validator(mode="after")
    def _operators_have_passwords(self) -> "WebSettings":
        if self.operators and self.config_file is None:
            raise ValueError(
                "operators are users of basic_auth_users: name their file in web.config_file"
            )
        return self


class LogSettings(BaseModel):
    """The log."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum log level."""
    format: Literal["auto", "console", "json"] = "auto"
    """Log format; `auto` is `console` on a terminal and `json` elsewhere."""


class Settings(BaseSettings, CommonSystemSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    url: BaseURL | None = None
    """`https://host[:port]` of the only system. For several systems use `systems`."""
    systems: tuple[SystemSettings, ...] = ()
    """The monitored systems, each with its own credentials and poll intervals."""
    poll: PollSettings = PollSettings()
    """The intervals between polls."""
    collectors: Mapping[str, bool] = {}
    """Collectors to switch off, for example `{guests: off}`; all others are on. One that is off
    exports no metrics, and its tables are not polled."""
    vm_tag_categories: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Categories of tags that `vergewatch_vm_tag_info` shows, for example `[team, backup]`. Each
    adds up to one series per VM. The tags are then read also where recovery is off."""
    discovery: DiscoverySettings = DiscoverySettings()
    """Service discovery of the guests, `/sd/guests`."""
    api: APISettings = APISettings()
    """The use of the VergeOS API."""
    recovery: RecoverySettings = RecoverySettings()
    """Automatic restart of crashed VMs."""
    journal: JournalSettings = JournalSettings()
    """The database of recovery's journal."""
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    """The Alertmanagers that receive alerts and whose silences hold recovery."""
    prometheus: PrometheusSettings = PrometheusSettings()
    """The Prometheus that the console draws charts from."""
    web: WebSettings = WebSettings()
    """The HTTP server."""
    log: LogSettings = LogSettings()
    """The log."""
    secrets_dir: Path | None = None
    """A directory of secret files: `api_key`, `password` and `action_api_key` for a single system,
    `NAME.api_key` and so on for several, `recovery_token` and `journal_password`. Default:
    systemd's credentials directory."""
    config_file: Path | None = None
    """The YAML settings file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load` merges the sources, so that an error can name the source

    @model_validator(mode="after")
    def _check_actions_fit_into_a_lease(self) -> "Settings":
        if (
            self.journal.url is None
            or self.recovery.limits.reread_age_seconds <= MAX_REREAD_SECONDS
        ):
            return self
        raise ValueError(
            f"recovery.limits.reread_age_seconds is more than {MAX_REREAD_SECONDS:g}, so that an "
            "action might begin after the end of this replica's lease; lower it, or remove "
            "journal.url"
        )

    @model_validator(mode="after")
    def _check_systems_are_distinct(self) -> "Settings":
        for what in ("name", "url"):
            values = [value for system in self.systems if (value := getattr(system, what))]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two systems have the {what} {min(twice)!r}")
        return self
