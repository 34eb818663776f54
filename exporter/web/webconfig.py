"""
The web configuration file, in the format that all exporter-toolkit components share.

See docs/web-configuration.md of prometheus/exporter-toolkit. A key that Python cannot implement
is rejected: ignoring it would leave the daemon less protected than the file claims. Differences:

* ``http2`` is accepted as true (the default) or false. The server always negotiates HTTP/1.1.
* A client certificate is either verified against ``client_ca_file`` or not requested.
* A header with an empty value is not sent, not even where the server sends it by default.
"""

import re
import ssl
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from exporter.errors import ConfigError
from exporter.formatting import nearest_or_all

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNSUPPORTED = {
    version: f"{version} is insecure and not supported; use TLS12 or TLS13"
    for version in ("TLS10", "TLS11")
} | {
    word: f"{word} accepts unverified certificates, which is not supported; "
    "use RequireAndVerifyClientCert"
    for word in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
}
"""Values of the file format that Python's ``ssl`` cannot implement, and the error for each."""
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
"""OpenSSL's names."""
CIPHERS_TLS12 = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""OpenSSL's names."""
CIPHERS_TLS13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
"""Always offered with TLS 1.3: neither Go nor Python can select among them."""
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, and their allowed values; empty for any value."""

_BCRYPT = re.compile(
    r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TYPES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate or a key: in a file, or inline in the web configuration file."""

    key: str
    """The configuration key that sets it."""
    path: Path | None
    text: str = field(repr=False)

    @property
    def is_set(self) -> bool:
        return self.path is not None or bool(self.text)

    def __str__(self) -> str:
        return self.key if self.path is None else f"{self.key} {self.path}"


def _mapping(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"must be a mapping, not {_type(given)}")  # noqa: TRY004 - for pydantic
    for key in given:
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} is {_type(key)}; put it in quotes")  # noqa: TRY004
    return given


def _check_key(key: str, known: Iterable[str]) -> None:
    if key not in known:
        raise ValueError(f"unknown key {key!r}{nearest_or_all(key, known)}")


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in known:
            raise ValueError(
                UNSUPPORTED.get(word) or f"unknown value {word!r}{nearest_or_all(word, known)}"
            )
        return word

    return check


def _absolute(file: str, info: ValidationInfo) -> str:
    """Return *file* below the folder of the web configuration file."""
    return str(Path(info.context or "") / file) if file else ""


def _seconds(given: object) -> float:
    """Return seconds from a duration in Go's format: ``1s``, ``250ms``, ``1m30s``, or 0."""
    if given in (0, "0") and given is not False:
        return 0.0
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        raise ValueError("must be a duration such as 1s or 250ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(given))


_File = Annotated[str, AfterValidator(_absolute)]
_Version = Annotated[str, AfterValidator(_one_of(VERSIONS))]
_Cipher = Annotated[str, AfterValidator(_one_of((*CIPHERS_TLS12, *CIPHERS_TLS13)))]
_Curve = Annotated[str, AfterValidator(_one_of(CURVES))]


class _Section(BaseModel):
    """A mapping with known keys; a null value counts as not given."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, given: object) -> dict[str, Any]:
        values = _mapping(given)
        for key in values:
            _check_key(key, cls.model_fields)
        return {key: value for key, value in values.items() if value is not None}


class TLSConfig(_Section):
    """The section ``tls_server_config``."""

    cert: str = ""
    cert_file: _File = ""
    key: str = Field(default="", repr=False)
    key_file: _File = ""
    client_ca: str = ""
    client_ca_file: _File = ""
    client_auth_type: Annotated[str, AfterValidator(_one_of(("", *CLIENT_AUTH)))] = ""
    client_allowed_sans: list[str] = []
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: list[_Cipher] = []
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[_Curve] = []

    def pem(self, name: str) -> Pem:
        """Return the PEM that the key *name* + ``_file``, or else *name*, sets."""
        if file := getattr(self, f"{name}_file"):
            return Pem(f"{name}_file", Path(file), "")
        return Pem(name, None, getattr(self, name))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold certificates and keys."""
        files = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(Path(file) for file in files if file)

    @field_validator("curve_preferences")
    @classmethod
    def _check_curves(cls, curves: list[str]) -> list[str]:
        if len(curves) > 1:
            raise ValueError(
                f"Python can offer one curve or all of them, not {len(curves)}; "
                "keep one, or remove the key"
            )
        return curves

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        for name in ("cert", "key", "client_ca"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"set only one of {name} and {name}_file")
        for name in ("cert", "key"):
            if not self.pem(name).is_set:
                raise ValueError(f"set {name}_file or {name}")
        self._check_client_auth()
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")
        if (
            self.cipher_suites
            and self.min_version != "TLS13"
            and CIPHERS_TLS12.keys().isdisjoint(self.cipher_suites)
        ):
            raise ValueError(
                "none of cipher_suites is for TLS 1.2; set min_version to TLS13 if this is intended"
            )
        return self

    def _check_client_auth(self) -> None:
        client_ca = self.pem("client_ca")
        verified = self.client_auth_type not in ("", "NoClientCert")
        if client_ca.is_set and not verified:
            raise ValueError(
                f"{client_ca.key} is set, but client_auth_type requests no certificate"
            )
        if verified and not client_ca.is_set:
            raise ValueError(
                f"client_auth_type {self.client_auth_type} needs client_ca_file: "
                "without it, a certificate of any public authority would be accepted"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
            )


class HTTPConfig(_Section):
    """The section ``http_server_config``."""

    http2: bool = True
    headers: dict[str, str] = {}

    @field_validator("headers", mode="before")
    @classmethod
    def _check_headers(cls, given: object) -> dict[str, str]:
        headers = {}
        for name, value in _mapping(given).items():
            _check_key(name, HEADERS)
            text = str(value) if type(value) is int else value or ""  # X-XSS-Protection: 0
            if not isinstance(text, str):
                raise ValueError(f"{name} must be text, not {_type(value)}")  # noqa: TRY004
            choices = HEADERS[name]
            if text and choices and text not in choices:
                raise ValueError(f"{name} must be {' or '.join(choices)}, not {text!r}")
            if not text.isprintable():
                raise ValueError(f"{name} must be one line of printable text")
            headers[name] = text
        return headers


class RateLimit(_Section):
    """The section ``rate_limit``: a token bucket for all requests together."""

    interval: Annotated[float, BeforeValidator(_seconds)] = 0.0
    """Seconds until one more request is allowed; 0 turns the limit off."""
    burst: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_burst(self) -> Self:
        if self.interval and not self.burst:
            raise ValueError("a burst below 1 would reject every request")
        return self


class WebConfig(_Section):
    """The whole file; without a file, every section has its default."""

    tls_server_config: TLSConfig | None = None
    http_server_config: HTTPConfig = HTTPConfig()
    basic_auth_users: dict[str, str] = Field(default={}, repr=False)
    """User name to bcrypt hash; empty if no login is required."""
    rate_limit: RateLimit | None = None

    @field_validator("tls_server_config", mode="before")
    @classmethod
    def _without_tls(cls, given: object) -> object:
        return None if given == {} else given

    @field_validator("basic_auth_users", mode="before")
    @classmethod
    def _check_users(cls, given: object) -> dict[str, str]:
        users = _mapping(given)
        for name, hashed in users.items():
            if ":" in name:
                raise ValueError(f"the user name {name!r} has a colon, so it cannot log in")
            if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
                # The value may be the password itself, so the error does not contain it.
                raise ValueError(
                    f"{name} has no bcrypt hash; make one with htpasswd -nBC 10 {name}"
                )
        return users

    @field_validator("rate_limit")
    @classmethod
    def _without_limit(cls, limit: RateLimit | None) -> RateLimit | None:
        return limit if limit is not None and limit.interval else None


def read_web_config(path: Path) -> WebConfig:
    """
    Read the file at *path*; relative paths in it start from its folder.

    Raises:
        ConfigError: The file cannot be read, or is invalid.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    return parse_web_config(text, path=path)


def parse_web_config(text: str, *, path: Path) -> WebConfig:
    """
    Return the configuration in *text*.

    Args:
        text: The content of the file.
        path: Names the file in errors; relative paths start from its folder.

    Raises:
        ConfigError: *text* is invalid. The error names the first problem and its key.

    """
    values = _load(text, path)
    try:
        return WebConfig.model_validate({} if values is None else values, context=path.parent)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_problem(error.errors()[0])}") from None


class _Loader(yaml.SafeLoader):
    """Plain YAML that rejects duplicate keys."""

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


def _load(text: str, path: Path) -> object:
    # No error repeats a line of the file: it may hold a key or a password.
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {line}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{path}: not YAML") from None


def _problem(error: ErrorDetails) -> str:
    """Return the place and the text of an error, without the value, which may be a secret."""
    place = ".".join(part for part in error["loc"] if isinstance(part, str))
    match error["type"]:
        case "value_error":
            text = str(error["ctx"]["error"])
        case "list_type":
            text = "must be a list of text"
        case "string_type" if isinstance(error["loc"][-1], int):
            text = "must be a list of text"
        case "string_type":
            text = f"must be text, not {_type(error['input'])}"
        case "bool_type":
            text = f"must be true or false, not {_type(error['input'])}"
        case _:
            text = "must be a whole number"
    return f"{place}: {text}" if place else text


def _type(value: object) -> str:
    return _TYPES.get(type(value), "something else")
