"""Through which proxy the requests to a server go."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, SecretStr, model_validator
from yarl import URL

from exporter.errors import ConfigError
from exporter.http import Proxies
from exporter.inputs.files import SecretFile
from exporter.inputs.validation import STRICT, Secret, check_alternatives

ReadLogin = Callable[[], SecretStr | None]
ENVIRONMENT = "environment"
EXAMPLE = "http://proxy.example.com:3128"


def _checked(text: str) -> str:
    """Return the setting in its normal form."""
    text = text.strip()
    if text in ("", ENVIRONMENT):
        return text
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"is neither a URL such as {EXAMPLE} nor `{ENVIRONMENT}`") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("contains a user name or password; put them into proxy_login_file")
    if parts.scheme in ("https", "socks4", "socks5", "socks5h"):
        raise ValueError(f"only proxies that are reached by http are supported, such as {EXAMPLE}")
    if parts.scheme != "http" or not host or port == 0:
        raise ValueError(f"is neither a URL such as {EXAMPLE} nor `{ENVIRONMENT}`")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("has a path or query after the host name; give only host and port")
    return f"http://{parts.netloc}"


class ProxySettings(BaseModel):
    """The proxy of a server; its login is a secret."""

    model_config = STRICT

    proxy: Annotated[str, AfterValidator(_checked)] = ""
    """`http://host:port` of a proxy, or `environment`: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`
    apply. Without it, there is no proxy, whatever the environment has."""
    proxy_login: Secret | None = None
    """`user:password` for the proxy."""
    proxy_login_file: Path | None = None
    """A file with `user:password` for the proxy. Each request uses the file as it is then."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_alternatives(self, "proxy_login")
        if (self.proxy_login or self.proxy_login_file) and not self.proxy:
            raise ValueError("proxy_login is set without proxy")
        if self.proxy_login and ":" not in self.proxy_login.get_secret_value():
            raise ValueError("proxy_login: expected user:password")
        return self

    def proxies(self) -> Proxies | None:
        """
        Return what chooses the proxy of each request, ``None`` if there is none.

        Raises:
            ConfigError: A variable of the environment has no proxy that is supported.

        """
        if not self.proxy:
            return None
        login, file = self.proxy_login, self.proxy_login_file
        read: ReadLogin = SecretFile(file).read if file is not None else lambda: login
        if self.proxy == ENVIRONMENT:
            return _of_environment(read)
        return lambda _: _with_login(URL(self.proxy), read())


def _of_environment(read: ReadLogin) -> Proxies:
    """Return what chooses the proxy that ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY`` name."""
    # Only here, because it loads a lot.
    from urllib import request  # noqa: PLC0415

    environment: Any = request  # typeshed has no types of these functions
    named: dict[str, str] = environment.getproxies_environment()
    bypass: Callable[[str, dict[str, str]], bool] = environment.proxy_bypass_environment
    proxies = {
        scheme: _from_variable(f"{scheme.upper()}_PROXY", named[scheme])
        for scheme in ("http", "https")
        if named.get(scheme)
    }

    def choose(url: URL) -> URL | None:
        proxy = proxies.get(url.scheme)
        if proxy is None or bypass(f"{url.host}:{url.port}", named):
            return None
        return _with_login(proxy, read())

    return choose


def _from_variable(name: str, value: str) -> URL:
    """Return the proxy in a variable; it may contain a login, which no error repeats."""
    try:
        url = URL(value if "://" in value else f"http://{value}")
        _checked(str(url.with_user(None).origin()))
    except ValueError:
        raise ConfigError(f"{name}: is no URL such as {EXAMPLE}; proxy is `environment`") from None
    return url.origin() if url.user is None else url.with_path("/")


def _with_login(proxy: URL, login: SecretStr | None) -> URL:
    """
    Return *proxy* with the login.

    Raises:
        ConfigError: The login is none.

    """
    if login is None:
        return proxy
    user, colon, password = login.get_secret_value().partition(":")
    if not colon:
        raise ConfigError("proxy_login_file: expected user:password in its first line")
    return proxy.with_user(user).with_password(password)
