"""Everything an operator can set about Alertmanagers."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    SecretStr,
    model_validator,
)

from exporter.alerting.alerts import Limits
from exporter.alerting.config import CONTROL, Access
from exporter.alerting.plan import Plan

STRICT = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
)
Seconds = Annotated[float, Field(ge=0)]


def _url(text: str) -> str:
    """Return a URL without a slash at its end; Alertmanager may live under a path."""
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is not a URL such as http://alertmanager:9093") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("is not a URL such as http://alertmanager:9093")
    if parts.username or parts.password:
        raise ValueError("carries a user name or password; give them as username and password")
    if parts.query or parts.fragment:
        raise ValueError("goes on after the path")
    path = parts.path.rstrip("/")
    if path.endswith("/api/v2"):
        raise ValueError("ends in the API's path, which is known")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _several(value: Any) -> Any:
    """Return one value as a list of it."""
    return (value,) if isinstance(value, str) else value


def _secret(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("is empty")
    if CONTROL.search(secret.get_secret_value()):
        raise ValueError("holds a control character, such as a newline")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_secret)]


class AlertLimits(BaseModel):
    """How long something has to last before the daemon itself tells Alertmanager."""

    model_config = STRICT

    outage_seconds: Seconds = 120
    """Nothing was seen of a cloud, on top of the time after which its picture is not shown."""
    disarmed_seconds: Seconds = 4 * 3600
    """Recovery is disarmed."""
    breaker_open_seconds: Seconds = 60
    """Too many VMs are down at once."""
    journal_seconds: Seconds = 120
    """The journal cannot be written."""
    held_seconds: Seconds = 900
    """A VM crashed, and something forbids to start it."""
    unknown_seconds: Seconds = 1800
    """A VM is down, and nobody can prove why."""
    acted_seconds: PositiveFloat = 3600
    """For how long it is told that recovery brought a VM back."""


class AlertmanagerSettings(BaseModel):
    """Whom to tell, and whose silences to respect."""

    model_config = STRICT

    urls: Annotated[
        tuple[Annotated[str, AfterValidator(_url)], ...], BeforeValidator(_several)
    ] = ()
    """`http[s]://host[:port][/prefix]` of each Alertmanager. Give all of a cluster: each gets every
    alert, and every silence of any of them counts."""
    username: str = ""
    """A user name, for HTTP basic auth."""
    password: Secret | None = None
    """The user's password."""
    password_file: Path | None = None
    """A file with the password, read again for each request."""
    token: Secret | None = None
    """A bearer token, instead of a user name."""
    token_file: Path | None = None
    """A file with the token, read again for each request."""
    verify: bool = True
    """Whether to check certificates. Without it anybody on the way can read the credentials."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust besides the system's."""
    post: bool = True
    """Whether the daemon tells its own alerts, besides what rules in a Prometheus find out."""
    silences: bool = True
    """Whether recovery keeps its hands off VMs that an active silence names."""
    unreachable: Literal["go_on", "hold"] = "go_on"
    """What recovery does while an Alertmanager does not tell its silences, which it is given three
    readings for. With `go_on`, the ones known before still count until they end; `hold` starts
    nothing as long as one of the Alertmanagers is missing. A monitoring that is down often goes
    down together with what it watches, and VMs that crashed then should not have to wait for it."""
    silences_every_seconds: PositiveFloat = 30
    """Between readings of the silences."""
    after_silence_seconds: Seconds = 600
    """How long a VM is still left alone when its silence has ended."""
    post_every_seconds: PositiveFloat = 30
    """Between tellings of what is still so; what is new is told within `look_every_seconds`. An
    alert that is not repeated for four times as long is over for Alertmanager."""
    look_every_seconds: PositiveFloat = 5
    """Between looks at what there is to tell."""
    timeout_seconds: PositiveFloat = 10
    """For one request."""
    runbooks: str = "https://github.com/vergewatch/vergewatch/blob/main/docs/runbooks"
    """Where the runbooks are; a site with a copy of its own replaces it."""
    limits: AlertLimits = AlertLimits()

    @model_validator(mode="after")
    def _one_way_in(self) -> "AlertmanagerSettings":
        for name in ("password", "token"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} and {name}_file are both given: keep one")
        has_password = self.password is not None or self.password_file is not None
        has_token = self.token is not None or self.token_file is not None
        if has_token and (self.username or has_password):
            raise ValueError("a token and a user name are both given: keep one")
        if bool(self.username) is not has_password:
            raise ValueError("username and password belong together")
        if len(set(self.urls)) < len(self.urls):
            raise ValueError("urls has one of them twice")
        return self

    def plan(self) -> Plan:
        """Return what `Alerting` goes by."""
        return Plan(
            urls=self.urls,
            access=Access(
                username=self.username,
                password=self.password,
                password_file=self.password_file,
                token=self.token,
                token_file=self.token_file,
                verify=self.verify,
                ca_file=self.ca_file,
            ),
            post=self.post,
            silences=self.silences,
            hold_when_unknown=self.unreachable == "hold",
            post_every_seconds=self.post_every_seconds,
            look_every_seconds=self.look_every_seconds,
            silences_every_seconds=self.silences_every_seconds,
            after_silence_seconds=self.after_silence_seconds,
            timeout_seconds=self.timeout_seconds,
            limits=Limits(**self.limits.model_dump()),
            runbooks=self.runbooks,
        )
