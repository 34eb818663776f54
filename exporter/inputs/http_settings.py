"""What the settings of every HTTP server share: its URL, and how to log in."""

import base64
import ssl
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from exporter.inputs.files import SecretFile
from exporter.inputs.live_file import FileWatch
from exporter.inputs.proxy_settings import ProxySettings
from exporter.inputs.trust import trust
from exporter.inputs.validation import STRICT, Secret, check_alternatives


def normalized_url(text: str, *, example: str, api: str) -> str:
    """
    Return the base URL of a server without its last slash.

    Args:
        example: Such a URL, for the errors.
        api: The path of the server's API, which does not belong in the URL.

    """
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"is not a URL such as {example}") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"is not a URL such as {example}")
    if parts.username or parts.password:
        raise ValueError("contains a user name or password; set username and password instead")
    if parts.query or parts.fragment:
        raise ValueError("has a query or fragment; remove it")
    path = parts.path.rstrip("/")
    if path.endswith(api):
        raise ValueError(f"ends in {api}; remove it")
    return f"{parts.scheme}://{parts.netloc}{path}"


class HTTPServerSettings(ProxySettings):
    """How to reach and log in to an HTTP server, and which certificates to trust."""

    model_config = STRICT

    section: ClassVar[str]
    """Where these settings stand, for the errors."""

    username: str = ""
    """User name for HTTP basic auth."""
    password: Secret | None = None
    """Password for HTTP basic auth."""
    password_file: Path | None = None
    """File with the password. Read again for each request."""
    token: Secret | None = None
    """Bearer token, instead of a user name and password."""
    token_file: Path | None = None
    """File with the bearer token. Read again for each request."""
    verify: bool = True
    """Whether to verify TLS certificates. If off, the credentials can be intercepted."""
    ca_file: Path | None = None
    """CA certificates (PEM) to trust in addition to the operating system's. Each new connection
    uses the file as it is then."""

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        check_alternatives(self, "password", "token")
        has_password = self.password is not None or self.password_file is not None
        has_token = self.token is not None or self.token_file is not None
        if has_token and (self.username or has_password):
            raise ValueError("a token and a user name are both set: keep one")
        if bool(self.username) is not has_password:
            raise ValueError("username and password must be set together")
        return self

    def auth_headers(self) -> dict[str, str]:
        """
        Return the HTTP headers with the credentials.

        Raises:
            ConfigError: A secret file cannot be read or contains no secret.

        """
        token = _secret(self.token, self.token_file)
        if token:
            return {"Authorization": f"Bearer {token}"}
        if not self.username:
            return {}
        password = _secret(self.password, self.password_file)
        pair = base64.b64encode(f"{self.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def ssl_context(self, watch: FileWatch | None = None) -> ssl.SSLContext | bool:
        """
        Return what verifies certificates, ``False`` to verify none.

        Args:
            watch: Reports a CA file that becomes invalid.

        Raises:
            ConfigError: The CA file cannot be used.

        """
        return trust(self.ca_file, verify=self.verify, section=self.section, watch=watch)


def _secret(value: SecretStr | None, path: Path | None) -> str:
    """Return *value*, or the secret in the file at *path*; empty if neither is set."""
    secret = SecretFile(path).read() if path is not None else value
    return secret.get_secret_value() if secret is not None else ""
