"""Which settings of Alertmanagers are valid."""

import pytest
from pydantic import ValidationError

from exporter.alerting.config import AlertmanagerSettings

URL = "http://alertmanager:9093"


def test_default_uses_no_alertmanager() -> None:
    settings = AlertmanagerSettings()

    assert not settings.posts_alerts
    assert not settings.reads_silences


def test_post_and_silences_can_be_switched_off_separately() -> None:
    assert AlertmanagerSettings(urls=(URL,), post=False).reads_silences
    assert not AlertmanagerSettings(urls=(URL,), post=False).posts_alerts
    assert not AlertmanagerSettings(urls=(URL,), silences=False).reads_silences
    assert AlertmanagerSettings(urls=(URL,), silences=False).posts_alerts


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (URL, URL),
        (f" {URL}/ ", URL),
        ("https://[::1]/am/", "https://[::1]/am"),
    ],
)
def test_url_is_normalized(given: str, url: str) -> None:
    assert AlertmanagerSettings(urls=(given,)).urls == (url,)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"urls": ["alertmanager:9093"]}, "is not a URL"),
        ({"urls": ["http://"]}, "is not a URL"),
        ({"urls": ["http://a:b"]}, "is not a URL"),
        ({"urls": ["http://user:hidden@a"]}, "contains a user name"),
        ({"urls": ["http://a?x=1"]}, "has a query or fragment"),
        ({"urls": ["http://a/api/v2"]}, "ends in /api/v2"),
        ({"urls": [URL, f"{URL}/"]}, "the same URL twice"),
        ({"username": "a"}, "must be set together"),
        ({"password": "hidden"}, "must be set together"),
        ({"username": "a", "password": "hidden", "password_file": "/x"}, "keep one"),
        ({"token": "hidden", "token_file": "/x"}, "keep one"),
        ({"token": "hidden", "username": "a", "password": "hidden"}, "keep one"),
        ({"token": ""}, "is empty"),
        ({"token": "hid\nden"}, "control character"),
        ({"unreachable": "maybe"}, "unreachable"),
        ({"nonsense": 1}, "nonsense"),
        ({"limits": {"acted_seconds": 0}}, "acted_seconds"),
        ({"limits": {"held_seconds": -1}}, "held_seconds"),
        ({"post_every_seconds": 0}, "post_every_seconds"),
    ],
)
def test_invalid_settings_are_rejected_without_repeating_a_secret(
    given: dict[str, object], error: str
) -> None:
    with pytest.raises(ValidationError, match=error) as caught:
        AlertmanagerSettings.model_validate(given)
    assert "hidden" not in str(caught.value)
