"""A login at an MCP server, in the types of the official Python SDK."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.mcp.browsing import decide, guarded
from tests.server.programs import program

SDK = Path(__file__).parents[2] / ".sdk"
if not (SDK / ".done").exists():
    pytest.skip("openai-codex is not here; `make sdk` gets it", allow_module_level=True)
sys.path.append(str(SDK))

models: Any = importlib.import_module("openai_codex.generated.v2_all")
registry: Any = importlib.import_module("openai_codex.generated.notification_registry")


@pytest.mark.anyio
async def test_a_login_is_said_in_codexs_words(workspace: Path) -> None:
    home = workspace.parent / "octavo-home"
    told = "mcpServer/oauthLogin/completed"
    with guarded() as web:
        async with program(home, before=("-c", web.override)) as server:
            await server.hello(experimentalApi=True)
            params = {"name": "web", "scopes": ["add"], "timeoutSecs": 60, "threadId": None}
            models.McpServerOauthLoginParams.model_validate(params)
            before = await server.call("mcpServerStatus/list", {})
            answer = await server.call("mcpServer/oauth/login", params)
            begun = models.McpServerOauthLoginResponse.model_validate(answer)
            await anyio.to_thread.run_sync(decide, begun.authorization_url)
            message = await server.until(told)
            after = await server.call("mcpServerStatus/list", {})

    completed = registry.NOTIFICATION_MODELS[told].model_validate(message["params"])
    assert (completed.name, completed.success, completed.error) == ("web", True, None)
    assert completed.login_id == begun.login_id
    said = [models.ListMcpServerStatusResponse.model_validate(one).data for one in (before, after)]
    assert [one.auth_status.value for [one] in said] == ["notLoggedIn", "oAuth"]
    assert [one.runtime_status.value for [one] in said] == ["authenticationRequired", "connected"]
