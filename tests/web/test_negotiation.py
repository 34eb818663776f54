"""Content negotiation with the headers of real clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.formats import Format
from exporter.web.negotiation import accepts_gzip, negotiate

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_HISTOGRAMS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_HISTOGRAMS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_LEGACY_NAMES = PROMETHEUS_3.replace("allow-utf-8", "underscores")
PROMETHEUS_2_4 = (
    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_1 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.7,text/plain;version=0.0.4;q=0.3"
)
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)

OPENMETRICS, CLASSIC = Format.OPENMETRICS, Format.CLASSIC


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_2_42_HISTOGRAMS, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_HISTOGRAMS, OPENMETRICS),
        (PROMETHEUS_3_LEGACY_NAMES, OPENMETRICS),
        (PROMETHEUS_2_4, CLASSIC),  # supports only a draft of OpenMetrics
        (PROMETHEUS_1, CLASSIC),
        (CHROME, CLASSIC),
        ("*/*", CLASSIC),  # curl
        ("", CLASSIC),
        ("application/json", CLASSIC),
        ("text/html", CLASSIC),
        ("text/plain", CLASSIC),
        ("text/*", CLASSIC),
        ("application/*", OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", CLASSIC),
        ("application/openmetrics-text; version=7.0.0, text/plain; q=0.1", CLASSIC),
        ("text/plain; version=1.0.0, application/openmetrics-text; q=0.1", OPENMETRICS),
    ],
)
def test_format_of_known_clients(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/openmetrics-text;q=0.1, text/plain;q=1", CLASSIC),
        ("text/plain;q=0.1, application/openmetrics-text;q=1", OPENMETRICS),
        ("text/plain;q=0.1, application/openmetrics-text ; q = 0.2", OPENMETRICS),
        ("application/openmetrics-text;q=0, text/plain;q=0.1", CLASSIC),
        ("text/plain;q=0, application/openmetrics-text;q=0.1", OPENMETRICS),
        ("text/plain;q=0, */*", OPENMETRICS),
        ("application/openmetrics-text;q=0, */*", CLASSIC),
        ("text/plain;q=0.2, text/*;q=0.9, application/openmetrics-text;q=0.5", OPENMETRICS),
        (
            "text/plain;q=0.9, text/plain;version=0.0.4;q=0.1, application/openmetrics-text;q=0.5",
            OPENMETRICS,
        ),
        ("text/plain;q=nan, application/openmetrics-text;q=0.1", OPENMETRICS),
        ("text/plain;q=inf, application/openmetrics-text;q=0.1", OPENMETRICS),
        ("text/plain;q=-1, application/openmetrics-text;q=0.1", OPENMETRICS),
        ("text/plain;q=1e0, application/openmetrics-text;q=.5", OPENMETRICS),
        ("*/*;q=0", CLASSIC),
    ],
)
def test_highest_weight_is_chosen(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/plain, application/openmetrics-text", CLASSIC),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("*/*, application/openmetrics-text", OPENMETRICS),
        ("application/*, text/*", CLASSIC),
        ("text/plain, application/*", CLASSIC),
    ],
)
def test_equal_weights_prefer_named_then_first(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@given(st.text(max_size=200))
def test_any_header_is_negotiated(accept: str) -> None:
    assert negotiate(accept) in Format
    assert accepts_gzip(accept) in (True, False)


VALUES = ["*/*", "text/*", "text/plain", "application/openmetrics-text", "gzip", "*", "identity"]
SEPARATORS = [
    ";q=",
    ";version=",
    "0",
    "1",
    "0.5",
    "1.0.0",
    ",",
    " ",
    ";",
    "=",
    '"',
    "é",
    "\x00",
    "\\",
]


@given(st.lists(st.sampled_from([*VALUES, *SEPARATORS]), max_size=30).map("".join))
def test_nearly_valid_header_is_negotiated(header: str) -> None:
    assert negotiate(header) in Format
    assert accepts_gzip(header) in (True, False)


@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_higher_of_two_weights_is_chosen(classic: float, openmetrics: float) -> None:
    accept = f"text/plain;q={classic:.3f},application/openmetrics-text;q={openmetrics:.3f}"

    expected = OPENMETRICS if f"{openmetrics:.3f}" > f"{classic:.3f}" else CLASSIC

    assert negotiate(accept) is expected


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.5", True),
        ("gzip;q=1.0, identity;q=0.5, *;q=0", True),
        ("identity, gzip", True),
        ("*;q=0.5, gzip;q=1", True),
        ("", False),
        ("identity", False),
        ("deflate", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.8, *;q=0.2", False),
        ("notgzip", False),
        ("gzip;q=maybe", False),
    ],
)
def test_gzip_acceptance(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted
