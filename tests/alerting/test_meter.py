"""The daemon's own metrics of its Alertmanagers."""

from exporter.telemetry import Telemetry
from tests.test_telemetry import samples

URL = "http://am:9093"


def test_metrics_exist_for_each_alertmanager_and_not_without_one() -> None:
    telemetry = Telemetry()
    meter = telemetry.alertmanager_meter()
    assert not any("alertmanager" in name for name in names(telemetry))

    meter.set_up(URL, up=True)
    meter.count_post(URL, "ok")
    meter.count_post(URL, "unreachable")
    meter.set_alerts(URL, 3, 1.5e9)
    meter.set_silences(URL, 2, 1.6e9)
    meter.set_silences_known(URL, known=False)

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
