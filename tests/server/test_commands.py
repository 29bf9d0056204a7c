"""Commands that a client runs by itself: caged, streamed, written to, ended, and never left."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.programs import Program, program

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(workspace: Path) -> AsyncIterator[Program]:
    async with program(workspace.parent / "octavo-home") as server:
        await server.hello()
        yield server


def shell(workspace: Path, script: str, **more: Any) -> dict[str, Any]:
    return {"command": ["sh", "-c", script], "cwd": str(workspace), **more}


def said(server: Program, stream: str) -> bytes:
    deltas = [m["params"] for m in server.seen if m.get("method") == "command/exec/outputDelta"]
    return b"".join(base64.b64decode(d["deltaBase64"]) for d in deltas if d["stream"] == stream)


async def test_a_command_is_answered_with_what_it_said(server: Program, workspace: Path) -> None:
    script = 'echo "$A[$HOME]"; echo bad >&2; exit 3'
    done = await server.call(
        "command/exec", shell(workspace, script, env={"A": "given", "HOME": None})
    )
    killed = await server.call("command/exec", shell(workspace, "kill -9 $$"))

    assert done == {"exitCode": 3, "stdout": "given[]\n", "stderr": "bad\n"}
    assert killed["exitCode"] == 137


async def test_the_cage_is_around_it(server: Program, workspace: Path) -> None:
    outside = workspace.parent / "outside.txt"
    done = await server.call("command/exec", shell(workspace, f"echo x > {outside}"))
    inside = await server.call("command/exec", shell(workspace, "echo x > inside.txt"))
    reading = {"sandboxPolicy": {"type": "readOnly"}}
    refused = await server.call("command/exec", shell(workspace, "echo x > more.txt", **reading))

    assert done["exitCode"] != 0
    assert not outside.exists()
    assert (inside["exitCode"], (workspace / "inside.txt").exists()) == (0, True)
    assert (refused["exitCode"] != 0, (workspace / "more.txt").exists()) == (True, False)


async def test_it_is_written_to_while_it_runs(server: Program, workspace: Path) -> None:
    named = {"processId": "p", "streamStdin": True, "streamStdoutStderr": True}
    await server.send(id=1, method="command/exec", params=shell(workspace, "echo go; cat", **named))
    await server.until("command/exec/outputDelta")
    line = base64.b64encode(b"hello\n").decode()
    await server.send(
        id=2,
        method="command/exec/write",
        params={"processId": "p", "deltaBase64": line, "closeStdin": True},
    )
    answers: dict[int, Any] = {}
    while len(answers) < 2:
        message = await server.next()
        if "id" in message:
            answers[message["id"]] = message["result"]

    assert answers == {1: {"exitCode": 0, "stdout": "", "stderr": ""}, 2: {}}
    assert said(server, "stdout") == b"go\nhello\n"


async def test_it_has_a_terminal_of_a_size_that_can_change(
    server: Program, workspace: Path
) -> None:
    script = "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"
    named = {"processId": "t", "tty": True, "size": {"rows": 5, "cols": 40}}
    await server.send(id=1, method="command/exec", params=shell(workspace, script, **named))
    while b"ready" not in said(server, "stdout"):
        await server.until("command/exec/outputDelta")
    await server.send(
        id=2,
        method="command/exec/resize",
        params={"processId": "t", "size": {"rows": 6, "cols": 50}},
    )
    while (message := await server.next()).get("id") != 1:
        pass

    assert message["result"]["exitCode"] == 0
    assert said(server, "stdout").split() == [b"5", b"40", b"ready", b"6", b"50"]


@pytest.mark.parametrize("how", ["terminate", "timeout"])
async def test_it_ends_when_it_is_told_to(how: str, server: Program, workspace: Path) -> None:
    named: dict[str, Any] = {"processId": "p", "streamStdoutStderr": True}
    if how == "timeout":
        named["timeoutMs"] = 300
    script = "sleep 600 & echo up; wait"
    await server.send(id=1, method="command/exec", params=shell(workspace, script, **named))
    await server.until("command/exec/outputDelta")
    if how == "terminate":
        await server.send(id=2, method="command/exec/terminate", params={"processId": "p"})
    while (message := await server.next()).get("id") != 1:
        pass

    assert message["result"]["exitCode"] == (124 if how == "timeout" else 137)
    assert (await server.refused("command/exec/terminate", {"processId": "p"}))["code"] == -32600


async def test_output_stops_at_the_cap(server: Program, workspace: Path) -> None:
    done = await server.call("command/exec", shell(workspace, "seq 1000", outputBytesCap=10))
    assert done["stdout"] == "1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(
    ("params", "at"),
    [
        ({"command": []}, "$.command"),
        ({"command": ["a\0b"]}, "$.command"),
        ({"command": ["ls"], "tty": True}, "$.processId"),
        ({"command": ["ls"], "size": {"rows": 1, "cols": 1}}, "$.size"),
        ({"command": ["ls"], "timeoutMs": 1, "disableTimeout": True}, "$.timeoutMs"),
        ({"command": ["ls"], "env": {"A=B": "x"}}, "$.env"),
        ({"command": ["ls"], "timeoutMs": -1}, "$.timeoutMs"),
    ],
)
async def test_what_makes_no_sense_is_named(
    params: dict[str, Any], at: str, server: Program
) -> None:
    refusal = await server.refused("command/exec", params)
    assert (refusal["code"], at in refusal["message"]) == (-32602, True)


async def test_a_program_that_is_not_there_is_said(server: Program, workspace: Path) -> None:
    refusal = await server.refused(
        "command/exec", {"command": ["no-such-program"], "cwd": str(workspace)}
    )
    assert refusal["code"] == -32600
    assert "no-such-program" in refusal["message"]


async def test_who_leaves_a_thread_hears_nothing_of_it(server: Program, workspace: Path) -> None:
    thread_id = await server.start(workspace)
    loaded = await server.call("thread/loaded/list", {"limit": 1})
    left = await server.call("thread/unsubscribe", {"threadId": thread_id})
    again = await server.call("thread/unsubscribe", {"threadId": thread_id})
    other = await server.call("thread/unsubscribe", {"threadId": "x"})

    assert loaded == {"data": [thread_id], "nextCursor": None}
    assert [one["status"] for one in (left, again, other)] == [
        *("unsubscribed", "notSubscribed", "notLoaded")
    ]
    assert (await server.refused("thread/loaded/list", {"cursor": "x"}))["code"] == -32602
