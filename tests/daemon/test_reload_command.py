"""`vergewatch reload`, as ``systemctl reload`` runs it, against a real daemon."""

import json
from pathlib import Path

import bcrypt

from tests.cli.test_daemon_client import ran
from tests.daemon_process import running

NOWHERE = {"url": "http://127.0.0.1:9", "api_key": "k" * 40}


async def reloading(state: Path, *args: str, **env: str) -> tuple[int, str, str]:
    return await ran("reload", *args, STATE_DIRECTORY=str(state), **env)


def written(path: Path, **settings: object) -> None:
    path.write_text(json.dumps({**NOWHERE, **settings}))  # which is YAML


async def test_exit_code_and_output_of_reload_tell_what_is_in_force(tmp_path: Path) -> None:
    config, state = tmp_path / "vergewatch.yaml", tmp_path / "state"
    written(config)
    async with running({"STATE_DIRECTORY": str(state)}, "--config", str(config)) as daemon:
        assert await reloading(state) == (0, "reloaded\n", "")

        written(config, collectors={"nics": False}, web={"history_hours": 1})
        code, out, err = await reloading(state, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == {
            "applied": ["collectors"],
            "needs_restart": ["web.history_hours"],
            "problem": "Restart to apply web.history_hours.",
        }

        daemon.log.clear()
        written(config, web={"history_hours": -1})
        code, out, err = await reloading(state)
        assert (code, out) == (2, "")
        assert "web.history_hours" in err
        assert "config.rejected" in daemon.events()
    assert (await reloading(state))[0] == 1


async def test_reload_with_a_password_takes_it_from_the_url(tmp_path: Path) -> None:
    config, web, state = (tmp_path / name for name in ("vergewatch.yaml", "web.yml", "state"))
    written(config)
    web.write_text(f"basic_auth_users: {{me: {bcrypt.hashpw(b'key', bcrypt.gensalt(4)).decode()}}}")
    options = ("--config", str(config), "--web.config.file", str(web))
    async with running({"STATE_DIRECTORY": str(state)}, *options) as daemon:
        code, _, err = await reloading(state)
        assert code == 2
        assert "VERGEWATCH_DAEMON_URL" in err

        url = daemon.url.replace("http://", "http://me:key@")
        assert await reloading(state, VERGEWATCH_DAEMON_URL=url) == (0, "reloaded\n", "")
