"""octavo against a server that no one here wrote: llama.cpp's, which speaks all three APIs.

The server is the one of OCTAVO_LLAMA_SERVER, of `make servers`, or of PATH; the model is written by
the test. Its words are the test's; the wire is the server's.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from octavo.model import Completed
from octavo.model.registry import detect_local
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.errors import ModelError
from octavo.tools.builtin import TOOLS
from octavo.tools.declare import choose, declarations
from tests.model.asking import PROMPT, ask_at, dones
from tests.scenarios.playing import playing
from tests.servers.tiny_model import write_model

BUILT = Path(__file__).parents[2] / ".servers" / "llama-server"
SERVER = (
    os.environ.get("OCTAVO_LLAMA_SERVER")
    or (str(BUILT) if BUILT.exists() else None)
    or shutil.which("llama-server")
)
WIRES = ["responses", "chat", "anthropic"]
START_S = 30

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(SERVER is None, reason="no llama-server here: `make servers` builds one"),
]

TOOL_CALL = (
    '<tool_call>\n{"name": "exec_command", "arg',
    'uments": {"cmd": "printf real > real.txt"}}\n</tool_call>',
)
THINKS = ("<think>\nFirst", " I look.\n</think>\n\n")


@asynccontextmanager
async def _serving(
    folder: Path, first: Sequence[str], after: Sequence[str], *options: str
) -> AsyncIterator[str]:
    """Run the server with a model that says `first`, and `after` once a tool has answered."""
    model = folder / "tiny.gguf"
    text = declarations(choose(TOOLS, freeform=False)).decode()
    write_model(model, first, after, sorted(set(re.findall(r" ?[A-Za-z_]{3,}", text))))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(SERVER), "-m", str(model), "--port", str(port), "--jinja", "-t", "1", "-np", "1"]
    log = (folder / "server.log").open("wb")
    with log:
        async with await anyio.open_process([*command, *options], stdout=log, stderr=log) as server:
            try:
                with anyio.fail_after(START_S):
                    while not await _listens(port):
                        assert server.returncode is None, (folder / "server.log").read_text()
                        await anyio.sleep(0.02)  # it does not say when, but on its log
                yield f"http://127.0.0.1:{port}/v1"
            finally:
                server.kill()


async def _listens(port: int) -> bool:
    try:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /health HTTP/1.0\r\n\r\n")
            return b'"ok"' in await stream.receive()
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
        return False


@pytest.mark.parametrize("wire", [*WIRES, "auto"])
async def test_a_job_is_done(wire: str, workspace: Path, tmp_path: Path) -> None:
    said = (*THINKS, "On it.", "\n", *TOOL_CALL)
    async with (
        _serving(tmp_path, said, ("Done", " it."), "-c", "65536") as url,
        playing(
            [],
            workspace,
            start=False,
            overrides=(
                f'model_providers.real={{name="llama.cpp",base_url="{url}",wire_api="{wire}"}}',
                'model_provider="real"',
            ),
        ) as play,
    ):
        await play.start(base_instructions="Be brief.")  # each byte is a token here
        turn = await play.turn("Make real.txt.")

    assert turn.status == "completed", turn.error
    assert (workspace / "real.txt").read_text() == "real"
    said_now = [message.text.strip() for message in play.items(it.AgentMessage)]
    assert said_now == ["On it.", "Done it."]
    thoughts = [
        "".join((*thought.summary, *thought.content)) for thought in play.items(it.Reasoning)
    ]
    assert [thought.strip() for thought in thoughts] == ["First I look."]
    [command] = play.items(it.CommandExecution)
    assert (command.exit_code, command.status) == (0, "completed")
    usage = [n for n in play.seen if isinstance(n, note.TokenUsageUpdated)][-1].token_usage.last
    assert usage.input_tokens > usage.cached_input_tokens > 0, "the server's own cache was hit"


@pytest.mark.parametrize("wire", WIRES)
async def test_calls_side_by_side_are_told_apart(wire: str, tmp_path: Path) -> None:
    calls = [
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n',
        '<tool_call>\n{"name": "f", "argu',
        'ments": {"a": 2}}\n</tool_call>',
    ]
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tool = {"type": "function", "name": "f", "description": "F.", "parameters": parameters}
    prompt = msgspec.structs.replace(PROMPT, tools=msgspec.json.encode([tool]))

    async with _serving(tmp_path, calls, ("Done.",), "-c", "4096") as url:
        chunks = await ask_at(url, prompt, wire_api=wire)

    found = [done.call for done in dones(chunks) if done.call is not None]
    assert [msgspec.json.decode(call.arguments) for call in found] == [{"a": 1}, {"a": 2}]
    assert len({call.call_id for call in found}) == 2
    assert isinstance(chunks[-1], Completed)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_thread_that_is_too_long_is_known_as_such(wire: str, tmp_path: Path) -> None:
    long = msgspec.json.encode({"role": "user", "content": "x" * 5000})
    prompt = msgspec.structs.replace(PROMPT, input=(long,))

    async with _serving(tmp_path, ("Hi.",), ("Done.",), "-c", "1024") as url:
        with pytest.raises(ModelError) as caught:
            await ask_at(url, prompt, wire_api=wire)

    assert caught.value.info == "contextWindowExceeded", str(caught.value)


async def test_an_answer_follows_a_schema(tmp_path: Path) -> None:
    """The model would go on; the server holds it to the schema."""
    schema = b'{"type":"object","properties":{"ok":{"const":true}},"required":["ok"]}'
    prompt = msgspec.structs.replace(PROMPT, output_schema=schema)

    words = ('{"ok":', "true}", " And more.")
    async with _serving(tmp_path, words, ("Done.",), "-c", "4096") as url:
        [free] = dones(await ask_at(url, wire_api="chat"))
        [said] = dones(await ask_at(url, prompt, wire_api="chat"))
    assert free.text == "".join(words)

    assert said.text == '{"ok":true}'


async def test_it_is_found_on_this_machine(tmp_path: Path) -> None:
    async with _serving(tmp_path, ("Hi.",), ("Done.",), "-c", "4096") as url:
        env = {"OLLAMA_HOST": url.removesuffix("/v1")}

        provider, models = await detect_local("ollama", env)

    assert provider.base_url == url
    assert len(models) == 1
