"""Settings of Alertmanagers: where they are, how to log in, what is posted and polled."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    model_validator,
)

from exporter.alerting.definitions import Links
from exporter.bounds import PositiveSeconds, Seconds
from exporter.inputs.http_settings import HTTPServerSettings, normalized_url
from exporter.inputs.validation import STRICT


def _normalized_url(text: str) -> str:
    return normalized_url(text, example="http://alertmanager:9093", api="/api/v2")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


RUNBOOKS = "https://github.com/vergewatch/vergewatch/blob/main/docs/runbooks"
"""The base URL of the runbooks, here and in the alert rules."""
URL = Annotated[str, AfterValidator(_normalized_url)]


class AlertLimits(BaseModel):
    """How long a condition must last before the daemon posts its alert."""

    model_config = STRICT

    outage_seconds: Seconds = 120
    """A system sends no data. Counted from when its tables are stale."""
    disarmed_seconds: Seconds = 4 * 3600
    """Recovery is disarmed."""
    breaker_open_seconds: Seconds = 60
    """The circuit breaker is open or half open."""
    journal_seconds: Seconds = 120
    """The journal cannot be written."""
    held_seconds: Seconds = 900
    """A VM crashed and a guard forbids its start."""
    outcome_seconds: Seconds = 600
    """A recovery action has no known outcome. It is verified within two to five minutes."""
    down_seconds: Seconds = 240
    """A VM is down, and nothing shows that it was stopped on purpose. Together with the time until
    Vergewatch sees it down, that is less than five minutes."""
    platform_seconds: Seconds = 300
    """A VM is down, and VergeOS has to restart it: its time to do so."""
    acted_seconds: PositiveSeconds = 3600
    """How long the alert that recovery restarted a VM stays active."""


class AlertmanagerSettings(HTTPServerSettings):
    """Alertmanagers that receive the daemon's alerts and whose silences hold recovery."""

    section = "alertmanager"

    urls: Annotated[tuple[URL, ...], BeforeValidator(_as_tuple)] = ()
    """`http[s]://host[:port][/prefix]` of each Alertmanager. List every member of a cluster: each
    receives every alert, and the silences of all of them count."""
    post: bool = True
    """Whether the daemon posts its own alerts. Alert rules in Prometheus work without it."""
    silences: bool = True
    """Whether recovery holds VMs that an active silence matches."""
    unreachable: Literal["go_on", "hold"] = "go_on"
    """What recovery does after three failed polls of an Alertmanager's silences. `go_on`: the
    silences of the last successful poll apply until they end. `hold`: recovery starts no VM until
    every Alertmanager answers. An outage often takes monitoring down together with the VMs, and
    `hold` then delays the restart of VMs that crashed."""
    silences_every_seconds: PositiveSeconds = 30
    """Time between two polls of the silences."""
    after_silence_seconds: Seconds = 600
    """How long recovery still holds a VM after its silence has ended."""
    post_every_seconds: PositiveSeconds = 30
    """Time between two posts of all active alerts. New alerts are posted within
    `evaluate_every_seconds`. Alertmanager resolves an alert that is not posted for four times as
    long."""
    evaluate_every_seconds: PositiveSeconds = 5
    """Time between two evaluations of the daemon's alerts."""
    timeout_seconds: PositiveSeconds = 10
    """Timeout of one request."""
    runbooks: str = RUNBOOKS
    """Base URL of the runbooks that alerts and the console link to. Change it if your site has its
    own copy."""
    dashboards: str = ""
    """Base URL of Grafana, such as `https://grafana.example.com`, whose dashboards alerts and the
    console link to. Without it, those links of alerts are paths, and the console has none. The
    alert rules get both URLs from `python -m tools.alert_rules`."""
    external_labels: Mapping[str, str] = {}
    """The `external_labels` of the Prometheus that sends the alerts of the rules, as it sends them.
    They are added to each alert of the daemon, so that Alertmanager merges both."""
    limits: AlertLimits = AlertLimits()

    @model_validator(mode="after")
    def _each_once(self) -> "AlertmanagerSettings":
        if len(set(self.urls)) < len(self.urls):
            raise ValueError("urls contains the same URL twice")
        return self

    @property
    def links(self) -> Links:
        return Links(self.runbooks, self.dashboards)

    @property
    def posts_alerts(self) -> bool:
        return bool(self.urls) and self.post

    @property
    def reads_silences(self) -> bool:
        return bool(self.urls) and self.silences
