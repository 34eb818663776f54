"""Links to other tools: what a VM is called never leaves its place in the URL."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.console.external_links import checked_link, links_to

TEMPLATE = "https://grafana.example/d/vm?var-vm={vm_name}&var-id={vm_id}&var-system={system}"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1), st.text("a&=#/ü{} "))
def test_names_stay_within_their_parameter(name: str, key: int, system: str) -> None:
    link = links_to({"grafana": TEMPLATE}, system=system, vm_id=key, vm_name=name)["grafana"]

    parts = urlsplit(link)
    found = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == (
        "https", "grafana.example", "/d/vm", "",
    )  # fmt: skip
    assert found == {"var-vm": [name], "var-id": [str(key)], "var-system": [system]}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_names_stay_within_their_segment_of_the_path(name: str) -> None:
    template = {"vergeos": "https://v/vms/{vm_name}/console#{vm_name}"}

    parts = urlsplit(links_to(template, system="s", vm_id=1, vm_name=name)["vergeos"])

    assert [unquote(part) for part in parts.path.split("/")] == ["", "vms", name, "console"]
    assert unquote(parts.fragment) == name


def test_empty_template_gives_no_link() -> None:
    assert links_to({"grafana": "", "vergeos": "https://v/#{vm_id}"}, system="s", vm_id=7,
                    vm_name="n") == {"vergeos": "https://v/#7"}  # fmt: skip


@pytest.mark.parametrize("template", ["", "http://g/", TEMPLATE, "https://[::1]:3000/{vm_name}"])
def test_template_is_accepted(template: str) -> None:
    assert checked_link(template) == template


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("https://g/{vm}", "{vm}"),
        ("https://g/{}", "placeholder"),
        ("https://g/{vm_name", "brace"),
        ("https://g/{vm_name!r}", "placeholder"),
        ("javascript:alert('{vm_name}')", "http://"),
        ("//g/{vm_name}", "http://"),
        ("https://{vm_name}.example/", "host"),
        ("https://g/a b", "space"),
        ("https://g/\n", "control"),
    ],
)
def test_template_is_refused(template: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        checked_link(template)
    assert says in str(refused.value)
