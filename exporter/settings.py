"""
Everything an operator can set. Read at start-up and on reload, and nowhere else.

From strongest to weakest: command line, ``VERGEWATCH_*`` variables (``__`` between levels),
``VERGE_*`` variables, the YAML file. Only ``cli`` and ``app`` import this module; everything
else is handed values.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from exporter.errors import ConfigError

PREFIX = "VERGEWATCH_"
CONFIG_FILE_VARIABLE = "VERGEWATCH_CONFIG_FILE"
SECRETS_DIR_VARIABLES = ("VERGEWATCH_SECRETS_DIR", "CREDENTIALS_DIRECTORY")
"""The second is systemd's, set by ``LoadCredential=``."""
SIMULATOR_KEY_VARIABLE = "VERGEWATCH_SIMULATOR_API_KEY"
"""The key that `vergewatch simulate` accepts; no setting of the daemon's."""
VENDOR_VARIABLES = {
    "VERGE_URL": "url",
    "VERGE_API_KEY": "api_key",
    "VERGE_USERNAME": "username",
    "VERGE_PASSWORD": "password",
}
STRICT = ConfigDict(
    frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
)


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL such as https://verge.example.com")
    if parts.username or parts.password:
        raise ValueError("carries a user name or password; give them as username and password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("goes on after the host name; the API's path is known")
    return f"{parts.scheme}://{parts.netloc}"


BaseURL = Annotated[str, AfterValidator(_base_url)]


class PollSettings(BaseModel):
    """How often to ask."""

    model_config = STRICT

    fast_seconds: PositiveFloat = 20
    """Between readings of what decides whether a VM is up: `vms`, `machine_status`."""
    slow_seconds: PositiveFloat = 60
    """Between readings of load: `machine_stats`, `machine_nics`, `machine_drives`,
    `machine_drive_stats`."""
    inventory_seconds: PositiveFloat = 300
    """Between readings of what hardly changes: `clusters`, `nodes`, the number of snapshots."""
    identity_seconds: PositiveFloat = 3600
    """Between readings of the cloud's name and version."""
    stale_after_polls: Annotated[float, Field(ge=1)] = 3
    """Readings that may fail before a table's last good one is too old to be shown."""


class APISettings(BaseModel):
    """How to behave towards the API."""

    model_config = STRICT

    requests_per_hour: PositiveInt = 1000
    """What VergeOS allows for an API key."""
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of that kept back for recovery."""
    timeout_seconds: PositiveFloat = 30
    """For one reading, its retries included."""
    spacing_seconds: Annotated[float, Field(ge=0)] = 0.05
    """Between the starts of two requests. VergeOS drops the connection of whoever is faster."""
    page_rows: NonNegativeInt = 0
    """Rows to ask for at a time; 0 for all at once, which is what VergeOS' own clients do."""
    max_answer_mib: PositiveInt = 64
    """A longer answer is refused unread."""
    refused_wait_seconds: PositiveFloat = 1800
    """How long to ask nothing after a 401, unless the secret changes. Refused logins lock the
    account, API keys included."""


class TLSSettings(BaseModel):
    """How to know that it is the right VergeOS."""

    model_config = STRICT

    verify: bool = True
    """Whether to check the certificate. Without it anybody on the way can read the API key."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust besides the system's, such as the VergeOS' own."""


class SystemSettings(BaseModel):
    """One VergeOS cloud."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1)] | None = None
    """The label `system_name`. Without it: what the cloud calls itself, once it has said so."""
    url: BaseURL
    """`https://host[:port]`."""
    api_key: SecretStr | None = None
    """An API key of a user who may list and read."""
    api_key_file: Path | None = None
    """A file with the API key, read again when it changes."""
    username: str = ""
    """A user name, where there is no API key."""
    password: SecretStr | None = None
    """The user's password."""
    password_file: Path | None = None
    """A file with the password, read again when it changes."""
    login: Literal["token", "basic"] = "token"
    """With a user name: log in once and use a session token, or send the password each time."""
    tls: TLSSettings = TLSSettings()
    poll: PollSettings | None = None
    """Instead of the common `poll`."""
    api: APISettings | None = None
    """Instead of the common `api`."""

    @model_validator(mode="after")
    def _one_way_to_sign(self) -> "SystemSettings":
        keys = [self.api_key, self.api_key_file]
        passwords = [self.password, self.password_file]
        if sum(given is not None for given in keys) > 1:
            raise ValueError("api_key and api_key_file are both given: keep one")
        if sum(given is not None for given in passwords) > 1:
            raise ValueError("password and password_file are both given: keep one")
        if any(given is not None for given in keys):
            return self
        if not self.username or all(given is None for given in passwords):
            raise ValueError(
                "no credentials: give api_key or api_key_file, or username and password"
            )
        return self


class WebSettings(BaseModel):
    """What is served, and where."""

    model_config = STRICT

    listen_address: str = ":9888"
    """`[host]:port`; without a host, on every address of this machine."""
    telemetry_path: Annotated[str, Field(pattern="^/")] = "/metrics"
    """Where Prometheus finds the metrics."""
    config_file: Path | None = None
    """TLS and basic auth, in the format of Prometheus' exporter-toolkit."""


class LogSettings(BaseModel):
    """What is said, and how."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to show."""
    format: Literal["auto", "console", "json"] = "auto"
    """For a person, or for a machine; `auto` is `console` on a terminal and `json` elsewhere."""


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    url: BaseURL | None = None
    """The VergeOS to watch, when it is one. Several go under `systems`."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """As `systems[].name`, when it is one."""
    api_key: SecretStr | None = None
    """As `systems[].api_key`, when it is one."""
    api_key_file: Path | None = None
    """As `systems[].api_key_file`, when it is one."""
    username: str = ""
    """As `systems[].username`, when it is one."""
    password: SecretStr | None = None
    """As `systems[].password`, when it is one."""
    password_file: Path | None = None
    """As `systems[].password_file`, when it is one."""
    login: Literal["token", "basic"] = "token"
    """As `systems[].login`, when it is one."""
    tls: TLSSettings = TLSSettings()
    """As `systems[].tls`, when it is one."""
    systems: tuple[SystemSettings, ...] = ()
    """Several clouds, each with credentials, cadence and failures of its own."""
    poll: PollSettings = PollSettings()
    """How often to ask."""
    api: APISettings = APISettings()
    """How to behave towards the API."""
    web: WebSettings = WebSettings()
    """What is served, and where."""
    log: LogSettings = LogSettings()
    """What is said, and how."""
    secrets_dir: Path | None = None
    """A directory of secrets: `api_key` and `password` for one cloud, `NAME.api_key` and
    `NAME.password` for several. systemd's credentials directory is found by itself."""
    config_file: Path | None = None
    """The YAML file that these settings may be in."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load` merges, so that an error can say where a value came from

    @model_validator(mode="after")
    def _clouds_differ(self) -> "Settings":
        for what in ("name", "url"):
            values = [value for cloud in self.systems if (value := getattr(cloud, what))]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two systems have the {what} {min(twice)!r}")
        return self

    def poll_of(self, cloud: SystemSettings) -> PollSettings:
        """Return the cadence of *cloud*."""
        return cloud.poll or self.poll

    def api_of(self, cloud: SystemSettings) -> APISettings:
        """Return how to treat the API of *cloud*."""
        return cloud.api or self.api


ALTERNATIVES = (("api_key", "api_key_file"), ("password", "password_file"))
"""Two ways to say one thing: where a stronger source uses one, a weaker one's other is void."""
OF_ONE_CLOUD = frozenset(SystemSettings.model_fields) & frozenset(Settings.model_fields) - {
    "poll",
    "api",
}


def load(
    config_file: Path | None = None,
    command_line: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """
    Return the settings, from all their sources.

    Args:
        config_file: A YAML file; without it, the one that ``VERGEWATCH_CONFIG_FILE`` names, if any.
        command_line: Nested values that outrank all others.
        environ: The process' environment. Values are always taken from the real one.

    Raises:
        ConfigError: Everything that is wrong, a line each, with where it was said.

    """
    named = environ.get(CONFIG_FILE_VARIABLE)
    path = config_file or (Path(named) if named else None)
    values: dict[str, Any] = {}
    for source in (
        _from_file(path) if path else {},
        {setting: environ[name] for name, setting in VENDOR_VARIABLES.items() if environ.get(name)},
        _from_environment(),
        command_line or {},
    ):
        values = _merged(values, source)
    values.pop("config_file", None)
    single = {key: values.pop(key) for key in sorted(OF_ONE_CLOUD) if key in values}
    if single:
        if values.get("systems"):
            raise ConfigError(
                f"{', '.join(single)} is for one cloud, and systems lists several: "
                "move it to the system it belongs to"
            )
        values["systems"] = [single]
    if not values.get("systems") or ("url" in single and not single["url"]):
        raise ConfigError(
            "no VergeOS to watch: set VERGEWATCH_URL and VERGEWATCH_API_KEY, or list systems in a "
            "file named by --config; `vergewatch demo` needs neither"
        )
    _find_secrets(values, environ, single=bool(single))
    try:
        return Settings(**values, config_file=path)
    except ValidationError as errors:
        where = _Whereabouts(path, environ, single=bool(single))
        raise ConfigError("\n".join(where.explain(error) for error in errors.errors())) from None


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """
    Return a complaint for each variable that looks like ours and sets nothing.

    A complaint and no error: Kubernetes injects ``VERGEWATCH_PORT`` and its like by itself.
    """
    known = _known_variables()
    return [
        f"{name} sets nothing{_nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known
        and name not in (*SECRETS_DIR_VARIABLES, SIMULATOR_KEY_VARIABLE)
        and not any(name.startswith(f"{group}__") for group in known)
    ]


def _known_variables() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        known.add(f"{PREFIX}{name.upper()}")
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            known |= {f"{PREFIX}{name.upper()}__{inner.upper()}" for inner in kind.model_fields}
    return known


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} cannot be read: it is not text") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or "it is not YAML"
        raise ConfigError(f"{path}{line}: {what}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: settings are `name: value` lines, and this is something else")
    return values


def _from_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as problem:
        raise ConfigError(f"in the environment: {problem}") from None


def _merged(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(weak)
    for pair in ALTERNATIVES:
        if any(key in strong for key in pair):
            for key in pair:
                values.pop(key, None)
    for key, value in strong.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = _merged(values[key], value) if both else value
    return values


def _find_secrets(values: dict[str, Any], environ: Mapping[str, str], *, single: bool) -> None:
    """Point clouds without credentials at the secrets directory's files, where it has some."""
    named = [values.get("secrets_dir"), *(environ.get(name) for name in SECRETS_DIR_VARIABLES)]
    directory = next((Path(name) for name in named if name), None)
    systems = values["systems"]
    if directory is None or not isinstance(systems, list):
        return
    for cloud in systems:
        if not isinstance(cloud, dict):
            continue
        prefix = "" if single else f"{cloud.get('name')}."
        for plain, file in ALTERNATIVES:
            path = directory / f"{prefix}{plain}"
            if not any(key in cloud for key in (plain, file)) and path.exists():
                cloud[file] = path


class _Whereabouts:
    """Knows where each setting was said, to tell whoever said it wrong."""

    def __init__(self, path: Path | None, environ: Mapping[str, str], *, single: bool) -> None:
        self._path = path
        self._environ = environ
        self._single = single

    def explain(self, error: Mapping[str, Any]) -> str:
        """Return one line: the setting, where it was said, and what is wrong with it."""
        place = tuple(error["loc"])
        if self._single and place[:2] == ("systems", 0):
            place = place[2:]
        name = _dotted(place)
        if error["type"] == "extra_forbidden":
            return f"{self._said(place)}unknown setting {name}{_nearest(name, _known_names())}"
        message = error["msg"].removeprefix("Value error, ")
        return f"{self._said(place)}{name}{': ' if name else ''}{message[:1].lower()}{message[1:]}"

    def _said(self, place: tuple[Any, ...]) -> str:
        variable = PREFIX + "__".join(str(step).upper() for step in place)
        if variable in self._environ:
            return f"{variable}: "
        return f"{self._path}: " if self._path else ""


def _dotted(place: Iterable[Any]) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _known_names() -> set[str]:
    """Return every setting's dotted name, list positions left out."""
    names = {".".join(path) for path, _ in walk(Settings)}
    return names | {name.split(".")[0] for name in names}


def _nearest(name: str, known: Iterable[str]) -> str:
    bare = "".join(char for char in name if char not in "[]0123456789")
    found = difflib.get_close_matches(bare, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def walk(
    model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterable[tuple[tuple[str, ...], FieldInfo]]:
    """Yield the path and the field of every single setting under *model*."""
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from walk(inner, (*path, name))
        else:
            yield (*path, name), field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, or holds several of."""
    candidates = (annotation, *get_args(annotation))
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
