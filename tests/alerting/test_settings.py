"""What an operator may set about Alertmanagers, and what not."""

import pytest
from pydantic import ValidationError

from exporter.alerting.plan import Plan
from exporter.config.alertmanager import AlertmanagerSettings

URL = "http://alertmanager:9093"


def test_by_itself_nobody_is_talked_to_and_the_numbers_are_those_of_the_plan() -> None:
    assert AlertmanagerSettings().plan() == Plan(runbooks=AlertmanagerSettings().runbooks)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (URL, URL),
        (f" {URL}/ ", URL),
        ("https://[::1]/am/", "https://[::1]/am"),
    ],
)
def test_a_url_is_written_in_one_way(given: str, url: str) -> None:
    assert AlertmanagerSettings(urls=(given,)).plan().urls == (url,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"urls": ["alertmanager:9093"]}, "is not a URL"),
        ({"urls": ["http://"]}, "is not a URL"),
        ({"urls": ["http://a:b"]}, "is not a URL"),
        ({"urls": ["http://user:hidden@a"]}, "carries a user name"),
        ({"urls": ["http://a?x=1"]}, "goes on after the path"),
        ({"urls": ["http://a/api/v2"]}, "the API's path"),
        ({"urls": [URL, f"{URL}/"]}, "has one of them twice"),
        ({"username": "a"}, "belong together"),
        ({"password": "hidden"}, "belong together"),
        ({"username": "a", "password": "hidden", "password_file": "/x"}, "keep one"),
        ({"token": "hidden", "token_file": "/x"}, "keep one"),
        ({"token": "hidden", "username": "a", "password": "hidden"}, "keep one"),
        ({"token": ""}, "is empty"),
        ({"token": "hid\nden"}, "control character"),
        ({"unreachable": "maybe"}, "unreachable"),
        ({"nonsense": 1}, "nonsense"),
        ({"post_every_seconds": 0}, "post_every_seconds"),
    ],
)
def test_what_cannot_be_is_refused_without_repeating_a_secret(
    given: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        AlertmanagerSettings.model_validate(given)
    assert "hidden" not in str(caught.value)


def test_holding_where_nothing_is_known_is_a_choice() -> None:
    assert not AlertmanagerSettings().plan().hold_when_unknown
    assert AlertmanagerSettings(unreachable="hold").plan().hold_when_unknown
