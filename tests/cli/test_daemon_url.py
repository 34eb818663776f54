"""Commands find the daemon of their machine."""

from pathlib import Path

import msgspec
import pytest

from exporter.cli.daemon_url import DEFAULT_URL, found_url
from exporter.model import LISTEN_FILE, DaemonAddress


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("", False, "http://127.0.0.1:9000"),
        ("0.0.0.0", False, "http://127.0.0.1:9000"),
        ("::", True, "https://127.0.0.1:9000"),
        ("::1", False, "http://[::1]:9000"),
        ("192.0.2.1", True, "https://192.0.2.1:9000"),
    ],
)
def test_address_that_the_daemon_wrote_is_used(
    tmp_path: Path, host: str, tls: bool, url: str
) -> None:
    address = DaemonAddress(host, 9000, tls, pid=1)
    (tmp_path / LISTEN_FILE).write_bytes(msgspec.json.encode(address))

    assert found_url({"STATE_DIRECTORY": f"{tmp_path}:/elsewhere"}) == url


@pytest.mark.parametrize("text", ["", "{", '{"host": "", "port": "x", "tls": false, "pid": 1}'])
def test_default_is_used_where_the_file_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / LISTEN_FILE).write_text(text)

    assert found_url({"STATE_DIRECTORY": str(tmp_path)}) == DEFAULT_URL


def test_default_is_used_where_no_daemon_runs(tmp_path: Path) -> None:
    assert found_url({"STATE_DIRECTORY": str(tmp_path)}) == DEFAULT_URL
    assert found_url({}) == DEFAULT_URL
