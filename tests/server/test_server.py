"""The server over a link: introduction, refusals, several clients on one thread, questions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.client import Client, connect
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, NO_METHOD, RpcError
from octavo.rpc.memory import memory_pair
from octavo.rpc.peer import Peer
from octavo.server.server import Server
from octavo.trial.scripted import call, say
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def stranger(server: Server) -> AsyncIterator[Peer]:
    """A peer that has not introduced itself."""
    ours, theirs = memory_pair()

    async def nothing(method: str, params: bytes) -> Any:
        raise RpcError(NO_METHOD, method)

    async def ignore(method: str, params: bytes) -> None:
        return

    peer = Peer(ours, nothing, ignore)
    async with anyio.create_task_group() as group:
        group.start_soon(server.connect, theirs)
        group.start_soon(peer.run)
        yield peer
        ours.close()


@asynccontextmanager
async def second_client(play: Play, answer: Any) -> AsyncIterator[Client]:
    ours, theirs = memory_pair()
    async with anyio.create_task_group() as group:
        group.start_soon(play.server.connect, theirs)
        async with connect(ours, name="second", version="0", answer=answer) as client:
            yield client
        group.cancel_scope.cancel()


async def refused(peer: Peer, method: str, params: Any) -> RpcError:
    with pytest.raises(RpcError) as error:
        await peer.ask(method, params)
    return error.value


async def test_the_introduction_comes_first_and_once(workspace: Path) -> None:
    async with playing([], workspace) as play, stranger(play.server) as peer:
        early = await refused(peer, "thread/start", {})
        hello = await peer.request(
            "initialize", {"clientInfo": {"name": "me", "version": "1"}}, m.InitializeResult
        )
        again = await refused(peer, "initialize", {"clientInfo": {"name": "me"}})

    assert (early.code, again.code) == (INVALID_REQUEST, INVALID_REQUEST)
    assert hello.user_agent.startswith("me/")
    assert hello.platform_family == "unix"


async def test_what_is_not_there_and_what_does_not_fit_are_told_apart(
    workspace: Path,
) -> None:
    async with playing([], workspace) as play, stranger(play.server) as peer:
        await peer.ask("initialize", {"clientInfo": {"name": "me", "extra": 1}, "more": True})
        unknown = await refused(peer, "thread/paint", {})
        wrong = await refused(peer, "turn/start", {"threadId": 5, "input": []})
        nowhere = await refused(peer, "turn/start", {"threadId": "x", "input": []})
        no_directory = await refused(peer, "thread/start", {"cwd": "/no/such/place"})

    assert unknown.code == NO_METHOD
    assert wrong.code == BAD_PARAMS
    assert "$.threadId" in wrong.message
    assert "not loaded" in nowhere.message
    assert no_directory.data == {"code": "usage"}


async def test_starting_a_turn_in_a_running_one_joins_it(workspace: Path) -> None:
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with playing([wait, say("Done.")], workspace) as play:
        first = await play.begin("one")
        second = await play.begin("two")
        (workspace / "go").touch()
        await play.ended(first)

    assert first == second
    assert "two" in str(play.requests()[-1]["input"])


async def test_two_clients_see_the_same_turn(workspace: Path) -> None:
    async def nobody(method: str, params: bytes) -> Any:
        raise AssertionError(method)

    async with (
        playing([say("Hello.", deltas=3)], workspace) as play,
        second_client(play, nobody) as other,
    ):
        await other.resume_thread(m.ThreadResumeParams(play.thread_id))
        await play.turn("hi")
        seen = []
        with anyio.fail_after(10):
            async for notification in other.notifications():
                seen.append(notification)
                if isinstance(notification, note.TurnCompleted):
                    break

    assert seen == [n for n in play.seen if not isinstance(n, note.ThreadStarted)]


async def test_a_question_goes_to_every_client_and_the_first_answer_counts(
    workspace: Path,
) -> None:
    asked: list[tuple[str, str]] = []
    release = anyio.Event()

    async def slow(method: str, params: bytes) -> Any:
        asked.append(("slow", method))
        await release.wait()
        return {"decision": "accept"}

    async def quick(method: str, params: bytes) -> Any:
        asked.append(("quick", msgspec.json.decode(params)["command"]))
        return {"decision": "decline"}

    script = [
        call(
            "exec_command",
            cmd="touch /var/tmp/octavo-must-not-be",
            sandbox_permissions="require_escalated",
            justification="May I?",
        ),
        say("Fine."),
    ]
    settings = ['approval_policy="on-request"']
    async with (
        playing(script, workspace, alone=False, answer=slow, overrides=settings) as play,
        second_client(play, quick) as other,
    ):
        await other.resume_thread(m.ThreadResumeParams(play.thread_id))
        await play.turn("go")
        release.set()

    assert sorted(asked) == [
        ("quick", "touch /var/tmp/octavo-must-not-be"),
        ("slow", "item/commandExecution/requestApproval"),
    ]
    assert [n for n in play.seen if isinstance(n, note.ServerRequestResolved)]
    assert not Path("/var/tmp/octavo-must-not-be").exists()
    assert "declined" in play.outputs()[0]


async def test_threads_are_listed_newest_first(workspace: Path) -> None:
    async with playing(lambda _: say("Hello."), workspace) as play:
        await play.turn("the first")
        older = play.thread_id
        await play.start()
        await play.turn("the second")
        page = await play.client.call(
            m.THREAD_LIST, m.ThreadListParams(cwd=str(workspace), limit=5)
        )

    assert [(t.id, t.preview) for t in page.data] == [
        (play.thread_id, "the second"),
        (older, "the first"),
    ]


async def test_an_override_of_a_turn_holds_for_the_next_one_too(
    workspace: Path,
) -> None:
    script = [call("exec_command", cmd="touch x; echo $?"), say("a"), say("b")]
    async with playing(script, workspace) as play:
        await play.turn("go", model="other", sandbox_policy=m.SandboxPolicy("readOnly"))
        await play.client.start_turn(m.TurnStartParams(play.thread_id, (Text("again"),)))
        await play.until(note.TurnCompleted)

    assert [body["model"] for body in play.requests()] == ["other"] * 3
    assert not (workspace / "x").exists()
