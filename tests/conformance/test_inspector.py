"""MCP's own inspector, at the command line, finds and calls octavo's tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.server.programs import OCTAVO, settings

from octavo.trial import scripted
from octavo.trial.scripted import say

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
INSPECTOR = ROOT / ".inspector/node_modules/.bin/mcp-inspector-cli"


async def inspect(base_url: str, workspace: Path, *words: str) -> Any:
    """What the inspector prints of a server in `workspace`."""
    if not (ROOT / ".inspector/.done").exists():
        pytest.skip("MCP's inspector is not here; `make node` gets it")
    # It looks for its own name beside itself only where the current directory has one above it.
    (workspace.parent / "package.json").touch()
    server = [str(OCTAVO), "mcp-server", *settings(base_url)]
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [str(INSPECTOR), "--cli", *server, *words],
            cwd=workspace,
            env={**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")},
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def test_the_inspector_lists_and_calls_the_tools(workspace: Path) -> None:
    async with scripted.serve([say("Hello.")]) as model:
        listed = await inspect(model.base_url, workspace, "--method", "tools/list")
        called = await inspect(
            model.base_url, workspace,
            *("--method", "tools/call", "--tool-name", "octavo", "--tool-arg", "prompt=hi"),
        )  # fmt: skip

    assert [tool["name"] for tool in listed["tools"]] == ["octavo", "octavo-reply", "octavo-read"]
    assert called["content"] == [{"type": "text", "text": "Hello."}]
    assert called["structuredContent"]["status"] == "completed"
