"""The settings of the confirmation by Prometheus."""

from typing import Any

import pytest
from pydantic import ValidationError

from exporter.prometheus.config import ConfirmationSettings

URL = "http://prometheus:9090"
QUERY = 'max_over_time(probe_success{vm="{{vm}}"}[{{window}}]) == bool 0'
FIXED = 'max_over_time(probe_success{instance="db"}[{{window}}]) == bool 0'


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": URL}, "must be set together"),
        ({"query": QUERY}, "must be set together"),
        ({"url": f"{URL}/api/v1", "query": QUERY}, "ends in /api/v1"),
        ({"url": "http://me:secret@p", "query": QUERY}, "set username and password instead"),
        ({"url": URL, "query": "up == bool 0"}, "has no range"),
        ({"url": URL, "query": FIXED}, "it would confirm every VM"),
        ({"url": URL, "rules": [{"names": "a", "query": "up"}]}, "has no range"),
        ({"url": URL, "rules": [{"names": [], "query": FIXED}]}, "empty list"),
        ({"url": URL, "query": QUERY, "timeout_seconds": 3.1}, "less than or equal to 3"),
        ({"url": URL, "query": QUERY, "unreachable": "ignore"}, "hold"),
        ({"url": URL, "query": QUERY, "token": "t", "username": "u", "password": "p"}, "keep one"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ConfirmationSettings(**settings)


def test_first_rule_that_names_a_vm_has_its_query() -> None:
    settings = ConfirmationSettings.model_validate(
        {
            "url": f"{URL}/",
            "query": QUERY,
            "rules": [{"names": "db-*", "query": FIXED}, {"names": ["db-01"], "query": QUERY}],
        }
    )

    assert settings.url == URL
    assert settings.query_of("db-01") == FIXED
    assert settings.query_of("web-01") == QUERY
    assert ConfirmationSettings().query_of("web-01") == ""
