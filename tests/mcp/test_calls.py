"""A model calls tools of servers that run in their cages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from octavo.agent.allowed import Allowed
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.trial.scripted import Script, call, say
from tests.mcp.servers import config, names
from tests.scenarios.asking import Person
from tests.scenarios.hooking import own
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


async def test_a_server_does_not_read_what_commands_of_other_threads_said(workspace: Path) -> None:
    output = workspace.parent / "octavo-home" / "outputs" / "other" / "call.log"
    output.parent.mkdir(parents=True)
    output.write_text("somebody else's")
    acting = config("acting", "read")
    script = calls("read", path=str(output))
    async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    assert "Permission denied" in play.outputs()[0]


async def test_a_server_of_a_thread_that_only_reads_writes_nothing(workspace: Path) -> None:
    acting = config("acting", "write")
    script = calls("write", path="inside")
    async with playing(
        script, workspace, overrides=[acting], allowed=ACTING, sandbox="read-only"
    ) as play:
        await play.turn("go")

    assert "Read-only file system" in play.outputs()[0]
    assert not (workspace / "inside").exists()


async def test_images_and_structured_content_reach_the_model(workspace: Path) -> None:
    acting = config("acting", "image", "bad", "structured", do={"bad": "bad image"})
    script: Script = [
        [call(f"mcp__acting__{name}") for name in ("image", "bad", "structured")],
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    image, bad, structured = play.outputs()
    assert image[0]["text"].endswith("Output:\na pixel")
    assert image[1]["image_url"].startswith("data:image/png;base64,iVBOR")
    assert "an image that cannot be shown" in bad
    assert structured.endswith('Output:\n{"n":1}')


async def test_a_long_result_is_shown_by_its_ends_and_kept_whole(workspace: Path) -> None:
    acting = config("acting", "lines")
    async with playing(
        calls("lines", count=100_000), workspace, overrides=[acting], allowed=ACTING
    ) as play:
        await play.turn("go")

    [output] = play.outputs()
    assert len(output) < 60_000
    assert "line 0\n" in output
    assert output.endswith("line 99999")
    path = output.partition("all of it is in ")[2].partition(" …]")[0]
    assert Path(path).read_text().count("\n") == 99_999


async def test_a_tool_that_says_it_failed_is_a_failed_call_with_a_result(workspace: Path) -> None:
    acting = config("acting", "fail")
    async with playing(calls("fail"), workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    assert "The tool says that it failed.\nOutput:\nno such thing" in play.outputs()[0]
    [item] = play.items(it.McpToolCall)
    assert item.status == "failed"
    assert item.result.content[0]["text"] == "no such thing"


async def test_progress_is_told_while_a_call_runs(workspace: Path) -> None:
    acting = config("acting", "progress")
    async with playing(calls("progress"), workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    [told] = [n for n in play.seen if isinstance(n, note.McpToolCallProgress)]
    assert told.message == "half way (1 of 2)"


async def test_a_server_may_ask_the_person_while_it_works(workspace: Path) -> None:
    acting = config("acting", "elicit")
    person = Person({"action": "accept", "content": {"name": "Ada"}})
    async with playing(
        calls("elicit"),
        workspace,
        overrides=[acting],
        allowed=ACTING,
        alone=False,
        answer=person,
    ) as play:
        await play.turn("go")

    [asked] = person.asked
    assert asked["method"] == "mcpServer/elicitation/request"
    assert (asked["serverName"], asked["mode"]) == ("acting", "form")
    assert asked["message"] == "Your name?"
    assert asked["requestedSchema"]["properties"] == {"name": {"type": "string"}}
    assert asked["_meta"] is None
    assert play.outputs()[0].endswith('{"action": "accept", "content": {"name": "Ada"}}')


async def test_a_person_is_not_hurried_by_a_servers_time_limit(workspace: Path) -> None:
    async def slowly(method: str, params: bytes) -> object:
        await anyio.sleep(2.5)
        return {"action": "accept", "content": {"name": "Ada"}}

    acting = config("acting", "elicit", more="tool_timeout_sec=0.5")
    async with playing(
        calls("elicit"),
        workspace,
        overrides=[acting],
        allowed=ACTING,
        alone=False,
        answer=slowly,
    ) as play:
        await play.turn("go")

    assert '"name": "Ada"' in play.outputs()[0]


@pytest.mark.parametrize("by", ["mcp__acting__echo", "call_tool"])
async def test_a_hook_sees_a_servers_tool_whichever_way_it_is_called(
    workspace: Path, by: str
) -> None:
    own(workspace, ("PreToolUse", "mcp__acting__.*", "cat > given.json; echo 'No.' >&2; exit 2"))
    given = {"n": 1}
    one = call(by, name="mcp__acting__echo", arguments=given) if by == "call_tool" else None
    script: Script = [one or call(by, n=1), say("Done.")]
    acting = config("acting", "echo")
    async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    assert "blocked by PreToolUse hook: No. Command: mcp__acting__echo" in play.outputs()[0]
    told = json.loads((workspace / "given.json").read_text())
    assert (told["tool_name"], told["tool_input"]) == ("mcp__acting__echo", given)


async def test_where_nobody_is_there_a_servers_question_is_declined(workspace: Path) -> None:
    acting = config("acting", "elicit")
    async with playing(calls("elicit"), workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    assert "Elicitation not supported" in play.outputs()[0]


async def test_resources_are_listed_and_read(workspace: Path) -> None:
    acting = config("acting", "echo", resources={"notes://a": "Water the plants."})
    script: Script = [
        [
            call("list_mcp_resources"),
            call("list_mcp_resource_templates", server="acting"),
            call("read_mcp_resource", server="acting", uri="notes://a"),
            call("read_mcp_resource", server="acting", uri="notes://b"),
            call("read_mcp_resource", server="other", uri="notes://a"),
        ],
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")

    listed, templates, read, missing, other = play.outputs()
    assert listed == '{"server":"acting","uri":"notes://a","name":"notes://a"}'
    assert templates == "There are none."
    assert read == "Water the plants."
    assert missing.startswith("MCP server acting did not give 'notes://b'")
    assert other == "There is no MCP server 'other'. The servers are: acting."


async def test_what_a_server_says_is_a_strangers_word(workspace: Path) -> None:
    acting = config("acting", "echo")
    async with playing(calls("echo"), workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")
        [agent] = play.server.threads.values()
        labels = set(agent.journal.thread.labels)

    assert labels == {"untrusted"}


async def test_a_turn_that_only_reads_has_servers_that_only_read(workspace: Path) -> None:
    acting = config("acting", "write")
    script: Script = [
        call("mcp__acting__write", path="one"),
        say("Done."),
        call("mcp__acting__write", path="two"),
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[acting], allowed=ACTING) as play:
        await play.turn("go")
        await play.turn("go", sandbox_policy={"type": "readOnly"})

    assert (workspace / "one").exists()
    assert not (workspace / "two").exists()
    assert "Read-only file system" in play.outputs()[-1]


async def test_a_thread_without_servers_loads_nothing_of_them(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, str(workspace)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


_LOADED = """
import sys, anyio
from pathlib import Path
from octavo.trial.scripted import say
from tests.scenarios.playing import playing

async def main():
    async with playing([say("Done.")], Path(sys.argv[1])) as play:
        await play.turn("go")
    print([name for name in sys.modules if name.startswith(("octavo.mcp", "mcp", "pydantic"))])

anyio.run(main)
"""
