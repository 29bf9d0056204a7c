"""What another program says through a client: heard, shown as that, and not trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import sessions as s
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.trial.scripted import call, say
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

PART = {"type": "input_text", "text": "One."}


async def begin(play: Play, output: Any, **fields: Any) -> str:
    said = m.ToolOutput(fields.pop("name", "ci"), output, fields.pop("namespace", None))
    asked = m.TurnStartParams(play.thread_id, fields.pop("input", ()), tool_output=said)
    return (await play.client.start_turn(asked)).id


async def test_it_joins_a_running_turn_and_is_heard_in_it(workspace: Path) -> None:
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with playing([wait, say("Done.")], workspace) as play:
        turn_id = await play.begin("go")
        await play.until_item(True, it.CommandExecution)
        joined = await begin(play, (PART, {"type": "input_text", "text": "Two."}))
        (workspace / "go").touch()
        await play.ended(turn_id)
        request = play.requests()[-1]
        thread = play.server.threads[play.thread_id].journal.thread
        found = await play.client.call(s.SEARCH, s.SearchParams("One"))

    assert joined == turn_id
    assert [part["text"] for part in request["input"][-1]["content"][1:]] == ["One.", "Two."]
    [item] = play.items(it.FunctionCallOutput)
    assert item.output == (PART, {"type": "input_text", "text": "Two."})
    assert "untrusted" in thread.labels
    assert len(thread.said) == 1
    assert found.data == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"output": ""}, "nothing in it"),
        ({"output": ({"type": "input_file"},)}, "a part is one of"),
        ({"output": ({"type": "input_image", "image_url": "file:///etc/passwd"},)}, "data URL"),
        ({"output": "x", "name": " "}, "a name has"),
        ({"output": "x", "input": (Text("hi"),)}, "no `input`"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    fields: dict[str, Any], said: str, workspace: Path
) -> None:
    async with playing([], workspace) as play:
        with pytest.raises(RpcError, match=said):
            await begin(play, fields.pop("output"), **fields)
