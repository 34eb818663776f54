"""The health check of the container asks the daemon where it really listens."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.daemon.test_daemon import output_of, self_signed
from tests.daemon_process import REAL_TIME, running, simulating

SCRIPT = Path(__file__).parents[2] / "deploy" / "docker" / "healthcheck.py"
DEAD = {"VERGEWATCH_URL": "http://127.0.0.1:1", "VERGEWATCH_API_KEY": "k"}
LOGIN = "basic_auth_users: {a: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n"
TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
MUTUAL = (
    "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem, "
    "client_auth_type: RequireAndVerifyClientCert}\n"
)


async def is_healthy(state: Path, *path: str, **env: str) -> bool:
    code, output = await output_of(
        [sys.executable, "-I", str(SCRIPT), *path], STATE_DIRECTORY=str(state), **env
    )
    assert "Traceback" not in output
    return code == 0


@asynccontextmanager
async def daemon_process(*args: str, **env: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "run", *args),
        env={**os.environ, **DEAD, **env},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize("source", ["file", "variable", "option"])
async def test_daemon_is_healthy_whatever_sets_its_port(tmp_path: Path, source: str) -> None:
    config, state = tmp_path / "vergewatch.yaml", tmp_path / "state"
    address = f"127.0.0.1:{free_port()}"
    config.write_text(f"web: {{listen_address: '{address}'}}\n" if source == "file" else "{}")
    by_option = ("--web.listen-address", address) if source == "option" else ()
    env = {"STATE_DIRECTORY": str(state)}
    if source == "variable":
        env["VERGEWATCH_WEB__LISTEN_ADDRESS"] = address
    async with daemon_process("--config", str(config), *by_option, **env):
        async with asyncio.timeout(20):
            while not await is_healthy(state):
                await REAL_TIME.sleep(0.1)
    assert not await is_healthy(state, VERGEWATCH_WEB__LISTEN_ADDRESS=address)
    assert list(state.glob("*.json")) == []


async def test_daemon_without_a_system_is_healthy_and_not_ready(tmp_path: Path) -> None:
    env = {"STATE_DIRECTORY": str(tmp_path)}
    async with running({**DEAD, **env}):
        assert await is_healthy(tmp_path)
        assert not await is_healthy(tmp_path, "/-/ready")
    async with (
        simulating(api_key="k") as simulator,
        running({**DEAD, **env, "VERGEWATCH_URL": simulator.url}) as daemon,
    ):
        await daemon.until_up()
        assert await is_healthy(tmp_path, "/-/ready")


@pytest.mark.parametrize("web", [LOGIN, TLS, TLS + LOGIN, MUTUAL])
async def test_daemon_with_tls_or_a_login_is_healthy(tmp_path: Path, web: str) -> None:
    self_signed(tmp_path)
    (tmp_path / "web.yml").write_text(web)
    state = tmp_path / "state"
    option = ("--web.config.file", str(tmp_path / "web.yml"))
    async with running({**DEAD, "STATE_DIRECTORY": str(state)}, *option):
        assert await is_healthy(state)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "x"}', '{"host": "", "port": "x"}'])
async def test_variable_counts_where_the_file_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "listen.json").write_text(text)
    async with running(DEAD) as daemon:
        address = daemon.url.removeprefix("http://")
        assert await is_healthy(tmp_path, VERGEWATCH_WEB__LISTEN_ADDRESS=address)
        assert not await is_healthy(tmp_path, VERGEWATCH_WEB__LISTEN_ADDRESS="127.0.0.1:1")
