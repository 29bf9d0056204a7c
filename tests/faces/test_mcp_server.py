"""`octavo mcp-server` as another program meets it: the official client, real processes.

The official client speaks both the versions with a handshake ("legacy") and the newer ones, in
which a question is the answer to a call; what concerns questions is tried in both.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from mcp import StdioServerParameters, types
from octavo.client.octavo import started
from octavo.faces.mcp_server.asking import NO, STOP, YES, YES_IN_THREAD
from octavo.trial import scripted
from octavo.trial.scripted import Script, call, refuse, say
from tests.mcp.servers import config
from tests.server.programs import OCTAVO, settings

pytestmark = pytest.mark.anyio

WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
CLEAN = "git clean -fdx junk"
DEADLINE_S = 40
BOTH = pytest.mark.parametrize("mode", ["legacy", "auto"])


class Caller:
    """A program that has octavo as a tool."""

    def __init__(self, client: Client, model: scripted.Server) -> None:
        self.client = client
        self.model = model
        self.progress: list[str] = []

    async def call(self, name: str, **arguments: Any) -> types.CallToolResult:
        async def heard(done: float, total: float | None, message: str | None) -> None:
            self.progress.append(message or "")

        return await self.client.call_tool(name, arguments, progress_callback=heard)

    async def ok(self, name: str, **arguments: Any) -> dict[str, Any]:
        result = await self.call(name, **arguments)
        assert not result.is_error, result.content
        found: dict[str, Any] = result.structured_content
        return found

    async def refused(self, name: str, **arguments: Any) -> str:
        result = await self.call(name, **arguments)
        assert result.is_error
        [text] = result.content
        assert isinstance(text, types.TextContent)
        return text.text


class Person:
    """Fills in forms; None for each is to decline it."""

    def __init__(self, *answers: str | None) -> None:
        self.asked: list[types.ElicitRequestFormParams] = []
        self._answers = answers

    async def __call__(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params)
        answer = self._answers[len(self.asked) - 1]
        if answer is None:
            return types.ElicitResult(action="decline")
        [field] = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={field: answer})


@asynccontextmanager
async def calling(
    script: Script,
    workspace: Path,
    *words: str,
    person: Any = None,
    mode: str = "auto",
) -> AsyncIterator[Caller]:
    """A client of `octavo mcp-server WORDS`."""
    with anyio.fail_after(DEADLINE_S):
        async with scripted.serve(script) as model:
            program = StdioServerParameters(
                command=str(OCTAVO),
                args=["mcp-server", *settings(model.base_url), *words],
                env={**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")},
                cwd=workspace,
            )
            async with Client(program, elicitation_callback=person, mode=mode) as client:
                yield Caller(client, model)


# ---- Threads ----


@BOTH
async def test_a_thread_is_begun_gone_on_with_and_read(workspace: Path, mode: str) -> None:
    script = [call("exec_command", cmd="echo out"), say("First."), say("Second.")]
    async with calling(script, workspace, mode=mode) as caller:
        tools = {tool.name: tool for tool in (await caller.client.list_tools()).tools}
        first = await caller.ok("octavo", prompt="do it")
        second = await caller.ok("octavo-reply", threadId=first["threadId"], prompt="and more")
        read = await caller.ok("octavo-read", threadId=first["threadId"])
        last = await caller.ok("octavo-read", threadId=first["threadId"], turns=1)
        info = caller.client.server_info

    assert info is not None
    assert info.name == "octavo"
    assert list(tools) == ["octavo", "octavo-reply", "octavo-read"]
    assert all(tool.output_schema for tool in tools.values())
    assert (first["content"], first["status"]) == ("First.", "completed")
    assert second == {"threadId": first["threadId"], "content": "Second.", "status": "completed"}
    assert "$ echo out" in caller.progress
    assert "Exit code 0: echo out" in caller.progress
    assert [[item["type"] for item in turn["items"]] for turn in read["turns"]] == [
        ["userMessage", "commandExecution", "agentMessage"],
        ["userMessage", "agentMessage"],
    ]
    assert read["turns"][0]["items"][1]["text"] == "$ echo out\n(exit code 0)\nout\n"
    assert last["turns"] == read["turns"][1:]


async def test_codexs_own_names_and_words_are_answered(workspace: Path) -> None:
    async with calling([say("First."), say("Second.")], workspace) as caller:
        words = {"approval-policy": "untrusted", "sandbox": "workspace-write"}
        first = await caller.ok("codex", prompt="do it", **words)
        second = await caller.ok("codex-reply", conversationId=first["threadId"], prompt="more")

    assert second["content"] == "Second."


async def test_a_thread_outlives_the_server(workspace: Path) -> None:
    async with calling([say("First.")], workspace) as caller:
        first = await caller.ok("octavo", prompt="the first words")
    async with calling([say("Second.")], workspace) as caller:
        second = await caller.ok("octavo-reply", threadId=first["threadId"], prompt="more")

    assert second["content"] == "Second."
    assert b"the first words" in caller.model.requests[-1].body


async def test_what_fails_is_a_result_that_says_why(workspace: Path) -> None:
    async with calling([refuse(400, "No such model.")], workspace) as caller:
        assert "No such model." in await caller.refused("octavo", prompt="do it")
        assert "prompt" in await caller.refused("octavo")
        assert "colour" in await caller.refused("octavo", prompt="x", colour="red")
        assert "threadId" in await caller.refused("octavo-reply", prompt="x")
        assert await caller.refused("octavo-reply", prompt="x", threadId="0" * 36)
        with pytest.raises(MCPError, match="no tool"):
            await caller.call("paint")


# ---- What a caller may ask for ----


async def test_a_caller_can_ask_for_less_and_never_for_more(workspace: Path) -> None:
    touch = call("exec_command", cmd="touch made")
    script = [touch, say("."), touch, say(".")]
    async with calling(script, workspace) as caller:
        refused = await caller.refused("octavo", prompt="x", sandbox="danger-full-access")
        await caller.ok("octavo", prompt="x", sandbox="read-only")
        read_only = (workspace / "made").exists()
        await caller.ok("octavo", prompt="x", sandbox="workspace-write")

    assert "wider" in refused
    assert not read_only
    assert (workspace / "made").exists()


async def test_settings_that_read_only_cannot_be_widened_by_a_caller(workspace: Path) -> None:
    words = ("-c", 'sandbox_mode="read-only"')
    async with calling([], workspace, *words) as caller:
        refused = await caller.refused("octavo", prompt="x", sandbox="workspace-write")

    assert "wider" in refused
    assert caller.model.requests == []


async def test_nothing_is_worked_in_or_read_outside_of_the_directory_served(
    workspace: Path,
) -> None:
    outside = workspace.parent / "other"
    inside = workspace / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    (workspace / "link").symlink_to(outside)
    async with calling([say("There.")], outside) as caller:
        there = await caller.ok("octavo", prompt="x")
    async with calling([say("Below.")], workspace, "-C", str(inside)) as caller:
        below = await caller.ok("octavo", prompt="x")
    async with calling([say("Here.")], workspace) as caller:
        refused = [
            await caller.refused("octavo", prompt="x", cwd=str(outside)),
            await caller.refused("octavo", prompt="x", cwd="../other"),
            await caller.refused("octavo", prompt="x", cwd="link"),
            await caller.refused("octavo-read", threadId=there["threadId"]),
            await caller.refused("octavo-reply", threadId=there["threadId"], prompt="x"),
        ]
        exchangeable = [
            await caller.refused("octavo", prompt="x", cwd="inside"),
            await caller.refused("octavo-reply", threadId=below["threadId"], prompt="x"),
        ]
        await caller.ok("octavo", prompt="x", cwd=str(workspace))
        read = await caller.ok("octavo-read", threadId=below["threadId"])

    assert all(f"is not in {workspace}" in one for one in refused)
    assert all(f"works in {workspace} here" in one for one in exchangeable)
    assert read["cwd"] == str(inside)


# ---- Questions ----


async def clean(caller: Caller, workspace: Path, **arguments: Any) -> bool:
    """Whether what cannot be undone was done."""
    (workspace / "junk").mkdir(exist_ok=True)
    await caller.ok(prompt="clean", **{"name": "octavo", **arguments})
    return not (workspace / "junk").exists()


def script(times: int) -> list[Any]:
    return [step for _ in range(times) for step in (call("exec_command", cmd=CLEAN), say("."))]


@BOTH
async def test_a_question_is_an_elicitation_and_a_yes_is_for_this_once(
    workspace: Path, mode: str
) -> None:
    person = Person(YES, NO)
    async with calling(script(2), workspace, person=person, mode=mode) as caller:
        first = await clean(caller, workspace)
        second = await clean(caller, workspace)

    assert (first, second) == (True, False)
    [asked, _] = person.asked
    assert CLEAN in asked.message
    [field] = asked.requested_schema["properties"].values()
    assert field["enum"] == [YES, YES_IN_THREAD, NO, STOP]


@BOTH
async def test_a_yes_is_remembered_for_the_thread_and_no_longer(workspace: Path, mode: str) -> None:
    person = Person(YES_IN_THREAD, None)
    async with calling(script(3), workspace, person=person, mode=mode) as caller:
        (workspace / "junk").mkdir()
        first = await caller.ok("octavo", prompt="clean")
        again = await clean(caller, workspace, name="octavo-reply", threadId=first["threadId"])
        other = await clean(caller, workspace)

    assert (again, other) == (True, False)
    assert len(person.asked) == 2


@BOTH
async def test_whatever_is_not_a_yes_is_a_no(workspace: Path, mode: str) -> None:
    person = Person(None, "Yes", "", NO)
    async with calling(script(4), workspace, person=person, mode=mode) as caller:
        done = [await clean(caller, workspace) for _ in range(4)]

    assert done == [False] * 4
    assert len(person.asked) == 4


@BOTH
async def test_a_client_that_cannot_ask_anybody_has_it_refused(workspace: Path, mode: str) -> None:
    async with calling(script(1), workspace, mode=mode) as caller:
        assert not await clean(caller, workspace)


async def test_stop_ends_the_turn(workspace: Path) -> None:
    async with calling(script(1), workspace, person=Person(STOP)) as caller:
        ended = await caller.ok("octavo", prompt="clean")

    assert ended["status"] == "interrupted"


async def test_never_means_that_nobody_is_asked(workspace: Path) -> None:
    async with calling(script(1), workspace, person=Person()) as caller:
        assert not await clean(caller, workspace, **{"approval-policy": "never"})


async def test_an_answer_to_no_question_is_refused(workspace: Path) -> None:
    async with calling([], workspace) as caller:
        result = await caller.client.session.call_tool(
            "octavo",
            {"prompt": "x"},
            request_state="invented",
            input_responses={"octavo": types.ElicitResult(action="accept", content={})},
        )

    assert result.is_error
    assert caller.model.requests == []


@BOTH
async def test_tools_of_octavos_own_servers_are_asked_about_too(workspace: Path, mode: str) -> None:
    acting = config("acting", "echo")
    asks = [call("mcp__acting__echo", text="hi"), say(".")]
    person = Person(YES, NO)
    async with calling([*asks, *asks], workspace, "-c", acting, person=person, mode=mode) as caller:
        first = await caller.ok("octavo", prompt="call it")
        second = await caller.ok("octavo", prompt="call it")
        reads = [
            (await caller.ok("octavo-read", threadId=one["threadId"]))["turns"][0]["items"][1]
            for one in (first, second)
        ]

    assert "acting" in person.asked[0].message
    assert "echo" in person.asked[0].message
    assert "acting echo (completed)" in reads[0]["text"]
    assert "acting echo (failed)" in reads[1]["text"]
    assert "acting echo" in caller.progress


@BOTH
async def test_what_a_server_of_octavos_asks_is_handed_on(workspace: Path, mode: str) -> None:
    acting = config("acting", "ask", do={"ask": "elicit"})
    script = [call("mcp__acting__ask"), say(".")]
    person = Person(YES, "blue")
    async with calling(script, workspace, "-c", acting, person=person, mode=mode) as caller:
        first = await caller.ok("octavo", prompt="call it")
        read = await caller.ok("octavo-read", threadId=first["threadId"])

    assert person.asked[1].message.startswith("The MCP server acting asks: ")
    assert "blue" in read["turns"][0]["items"][1]["text"]


# ---- The end ----


@BOTH
async def test_a_call_that_is_cancelled_interrupts_its_turn(workspace: Path, mode: str) -> None:
    env = {**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")}
    async with calling([WAIT, say("On.")], workspace, mode=mode) as caller:
        with anyio.CancelScope() as scope:

            async def heard(done: float, total: float | None, message: str | None) -> None:
                scope.cancel()

            await caller.client.call_tool("octavo", {"prompt": "x"}, progress_callback=heard)
        assert scope.cancelled_caught
        on = await caller.ok("octavo", prompt="on")

    async with started(env=env) as octavo:
        threads = [one async for one in octavo.threads(cwd=str(workspace))]
        first = next(one for one in threads if one.id != on["threadId"])
        thread = await octavo.resume_thread(first.id)
        [turn] = (await thread.read()).turns
    assert turn.status == "interrupted"


def test_without_the_package_one_sentence_says_how_to_get_it() -> None:
    hide = (
        "import sys; import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mcp' else find(name, *a)\n"
        "from octavo.cli import main; sys.exit(main(['mcp-server']))"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr == (
        "octavo: error: `octavo mcp-server` needs the package mcp, which is not installed. "
        f"Install it: {shlex.quote(sys.executable)} -m pip install 'octavo[mcp]'\n"
    )


@pytest.mark.parametrize("command", ["mcp-server", "acp", "app-server"])
def test_started_by_hand_it_says_who_is_waited_for(command: str) -> None:
    ours, terminal = os.openpty()
    argv = [sys.executable, "-m", "octavo", command]
    with subprocess.Popen(argv, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as (
        running
    ):
        os.close(terminal)
        assert running.stderr is not None
        said = running.stderr.readline()
        running.terminate()
    os.close(ours)

    assert b" starts this, and talks to it here in " in said
    assert said.endswith(b". Ctrl-C ends it.\n")
