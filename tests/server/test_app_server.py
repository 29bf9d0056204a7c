"""`octavo app-server` as programs meet it: a real process, lines in and lines out."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from octavo.rpc.stream import socket_link
from octavo.trial import scripted
from octavo.trial.scripted import call, say
from tests.scenarios.playing import playing
from tests.server.programs import HELLO, OCTAVO, connected, program

pytestmark = pytest.mark.anyio

WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "octavo-home"


def methods(seen: list[dict[str, Any]]) -> list[str]:
    return [message["method"] for message in seen if "method" in message]


async def test_a_thread_and_a_turn_over_standard_input_and_output(
    home: Path, workspace: Path
) -> None:
    async with (
        scripted.serve([say("Hello.", deltas=2)]) as model,
        program(home, "--listen", "stdio://", base_url=model.base_url) as server,
    ):
        hello = await server.hello()
        thread_id = await server.start(workspace)
        turn_id = await server.begin(thread_id, "hi")
        ended = await server.until("turn/completed")
        server.writer.close()
        await server.rest()
        code, said = await server.end()

    assert hello["userAgent"].startswith("tests/0.169.0 ")
    assert hello["codexHome"] == str(home)
    assert ended["params"]["turn"]["id"] == turn_id
    assert ended["params"]["turn"]["status"] == "completed"
    deltas = [m["params"]["delta"] for m in server.seen if "delta" in m.get("params", {})]
    assert "".join(deltas) == "Hello."
    assert methods(server.seen)[-1] == "thread/closed"
    assert (code, said) == (0, "")


async def test_nothing_is_answered_before_the_introduction_and_anything_odd_is_an_error(
    home: Path,
) -> None:
    async with program(home) as server:
        early = await server.refused("thread/list", {})
        await server.call("initialize", {**HELLO, "more": {"than": "known"}})
        again = await server.refused("initialize", HELLO)
        unknown = await server.refused("thread/paint", {})
        wrong = await server.refused("thread/start", {"cwd": 5})
        for line in (b"{", b'"text"', b"[]", b"{}", b'{"id":7,"method":[]}', b"\xff\xfe"):
            await server.write(line)
        odd = [await server.next() for _ in range(6)]
        listed = await server.call("thread/list")

    assert [early["code"], again["code"]] == [-32600, -32600]
    assert again["message"] == "Already initialized"
    assert unknown["code"] == -32601
    assert wrong["code"] == -32602
    assert "$.cwd" in wrong["message"]
    assert [m["error"]["code"] for m in odd] == [-32700, -32600, -32600, -32600, -32600, -32700]
    assert [m["id"] for m in odd] == [None, None, None, None, 7, None]
    assert listed["data"] == []


async def test_a_path_that_cannot_be_one_is_refused_and_not_a_mistake_of_octavos(
    home: Path,
) -> None:
    async with program(home) as server:
        await server.hello()
        null = await server.refused("config/read", {"cwd": "a\0b"})
        long = await server.refused("octavo/skills/add", {"source": "x" * 5000})

    assert (null["code"], long["code"]) == (-32602, -32600)
    assert "null character" in null["message"]
    assert "too long" in long["message"]


async def test_an_id_of_any_kind_comes_back_as_it_was(home: Path) -> None:
    ids = ["7", "-1.50e3", '"a"', "null", "true", "[1,{}]", '{"a":[]}', "9" * 400]
    async with program(home) as server:
        await server.hello()
        for one in ids:
            await server.write(f'{{"id":{one},"method":"nothing"}}'.encode())
        raw = [await server.reader.readline() for _ in ids]

    assert [line.partition(b',"error"')[0].decode() for line in raw] == [
        f'{{"id":{one}' for one in ids
    ]


async def test_a_line_too_long_is_refused_and_the_next_one_answered(home: Path) -> None:
    async with program(home) as server:
        await server.hello()
        await server.write(b'{"id":1,"x":"' + b"y" * (65 << 20) + b'"}')
        refusal = await server.next()
        assert (await server.call("thread/list"))["data"] == []

    assert (refusal["id"], refusal["error"]["code"]) == (None, -32600)
    assert "too long" in refusal["error"]["message"]


async def test_everything_asked_before_the_end_of_input_is_answered(
    home: Path, workspace: Path
) -> None:
    asked = [
        {"id": 1, "method": "initialize", "params": HELLO},
        {"method": "initialized"},
        {"id": 2, "method": "thread/start", "params": {"cwd": str(workspace)}},
        {"id": 3, "method": "thread/list"},
    ]
    done = await anyio.run_process(
        [str(OCTAVO), "-c", 'model="gpt-5.5"', "app-server"],
        input="\n".join(map(json.dumps, asked)).encode(),
        env={**os.environ, "OCTAVO_HOME": str(home)},
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert [m["id"] for m in told if "id" in m] == [1, 2, 3]
    assert next(m["result"]["model"] for m in told if m.get("id") == 2) == "gpt-5.5"
    assert done.stderr == b""


@pytest.mark.parametrize("how", ["end of input", signal.SIGTERM, signal.SIGINT])
async def test_however_the_server_ends_a_running_turn_is_closed_in_order(
    how: int | str, home: Path, workspace: Path
) -> None:
    async with (
        scripted.serve([WAIT]) as model,
        program(home, base_url=model.base_url) as server,
    ):
        await server.hello()
        thread_id = await server.start(workspace, sandbox="workspace-write")
        await server.begin(thread_id, "hi")
        started = await server.until("item/started")
        while started["params"]["item"]["type"] != "commandExecution":
            started = await server.until("item/started")
        if isinstance(how, int):
            server.signal(how)
        else:
            server.writer.close()
        await server.rest()
        code, said = await server.end()

    assert (code, said) == (0, "")
    completed = next(m for m in server.seen if m.get("method") == "turn/completed")
    assert completed["params"]["turn"]["status"] == "interrupted"
    assert methods(server.seen)[-1] == "thread/closed"
    [log] = home.glob("sessions/*/*/*/*.jsonl")
    assert '"turn_ended"' in log.read_text().splitlines()[-1]


async def test_a_client_that_does_not_read_is_cut_off_with_a_reason_and_slows_nobody(
    workspace: Path,
) -> None:
    ours, theirs = socket.socketpair()
    dropped: list[str | None] = []
    async with playing([say("x" * (4 << 20), deltas=64)], workspace) as play:

        async def serve() -> None:
            with ours:
                link = socket_link(ours)
                dropped.append(await play.server.connect(link, cut_off_bytes=1 << 20))
                link.close()

        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            resume = {"id": 2, "method": "thread/resume", "params": {"threadId": play.thread_id}}
            for message in ({"id": 1, "method": "initialize", "params": HELLO}, resume):
                theirs.sendall(json.dumps(message).encode() + b"\n")
            while play.server.followers[play.thread_id].count < 2:
                await anyio.lowlevel.checkpoint()
            turn = await play.turn("hi")
            theirs.settimeout(10)
            with theirs.makefile("rb") as sent:
                last = await anyio.to_thread.run_sync(lambda: list(sent)[-1])
    theirs.close()

    assert turn.status == "completed"
    [reason] = dropped
    assert reason is not None
    assert "did not read" in reason
    farewell = json.loads(last)
    assert (farewell["method"], farewell["params"]["octavoCode"]) == ("warning", "client.dropped")
    assert farewell["params"]["message"] == reason


async def test_the_socket_is_ours_alone_and_gone_when_the_server_is(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    async with program(home, "--listen", f"unix://{path}") as server:
        assert server.process.stderr is not None
        assert (
            await server.process.stderr.readline()
            == f"octavo: Listening at unix://{path}.\n".encode()
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with connected(path) as one, connected(path) as other:
            assert (await one.call("thread/list"))["data"] == []
            assert (await other.call("thread/list"))["data"] == []
            async with program(home, "--listen", f"unix://{path}") as second:
                code, said = await second.end()
            assert (code, "Another server listens" in said) == (2, True)
            assert (await one.call("thread/list"))["data"] == []
            server.signal(signal.SIGTERM)
            await one.rest()
        code, _ = await server.end()

    assert code == 0
    assert not path.exists()


async def test_a_socket_that_a_killed_server_left_is_replaced_and_a_file_is_not(
    home: Path, tmp_path: Path
) -> None:
    stale, file = tmp_path / "stale.sock", tmp_path / "notes.txt"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    file.write_text("mine")
    async with program(home, "--listen", f"unix://{stale}") as server:
        assert server.process.stderr is not None
        await server.process.stderr.readline()
        async with connected(stale) as wire:
            assert (await wire.call("thread/list"))["data"] == []
    async with program(home, "--listen", f"unix://{file}") as refused:
        code, said = await refused.end()

    assert (code, file.read_text()) == (2, "mine")
    assert "is no socket" in said


async def test_who_joins_in_mid_turn_gets_what_was_and_then_what_comes(
    home: Path, workspace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    wait = call("exec_command", cmd="echo early; while [ ! -e go ]; do sleep 0.01; done; echo late")
    async with (
        scripted.serve([say("First."), wait, say("Last.", deltas=4)]) as model,
        program(home, "--listen", f"unix://{path}", base_url=model.base_url) as server,
    ):
        assert server.process.stderr is not None
        await server.process.stderr.readline()
        async with connected(path) as one, connected(path) as late:
            thread_id = await one.start(workspace, sandbox="workspace-write")
            await one.begin(thread_id, "before")
            await one.until("turn/completed")
            turn_id = await one.begin(thread_id, "now")
            await one.until("item/commandExecution/outputDelta")
            joined = await late.call("thread/resume", {"threadId": thread_id})
            (workspace / "go").touch()
            await one.until("turn/completed")
            await late.until("turn/completed")

    thread = joined["thread"]
    assert thread["status"]["type"] == "active"
    earlier, turn = thread["turns"]
    assert [item["type"] for item in earlier["items"]] == ["userMessage", "agentMessage"]
    assert (turn["id"], turn["status"], turn["itemsView"]) == (turn_id, "inProgress", "full")
    said, command = turn["items"]
    assert said["content"][0]["text"] == "now"
    assert (command["status"], command["aggregatedOutput"]) == ("inProgress", "early\n")
    after = [m for m in late.seen if "method" in m]
    assert after == [m for m in one.seen if "method" in m][-len(after) :]
    deltas = [
        m["params"]["delta"] for m in after if m["method"] == "item/commandExecution/outputDelta"
    ]
    assert "".join(deltas) == "late\n"


async def test_a_client_that_vanishes_in_mid_turn_loses_nothing(
    home: Path, workspace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    async with (
        scripted.serve([WAIT, say("Done.")]) as model,
        program(home, "--listen", f"unix://{path}", base_url=model.base_url) as server,
    ):
        assert server.process.stderr is not None
        await server.process.stderr.readline()
        async with connected(path) as one:
            thread_id = await one.start(workspace, sandbox="workspace-write")
            await one.begin(thread_id, "hi")
            await one.until("item/started")
        async with connected(path) as other:
            joined = await other.call("thread/resume", {"threadId": thread_id})
            (workspace / "go").touch()
            ended = await other.until("turn/completed")

    assert joined["thread"]["status"]["type"] == "active"
    assert ended["params"]["turn"]["status"] == "completed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "http://127.0.0.1:1"], "cannot be listened at"),
        (["--listen", "unix://" + "x" * 200], "There cannot be a socket at"),
        (["paint"], "There is no `app-server paint`."),
        (["--out", "x"], "--out goes with `schema`."),
    ],
)
async def test_what_cannot_be_served_is_said(words: list[str], said: str, home: Path) -> None:
    async with program(home, *words) as server:
        code, stderr = await server.end()

    assert code in (1, 2)
    assert stderr.startswith("octavo: error: ")
    assert said in stderr


async def test_an_id_that_is_no_text_does_not_spoil_the_answer(home: Path) -> None:
    async with program(home) as server:
        await server.hello()
        for line in (b'{"id":"\xf0","method":"x"}', b'{"id":"\xf0","method":5}'):
            await server.write(line)
        answers = [await server.next() for _ in range(2)]

    assert [answer["id"] for answer in answers] == [None, None]
    assert {answer["error"]["code"] for answer in answers} <= {-32700, -32600}


async def test_a_thread_without_a_turn_has_none_to_take_back(home: Path, workspace: Path) -> None:
    async with program(home) as server:
        await server.hello()
        thread_id = await server.start(workspace)
        found = await server.call("octavo/thread/turns", {"threadId": thread_id})

    assert found["data"] == []
