"""
The web configuration file, in the format that all of Prometheus' own components share.

See docs/web-configuration.md of prometheus/exporter-toolkit. What Python can honour is honoured;
the rest is refused by name, because a line that is silently ignored is a hole somebody believes
to be closed. Three things are a little different here:

* ``http2`` may be true, its default, or false. HTTP/2 is negotiated, and what is negotiated here
  is always HTTP/1.1, which every client speaks too.
* A client certificate is either verified against ``client_ca_file`` or not asked for at all.
* A blank header is not sent, not even where we would send it ourselves.
"""

import difflib
import re
import ssl
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from exporter.errors import ConfigError
from exporter.web.tls import (
    CIPHERS_TLS12,
    CIPHERS_TLS13,
    CLIENT_AUTH,
    CURVES,
    OLD_VERSIONS,
    TLS,
    UNVERIFIED_CLIENT_AUTH,
    VERSIONS,
    Pem,
    normal_name,
)

SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
TLS_KEYS = (
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
)
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and their values where those are few."""

_Choice = TypeVar("_Choice")

_BCRYPT = re.compile(
    r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TYPES = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list"}


class RateLimit(NamedTuple):
    """A token bucket for all requests together."""

    interval_seconds: float
    """Between two requests, in the long run."""
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file, understood; without a file, all of it is left at its default."""

    tls: TLS | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """User name to bcrypt hash; empty when nobody needs to log in."""
    rate_limit: RateLimit | None = None


def read_web_config(path: Path) -> WebConfig:
    """
    Read the file at *path*; relative paths in it start from its folder.

    Raises:
        ConfigError: It cannot be read, or something in it cannot be honoured.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    return parse_web_config(text, path=path)


def parse_web_config(text: str, *, path: Path) -> WebConfig:
    """Return what *text* says; *path* names it in errors and is where relative paths start."""
    place = str(path)
    sections = _mapping(_load(text, place), place, SECTIONS)
    http = _mapping(
        sections.get("http_server_config"), f"{place}: http_server_config", ("http2", "headers")
    )
    _flag(http, "http2", f"{place}: http_server_config", default=True)
    return WebConfig(
        tls=_tls(sections.get("tls_server_config"), f"{place}: tls_server_config", path.parent),
        headers=_headers(http.get("headers"), f"{place}: http_server_config.headers"),
        users=_users(sections.get("basic_auth_users"), f"{place}: basic_auth_users"),
        rate_limit=_rate_limit(sections.get("rate_limit"), f"{place}: rate_limit"),
    )


class _Loader(yaml.SafeLoader):
    """Plain YAML in which a key that is given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _load(text: str, place: str) -> Any:
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # Not str(error): it quotes the line, and the line may hold a key.
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{place}: {line}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{place}: not YAML") from None


def _tls(given: object, place: str, folder: Path) -> TLS | None:
    values = _mapping(given, place, TLS_KEYS)
    if not values:
        return None
    client_ca = _pem(values, "client_ca", place, folder)
    client_auth = _client_auth(values, place, client_ca)
    min_version = _version(values, "min_version", place) or ssl.TLSVersion.TLSv1_2
    max_version = _version(values, "max_version", place) or ssl.TLSVersion.TLSv1_3
    if min_version > max_version:
        raise ConfigError(f"{place}: min_version is above max_version")
    return TLS(
        place=place,
        cert=_needed_pem(values, "cert", place, folder),
        key=_needed_pem(values, "key", place, folder),
        client_ca=client_ca,
        client_auth=client_auth,
        client_allowed_sans=_allowed_names(values, place, client_auth),
        min_version=min_version,
        max_version=max_version,
        ciphers=_ciphers(values, place, min_version),
        prefer_server_ciphers=_flag(values, "prefer_server_cipher_suites", place, default=True),
        curve=_curve(values, place),
    )


def _needed_pem(values: Mapping[str, Any], name: str, place: str, folder: Path) -> Pem:
    pem = _pem(values, name, place, folder)
    if pem is None:
        raise ConfigError(f"{place}: neither {name}_file nor {name} is given")
    return pem


def _pem(values: Mapping[str, Any], name: str, place: str, folder: Path) -> Pem | None:
    file, text = _text(values, f"{name}_file", place), _text(values, name, place)
    if file and text:
        raise ConfigError(f"{place}: {name} and {name}_file exclude each other")
    if file:
        return Pem(f"{name}_file", folder / file, None)
    return Pem(name, None, text) if text else None


def _client_auth(values: Mapping[str, Any], place: str, client_ca: Pem | None) -> ssl.VerifyMode:
    word = _text(values, "client_auth_type", place) or "NoClientCert"
    if word in UNVERIFIED_CLIENT_AUTH:
        raise ConfigError(
            f"{place}.client_auth_type: {word} takes any certificate unverified, which is not "
            "supported; use RequireAndVerifyClientCert"
        )
    mode = _choice(word, CLIENT_AUTH, f"{place}.client_auth_type")
    if client_ca is not None and mode is ssl.CERT_NONE:
        raise ConfigError(
            f"{place}: {client_ca.key} is given, but client_auth_type asks for no certificate"
        )
    if client_ca is None and mode is not ssl.CERT_NONE:
        raise ConfigError(
            f"{place}: client_auth_type {word} needs client_ca_file: "
            "without it, a certificate of any public authority would do"
        )
    return mode


def _allowed_names(
    values: Mapping[str, Any], place: str, client_auth: ssl.VerifyMode
) -> frozenset[str]:
    names = _texts(values, "client_allowed_sans", place)
    if names and client_auth is not ssl.CERT_REQUIRED:
        raise ConfigError(
            f"{place}: client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
        )
    return frozenset(map(normal_name, names))


def _version(values: Mapping[str, Any], key: str, place: str) -> ssl.TLSVersion | None:
    word = _text(values, key, place)
    if not word:
        return None
    if word in OLD_VERSIONS:
        raise ConfigError(f"{place}.{key}: {word} is broken and not supported; use TLS12 or TLS13")
    return _choice(word, VERSIONS, f"{place}.{key}")


def _ciphers(values: Mapping[str, Any], place: str, min_version: ssl.TLSVersion) -> tuple[str, ...]:
    words = _texts(values, "cipher_suites", place)
    known = CIPHERS_TLS12 | dict.fromkeys(CIPHERS_TLS13, "")
    ciphers = tuple(filter(None, (_choice(w, known, f"{place}.cipher_suites") for w in words)))
    if words and not ciphers and min_version is not ssl.TLSVersion.TLSv1_3:
        raise ConfigError(
            f"{place}.cipher_suites: none of these is for TLS 1.2; "
            "set min_version to TLS13 if that is meant"
        )
    return ciphers


def _curve(values: Mapping[str, Any], place: str) -> str | None:
    words = _texts(values, "curve_preferences", place)
    curves = [_choice(word, CURVES, f"{place}.curve_preferences") for word in words]
    if len(curves) > 1:
        raise ConfigError(
            f"{place}.curve_preferences: Python can offer one curve or all of them, "
            f"not {len(curves)}; keep one, or leave the key out"
        )
    return curves[0] if curves else None


def _headers(given: object, place: str) -> dict[str, str]:
    values = {
        name: str(value) if type(value) is int else value  # X-XSS-Protection: 0
        for name, value in _mapping(given, place, HEADERS).items()
    }
    headers = {name: _text(values, name, place) or "" for name in values}
    for name, value in headers.items():
        choices = HEADERS[name]
        if value and choices and value not in choices:
            raise ConfigError(f"{place}.{name}: must be {' or '.join(choices)}, not {value!r}")
        if not value.isprintable():
            raise ConfigError(f"{place}.{name}: must be one line of printable text")
    return headers


def _users(given: object, place: str) -> dict[str, str]:
    users = _mapping(given, place, known=None)
    for name, hashed in users.items():
        if ":" in name:
            raise ConfigError(f"{place}: the user name {name!r} has a colon, so it cannot log in")
        if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
            # The value is not shown: it may be the password itself.
            raise ConfigError(
                f"{place}.{name}: not a bcrypt hash; make one with htpasswd -nBC 10 {name}"
            )
    return users


def _rate_limit(given: object, place: str) -> RateLimit | None:
    values = _mapping(given, place, ("interval", "burst"))
    if not values:
        return None
    interval = _duration(values.get("interval", 0), f"{place}.interval")
    burst = values.get("burst", 0)
    if type(burst) is not int or burst < 0:
        raise ConfigError(f"{place}.burst: must be a whole number")
    if interval == 0:
        return None
    if burst < 1:
        raise ConfigError(f"{place}: a burst below 1 would let no request through")
    return RateLimit(interval, burst)


def _duration(given: object, place: str) -> float:
    """Return seconds from a duration as Go writes it: ``1s``, ``250ms``, ``1m30s``, or 0."""
    if given in (0, "0") and given is not False:
        return 0.0
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        raise ConfigError(f"{place}: must be a duration such as 1s or 250ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(given))


def _mapping(given: object, place: str, known: Collection[str] | None) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigError(f"{place}: must be a mapping, not {_kind(given)}")
    for key in given:
        if not isinstance(key, str):
            raise ConfigError(f"{place}: the key {key!r} is {_kind(key)}; put it in quotes")
        if known is not None and key not in known:
            raise ConfigError(f"{place}: unknown key {key!r}; {_hint(key, known)}")
    return given


def _text(values: Mapping[str, Any], key: str, place: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{place}.{key}: must be text, not {_kind(value)}")
    return value


def _texts(values: Mapping[str, Any], key: str, place: str) -> list[str]:
    given = values.get(key)
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ConfigError(f"{place}.{key}: must be a list of text")
    return given


def _flag(values: Mapping[str, Any], key: str, place: str, *, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{place}.{key}: must be true or false, not {_kind(value)}")
    return value


def _choice(word: str, choices: Mapping[str, _Choice], place: str) -> _Choice:
    if word not in choices:
        raise ConfigError(f"{place}: unknown value {word!r}; {_hint(word, choices)}")
    return choices[word]


def _hint(word: str, known: Iterable[str]) -> str:
    """Return the nearest of *known*, or all of them where none is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return _TYPES.get(type(value), "a mapping" if isinstance(value, dict) else "something else")
