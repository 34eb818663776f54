"""What the daemon says of its Alertmanagers on its own page."""

from exporter.alerting.alerting import Meter
from exporter.telemetry import Telemetry
from tests.test_telemetry import samples

URL = "http://am:9093"


def test_counts_by_alertmanager_and_shows_nothing_where_there_is_none() -> None:
    telemetry = Telemetry()
    meter: Meter = telemetry.alertmanager_meter()
    assert not any("alertmanager" in name for name in names(telemetry))

    meter.answered(URL, up=True)
    meter.posted(URL, "ok")
    meter.posted(URL, "unreachable")
    meter.took(URL, 3, 1.5e9)
    meter.told(URL, 2, 1.6e9)
    meter.knows_silences(URL, known=False)

    for name, value in {
        "up": 1,
        "alerts": 3,
        "last_post_success_timestamp_seconds": 1.5e9,
        "silences": 2,
        "last_silences_success_timestamp_seconds": 1.6e9,
        "silences_known": 0,
    }.items():
        assert samples(telemetry, f"vergewatch_alertmanager_{name}") == {(URL,): value}
    assert samples(telemetry, "vergewatch_alertmanager_posts_total") == {
        (URL, "ok"): 1,
        (URL, "unreachable"): 1,
    }


def names(telemetry: Telemetry) -> list[str]:
    page = telemetry.text(openmetrics=False).decode()
    return [line.split("{")[0] for line in page.splitlines() if not line.startswith("#")]
