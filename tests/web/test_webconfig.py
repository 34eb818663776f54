"""Parsing and errors of the web configuration file."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigError
from exporter.web.tls import make_context
from exporter.web.webconfig import WebConfig, parse_web_config, read_web_config
from tests.web.conftest import Certificates

PATH = Path("/etc/vergewatch/web.yml")
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
NO_GROUP = 'expected a group of settings, such as {"name": "value"}'
CHAIN = "cert_file: server.crt, key_file: server.key"


def parse(text: str) -> WebConfig:
    return parse_web_config(text, PATH)


def test_every_key_is_parsed() -> None:
    config = parse(f"""
        tls_server_config:
          cert_file: server.crt
          key_file: /keys/server.key
          client_ca_file: ca.crt
          client_auth_type: RequireAndVerifyClientCert
          client_allowed_sans: [prometheus.example, "0:0:0:0:0:0:0:1"]
          min_version: TLS12
          max_version: TLS12
          cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
          prefer_server_cipher_suites: false
          curve_preferences: [X25519]
        http_server_config:
          http2: false
          headers:
            X-Frame-Options: sameorigin
            Strict-Transport-Security: max-age=31536000
            Content-Security-Policy: ""
            X-XSS-Protection: 0
        basic_auth_users:
          alice: {HASH}
        rate_limit:
          interval: 1m30s
          burst: 20
    """)

    tls = config.tls_server_config
    assert tls is not None
    assert tls.files == (
        PATH.parent / "server.crt",
        Path("/keys/server.key"),
        PATH.parent / "ca.crt",
    )
    assert tls.client_auth_type == "RequireAndVerifyClientCert"
    assert tls.client_allowed_sans == ["prometheus.example", "0:0:0:0:0:0:0:1"]
    assert tls.min_version == tls.max_version == "TLS12"
    assert tls.cipher_suites == [
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_AES_128_GCM_SHA256",
    ]
    assert not tls.prefer_server_cipher_suites
    assert tls.curve_preferences == ["X25519"]
    assert config.http_server_config.headers == {
        "X-Frame-Options": "sameorigin",
        "Strict-Transport-Security": "max-age=31536000",
        "Content-Security-Policy": "",
        "X-XSS-Protection": "0",
    }
    assert config.basic_auth_users == {"alice": HASH}
    assert config.rate_limit is not None
    assert (config.rate_limit.interval, config.rate_limit.burst) == (90.0, 20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "{}",
        "tls_server_config:",
        "tls_server_config: {}",
        "basic_auth_users: {}",
        "http_server_config: {http2: true}",
        "rate_limit:",
        "rate_limit: {interval: 0, burst: 5}",
        "rate_limit: {interval: '0'}",
    ],
)
def test_empty_sections_equal_defaults(text: str) -> None:
    assert parse(text) == WebConfig()


def test_tls_has_safe_defaults(certificates: Certificates) -> None:
    tls = parse(f"tls_server_config: {{{CHAIN}}}").tls_server_config

    assert tls is not None
    context = make_context(
        tls.model_copy(
            update={
                "cert_file": str(certificates.server.cert),
                "key_file": str(certificates.server.key),
            }
        ),
        PATH,
    )
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.maximum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_NONE
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("1s", 1.0), ("250ms", 0.25), ("1.5h", 5400.0), ("1m30s", 90.0), ("10us", 1e-5)],
)
def test_durations_use_go_format(interval: str, seconds: float) -> None:
    limit = parse(f"rate_limit: {{interval: {interval}, burst: 1}}").rate_limit

    assert limit is not None
    assert limit.interval == pytest.approx(seconds)


TLS_CASES = [
    ("min_version: TLS12", ": set cert_file or cert"),
    ("cert_file: server.crt", ": set key_file or key"),
    ("cert_file: 7", ".cert_file: input should be a valid string"),
    (f"{CHAIN}, cert: x", ": cert and cert_file are both given: keep one"),
    (f"{CHAIN}, key: x", ": key and key_file are both given: keep one"),
    (
        f"{CHAIN}, client_ca_file: ca.crt",
        ": client_ca_file is set, but client_auth_type requests no certificate",
    ),
    (
        f"{CHAIN}, client_auth_type: RequireAndVerifyClientCert",
        (
            ": client_auth_type RequireAndVerifyClientCert needs client_ca_file: "
            "without it, a certificate of any public authority would be accepted"
        ),
    ),
    (
        f"{CHAIN}, client_auth_type: RequireAnyClientCert",
        (
            ".client_auth_type: unknown value 'RequireAnyClientCert'; "
            "did you mean RequireAndVerifyClientCert?"
        ),
    ),
    (
        f"{CHAIN}, client_auth_type: RequestClientCert",
        (
            ".client_auth_type: unknown value 'RequestClientCert'; "
            "did you mean RequireAndVerifyClientCert?"
        ),
    ),
    (
        f"{CHAIN}, client_auth_type: RequireAndVerify",
        (
            ".client_auth_type: unknown value 'RequireAndVerify'; "
            "did you mean RequireAndVerifyClientCert?"
        ),
    ),
    (
        f"{CHAIN}, client_allowed_sans: [a]",
        ": client_allowed_sans needs client_auth_type RequireAndVerifyClientCert",
    ),
    (
        f"{CHAIN}, client_allowed_sans: a",
        '.client_allowed_sans: expected a list, such as ["one", "another"]',
    ),
    (
        f"{CHAIN}, min_version: TLS10",
        ".min_version: input should be 'TLS12' or 'TLS13'",
    ),
    (f"{CHAIN}, max_version: TLS14", ".max_version: input should be 'TLS12' or 'TLS13'"),
    (f"{CHAIN}, min_version: TLS13, max_version: TLS12", ": min_version is above max_version"),
    (
        f"{CHAIN}, cipher_suites: [TLS_ECDHE_RSA_AES_256_GCM_SHA384]",
        (
            ".cipher_suites[0]: unknown value 'TLS_ECDHE_RSA_AES_256_GCM_SHA384'; did you mean "
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384?"
        ),
    ),
    (
        f"{CHAIN}, cipher_suites: [TLS_AES_128_GCM_SHA256]",
        ": none of cipher_suites is for TLS 1.2; set min_version to TLS13 if this is intended",
    ),
    (
        f"{CHAIN}, curve_preferences: [X25519, CurveP256]",
        ".curve_preferences: list should have at most 1 item after validation, not 2",
    ),
    (
        f"{CHAIN}, curve_preferences: [P256]",
        ".curve_preferences[0]: unknown value 'P256'; did you mean CurveP256?",
    ),
    (
        f"{CHAIN}, prefer_server_cipher_suites: 'yes'",
        ".prefer_server_cipher_suites: input should be a valid boolean",
    ),
]


@pytest.mark.parametrize(("section", "message"), TLS_CASES)
def test_tls_error_names_its_key(section: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"tls_server_config: {{{section}}}")

    assert str(caught.value) == f"{PATH}: tls_server_config{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls_config: {}", "unknown setting tls_config; did you mean tls_server_config?"),
        ("zzz: {}", "unknown setting zzz"),
        (
            "tls_server_config: {cert_flie: a}",
            (
                "unknown setting tls_server_config.cert_flie; "
                "did you mean tls_server_config.cert_file?"
            ),
        ),
        ("- a", NO_GROUP),
        ("just text", NO_GROUP),
        ("rate_limit: 5", f"rate_limit: {NO_GROUP}"),
        ("a: \x07", "it is not YAML"),
        (
            "http_server_config: {http2: maybe}",
            "http_server_config.http2: input should be a valid boolean",
        ),
        (
            "http_server_config: {headers: {Server: x}}",
            (
                "http_server_config.headers.Server.[key]: unknown value 'Server'; known are "
                "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, "
                "X-Frame-Options, X-XSS-Protection"
            ),
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "http_server_config.headers: X-Frame-Options must be deny or sameorigin",
        ),
        (
            "http_server_config: {headers: {X-XSS-Protection: true}}",
            "http_server_config.headers.X-XSS-Protection: input should be a valid string",
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nSet-Cookie: b"}}',
            (
                "http_server_config.headers.Content-Security-Policy: "
                "string should match pattern '^[^\\x00-\\x1f\\x7f]*$'"
            ),
        ),
        (
            "basic_auth_users: {alice: secret}",
            "basic_auth_users: alice has no bcrypt hash; make one with htpasswd -nBC 10 alice",
        ),
        (
            f"basic_auth_users: {{1: {HASH}}}",
            "basic_auth_users[1].[key]: input should be a valid string",
        ),
        (
            f'basic_auth_users: {{"a:b": {HASH}}}',
            "basic_auth_users: the user name 'a:b' has a colon, so it cannot log in",
        ),
        ("basic_auth_users: [alice]", f"basic_auth_users: {NO_GROUP}"),
        (
            "rate_limit: {interval: 5, burst: 1}",
            "rate_limit.interval: must be a duration such as 30s or 1h30m",
        ),
        (
            "rate_limit: {interval: false, burst: 1}",
            "rate_limit.interval: must be a duration such as 30s or 1h30m",
        ),
        (
            "rate_limit: {interval: 1s, burst: 1.5}",
            "rate_limit.burst: input should be a valid integer",
        ),
        (
            "rate_limit: {interval: 1s}",
            "rate_limit: a burst below 1 would reject every request",
        ),
    ],
)
def test_error_names_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert str(caught.value) == f"{PATH}: {message}"


@pytest.mark.parametrize(
    "text",
    [
        "basic_auth_users: {alice: hunter2}",
        "basic_auth_users: {alice: 'hunter2}",
        "basic_auth_users:\n alice: hunter2\n alice: hunter2",
        "tls_server_config: {key: hunter2, key_file: x, cert: y}",
        "tls_server_config:\n  key: hunter2: hunter2",
    ],
)
def test_error_contains_no_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_repr_contains_no_secret() -> None:
    config = parse(
        f"{{tls_server_config: {{cert: c, key: hunter2}}, basic_auth_users: {{bob: {HASH}}}}}"
    )

    assert "hunter2" not in repr(config)
    assert HASH not in repr(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n---\n{}", "line 2: but found another document"),
        ("rate_limit: {}\nrate_limit: {}", "line 2: rate_limit is given twice"),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("? [a]\n: b", "line 1: found unhashable key"),
    ],
)
def test_yaml_error_names_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert str(caught.value) == f"{PATH}, {message}"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/web\.yml cannot be read: No such file or directory"):
        read_web_config(tmp_path / "web.yml")


def test_binary_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="it is not text"):
        read_web_config(path)


@given(st.text(max_size=80))
def test_any_text_parses_or_raises_config_error(text: str) -> None:
    try:
        parse(text)
    except ConfigError as error:
        assert str(error).startswith(str(PATH))  # noqa: PT017
