"""Settings: where they come from, which source wins, and what is said when they are wrong."""

import os
from datetime import time
from pathlib import Path

import pytest

from exporter.cli.daemon_url import URL_VARIABLE
from exporter.config.loader import load, unknown_variables
from exporter.config.settings import Settings
from exporter.config.systems import resolve_systems
from exporter.errors import ConfigError
from exporter.recovery.model.limits import Limits


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("VERGE", "CREDENTIALS_DIRECTORY")):
            monkeypatch.delenv(name)


def one_system(monkeypatch: pytest.MonkeyPatch, **more: str) -> Settings:
    values = {"VERGEWATCH_URL": "https://verge.example", "VERGEWATCH_API_KEY": "k", **more}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load()


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def complaint(config: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(config)
    return str(caught.value)


def test_url_and_key_are_sufficient(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = one_system(monkeypatch)

    (system,) = settings.systems
    assert system.url == "https://verge.example"
    assert system.api_key is not None
    assert system.api_key.get_secret_value() == "k"


def test_vendor_variables_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": "https://v", "USERNAME": "ada", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"VERGE_{name}", value)

    (system,) = load().systems

    assert (system.url, system.username) == ("https://v", "ada")


def test_own_variables_precede_vendor_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERGE_URL", "https://theirs")

    (system,) = one_system(monkeypatch, VERGEWATCH_URL="https://ours").systems

    assert system.url == "https://ours"


def test_command_line_precedes_variables_and_variables_precede_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = written(
        tmp_path / "c.yaml",
        "web: {listen_address: ':1', telemetry_path: /a}\npoll: {fast_seconds: 30}",
    )
    one_system(
        monkeypatch, VERGEWATCH_WEB__LISTEN_ADDRESS=":2", VERGEWATCH_WEB__TELEMETRY_PATH="/b"
    )

    settings = load(config, {"web": {"listen_address": ":3"}})

    assert settings.web.listen_address == ":3"
    assert settings.web.telemetry_path == "/b"
    assert settings.poll.fast_seconds == 30


def test_each_system_has_its_own_settings(tmp_path: Path) -> None:
    config = written(
        tmp_path / "c.yaml",
        """
        systems:
          - {name: a, url: https://a, api_key: x}
          - {name: b, url: https://b, username: u, password: p, poll: {fast_seconds: 60}}
        """,
    )

    settings = load(config)

    assert [one.poll.fast_seconds for one in resolve_systems(settings)] == [20, 60]


def test_secret_file_replaces_the_secret_of_a_weaker_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = written(tmp_path / "c.yaml", "url: https://a\napi_key: weak")
    monkeypatch.setenv("VERGEWATCH_API_KEY_FILE", "/run/key")

    (system,) = load(config).systems

    assert system.api_key is None
    assert system.api_key_file == Path("/run/key")


@pytest.mark.parametrize("variable", ["CREDENTIALS_DIRECTORY", "VERGEWATCH_SECRETS_DIR"])
def test_systemd_credentials_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    written(tmp_path / "api_key", "k")
    monkeypatch.setenv("VERGEWATCH_URL", "https://a")
    monkeypatch.setenv(variable, str(tmp_path))

    (system,) = load().systems

    assert system.api_key_file == tmp_path / "api_key"


def test_each_system_finds_its_own_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(tmp_path / "b.password", "p")
    config = written(
        tmp_path / "c.yaml",
        """
        systems:
          - {name: a, url: https://a, api_key: x}
          - {name: b, url: https://b, username: u}
        """,
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    a, b = load(config).systems

    assert a.password_file is None
    assert b.password_file == tmp_path / "b.password"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no VergeOS system configured: set VERGEWATCH_URL"),
        ("url: verge", "{file}: url: is not a URL such as https://verge.example.com"),
        ("url: https://u:pw@v\napi_key: k", "{file}: url: contains a user name or password"),
        ("url: https://v/api\napi_key: k", "{file}: url: has a path or query after the host name"),
        ("url: https://v:abc\napi_key: k", "{file}: url: is not a URL"),
        ("url: https://v:99999\napi_key: k", "{file}: url: is not a URL"),
        ("url: https://a..b\napi_key: k", "{file}: url: is not a URL"),
        ("url: 'https://a b'\napi_key: k", "{file}: url: is not a URL"),
        ("url: https://v\napi_key: ''", "{file}: api_key: is empty"),
        ("url: https://v\napi_key: k\n1: x", "{file}: 1 is not a setting name"),
        ("url: https://v\napi_key: k\n_env_file: x", "{file}: '_env_file' is not a setting name"),
        ("url: https://v\nname: 2024-13-01", "{file}: a value cannot be converted"),
        ("url: https://v\nurl: https://w", "{file}, line 2: url is given twice"),
        ("url: https://v\napi_key: k\nsecrets_dir: 5", "{file}: secrets_dir: input is not"),
        (
            "url: https://v\napi_key: k\npoll: {stale_after_polls: 1}",
            "{file}: poll.stale_after_polls: input should be greater than or equal to 2",
        ),
        (
            "systems: [{url: https://v, api_key: k}, {url: 'https://V:443/', api_key: k}]",
            "{file}: two systems have the url 'https://v'",
        ),
        ("sytems: []", "{file}: unknown setting sytems; did you mean systems?"),
        ("url: https://v", "{file}: no credentials: give api_key or api_key_file"),
        ("url: https://v\nusername: u", "{file}: no credentials"),
        (
            "url: https://v\napi_key: k\napi_key_file: f",
            "{file}: api_key and api_key_file",
        ),
        (
            "url: https://v\napi_key: k\naction_api_key: k\naction_api_key_file: f",
            "{file}: action_api_key and action_api_key_file",
        ),
        ("url: https://v\naction_api_key: k", "{file}: no credentials"),
        (
            "url: https://v\napi_key: k\nsystems: [{url: https://w}]",
            "api_key, url: for a single system",
        ),
        (
            "url: https://v\napi_key: k\npol: {fast_seconds: 3}",
            "{file}: unknown setting pol; did you mean poll?",
        ),
        (
            "url: https://v\napi_key: k\npoll: {fast_second: 3}",
            "{file}: unknown setting poll.fast_second; did you mean poll.fast_seconds?",
        ),
        (
            "url: https://v\napi_key: k\nrecovery: {limits: {max_per_hou: 3}}",
            "{file}: unknown setting recovery.limits.max_per_hou; did you mean recovery.limits",
        ),
        (
            "url: https://v\napi_key: k\nrecovery: {limits: {max_per_hour: 0}}",
            "{file}: recovery.limits.max_per_hour: input should be greater than 0",
        ),
        (
            "url: https://v\napi_key: k\nrecovery: {limits: 3}",
            "{file}: recovery.limits: expected a group of settings",
        ),
        (
            "systems: [{url: https://v, api_key: k, pol: 1}]",
            "{file}: unknown setting systems[0].pol",
        ),
        (
            "url: https://v\napi_key: k\npoll: {fast_seconds: 0}",
            "{file}: poll.fast_seconds: input should be greater than or equal to 0.001",
        ),
        (
            "url: https://v\napi_key: k\nlog: {level: loud}",
            "{file}: log.level: input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "systems: [{url: https://v, api_key: k}, {url: https://v, api_key: k}]",
            "{file}: two systems have the url 'https://v'",
        ),
        ("a: [", "{file}, line 1: "),
        ("- a", "{file}: expected a mapping of `name: value` lines"),
        ("systems: 7", "{file}: systems: expected a list"),
    ],
)
def test_error_has_the_problem_and_its_place(tmp_path: Path, text: str, says: str) -> None:
    config = written(tmp_path / "c.yaml", text)

    assert complaint(config).startswith(says.format(file=config))


def test_error_names_the_invalid_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^VERGEWATCH_POLL__FAST_SECONDS: poll\.fast_seconds: "):
        one_system(monkeypatch, VERGEWATCH_POLL__FAST_SECONDS="soon")


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    config = written(tmp_path / "c.yaml", "url: x\nfoo: 1\nbar: 2")

    assert len(complaint(config).splitlines()) == 3


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none.yaml").endswith("cannot be read: No such file or directory")


def test_binary_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")

    assert complaint(tmp_path / "c.yaml").endswith("cannot be read: it is not text")


def test_action_key_is_a_separate_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (system,) = one_system(monkeypatch, VERGEWATCH_ACTION_API_KEY="hunter2").systems
    assert system.action_api_key is not None
    assert system.action_api_key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(system)

    written(tmp_path / "action_api_key", "k")
    monkeypatch.setenv("VERGEWATCH_SECRETS_DIR", str(tmp_path))
    (system,) = load().systems
    assert system.action_api_key_file is None
    monkeypatch.delenv("VERGEWATCH_ACTION_API_KEY")
    (system,) = load().systems
    assert system.action_api_key_file == tmp_path / "action_api_key"

    written(tmp_path / "b.action_api_key", "k")
    config = written(
        tmp_path / "c.yaml",
        "systems: [{name: a, url: https://a, api_key: x}, {name: b, url: https://b, api_key: y}]",
    )
    for name in ("URL", "API_KEY"):
        monkeypatch.delenv(f"VERGEWATCH_{name}")
    a, b = load(config).systems
    assert (a.action_api_key_file, b.action_api_key_file) == (None, tmp_path / "b.action_api_key")


def test_errors_do_not_contain_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text in (
        "url: https://user:hunter2@v",
        "url: https://v\napi_key: [hunter2]",
        "url: https://v\napi_key: hunter2\nfoo: hunter2",
        "systems: [{url: https://v, password: hunter2}]",
    ):
        assert "hunter2" not in complaint(written(tmp_path / "c.yaml", text))


@pytest.mark.parametrize("word", ["off", "no", '"off"'])
def test_yaml_boolean_words_are_read_as_text(tmp_path: Path, word: str) -> None:
    file = tmp_path / "vergewatch.yaml"
    file.write_text(
        f"url: https://v\napi_key: k\nrecovery_mode: {word}\n"
        f"recovery: {{mode: {word}, rules: [{{names: web-*, policy: no}}]}}\n"
    )

    settings = load(file)

    assert settings.recovery.mode == "off"
    assert settings.systems[0].recovery_mode == "off"
    (rule,) = settings.recovery.rules
    assert (rule.policy, rule.names) == ("no", ("web-*",))


def test_recovery_token_is_read_from_the_secrets_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recovery_token").write_text("a-token")
    (tmp_path / "token").write_text("other")

    found = one_system(monkeypatch, VERGEWATCH_SECRETS_DIR=str(tmp_path)).recovery
    own = one_system(monkeypatch, VERGEWATCH_RECOVERY__TOKEN="mine-of-16-characters").recovery

    assert found.token_file == tmp_path / "recovery_token"
    assert own.token_file is None


def test_printed_settings_do_not_contain_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = one_system(monkeypatch, VERGEWATCH_API_KEY="hunter2")

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
    assert "hunter2" not in settings.model_dump_json()


def test_unused_variable_is_reported_with_the_nearest_valid_one() -> None:
    names = [
        "VERGEWATCH_POL__FAST_SECONDS",
        "VERGEWATCH_URL",
        "VERGEWATCH_LOG__LEVEL",
        URL_VARIABLE,
        "PATH",
    ]

    assert unknown_variables(names) == [
        "VERGEWATCH_POL__FAST_SECONDS sets nothing; did you mean VERGEWATCH_POLL__FAST_SECONDS?"
    ]


CLOUD = "url: https://verge.example\napi_key: k\n"
WINDOW = CLOUD + "recovery:\n  maintenance_windows: [{{start: {}, hours: 3, reason: x}}]\n"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("22:00", time(22, 0)),  # which YAML takes for a number
        ('"22:00"', time(22, 0)),
        ("9:30", time(9, 30)),
        ("09:30", time(9, 30)),
        ("0:15", time(0, 15)),
        ("22:00:30", time(22, 0, 30)),
        ('"9:05:00"', time(9, 5)),
    ],
)
def test_maintenance_window_start_is_read_with_and_without_quotes(
    tmp_path: Path, text: str, start: time
) -> None:
    (window,) = load(written(tmp_path / "v.yml", WINDOW.format(text))).recovery.maintenance_windows

    assert window.start == start


@pytest.mark.parametrize("text", ["22", "1500", "9.5", "24:00"])
def test_invalid_time_of_day_is_refused(tmp_path: Path, text: str) -> None:
    assert "start" in complaint(written(tmp_path / "v.yml", WINDOW.format(text)))


@pytest.mark.parametrize("value", ["http://am:9093", '["http://am:9093"]'])
def test_list_variable_accepts_a_single_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    settings = one_system(monkeypatch, VERGEWATCH_ALERTMANAGER__URLS=value)

    assert settings.alertmanager.urls == ("http://am:9093",)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("VERGEWATCH_TLS", "yes", "expected a group of settings"),
        ("VERGEWATCH_POLL", "fast", "expected a group of settings"),
        ("VERGEWATCH_RECOVERY__RULES", "web-*", "expected a list"),
    ],
)
def test_variable_of_the_wrong_type_is_reported_with_the_expected_type(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: .*{says}"):
        one_system(monkeypatch, **{name: value})


def test_variables_set_limits_of_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = one_system(
        monkeypatch,
        VERGEWATCH_RECOVERY__LIMITS__MAX_PER_HOUR="2",
        VERGEWATCH_RECOVERY__LIMITS__BREAKER_AUTO_PROBE="false",
    )

    assert settings.recovery.limits == Limits(max_per_hour=2, breaker_auto_probe=False)


def test_empty_section_is_refused(tmp_path: Path) -> None:
    text = written(tmp_path / "v.yml", f"{CLOUD}poll:\n")

    assert "poll: expected a group of settings" in complaint(text)


def test_action_must_fit_into_the_lease_of_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERGEWATCH_RECOVERY__LIMITS__REREAD_AGE_SECONDS", "10.1")
    assert one_system(monkeypatch).recovery.limits.reread_age_seconds == 10.1

    monkeypatch.setenv("VERGEWATCH_JOURNAL__URL", "postgresql://vw@db/vw")

    assert "reread_age_seconds is more than 10" in complaint()


def test_secret_that_cannot_be_looked_for_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As where a directory above it cannot be entered, which root always can.
    too_long = tmp_path / ("x" * 300)
    monkeypatch.setenv("VERGEWATCH_URL", "https://a")
    monkeypatch.setenv("VERGEWATCH_SECRETS_DIR", str(too_long))

    assert complaint().startswith(f"{too_long / 'api_key'} cannot be looked for: ")
