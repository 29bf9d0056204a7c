"""The SDK as a program uses it: real servers, real processes, the scripted model."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from octavo.client.octavo import Octavo, TurnFailed, connected, started
from octavo.client.questions import Answerer, Asked, CommandAsked, Remember, Reply, decline, offers
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import OctavoError, UsageError
from octavo.rpc import LinkClosed, RpcError
from octavo.server.here import here
from octavo.server.server import Launch
from octavo.trial import scripted
from octavo.trial.scripted import Script, call, refuse, say
from tests.architecture.test_startup import imported
from tests.server.programs import OCTAVO, settings

pytestmark = pytest.mark.anyio

WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
CLEAN = "git clean -fdx junk"
DEADLINE_S = 30


def command(base_url: str) -> list[str]:
    return [str(OCTAVO), "app-server", *settings(base_url)]


@asynccontextmanager
async def program(
    script: Script, workspace: Path, answer: Answerer | None = None
) -> AsyncIterator[Octavo]:
    """A server as a process of its own."""
    env = {**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")}
    with anyio.fail_after(DEADLINE_S):
        async with (
            scripted.serve(script) as model,
            started(command(model.base_url), env=env, answer=answer) as octavo,
        ):
            yield octavo


async def test_what_lies_in_the_working_directory_is_not_what_is_started(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("octavo/__init__.py", "octavo/__main__.py", "logging.py", "json.py"):
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text("open('ran', 'w').close()")
    monkeypatch.chdir(workspace)
    with anyio.fail_after(DEADLINE_S):
        async with started() as octavo:
            await octavo.client.call(m.LOADED_LIST, m.LoadedListParams())

    assert not (workspace / "ran").exists()


@asynccontextmanager
async def inside(
    script: Script, workspace: Path, answer: Answerer | None = None
) -> AsyncIterator[Octavo]:
    """A server in this process."""
    env = {**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")}
    with anyio.fail_after(DEADLINE_S):
        async with scripted.serve(script) as model:
            overrides = settings(model.base_url)[1::2]
            async with (
                here(Launch(env=env, overrides=overrides)) as link,
                connected(link, answer=answer) as octavo,
            ):
                yield octavo


async def test_a_turn_gives_its_events_from_the_first_to_the_last_and_then_its_result(
    workspace: Path,
) -> None:
    script = [call("exec_command", cmd="echo out"), say("It is done.", deltas=4)]
    async with program(script, workspace) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace))
        async with thread.turn("do it") as turn:
            with pytest.raises(UsageError, match="not ended"):
                _ = turn.result
            events = [event async for event in turn]

    assert isinstance(next(e for e in events if hasattr(e, "turn")), note.TurnStarted)
    assert isinstance(events[-1], note.TurnCompleted)
    deltas = [event.delta for event in events if isinstance(event, note.AgentMessageDelta)]
    assert len(deltas) > 1
    assert "".join(deltas) == turn.result.text == "It is done."
    assert (turn.result.status, turn.result.error) == ("completed", None)
    [ran] = [item for item in turn.result.items if isinstance(item, it.CommandExecution)]
    assert ran.aggregated_output == "out\n"
    assert turn.result.usage is not None
    assert turn.result.usage.output_tokens == 20


async def test_a_turn_that_is_left_is_interrupted(workspace: Path) -> None:
    async with inside([WAIT, WAIT, say("On.")], workspace) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace))
        async with thread.turn("wait") as turn:
            async for event in turn:
                if isinstance(event, note.ItemStarted) and event.item.id.startswith("call"):
                    break
        with anyio.move_on_after(0.2) as limit:
            await thread.run("wait again")
        on = await thread.run("on")
        turns = (await thread.read()).turns

    assert limit.cancelled_caught
    assert on.text == "On."
    assert [one.status for one in turns] == ["interrupted", "interrupted", "completed"]


async def test_a_word_into_a_turn_reaches_the_model_and_an_interrupt_ends_it(
    workspace: Path,
) -> None:
    requests: list[bytes] = []

    def play(received: scripted.Received) -> Any:
        requests.append(received.body)
        return (WAIT, say("Heard."), WAIT)[received.number - 1]

    async with inside(play, workspace) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace))
        async with thread.turn("wait") as turn:
            await turn.steer("a word more")
            (workspace / "go").touch()
            heard = await turn.end()
            with pytest.raises(RpcError, match="no active turn"):
                await turn.steer("too late")
        (workspace / "go").unlink()
        async with thread.turn("wait") as turn:
            await turn.interrupt()
            ended = await turn.end()
            await turn.interrupt()

    assert b"a word more" in requests[1]
    assert (heard.text, ended.status) == ("Heard.", "interrupted")


async def test_a_failed_turn_is_raised_with_what_was_done(workspace: Path) -> None:
    async with inside([refuse(400, "No such model.")], workspace) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace))
        with pytest.raises(TurnFailed, match="No such model") as failed:
            await thread.run("do it")

    assert failed.value.result.status == "failed"


async def test_turns_of_several_threads_at_once_do_not_mix(workspace: Path) -> None:
    texts: dict[str, str] = {}

    def play(received: scripted.Received) -> Any:
        return say(str(received.number), deltas=3)

    async with inside(play, workspace) as octavo:

        async def one() -> None:
            thread = await octavo.start_thread(cwd=str(workspace))
            async with thread.turn("say it") as turn:
                heard = [event async for event in turn]
            assert {getattr(event, "thread_id", thread.id) for event in heard} == {thread.id}
            texts[thread.id] = turn.result.text

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(one)

    assert len(set(texts.values())) == 8


def asker(*replies: Reply) -> tuple[Answerer, list[Asked]]:
    asked: list[Asked] = []

    async def answer(question: Asked) -> Reply:
        asked.append(question)
        return replies[len(asked) - 1]

    return answer, asked


async def clean(workspace: Path, answer: Answerer | None, *, times: int = 1) -> list[Sequence[Any]]:
    """The commands of `times` turns that each ask for what cannot be undone."""
    script = [step for _ in range(times) for step in (call("exec_command", cmd=CLEAN), say("."))]
    async with inside(script, workspace, answer) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace), approval_policy="on-request")
        found = []
        for _ in range(times):
            (workspace / "junk").mkdir(exist_ok=True)
            found.append((await thread.run("clean")).items)
    return found


@pytest.mark.parametrize("answer", [None, decline])
async def test_without_a_yes_everything_is_declined(
    workspace: Path, answer: Answerer | None
) -> None:
    await clean(workspace, answer)
    assert (workspace / "junk").exists()


@pytest.mark.parametrize("reply", ["accept", None])
async def test_a_program_that_answers_nothing_leaves_it_to_the_others(
    workspace: Path, tmp_path: Path, reply: str | None
) -> None:
    async def answer(asked: Asked) -> Reply:
        return "accept"

    path = tmp_path / "socket"
    (workspace / "junk").mkdir()
    async with scripted.serve([call("exec_command", cmd=CLEAN), say(".")]) as model:
        words = [*command(model.base_url), "--listen", f"unix://{path}"]
        server = await anyio.open_process(words, stderr=subprocess.PIPE)
        assert server.stderr is not None
        await server.stderr.receive()
        with anyio.fail_after(DEADLINE_S):
            async with (
                connected(f"unix://{path}") as one,
                connected(f"unix://{path}", answer=answer if reply else None) as other,
            ):
                thread = await one.start_thread(cwd=str(workspace), approval_policy="on-request")
                await other.resume_thread(thread.id)
                await thread.run("clean")
        server.terminate()
        await server.aclose()

    assert (workspace / "junk").exists() == (reply is None)


async def test_a_question_is_typed_and_a_yes_is_for_this_once(workspace: Path) -> None:
    answer, asked = asker("accept", "decline")
    await clean(workspace, answer, times=2)

    assert (workspace / "junk").exists()
    first, second = asked
    assert isinstance(first, CommandAsked)
    assert isinstance(second, CommandAsked)
    assert first.command == second.command == CLEAN
    assert first.cwd == str(workspace)


async def test_a_yes_can_be_remembered_as_it_was_offered_and_no_other_way(workspace: Path) -> None:
    seen: list[Asked] = []

    async def answer(asked: Asked) -> Reply:
        assert isinstance(asked, CommandAsked)
        seen.append(asked)
        if len(seen) == 1:
            return Remember("never offered")
        return Remember(next(one.id for one in offers(asked) if one.scope == "thread"))

    await clean(workspace, answer, times=3)

    assert len(seen) == 2
    assert not (workspace / "junk").exists()


async def test_what_an_answerer_raises_is_raised_by_the_turn_and_counts_as_no(
    workspace: Path,
) -> None:
    class Broken(Exception):
        pass

    async def answer(asked: Asked) -> Reply:
        raise Broken

    with pytest.raises(Broken):
        await clean(workspace, answer)

    assert (workspace / "junk").exists()


async def test_a_server_that_dies_ends_a_turn_with_link_closed(workspace: Path) -> None:
    async with program([WAIT], workspace) as octavo:
        thread = await octavo.start_thread(cwd=str(workspace))
        [server] = children()
        async with thread.turn("wait") as turn:
            while not isinstance(event := await anext(turn), note.ItemStarted) or isinstance(
                event.item, it.UserMessage
            ):
                pass
            os.kill(server, signal.SIGKILL)
            with pytest.raises(LinkClosed):
                await turn.end()
        with pytest.raises(LinkClosed):
            await thread.run("again")

    assert children() == []


def children() -> list[int]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found if b"app-server" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_process_of_ones_own_is_gone_afterwards_also_after_an_error(
    workspace: Path,
) -> None:
    before = set(os.listdir("/proc/self/fd"))

    async def fail() -> None:
        async with program([WAIT], workspace) as octavo:
            thread = await octavo.start_thread(cwd=str(workspace))
            async with thread.turn("wait"):
                assert len(children()) == 1
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert children() == []
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_two_programs_at_a_socket_are_on_one_thread(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with pytest.raises(OctavoError, match="--listen unix://"):
        async with connected(f"unix://{path}"):
            pass
    async with scripted.serve([say("Both.", deltas=2)]) as model:
        words = [*command(model.base_url), "--listen", f"unix://{path}"]
        server = await anyio.open_process(words, stderr=subprocess.PIPE)
        assert server.stderr is not None
        await server.stderr.receive()
        heard: list[note.Notification] = []
        async with (
            connected(f"unix://{path}") as one,
            connected(f"unix://{path}") as other,
            anyio.create_task_group() as group,
        ):
            first = await one.start_thread(cwd=str(workspace))
            second = await other.resume_thread(first.id)

            async def listen(task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
                task_status.started()
                async for event in second.events():
                    heard.append(event)
                    if isinstance(event, note.TurnCompleted):
                        return

            await group.start(listen)
            async with first.turn("hi") as turn:
                told = [event async for event in turn]
        server.terminate()
        await server.aclose()

    assert [type(event) for event in heard if event in told] == [type(event) for event in told]


async def test_threads_are_listed_page_by_page_named_and_forked(workspace: Path) -> None:
    async with inside([say("One."), say("Two."), say("Three.")], workspace) as octavo:
        ids = []
        for _ in range(3):
            thread = await octavo.start_thread(cwd=str(workspace))
            await thread.run("hi")
            ids.append(thread.id)
        await thread.set_name("the third")
        forked = await thread.fork()
        listed = [one async for one in octavo.threads(limit=2, cwd=str(workspace))]
        models = await octavo.models()
        read = await forked.read()

    assert {one.id for one in listed} == {*ids, forked.id}
    assert "the third" in {one.name for one in listed}
    assert read.forked_from_id == ids[-1]
    assert models


async def test_a_program_connects_to_a_websocket_with_its_token(
    workspace: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length-0123456789")
    token.chmod(0o600)
    async with scripted.serve([say("Here.")]) as model:
        words = [*command(model.base_url), "--listen", "ws://127.0.0.1:0"]
        server = await anyio.open_process(
            [*words, "--ws-token-file", str(token)], stderr=subprocess.PIPE
        )
        assert server.stderr is not None
        said = (await server.stderr.receive()).decode()
        found = re.search(r"ws://[\d.]+:\d+", said)
        assert found is not None, said
        with pytest.raises(OctavoError, match="token"):
            async with connected(found[0], token="another"):
                pass
        async with connected(found[0], token=token.read_text()) as octavo:
            thread = await octavo.start_thread(cwd=str(workspace))
            result = await thread.run("hi")
        server.terminate()
        await server.aclose()

    assert result.text == "Here."


async def test_other_addresses_are_refused_with_a_sentence(workspace: Path) -> None:
    with pytest.raises(UsageError, match="unix:///PATH"):
        async with connected("carrier-pigeon://roof"):
            pass
    with pytest.raises(OctavoError, match="cannot be started"):
        async with started(["/no/such/octavo"]):
            pass


def test_the_sdk_loads_nothing_heavy_and_nothing_of_the_core() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import octavo.client.octavo"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    ours = {name for name in imported(done.stderr) if name.startswith("octavo.")}
    below = ("octavo.client", "octavo.protocol", "octavo.rpc")
    assert {name for name in ours if not name.startswith(below)} == set()
    assert not ours & {"octavo.protocol.sessions", "octavo.protocol.settings"}
