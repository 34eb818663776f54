"""What the settings of every HTTP server share: its URL, and how to log in."""

import base64
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from exporter.inputs.files import SecretFile
from exporter.inputs.validation import check_alternatives


class Login(Protocol):
    """The settings of HTTP basic auth, or of a bearer token."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> SecretStr | None: ...
    @property
    def password_file(self) -> Path | None: ...
    @property
    def token(self) -> SecretStr | None: ...
    @property
    def token_file(self) -> Path | None: ...


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


def check_login(settings: Login) -> None:
    """Raise `ValueError` if the settings contain half a login, or two."""
    check_alternatives(settings, "password", "token")
    has_password = settings.password is not None or settings.password_file is not None
    has_token = settings.token is not None or settings.token_file is not None
    if has_token and (settings.username or has_password):
        raise ValueError("a token and a user name are both set: keep one")
    if bool(settings.username) is not has_password:
        raise ValueError("username and password must be set together")


def auth_headers(settings: Login) -> dict[str, str]:
    """
    Return the HTTP headers with the credentials.

    Raises:
        ConfigError: A secret file cannot be read or contains no secret.

    """
    token = _secret(settings.token, settings.token_file)
    if token:
        return {"Authorization": f"Bearer {token}"}
    if not settings.username:
        return {}
    password = _secret(settings.password, settings.password_file)
    pair = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _secret(value: SecretStr | None, path: Path | None) -> str:
    """Return *value*, or the secret in the file at *path*; empty if neither is set."""
    secret = SecretFile(path).read() if path is not None else value
    return secret.get_secret_value() if secret is not None else ""
