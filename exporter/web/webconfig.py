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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

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

from exporter.bounds import Count, Seconds
from exporter.errors import ConfigError
from exporter.formatting import nearest_or_all, parse_duration
from exporter.inputs.files import read_text
from exporter.inputs.validation import check_alternatives, error_text
from exporter.inputs.yaml_file import parse_yaml

CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
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


def _one_of(known: Iterable[str]) -> AfterValidator:
    def check(word: str) -> str:
        if word not in known:
            raise ValueError(f"unknown value {word!r}{nearest_or_all(word, known)}")
        return word

    return AfterValidator(check)


def _absolute(file: str, info: ValidationInfo) -> str:
    """Return *file* below the folder of the web configuration file."""
    return str(Path(info.context or "") / file) if file else ""


def _seconds(given: object) -> float:
    """Return seconds from a duration; 0 needs no unit."""
    return parse_duration("0s" if given in (0, "0") and given is not False else str(given))


_File = Annotated[str, AfterValidator(_absolute)]
_Version = Literal["TLS12", "TLS13"]
_HeaderValue = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value or ""),
    Field(pattern=r"^[^\x00-\x1f\x7f]*$"),
]
"""One line of text; ``X-XSS-Protection: 0`` needs no quotes."""


class Pem(NamedTuple):
    """A certificate or a key: in a file, or inline in the web configuration file."""

    key: str
    """The configuration key that sets it."""
    path: Path | None
    inline: str

    def __str__(self) -> str:
        return f"{self.key} {self.path or ''}".strip()

    def __bool__(self) -> bool:
        return self.path is not None or bool(self.inline)

    def read(self) -> str:
        """Return the text; raise `ConfigError` if the file cannot be read."""
        return self.inline if self.path is None else read_text(self.path, str(self))


class _Section(BaseModel):
    """A mapping with known keys; a null value counts as not given."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None}


class TLSConfig(_Section):
    """The section ``tls_server_config``."""

    cert: str = ""
    cert_file: _File = ""
    key: str = Field(default="", repr=False)
    key_file: _File = ""
    client_ca: str = ""
    client_ca_file: _File = ""
    client_auth_type: Annotated[str, _one_of(CLIENT_AUTH)] = "NoClientCert"
    client_allowed_sans: list[str] = []
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: list[Annotated[str, _one_of((*CIPHERS_TLS12, *CIPHERS_TLS13))]] = []
    prefer_server_cipher_suites: bool = True
    curve_preferences: Annotated[list[Annotated[str, _one_of(CURVES)]], Field(max_length=1)] = []
    """Python can offer one curve or all of them."""

    def pem(self, name: str) -> Pem:
        """Return the PEM that the key *name* + ``_file``, or else *name*, sets."""
        if file := getattr(self, f"{name}_file"):
            return Pem(f"{name}_file", Path(file), "")
        return Pem(name, None, getattr(self, name))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold certificates and keys."""
        return tuple(map(Path, filter(None, (self.cert_file, self.key_file, self.client_ca_file))))

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        check_alternatives(self, "cert", "key", "client_ca")
        for name in ("cert", "key"):
            if not self.pem(name):
                raise ValueError(f"set {name}_file or {name}")
        client_ca, verified = self.pem("client_ca"), self.client_auth_type != "NoClientCert"
        if client_ca and not verified:
            raise ValueError(
                f"{client_ca.key} is set, but client_auth_type requests no certificate"
            )
        if verified and not client_ca:
            raise ValueError(
                f"client_auth_type {self.client_auth_type} needs client_ca_file: "
                "without it, a certificate of any public authority would be accepted"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")
        only_13 = self.cipher_suites and CIPHERS_TLS12.keys().isdisjoint(self.cipher_suites)
        if only_13 and self.min_version != "TLS13":
            raise ValueError(
                "none of cipher_suites is for TLS 1.2; set min_version to TLS13 if this is intended"
            )
        return self


class HTTPConfig(_Section):
    """The section ``http_server_config``."""

    http2: bool = True
    headers: dict[Annotated[str, _one_of(HEADERS)], _HeaderValue] = {}

    @field_validator("headers")
    @classmethod
    def _check_values(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if value and HEADERS[name] and value not in HEADERS[name]:
                raise ValueError(f"{name} must be {' or '.join(HEADERS[name])}")
        return headers


class RateLimit(_Section):
    """The section ``rate_limit``: a token bucket for all requests together."""

    interval: Annotated[Seconds, BeforeValidator(_seconds)] = 0.0
    """Seconds until one more request is allowed; 0 turns the limit off."""
    burst: Count = 0

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
        return given or None

    @field_validator("basic_auth_users")
    @classmethod
    def _check_users(cls, users: dict[str, str]) -> dict[str, str]:
        for name, hashed in users.items():
            if ":" in name:
                raise ValueError(f"the user name {name!r} has a colon, so it cannot log in")
            if not _BCRYPT.fullmatch(hashed):  # perhaps the password, so the error omits it
                raise ValueError(
                    f"{name} has no bcrypt hash; make one with htpasswd -nBC 10 {name}"
                )
        return users

    @field_validator("rate_limit")
    @classmethod
    def _without_limit(cls, limit: RateLimit | None) -> RateLimit | None:
        return limit if limit is not None and limit.interval else None


def operators_problem(operators: Iterable[str], config: WebConfig, path: Path) -> str:
    """Return which of *operators* are not users of *config*, read from *path*; empty if all are."""
    users = config.basic_auth_users
    unknown = [name for name in operators if name not in users]
    if not unknown:
        return ""
    hint = nearest_or_all(unknown[0], users) if users else "; it has no users"
    return f"web.operators: {unknown[0]!r} is not a user of basic_auth_users in {path}{hint}"


def read_web_config(path: Path) -> WebConfig:
    """
    Read the file at *path*; relative paths in it start from its folder.

    Raises:
        ConfigError: The file cannot be read, or is invalid.

    """
    return parse_web_config(read_text(path), path)


def parse_web_config(text: str, path: Path) -> WebConfig:
    """Return the configuration in *text*, the content of the file at *path*."""
    values = parse_yaml(text, path)
    try:
        return WebConfig.model_validate({} if values is None else values, context=path.parent)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {error_text(first, first['loc'], WebConfig)}") from None
