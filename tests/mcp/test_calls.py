"""A model calls tools of servers that run in their cages."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.trial.scripted import Script, call, say
from tests.mcp.servers import config, names
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio

ACTING = Allowed(mcp=("acting",))


def calls(name: str, **arguments: object) -> Script:
    return [call(f"mcp__acting__{name}", **arguments), say("Done.")]


async def test_a_tool_of_a_server_is_declared_called_and_told(workspace: Path) -> None:
    script = calls("echo", text="hi")
    async with playing(
        script, workspace, overrides=[config("acting", "echo")], allowed=ACTING
    ) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    assert names(play.requests()[0])[-3:] == ["mcp__acting__echo", "tool_search", "call_tool"]
    [output] = play.outputs()
    assert output.startswith("Wall time: ")
    assert output.endswith('\nOutput:\n{"text": "hi"}')
    [item] = play.items(it.McpToolCall)
    assert (item.server, item.tool, item.status) == ("acting", "echo", "completed")
    assert item.arguments == {"text": "hi"}
    assert item.result.content == ({"type": "text", "text": '{"text": "hi"}'},)
    told = [n.status for n in play.seen if isinstance(n, note.McpServerStatusUpdated)]
    assert told == ["starting", "ready"]


async def test_a_server_is_in_a_cage(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    script: Script = [
        [
            call("mcp__acting__write", path=str(outside)),
            call("mcp__acting__write", path="inside"),
            call("mcp__acting__connect", host="127.0.0.1", port=9),
            call("mcp__acting__env"),
        ],
        say("Done."),
    ]
    os.environ["SOME_TOKEN"] = "secret-of-mine"
    try:
        acting = config("acting", "write", "connect", "env", more='env={GIVEN="1"}')
        async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
            await play.turn("go")
    finally:
        del os.environ["SOME_TOKEN"]

    refused, written, unreached, env = play.outputs()
    assert "Read-only file system" in refused
    assert not outside.exists()
    assert "written" in written
    assert (workspace / "inside").read_text() == "written"
    assert "did not carry out connect" in unreached
    given = json.loads(env.partition("Output:\n")[2])
    assert given["GIVEN"] == "1"
    assert "SOME_TOKEN" not in given
    assert given["HOME"].endswith("/servers/acting")


async def test_a_server_of_a_thread_that_only_reads_writes_nothing(workspace: Path) -> None:
    acting = config("acting", "write")
    script = calls("write", path="inside")
    async with playing(
        script, workspace, overrides=[acting], allowed=ACTING, sandbox="read-only"
    ) as play:
        await play.turn("go")

    assert "Read-only file system" in play.outputs()[0]
    assert not (workspace / "inside").exists()
