"""`octavo acp` as an editor meets it: the official package's client, real processes."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from acp import RequestError, image_block, resource_link_block
from acp.helpers import embedded_text_resource, resource_block
from acp.schema import (
    AudioContentBlock,
    BlobResourceContents,
    McpServerStdio,
    PermissionOption,
    ToolCallUpdate,
)

from octavo.client.octavo import started
from octavo.trial.scripted import call, custom, refuse, say, think
from tests.faces.editing import editing
from tests.mcp.servers import PROGRAM, tool

pytestmark = pytest.mark.anyio

WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
CLEAN = "git clean -fdx junk"
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
        "789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
    )
).decode()
PATCH = """\
*** Begin Patch
*** Update File: notes.txt
@@
 one
-two
+three
*** Add File: new.txt
+hello
*** End Patch
"""


def bodies(editor: Any) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in editor.model.requests if request.number]


def pick(kind: str) -> Any:
    def choose(tool: ToolCallUpdate, options: list[PermissionOption]) -> str:
        return next(option.option_id for option in options if option.kind == kind)

    return choose


# ---- A turn ----


async def test_the_agent_introduces_itself_with_what_it_can_do(workspace: Path) -> None:
    async with editing([], workspace) as editor:
        hello = await editor.agent.initialize(protocol_version=9)
        started = await editor.start(workspace)
        commands = await editor.until(lambda u: u["sessionUpdate"] == "available_commands_update")

    assert hello.protocol_version == 1
    assert hello.agent_info is not None
    assert hello.agent_info.name == "octavo"
    assert hello.agent_capabilities is not None
    assert hello.agent_capabilities.load_session
    assert started.session_id == commands["session"]
    assert {one["name"] for one in commands["availableCommands"]} == {"compact", "undo"}


async def test_a_turn_is_streamed_thoughts_commands_plans_and_the_answer(workspace: Path) -> None:
    plan = [{"step": "look", "status": "completed"}, {"step": "mend", "status": "in_progress"}]
    script = [
        [think("I will look first."), call("exec_command", cmd="echo out; exit 3")],
        call("update_plan", plan=plan),
        say("It is done.", deltas=4),
    ]
    async with editing(script, workspace) as editor:
        await editor.start(workspace)
        stopped = await editor.prompt("mend it")

    assert stopped == "end_turn"
    assert editor.text("agent_thought_chunk").startswith("I will look first.")
    assert len(editor.of("agent_message_chunk")) > 1
    assert editor.text() == "It is done."
    ran = editor.tool("echo out")
    assert (ran["kind"], ran["status"]) == ("execute", "failed")
    assert ran["rawInput"] == {"command": "echo out; exit 3", "cwd": str(workspace)}
    assert ran["rawOutput"] == {"exit_code": 3, "output": "out\n"}
    assert ran["content"][0]["content"]["text"] == "out\n"
    [planned] = editor.of("plan")
    assert [(one["content"], one["status"]) for one in planned["entries"]] == [
        ("look", "completed"),
        ("mend", "in_progress"),
    ]
    assert editor.of("usage_update")[-1]["used"] == 110


async def test_edits_are_shown_as_diffs_at_their_places(workspace: Path) -> None:
    (workspace / "notes.txt").write_text("zero\none\ntwo\n")
    async with editing([custom("apply_patch", PATCH), say("Edited.")], workspace) as editor:
        await editor.start(workspace)
        await editor.prompt("edit")

    edited = editor.tool("Edit ")
    assert (edited["kind"], edited["status"]) == ("edit", "completed")
    notes, new = str(workspace / "notes.txt"), str(workspace / "new.txt")
    assert {one["path"] for one in edited["locations"]} == {notes, new}
    diffs = {one["path"]: one for one in edited["content"]}
    assert diffs[notes]["oldText"] == "zero\none\ntwo\n"
    assert diffs[notes]["newText"] == "zero\none\nthree\n"
    assert diffs[new].get("oldText") is None
    assert diffs[new]["newText"] == "hello\n"


async def test_output_of_a_command_comes_while_it_runs(workspace: Path) -> None:
    wait = call("exec_command", cmd="echo begun; while [ ! -e go ]; do sleep 0.01; done")
    async with editing([wait, say(".")], workspace) as editor:
        await editor.start(workspace)
        async with anyio.create_task_group() as group:
            group.start_soon(editor.prompt, "run")
            await editor.until(
                lambda u: u["sessionUpdate"] == "tool_call_update" and "begun" in json.dumps(u)
            )
            (workspace / "go").touch()

    assert editor.tool("echo begun")["status"] == "completed"


async def test_a_turn_that_failed_is_an_error_with_its_sentence(workspace: Path) -> None:
    async with editing([refuse(400, "No such model."), say("Fine.")], workspace) as editor:
        await editor.start(workspace)
        with pytest.raises(RequestError, match="No such model"):
            await editor.prompt("hi")
        assert await editor.prompt("again") == "end_turn"


async def test_cancel_ends_the_turn_and_what_was_open(workspace: Path) -> None:
    async with editing([WAIT, say("On.")], workspace) as editor:
        await editor.start(workspace)
        stopped: list[str] = []

        async def ask() -> None:
            stopped.append(await editor.prompt("wait"))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await editor.until(lambda u: u["sessionUpdate"] == "tool_call")
            await editor.agent.cancel(session_id=editor.session_id)
        assert await editor.prompt("go on") == "end_turn"

    assert stopped == ["cancelled"]
    assert editor.tool("while")["status"] == "failed"


async def test_an_editor_that_goes_in_mid_turn_leaves_an_interrupted_turn(workspace: Path) -> None:
    async with editing([WAIT], workspace) as editor:
        await editor.start(workspace)
        async with anyio.create_task_group() as group:
            group.start_soon(editor.prompt, "wait")
            await editor.until(lambda u: u["sessionUpdate"] == "tool_call")
            group.cancel_scope.cancel()
        session_id = editor.session_id

    async with started(
        env={**os.environ, "OCTAVO_HOME": str(workspace.parent / "octavo-home")}
    ) as octavo:
        thread = await octavo.resume_thread(session_id)
        [turn] = (await thread.read()).turns
    assert turn.status == "interrupted"


async def test_a_second_prompt_is_a_word_into_the_turn(workspace: Path) -> None:
    async with editing([WAIT, say("Both.")], workspace) as editor:
        await editor.start(workspace)
        async with anyio.create_task_group() as group:
            group.start_soon(editor.prompt, "wait")
            await editor.until(lambda u: u["sessionUpdate"] == "tool_call")
            group.start_soon(editor.prompt, "and this")
            for _ in range(2):  # what is answered now was asked after the word
                await editor.agent.list_sessions()
            (workspace / "go").touch()

    assert editor.text() == "Both."
    assert "and this" in json.dumps(bodies(editor)[1])


# ---- What is put into a prompt ----


async def test_images_files_and_embedded_text_reach_the_model(workspace: Path) -> None:
    attack = "text </attached> more"
    async with editing([say("Seen.")], workspace) as editor:
        await editor.start(workspace)
        await editor.prompt(
            "look",
            image_block(PNG, "image/png"),
            resource_link_block("notes", f"file://{workspace}/a%20b.txt"),
            resource_link_block("page", "https://example.invalid/x"),
            resource_block(embedded_text_resource("file:///src/a.py", attack)),
        )

    sent = json.dumps(bodies(editor)[0]["input"])
    assert f"data:image/png;base64,{PNG}" in sent
    assert f"{workspace}/a b.txt" in sent
    assert "https://example.invalid/x" in sent
    assert sent.count("</attached>") == 1


async def test_what_octavo_cannot_take_is_refused_with_a_sentence(workspace: Path) -> None:
    async with editing([], workspace) as editor:
        await editor.start(workspace)
        with pytest.raises(RequestError, match="cannot hear"):
            await editor.prompt(AudioContentBlock(type="audio", data="", mime_type="audio/wav"))
        blob = BlobResourceContents(uri="file:///a.bin", blob="AAAA", mime_type="application/x")
        with pytest.raises(RequestError, match="neither text nor an image"):
            await editor.prompt(resource_block(blob))
        with pytest.raises(RequestError, match="no session"):
            await editor.agent.prompt(session_id="nothing", prompt=[])


# ---- Permissions and modes ----


async def clean(workspace: Path, choose: Any, *words: str, times: int = 1) -> Any:
    script = [step for _ in range(times) for step in (call("exec_command", cmd=CLEAN), say("."))]
    async with editing(script, workspace, *words, choose=choose) as editor:
        await editor.start(workspace)
        for _ in range(times):
            (workspace / "junk").mkdir(exist_ok=True)
            await editor.prompt("clean")
    return editor


async def test_a_yes_is_for_this_once(workspace: Path) -> None:
    editor = await clean(workspace, pick("allow_once"), times=2)

    assert not (workspace / "junk").exists()
    assert len(editor.asked) == 2
    tool, options = editor.asked[0]
    assert tool.title == CLEAN
    assert options[0].option_id == "accept"
    first = next(one for one in editor.of("tool_call") if one["title"] == CLEAN)
    assert (first["toolCallId"], first["status"]) == (tool.tool_call_id, "pending")


async def test_a_yes_that_is_remembered_covers_what_its_option_says(workspace: Path) -> None:
    editor = await clean(workspace, pick("allow_always"), times=2)

    assert not (workspace / "junk").exists()
    [(_, options)] = editor.asked
    names = [option.name for option in options if option.kind == "allow_always"]
    assert names[0] == "Yes, and in this session for exactly this"


async def test_a_no_an_invented_answer_and_none_at_all_are_no(workspace: Path) -> None:
    answers = iter(["decline", "offer:invented", "yes", None])
    editor = await clean(workspace, lambda *_: next(answers), times=4)

    assert (workspace / "junk").exists()
    assert len(editor.asked) == 4
    tools = {u["toolCallId"] for u in editor.of("tool_call") if u["title"] == CLEAN}
    ended = [u for u in editor.of("tool_call_update") if u["toolCallId"] in tools]
    assert {u["status"] for u in ended} == {"failed"}
    assert len(tools) == 4


async def test_modes_change_what_commands_may_do_and_whether_octavo_asks(workspace: Path) -> None:
    touch = call("exec_command", cmd="touch made")
    script = [touch, say("."), call("exec_command", cmd=CLEAN), say("."), touch, say(".")]
    async with editing(script, workspace, choose=pick("allow_once")) as editor:
        started = await editor.start(workspace)
        await editor.agent.set_session_mode(session_id=editor.session_id, mode_id="read-only")
        await editor.prompt("touch")
        read_only = (workspace / "made").exists()
        await editor.agent.set_config_option(
            session_id=editor.session_id, config_id="mode", value="auto"
        )
        (workspace / "junk").mkdir()
        await editor.prompt("clean")
        await editor.prompt("touch")
        with pytest.raises(RequestError, match="no mode"):
            await editor.agent.set_session_mode(session_id=editor.session_id, mode_id="settings")

    assert started.modes is not None
    assert started.modes.current_mode_id == "ask"
    assert [mode.id for mode in started.modes.available_modes] == ["read-only", "ask", "auto"]
    assert not read_only
    assert (workspace / "junk").exists()
    assert (workspace / "made").exists()
    assert editor.asked == []
    assert editor.of("current_mode_update")[-1]["currentModeId"] == "auto"


async def test_no_sandbox_is_a_mode_only_where_the_settings_chose_it(workspace: Path) -> None:
    words = ("-c", 'sandbox_mode="danger-full-access"')
    async with editing([], workspace, *words) as editor:
        started = await editor.start(workspace)

    assert started.modes is not None
    assert started.modes.current_mode_id == "settings"


async def test_a_model_is_chosen_for_the_next_turn(workspace: Path) -> None:
    async with editing([say("."), say(".")], workspace) as editor:
        started = await editor.start(workspace)
        await editor.prompt("one")
        options = {one.id: one for one in started.config_options or []}
        models = [one.value for one in options["model"].options]  # type: ignore[union-attr]  # not of an on/off option
        other = next(value for value in models if value != "scripted")
        now = await editor.agent.set_config_option(
            session_id=editor.session_id, config_id="model", value=other
        )
        await editor.prompt("two")
        with pytest.raises(RequestError, match="no 'model'"):
            await editor.agent.set_config_option(
                session_id=editor.session_id, config_id="model", value="invented"
            )

    assert [one["model"] for one in bodies(editor)] == ["scripted", other]
    assert now is not None
    assert {one.id: one.current_value for one in now.config_options}["model"] == other


async def test_questions_of_the_models_are_asked_with_their_options(workspace: Path) -> None:
    ask = call(
        "request_user_input",
        questions=[
            {
                "id": "db",
                "header": "Store",
                "question": "Which database?",
                "options": [
                    {"label": "SQLite", "description": "a file"},
                    {"label": "Postgres", "description": "a server"},
                ],
            }
        ],
    )
    async with editing([ask, say(".")], workspace, choose=lambda *_: "1") as editor:
        await editor.start(workspace)
        await editor.prompt("ask me")

    [(tool, options)] = editor.asked
    assert tool.title == "Which database?"
    assert [option.name for option in options] == ["SQLite", "Postgres"]
    assert "Postgres" in json.dumps(bodies(editor)[1]["input"][-1])


# ---- Sessions ----


async def test_a_session_is_listed_loaded_with_its_history_and_goes_on(workspace: Path) -> None:
    (workspace / "notes.txt").write_text("zero\none\ntwo\n")
    script = [
        [think("Hm."), call("exec_command", cmd="echo out"), custom("apply_patch", PATCH)],
        say("First.", deltas=2),
    ]
    async with editing(script, workspace) as editor:
        await editor.start(workspace)
        await editor.prompt("the first words", image_block(PNG, "image/png"))
        session_id = editor.session_id

    async with editing([say("Second.")], workspace) as editor:
        listed = await editor.agent.list_sessions(cwd=str(workspace))
        loaded = await editor.agent.load_session(
            cwd=str(workspace), session_id=session_id, mcp_servers=[]
        )
        replayed = list(editor.updates)
        editor.session_id = session_id
        assert await editor.prompt("go on") == "end_turn"
        with pytest.raises(RequestError):
            await editor.agent.load_session(cwd=str(workspace), session_id="0" * 36, mcp_servers=[])

    [one] = listed.sessions
    assert (one.session_id, one.title, one.cwd) == (session_id, "the first words", str(workspace))
    assert loaded.modes is not None
    kinds = [
        u["sessionUpdate"] for u in replayed if u["sessionUpdate"] != "available_commands_update"
    ]
    assert kinds == [
        *("user_message_chunk", "user_message_chunk", "agent_thought_chunk"),
        *("tool_call", "tool_call", "agent_message_chunk"),
    ]
    assert replayed[0]["content"]["text"] == "the first words"
    assert {"mimeType": "image/png", "data": PNG}.items() <= replayed[1]["content"].items()
    assert [u["status"] for u in replayed if u["sessionUpdate"] == "tool_call"] == ["completed"] * 2
    assert editor.text().endswith("First.Second.")
    assert "the first words" in json.dumps(bodies(editor)[0]["input"])


async def test_sessions_can_be_resumed_forked_and_closed(workspace: Path) -> None:
    async with editing([say("One."), say("Two.")], workspace) as editor:
        await editor.start(workspace)
        await editor.prompt("hi")
        forked = await editor.agent.fork_session(
            session_id=editor.session_id, cwd=str(workspace), mcp_servers=[]
        )
        await editor.agent.close_session(session_id=editor.session_id)
        with pytest.raises(RequestError, match="load it first"):
            await editor.prompt("gone")
        await editor.agent.resume_session(session_id=editor.session_id, cwd=str(workspace))
        editor.session_id = forked.session_id
        await editor.prompt("in the fork")

    assert editor.text() == "One.Two."


async def test_compact_and_undo_are_commands(workspace: Path) -> None:
    patch = custom("apply_patch", "*** Begin Patch\n*** Add File: new.txt\n+x\n*** End Patch\n")
    async with editing([patch, say("Made."), say("A summary.")], workspace) as editor:
        await editor.start(workspace)
        await editor.prompt("make it")
        made = (workspace / "new.txt").exists()
        undone = await editor.prompt("/undo")
        await editor.prompt("/compact")

    assert made
    assert undone == "end_turn"
    assert not (workspace / "new.txt").exists()
    assert "new.txt" in editor.text()


# ---- MCP servers that an editor passes on ----


@pytest.mark.parametrize(("kind", "ran"), [("allow_once", True), ("reject_once", False)])
async def test_a_server_of_the_editors_is_there_and_asked_about(
    workspace: Path, kind: str, ran: bool
) -> None:
    plan = Path.home() / "plan.json"
    plan.write_text(json.dumps({"tools": [tool("echo")]}))
    server = McpServerStdio(
        name="my notes", command=sys.executable, args=[str(PROGRAM), str(plan)], env=[]
    )
    script = [call("mcp__editor_my_notes__echo", text="hi"), say(".")]
    async with editing(script, workspace, choose=pick(kind)) as editor:
        started = await editor.agent.new_session(cwd=str(workspace), mcp_servers=[server])
        editor.session_id = started.session_id
        await editor.prompt("call it")

    [(asked, options)] = editor.asked
    assert asked.title == "editor_my_notes echo"
    assert asked.raw_input == {"text": "hi"}
    assert [one.kind for one in options].count("allow_always") >= 1
    shown = editor.tool("editor_my_notes echo")
    assert shown["status"] == ("completed" if ran else "failed")
    assert (
        '{"text": "hi"}' in json.dumps(shown["content"][0]["content"]["text"]).replace("\\", "")
    ) == ran


# ---- Where it is started ----


async def test_without_a_key_the_editor_is_told_to_log_in(workspace: Path) -> None:
    async with editing([], workspace, provider=()) as editor:
        with pytest.raises(RequestError, match="octavo login") as refused:
            await editor.start(workspace)
        with pytest.raises(RequestError, match="octavo login"):
            await editor.agent.authenticate(method_id="octavo-login")

    assert refused.value.code == -32000


def test_without_the_package_one_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "acp").mkdir()
    hide = (
        "import sys; from importlib.abc import MetaPathFinder\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'acp' else find(name, *a)\n"
        "from octavo.cli import main; sys.exit(main(['acp']))"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr == (
        "octavo: error: `octavo acp` needs the package agent-client-protocol, which is not "
        f"installed. Install it: {shlex.quote(sys.executable)} -m pip install 'octavo[acp]'\n"
    )
