"""The daemon's own instruments."""

from prometheus_client.parser import text_string_to_metric_families

from exporter.telemetry import Telemetry


def samples(telemetry: Telemetry, name: str) -> dict[tuple[str, ...], float]:
    page = telemetry.text(openmetrics=False).decode()
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_result() -> None:
    telemetry = Telemetry()
    meter = telemetry.meter("prod")

    meter.request("vms", "ok", 0.1)
    meter.request("vms", "ok", 0.1)
    meter.request("vms", "unreachable", 0.1)

    assert samples(telemetry, "vergewatch_api_requests_total") == {
        ("vms", "ok", "prod"): 2,
        ("vms", "unreachable", "prod"): 1,
    }


def test_renamed_system_has_no_series_under_the_old_name() -> None:
    telemetry = Telemetry()
    meter = telemetry.meter("host")
    meter.request("vms", "ok", 0.1)
    meter.retry("vms")
    meter.rendered_in(0.1, duplicates=0)

    meter.rename("prod")
    meter.request("vms", "ok", 0.1)

    page = telemetry.text(openmetrics=False).decode()
    assert 'system_name="prod"' in page
    assert 'system_name="host"' not in page


def test_page_is_valid_in_both_formats_without_created_series() -> None:
    telemetry = Telemetry()
    telemetry.meter("prod").request("vms", "ok", 0.1)

    assert telemetry.text(openmetrics=True).endswith(b"# EOF\n")
    assert b"_created" not in telemetry.text(openmetrics=True)
    assert b"process_resident_memory_bytes" in telemetry.text(openmetrics=False)
