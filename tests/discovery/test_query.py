"""The parameters of a request for targets."""

from ipaddress import ip_network

import pytest

from exporter.discovery.query import TargetQuery, parse_query


def test_no_parameters_select_every_guest() -> None:
    query = parse_query({})

    assert query == TargetQuery()
    assert query.selects(cluster="edge", os="linux", tags=())


def test_values_of_one_parameter_are_alternatives_and_parameters_add_up() -> None:
    query = parse_query({"cluster": ["edge", "Harbour"], "os": ["linux"]})

    assert query.selects(cluster="harbour", os="Linux", tags=())
    assert query.selects(cluster="EDGE", os="linux", tags=())
    assert not query.selects(cluster="hillside", os="linux", tags=())
    assert not query.selects(cluster="edge", os="windows", tags=())


@pytest.mark.parametrize(
    ("wanted", "tags", "selected"),
    [
        ("team/web", ["team/web"], True),
        ("Team/Web", ["team/WEB", "a/b"], True),
        ("team", ["team/web"], True),
        ("team", ["teams/web"], False),
        ("team/web", ["team/webs"], False),
        ("team/web", [], False),
    ],
)
def test_tag_selects_by_category_and_name_or_by_category(
    wanted: str, tags: list[str], selected: bool
) -> None:
    assert parse_query({"tag": [wanted]}).selects(cluster="", os="", tags=tags) is selected


def test_port_and_networks_are_read() -> None:
    query = parse_query({"port": ["9182"], "network": ["10.1.2.3/8", "fd00::/8"]})

    assert query.port == 9182
    assert query.network == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"systm": ["x"]}, "the parameter systm is unknown; did you mean system?"),
        ({"tag": ["x"] * 17}, "the parameter tag has more than 16 values"),
        ({"os": [""]}, "the parameter os is empty"),
        ({"port": ["0"]}, "the parameter port is 0; it is one number, 1 to 65535"),
        ({"port": ["65536"]}, "the parameter port is 65536; it is one number, 1 to 65535"),
        ({"port": ["1", "2"]}, "the parameter port is 1, 2; it is one number, 1 to 65535"),
        ({"port": ["²"]}, "the parameter port is ²; it is one number, 1 to 65535"),
        ({"network": ["10/x"]}, "the parameter network is 10/x; write it like 10.20.0.0/16"),
    ],
)
def test_invalid_parameter_is_refused(parameters: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
        parse_query(parameters)

    assert str(caught.value) == message
