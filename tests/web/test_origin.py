"""The names under which commands and reloads are accepted."""

import socket

import pytest

from exporter.web.origin import Hosts


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9888",
        "192.0.2.7",
        "[::1]:9888",
        "[fe80::1%eth0]:9888",
        "localhost",
        "LOCALHOST:9888",
        "vergewatch:9888",
        "vergewatch.monitoring.svc:9888",
        "vergewatch.monitoring.svc.cluster.local.",
        "vm7.corp.internal",
        "Monitor.Example.ORG:443",
        socket.gethostname(),
    ],
)
def test_known_name(host: str) -> None:
    assert Hosts(["monitor.example.org."]).knows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:9888",
        "evil.example",
        "127.0.0.1.evil.example:9888",
        "1.2.3",
        "example.org",
        "x.monitor.example.org",
        "monitor.example.org.evil.example",
        "local.evil.example",
        "user@evil.example",
        "",
        ":9888",
        "[::1",
    ],
)
def test_unknown_name(host: str) -> None:
    assert not Hosts(["monitor.example.org"]).knows(host)
