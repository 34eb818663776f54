"""
Everything an operator can set: names, units, defaults, and what may not be.

Only the top of the program imports this module; everything below is handed values.
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
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from exporter.alerting.config import AlertmanagerSettings
from exporter.config.recovery import STRICT, ModeName, RecoverySettings

PREFIX = "VERGEWATCH_"
DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[A-Za-z0-9._:%-]+")


def _base_url(url: str) -> str:
    """Return *url* in the one way of writing it, without anything but scheme, host and port."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:
        raise ValueError("is not a URL such as https://verge.example.com") from None
    if parts.scheme not in DEFAULT_PORTS or not host or not HOST.fullmatch(host):
        raise ValueError("is not a URL such as https://verge.example.com")
    if parts.username or parts.password:
        raise ValueError("carries a user name or password; give them as username and password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("goes on after the host name; the API's path is known")
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}" + (
        "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    )


def _for_headers(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("is empty")
    if any(ord(char) < ord(" ") or char == "\x7f" for char in secret.get_secret_value()):
        raise ValueError("holds a control character, such as a newline")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_for_headers)]
BaseURL = Annotated[str, AfterValidator(_base_url)]


def _pairs(value: Any) -> Any:
    """Return a mapping as pairs: settings must be hashable."""
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


class PollSettings(BaseModel):
    """How often to ask."""

    model_config = STRICT

    fast_seconds: PositiveFloat = 20
    """Between readings of what decides whether a VM is up: `vms`, `machine_status`."""
    slow_seconds: PositiveFloat = 60
    """Between readings of load and of guests: `machine_stats`, `machine_nics`, `machine_drives`,
    `machine_drive_stats`, and `machine_status` once more for what guest agents say. Where there is
    recovery, of `tag_members` too."""
    inventory_seconds: PositiveFloat = 300
    """Between readings of what hardly changes: `clusters`, `nodes`, the number of snapshots."""
    identity_seconds: PositiveFloat = 3600
    """Between readings of the cloud's name and version."""
    tables: Annotated[tuple[tuple[str, PositiveFloat], ...], BeforeValidator(_pairs)] = ()
    """Interval of single tables in seconds, by the `table` label of the metrics, for example
    `{machine_nics: 120}`. The planner does not stretch these."""
    stale_after_polls: Annotated[float, Field(ge=2)] = 3
    """Readings that may fail before a table's last good one is too old to be shown."""


class APISettings(BaseModel):
    """How to behave towards the API."""

    model_config = STRICT

    requests_per_hour: PositiveInt = 1000
    """What VergeOS allows for an API key."""
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of that kept back for recovery."""
    timeout_seconds: PositiveFloat = 30
    """For one reading, its retries included."""
    spacing_seconds: Annotated[float, Field(ge=0)] = 0.05
    """Between the starts of two requests. VergeOS drops the connection of whoever is faster."""
    page_rows: NonNegativeInt = 0
    """Rows to ask for at a time; 0 for all at once, which is what VergeOS' own clients do."""
    max_answer_mib: PositiveInt = 64
    """A longer answer is refused unread."""
    refused_wait_seconds: PositiveFloat = 1800
    """How long to ask nothing after a 401, unless the secret changes. Refused logins lock the
    account, API keys included."""


class TLSSettings(BaseModel):
    """How to know that it is the right VergeOS."""

    model_config = STRICT

    verify: bool = True
    """Whether to check the certificate. Without it anybody on the way can read the API key."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust besides the system's, such as the VergeOS' own."""


class SystemSettings(BaseModel):
    """One VergeOS cloud."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1)] | None = None
    """The label `system_name`. Without it: what the cloud calls itself, once it has said so."""
    url: BaseURL
    """`https://host[:port]`."""
    api_key: Secret | None = None
    """An API key of a user who may list and read."""
    api_key_file: Path | None = None
    """A file with the API key, read again when it changes."""
    username: str = ""
    """A user name, where there is no API key."""
    password: Secret | None = None
    """The user's password."""
    password_file: Path | None = None
    """A file with the password, read again when it changes."""
    action_api_key: Secret | None = None
    """An API key of a user who may start and stop VMs, where the one that reads may not. Recovery
    uses it, and nothing else does."""
    action_api_key_file: Path | None = None
    """A file with that API key, read again when it changes."""
    login: Literal["token", "basic"] = "token"
    """With a user name: log in once and use a session token, or send the password each time."""
    tls: TLSSettings = TLSSettings()
    poll: PollSettings | None = None
    """Instead of the common `poll`."""
    api: APISettings | None = None
    """Instead of the common `api`."""
    recovery_mode: ModeName | None = None
    """Instead of the common `recovery.mode`."""

    @property
    def acts_with_another_key(self) -> bool:
        """Whether acting has a credential of its own."""
        return self.action_api_key is not None or self.action_api_key_file is not None

    @model_validator(mode="after")
    def _one_way_to_sign(self) -> "SystemSettings":
        keys = [self.api_key, self.api_key_file]
        passwords = [self.password, self.password_file]
        action_keys = [self.action_api_key, self.action_api_key_file]
        if sum(given is not None for given in keys) > 1:
            raise ValueError("api_key and api_key_file are both given: keep one")
        if sum(given is not None for given in passwords) > 1:
            raise ValueError("password and password_file are both given: keep one")
        if sum(given is not None for given in action_keys) > 1:
            raise ValueError("action_api_key and action_api_key_file are both given: keep one")
        if any(given is not None for given in keys):
            return self
        if not self.username or all(given is None for given in passwords):
            raise ValueError(
                "no credentials: give api_key or api_key_file, or username and password"
            )
        return self


class WebSettings(BaseModel):
    """What is served, and where."""

    model_config = STRICT

    listen_address: str = ":9888"
    """`[host]:port`; without a host, on every address of this machine."""
    telemetry_path: Annotated[str, Field(pattern="^/")] = "/metrics"
    """Where Prometheus finds the metrics."""
    config_file: Path | None = None
    """TLS and basic auth, in the format of Prometheus' exporter-toolkit."""


class LogSettings(BaseModel):
    """What is said, and how."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to show."""
    format: Literal["auto", "console", "json"] = "auto"
    """For a person, or for a machine; `auto` is `console` on a terminal and `json` elsewhere."""


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    url: BaseURL | None = None
    """The VergeOS to watch, when it is one. Several go under `systems`."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """As `systems[].name`, when it is one."""
    api_key: Secret | None = None
    """As `systems[].api_key`, when it is one."""
    api_key_file: Path | None = None
    """As `systems[].api_key_file`, when it is one."""
    username: str = ""
    """As `systems[].username`, when it is one."""
    password: Secret | None = None
    """As `systems[].password`, when it is one."""
    password_file: Path | None = None
    """As `systems[].password_file`, when it is one."""
    action_api_key: Secret | None = None
    """As `systems[].action_api_key`, when it is one."""
    action_api_key_file: Path | None = None
    """As `systems[].action_api_key_file`, when it is one."""
    login: Literal["token", "basic"] = "token"
    """As `systems[].login`, when it is one."""
    tls: TLSSettings = TLSSettings()
    """As `systems[].tls`, when it is one."""
    recovery_mode: ModeName | None = None
    """As `systems[].recovery_mode`, when it is one."""
    systems: tuple[SystemSettings, ...] = ()
    """Several clouds, each with credentials, cadence and failures of its own."""
    poll: PollSettings = PollSettings()
    """How often to ask."""
    collectors: Mapping[str, bool] = {}
    """Collectors to switch off, for example `{guests: off}`; all others are on. One that is off
    exports no metrics, and its tables are not polled."""
    api: APISettings = APISettings()
    """How to behave towards the API."""
    recovery: RecoverySettings = RecoverySettings()
    """Whether and how VMs that crashed are started again."""
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    """Whom to tell what cannot wait for a scrape, and whose silences hold recovery back."""
    web: WebSettings = WebSettings()
    """What is served, and where."""
    log: LogSettings = LogSettings()
    """What is said, and how."""
    secrets_dir: Path | None = None
    """A directory of secrets: `api_key`, `password` and `action_api_key` for one cloud,
    `NAME.api_key` and so on for several, and `recovery_token`. systemd's credentials directory is
    found by itself."""
    config_file: Path | None = None
    """The YAML file that these settings may be in."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load` merges, so that an error can say where a value came from

    @model_validator(mode="after")
    def _clouds_differ(self) -> "Settings":
        for what in ("name", "url"):
            values = [value for system in self.systems if (value := getattr(system, what))]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two systems have the {what} {min(twice)!r}")
        return self

    def poll_of(self, system: SystemSettings) -> PollSettings:
        """Return the cadence of *cloud*."""
        return system.poll or self.poll

    def api_of(self, system: SystemSettings) -> APISettings:
        """Return how to treat the API of *cloud*."""
        return system.api or self.api

    def recovery_mode_of(self, system: SystemSettings) -> str:
        """Return what recovery may do in *cloud*."""
        return system.recovery_mode or self.recovery.mode
