"""Every query of the API, asked of a running daemon: its answer is what the document declares."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.web.api.contract import ENDPOINTS, Endpoint
from tests.daemon_process import pointing_at, running, simulating
from tests.web.json_schema import problems

VM = "web-01"


@pytest.mark.parametrize("mode", ["shadow", "off"])
async def test_answers_are_as_declared(tmp_path: Path, mode: str) -> None:
    settings = {
        "VERGEWATCH_RECOVERY__MODE": mode,
        "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state"),
    }
    async with (
        simulating(vms=12) as system,
        running({**pointing_at(system), **settings}) as daemon,
    ):
        await daemon.until_up()
        system.world.crash(VM)
        _, text = await daemon.get("/api/v1/openapi.json")
        document = json.loads(text)
        values = {"vm": VM, "system": system.world.system_name, "key": str(system.world.vm(VM).key)}
        for one in ENDPOINTS:
            if one.method != "GET":
                continue
            status, text = await daemon.get(one.path.format(**values))
            assert status in ((200,) if mode == "shadow" else (200, 404, 503)), (one.path, text)
            schema = schema_of(document, one) if status == 200 else ERROR
            assert problems(json.loads(text), schema, document) == [], one.path


ERROR = {"$ref": "#/components/schemas/ErrorResponse"}


def schema_of(document: dict[str, Any], one: Endpoint) -> Any:
    operation = document["paths"][one.path][one.method.lower()]
    return operation["responses"]["200"]["content"]["application/json"]["schema"]
