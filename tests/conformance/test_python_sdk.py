"""The official Python SDK, as PyPI has it, on octavo, and every message held against its models.

The SDK swallows what its models refuse: a notification that does not fit becomes an unknown one,
and nobody notices. So the tests listen in on what it reads, and check each message themselves.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
from tests.server.programs import OCTAVO, settings

from octavo.trial import scripted
from octavo.trial.scripted import Script, answer, call, custom, refuse, say, search, think

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".sdk"
if not (SDK / ".done").exists():
    pytest.skip("openai-codex is not here; `make sdk` gets it", allow_module_level=True)
sys.path.append(str(SDK))

sdk: Any = pytest.importorskip("openai_codex")
goal_module: Any = pytest.importorskip("openai_codex._goal")
client_module: Any = pytest.importorskip("openai_codex.client")
models: Any = pytest.importorskip("openai_codex.generated.v2_all")
registry: Any = pytest.importorskip("openai_codex.generated.notification_registry")

pytestmark = pytest.mark.anyio

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)
TIMEOUT_S = 60
WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
OUTSIDE = call(
    "exec_command",
    cmd="echo out > ../outside.txt",
    sandbox_permissions="require_escalated",
    justification="To try it.",
)
ANSWERS = {
    "initialize": client_module.InitializeResponse,
    "thread/start": models.ThreadStartResponse,
    "thread/resume": models.ThreadResumeResponse,
    "thread/list": models.ThreadListResponse,
    "thread/compact/start": models.ThreadCompactStartResponse,
    "turn/start": models.TurnStartResponse,
    "turn/steer": models.TurnSteerResponse,
    "turn/interrupt": models.TurnInterruptResponse,
    "model/list": models.ModelListResponse,
    "account/read": models.GetAccountResponse,
    "account/login/start": models.LoginAccountResponse,
    "account/login/cancel": models.CancelLoginAccountResponse,
    "account/logout": models.LogoutAccountResponse,
    "skills/list": models.SkillsListResponse,
    "hooks/list": models.HooksListResponse,
    "permissionProfile/list": models.PermissionProfileListResponse,
    "thread/loaded/list": models.ThreadLoadedListResponse,
    "thread/unsubscribe": models.ThreadUnsubscribeResponse,
    "config/read": models.ConfigReadResponse,
    "mcpServerStatus/list": models.ListMcpServerStatusResponse,
    "mcpServer/resource/read": models.McpResourceReadResponse,
    "mcpServer/tool/call": models.McpServerToolCallResponse,
    "command/exec": models.CommandExecResponse,
    "command/exec/write": models.CommandExecWriteResponse,
    "command/exec/resize": models.CommandExecResizeResponse,
    "command/exec/terminate": models.CommandExecTerminateResponse,
    "thread/read": models.ThreadReadResponse,
    "thread/fork": models.ThreadForkResponse,
    "thread/archive": models.ThreadArchiveResponse,
    "thread/unarchive": models.ThreadUnarchiveResponse,
    "thread/name/set": models.ThreadSetNameResponse,
    "thread/turns/list": models.ThreadTurnsListResponse,
    "thread/items/list": models.ThreadItemsListResponse,
    "thread/delete": models.ThreadDeleteResponse,
    "thread/shellCommand": models.ThreadShellCommandResponse,
    "thread/inject_items": models.ThreadInjectItemsResponse,
    "thread/revert": models.ThreadRevertResponse,
    "thread/goal/set": models.ThreadGoalSetResponse,
    "thread/goal/get": models.ThreadGoalGetResponse,
    "thread/goal/clear": models.ThreadGoalClearResponse,
}


class Ear:
    """Hears what the SDK writes and reads."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}
        self.read: list[dict[str, Any]] = []

    def check(self) -> None:
        """Fail on whatever the SDK's own models refuse, or do not know."""
        assert self.read
        for message in self.read:
            method = message.get("method")
            if method is None:
                if "result" in message:
                    ANSWERS[self.asked[message["id"]]].model_validate(message["result"])
            elif "id" not in message and not method.startswith("octavo/"):
                registry.NOTIFICATION_MODELS[method].model_validate(message["params"])

    def notified(self) -> set[str]:
        return {m["method"] for m in self.read if "method" in m and "id" not in m}


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    ear = Ear()
    kind = client_module.CodexClient
    write, read = kind._write_message, kind._read_message

    def writing(self: Any, payload: dict[str, Any]) -> None:
        if "method" in payload and "id" in payload:
            ear.asked[payload["id"]] = payload["method"]
        write(self, payload)

    def reading(self: Any) -> Any:
        message = read(self)
        ear.read.append(message)
        return message

    monkeypatch.setattr(kind, "_write_message", writing)
    monkeypatch.setattr(kind, "_read_message", reading)
    yield ear
    ear.check()


class Place:
    """A repository, a home for octavo, and the model's requests."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.home = work.parent / "octavo-home"
        self.model: scripted.Server

    def config(self, *overrides: str) -> Any:
        return sdk.CodexConfig(
            codex_bin=str(OCTAVO),
            config_overrides=(*settings(self.model.base_url)[1::2], *overrides),
            cwd=str(self.work),
            env={"OCTAVO_HOME": str(self.home)},
        )

    @asynccontextmanager
    async def codex(self, *overrides: str) -> AsyncIterator[Any]:
        with anyio.fail_after(TIMEOUT_S):
            async with sdk.AsyncCodex(self.config(*overrides)) as codex:
                yield codex

    def requests(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(r.body) for r in self.model.requests if r.number]


@pytest.fixture
def place(workspace: Path) -> Place:
    return Place(workspace)


@asynccontextmanager
async def playing(place: Place, script: Script) -> AsyncIterator[None]:
    async with scripted.serve(script) as place.model:
        yield


async def test_a_thread_runs_turns_and_says_what_they_cost(ear: Ear, place: Place) -> None:
    script = [answer(say("One."), input_tokens=100, output_tokens=7), say("Two.")]
    async with playing(place, script), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        first = await thread.run("Go.")
        second = await thread.run("On.")

    assert codex._client is not None
    assert (first.final_response, second.final_response) == ("One.", "Two.")
    assert first.status is models.TurnStatus.completed
    assert (first.usage.total.input_tokens, first.usage.total.output_tokens) == (100, 7)
    assert first.completed_at >= first.started_at
    assert first.duration_ms >= 0


async def test_a_turn_is_streamed_in_order(ear: Ear, place: Place) -> None:
    async with playing(place, [say("A longer answer.", deltas=5)]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        turn = await thread.turn("Go.")
        events = [event async for event in turn.stream()]

    assert not any(isinstance(e.payload, client_module.UnknownNotification) for e in events)
    deltas = [e.payload.delta for e in events if e.method == "item/agentMessage/delta"]
    assert "".join(deltas) == "A longer answer."
    assert len(deltas) > 1
    assert events[-1].method == "turn/completed"


async def test_every_kind_of_item_is_one_the_sdk_knows(ear: Ear, place: Place) -> None:
    plan = [{"step": "Look", "status": "in_progress"}, {"step": "Do", "status": "pending"}]
    patch = "*** Begin Patch\n*** Add File: new.txt\n+new\n*** End Patch\n"
    move = (
        "*** Begin Patch\n*** Update File: new.txt\n*** Move to: b.txt\n-new\n+x\n*** End Patch\n"
    )
    gone = "*** Begin Patch\n*** Delete File: b.txt\n*** End Patch\n"
    (place.work / "dot.png").write_bytes(PNG)
    script = [
        answer(think("I think."), call("update_plan", plan=plan), search("octopus"), say("Now.")),
        answer(custom("apply_patch", patch), call("exec_command", cmd="cat new.txt; exit 3")),
        answer(custom("apply_patch", move), call("view_image", path="dot.png")),
        answer(custom("apply_patch", gone), custom("apply_patch", "nonsense")),
        answer(call("no_such_tool"), call("exec_command", "{broken")),
        answer(call("exec_command", cmd="sleep 60", yield_time_ms=10)),
        refuse(503),
        say("Done.", phase="final_answer"),
    ]
    async with playing(place, script), place.codex('model="gpt-5.5"') as codex:
        thread = await codex.thread_start(cwd=str(place.work), sandbox=sdk.Sandbox.workspace_write)
        done = await thread.run("Go.", summary=models.ReasoningSummary("auto"))
        await thread.compact()
        while "thread/compacted" not in ear.notified():
            await anyio.sleep(0.01)

    assert done.final_response == "Done."
    kinds = {item.root.type for item in done.items}
    assert {"userMessage", "agentMessage", "reasoning", "webSearch", "fileChange"} <= kinds
    assert {"commandExecution", "imageView", "dynamicToolCall"} <= kinds
    assert {"turn/plan/updated", "turn/diff/updated", "error"} <= ear.notified()


async def test_what_is_said_into_a_turn_is_heard_in_it(ear: Ear, place: Place) -> None:
    async with playing(place, [WAIT, say("Done.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work), sandbox=sdk.Sandbox.workspace_write)
        turn = await thread.turn("Go.")
        async for event in turn.stream():
            item = event.payload.item.root if event.method == "item/started" else None
            if item is not None and item.type == "commandExecution":
                steered = await turn.steer("And more.")
                (place.work / "go").touch()

    assert steered.turn_id == turn.id
    assert "And more." in str(place.requests()[-1]["input"])


async def test_an_interrupted_turn_says_so_and_the_next_one_runs(ear: Ear, place: Place) -> None:
    async with playing(place, [WAIT, say("Again.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work), sandbox=sdk.Sandbox.workspace_write)
        turn = await thread.turn("Go.")
        async for event in turn.stream():
            if event.method == "item/started" and event.payload.item.root.type != "userMessage":
                await turn.interrupt()
        again = await thread.run("Go on.")

    assert event.payload.turn.status is models.TurnStatus.interrupted
    assert again.final_response == "Again."


async def test_a_thread_goes_on_after_a_restart(ear: Ear, place: Place) -> None:
    async with playing(place, [say("One."), say("Two.")]):
        async with place.codex() as codex:
            thread = await codex.thread_start(cwd=str(place.work))
            await thread.run("First.")
        async with place.codex() as codex:
            listed = await codex.thread_list()
            resumed = await codex.thread_resume(listed.data[0].id, include_turns=False)
            done = await resumed.run("Second.")
        first, second = place.requests()

    assert resumed.id == thread.id
    assert done.final_response == "Two."
    assert second["input"][: len(first["input"])] == first["input"]


@pytest.mark.parametrize("decision", ["accept", "decline"])
async def test_an_approval_is_asked_and_what_is_answered_counts(
    decision: str, ear: Ear, place: Place
) -> None:
    asked: list[str] = []

    def decide(method: str, params: Any) -> dict[str, str]:
        asked.append(method)
        return {"decision": decision}

    def drive() -> Any:
        client = client_module.CodexClient(place.config(), approval_handler=decide)
        with client:
            client.initialize()
            started = client.thread_start(
                {"cwd": str(place.work), "approvalPolicy": "on-request", "sandbox": "read-only"}
            )
            turn = client.turn_start(started.thread.id, "Go.")
            return client.wait_for_turn_completed(turn.turn.id)

    async with playing(place, [OUTSIDE, say("Done.")]):
        with anyio.fail_after(TIMEOUT_S):
            done = await anyio.to_thread.run_sync(drive)

    assert asked == ["item/commandExecution/requestApproval"]
    assert done.turn.status is models.TurnStatus.completed
    assert (place.work.parent / "outside.txt").exists() is (decision == "accept")
    assert "serverRequest/resolved" in ear.notified()
    (place.work.parent / "outside.txt").unlink(missing_ok=True)


async def test_with_a_reviewer_the_client_is_not_asked(ear: Ear, place: Place) -> None:
    async with playing(place, [OUTSIDE, say("Done.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work), sandbox=sdk.Sandbox.read_only)
        done = await thread.run("Go.")

    assert done.final_response == "Done."
    assert not [m for m in ear.read if "method" in m and "id" in m]
    assert not (place.work.parent / "outside.txt").exists()


async def test_an_answer_can_have_a_shape(ear: Ear, place: Place) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with playing(place, [say('{"n":1}'), say("free")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        shaped = await thread.run("Go.", output_schema=schema)
        await thread.run("On.")
        first, second = place.requests()

    assert shaped.final_response == '{"n":1}'
    assert first["text"]["format"]["schema"] == schema
    assert "format" not in second.get("text", {})


async def test_images_are_seen(ear: Ear, place: Place) -> None:
    (place.work / "dot.png").write_bytes(PNG)
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    async with playing(place, [say("Seen.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        await thread.run(
            [
                sdk.TextInput("Look."),
                sdk.ImageInput(url),
                sdk.LocalImageInput(str(place.work / "dot.png")),
            ]
        )
        [request] = place.requests()

    sent = [part for part in request["input"][-1]["content"] if part["type"] == "input_image"]
    assert [part["image_url"] for part in sent] == [url, url]


async def test_models_are_listed_with_the_default_first(ear: Ear, place: Place) -> None:
    async with playing(place, []), place.codex() as codex:
        listed = (await codex.models()).data
        more = (await codex.models(include_hidden=True)).data

    assert [model.model for model in listed if model.is_default] == [listed[0].model]
    assert listed[0].model == "scripted"
    assert {"gpt-5.5"} <= {model.id for model in listed} < {model.id for model in more}


async def test_one_logs_in_with_a_key_and_out_again(ear: Ear, place: Place) -> None:
    provider = ('model_provider="openai"', 'cli_auth_credentials_store="file"')
    async with playing(place, []), place.codex(*provider) as codex:
        before = await codex.account()
        await codex.login_api_key("sk-scripted")
        inside = await codex.account()
        stored = (place.home / "auth.json").read_text()
        await codex.logout()
        after = await codex.account()
        with pytest.raises(sdk.InvalidRequestError, match="API key"):
            await codex.login_chatgpt()

    assert (before.account, after.account) == (None, None)
    assert before.requires_openai_auth
    assert inside.account.root.type == "apiKey"
    assert "sk-scripted" in stored
    assert "sk-scripted" not in str(ear.read)
    assert {"account/login/completed", "account/updated"} <= ear.notified()


async def test_a_turn_that_fails_raises_with_the_reason(ear: Ear, place: Place) -> None:
    async with playing(place, [refuse(401)]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        with pytest.raises(RuntimeError, match=r"401|key|refused"):
            await thread.run("Go.")


async def test_other_lists_fit_too(ear: Ear, place: Place) -> None:
    skill = place.work / ".agents/skills/help/SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: help\ndescription: Helps.\n---\nHelp.\n")
    async with playing(place, []), place.codex() as codex:
        ask = codex._client._sync._request_raw
        for method in ("skills/list", "hooks/list", "permissionProfile/list"):
            assert (await anyio.to_thread.run_sync(ask, method, {}))["data"]
        thread = await codex.thread_start(cwd=str(place.work))
        assert (await anyio.to_thread.run_sync(ask, "thread/loaded/list"))["data"] == [thread.id]
        run = {"command": ["echo", "hi"], "processId": "p", "streamStdoutStderr": True}
        assert (await anyio.to_thread.run_sync(ask, "command/exec", run))["exitCode"] == 0
        left = await anyio.to_thread.run_sync(ask, "thread/unsubscribe", {"threadId": thread.id})
        assert left["status"] == "unsubscribed"
    assert "command/exec/outputDelta" in ear.notified()


async def test_mcp_servers_are_what_the_sdk_knows(ear: Ear, place: Place) -> None:
    from tests.mcp.servers import config, tool

    acting = config(
        "acting",
        tool("echo"),
        tool("progress"),
        resources={"notes://a": "Water the plants."},
        more='default_tools_approval_mode="approve"',
    )
    script = [
        [call("mcp__acting__echo", n=1), call("mcp__acting__progress"), call("mcp__acting__no")],
        say("Done."),
    ]
    async with playing(place, script), place.codex(acting) as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        result = await thread.run("Go.")
        ask = codex._client._sync._request_raw

        async def asked(method: str, params: dict[str, Any]) -> Any:
            return await anyio.to_thread.run_sync(ask, method, params)

        here = {"threadId": thread.id}
        listed = await asked("mcpServerStatus/list", here)
        read = await asked(
            "mcpServer/resource/read", {**here, "server": "acting", "uri": "notes://a"}
        )
        called = await asked(
            "mcpServer/tool/call",
            {**here, "server": "acting", "tool": "echo", "arguments": {"n": 2}},
        )

    assert result.final_response == "Done."
    kinds = [item.root for item in result.items if item.root.type == "mcpToolCall"]
    assert sorted((item.tool, item.status.value) for item in kinds) == [
        ("echo", "completed"),
        ("no", "failed"),
        ("progress", "completed"),
    ]
    [server] = listed["data"]
    assert sorted(server["tools"]) == ["echo", "progress"]
    assert server["runtimeStatus"] == "connected"
    assert server["resources"][0]["uri"] == "notes://a"
    assert read["contents"][0]["text"] == "Water the plants."
    assert called["content"][0]["text"] == '{"n": 2}'
    assert {"mcpServer/startupStatus/updated", "item/mcpToolCall/progress"} <= ear.notified()


async def test_the_settings_and_their_origins_can_be_read(ear: Ear, place: Place) -> None:
    place.home.mkdir()
    (place.home / "config.toml").write_text(
        'sandbox_mode = "external"\n[model_providers.own]\nname = "o"\n'
        'base_url = "http://u:pw@h/v1"\nexperimental_bearer_token = "sk-secret"\n'
    )
    async with playing(place, []), place.codex() as codex:
        read = await anyio.to_thread.run_sync(codex._client._sync._request_raw, "config/read")

    assert read["config"]["model"] == "scripted"
    assert read["origins"]["model"]["name"] == {"type": "sessionFlags"}
    user = read["origins"]["sandbox_mode"]
    assert user["name"] == {"type": "user", "file": str(place.home / "config.toml")}
    assert user["version"].startswith("sha256:")
    assert read["config"]["model_providers"]["own"]["experimental_bearer_token"] == "********"
    assert "sk-secret" not in str(read)
    assert "pw@" not in str(read)


async def test_what_is_missing_is_said_as_json_rpc_does(ear: Ear, place: Place) -> None:
    async with playing(place, []), place.codex() as codex:
        ask = codex._client._sync._request_raw
        with pytest.raises(sdk.MethodNotFoundError):
            await anyio.to_thread.run_sync(ask, "thread/no/such", {"threadId": "x"})


async def test_a_thread_is_forked_and_both_go_on_by_themselves(ear: Ear, place: Place) -> None:
    async with playing(place, [say("One."), say("Two."), say("Other.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        await thread.run("First.")
        fork = await codex.thread_fork(thread.id)
        forked = await fork.run("In the fork.")
        await thread.run("In the thread.")
        _, second, third = place.requests()
        read = (await fork.read(include_turns=True)).thread

    assert forked.final_response == "Two."
    assert fork.id != thread.id
    assert read.forked_from_id == thread.id
    assert [turn.status.value for turn in read.turns] == ["completed", "completed"]
    assert "In the fork." in str(second["input"])
    assert "First." in str(third["input"])
    assert "In the fork." not in str(third["input"])


async def test_threads_are_listed_read_named_and_put_away(ear: Ear, place: Place) -> None:
    async with playing(place, [say("One."), say("Two.")]), place.codex() as codex:
        first = await codex.thread_start(cwd=str(place.work))
        await first.run("Look at this.")
        second = await codex.thread_start(cwd=str(place.work))
        await second.run("And at that.")
        await first.set_name("The first one")
        listed = (await codex.thread_list()).data
        found = (await codex.thread_list(search_term="first one")).data
        read = (await first.read(include_turns=True)).thread
        ask = codex._client._sync._request_raw
        of = {"threadId": first.id}
        turns = await anyio.to_thread.run_sync(ask, "thread/turns/list", of)
        items = await anyio.to_thread.run_sync(ask, "thread/items/list", of)
        await codex.thread_archive(first.id)
        left = (await codex.thread_list()).data
        archived = (await codex.thread_list(archived=True)).data
        again = await codex.thread_unarchive(first.id)
        back = (await codex.thread_list()).data
        await anyio.to_thread.run_sync(ask, "thread/delete", {"threadId": second.id})
        last = (await codex.thread_list()).data

    assert {thread.id for thread in listed} == {first.id, second.id}
    assert [thread.id for thread in found] == [first.id]
    assert (read.name, read.preview) == ("The first one", "Look at this.")
    [turn] = read.turns
    assert [item.root.type for item in turn.items] == ["userMessage", "agentMessage"]
    assert (len(turns["data"]), len(items["data"])) == (1, 2)
    assert [thread.id for thread in left] == [second.id]
    assert [thread.id for thread in archived] == [first.id]
    assert again.id == first.id
    assert {thread.id for thread in back} == {first.id, second.id}
    assert [thread.id for thread in last] == [first.id]
    told = {"thread/name/updated", "thread/archived", "thread/unarchived", "thread/deleted"}
    assert told <= ear.notified()


def pursued(place: Place, objective: str, *, interrupt: bool = False) -> tuple[list[Any], Any]:
    """Drive a goal as the SDK does: as one turn made of many. Return its events and the goal."""
    with client_module.CodexClient(place.config()) as client:
        client.initialize()
        started = client.thread_start({"cwd": str(place.work), "sandbox": "workspace-write"})
        thread_id = started.thread.id
        state, turn_id = client.start_goal_operation(thread_id, objective)
        if interrupt:
            client.cancel_goal_operation(state)
        stream = goal_module._GoalNotificationStream(
            state,
            lambda: client.next_goal_notification(state),
            lambda: client.unregister_goal_operation(state),
            lambda: client.cancel_goal_operation(state),
        )
        events = list(stream)
        assert {e.payload.turn.id for e in events if e.method == "turn/completed"} == {turn_id}
        goal = client._request_raw("thread/goal/get", {"threadId": thread_id})["goal"]
        return events, goal


async def test_a_goal_is_one_turn_made_of_many(ear: Ear, place: Place) -> None:
    script: Script = [
        answer(call("exec_command", cmd="touch a"), input_tokens=100, output_tokens=7),
        say("a is there."),
        call("exec_command", cmd="touch b"),
        say("b, too."),
        call("update_goal", status="complete"),
        say("All is there."),
    ]
    async with playing(place, script):
        with anyio.fail_after(TIMEOUT_S):
            events, goal = await anyio.to_thread.run_sync(pursued, place, "Make a and b.")

    [completed] = [e.payload.turn for e in events if e.method == "turn/completed"]
    assert completed.status is models.TurnStatus.completed
    assert (place.work / "b").exists()
    assert (goal["status"], goal["objective"]) == ("complete", "Make a and b.")
    assert goal["tokensUsed"] > 107
    texts = [e.payload.item.root for e in events if e.method == "item/completed"]
    assert [t.text for t in texts if t.type == "agentMessage"][-1] == "All is there."
    physical = [m for m in ear.read if m.get("method") == "turn/completed"]
    assert len(physical) == 3


async def test_a_goal_that_is_cancelled_is_paused(ear: Ear, place: Place) -> None:
    async with playing(place, [WAIT]):
        with anyio.fail_after(TIMEOUT_S):
            drive = partial(pursued, place, "Wait.", interrupt=True)
            events, goal = await anyio.to_thread.run_sync(drive)

    assert events[-1].payload.turn.status is models.TurnStatus.interrupted
    assert goal["status"] == "paused"


async def test_a_person_s_own_command_and_items_put_in_are_shown_and_a_turn_is_reverted(
    ear: Ear, place: Place
) -> None:
    message = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "From another tool."}],
    }
    async with playing(place, [say("One."), say("Two."), say("Three.")]), place.codex() as codex:
        ask = codex._client._sync._request_raw
        thread = await codex.thread_start(cwd=str(place.work))
        of = {"threadId": thread.id}
        run = {**of, "command": "echo mine | cat"}
        await anyio.to_thread.run_sync(ask, "thread/shellCommand", run)
        while not [m for m in ear.read if m.get("method") == "turn/completed"]:
            await anyio.sleep(0.01)
        await anyio.to_thread.run_sync(ask, "thread/inject_items", {**of, "items": [message]})
        await thread.run("First.")
        second = await thread.run("Second.")
        before = {**of, "beforeTurnId": second.id}
        reverted = await anyio.to_thread.run_sync(ask, "thread/revert", before)
        await thread.run("Third.")
        first, _, last = (str(request["input"]) for request in place.requests())
        again = await codex.thread_resume(thread.id)
        listed = await anyio.to_thread.run_sync(ask, "thread/turns/list", of)

    items = [m["params"]["item"] for m in ear.read if m.get("method") == "item/completed"]
    [own] = [item for item in items if item["type"] == "commandExecution"]
    assert (own["source"], own["aggregatedOutput"]) == ("userShell", "mine\n")
    assert "mine" in first
    assert "From another tool." in first
    assert reverted["thread"]["id"] == again.id == thread.id
    assert "First." in last
    assert "Second." not in last
    assert len(listed["data"]) == 3
    assert "thread/reverted" in ear.notified()


async def test_a_message_of_another_program_is_not_the_user_s(ear: Ear, place: Place) -> None:
    message = sdk.ExternalMessage(tool_name="ci", namespace="bot", content="Build 7 failed.")
    async with playing(place, [say("I look."), say("Yes.")]), place.codex() as codex:
        thread = await codex.thread_start(cwd=str(place.work))
        done = await thread.run(message)
        await thread.run("And?")
        read = (await thread.read(include_turns=True)).thread
        first, _ = place.requests()

    assert done.final_response == "I look."
    item = read.turns[0].items[0].root
    assert (item.type, item.name, item.namespace) == ("functionCallOutput", "ci", "bot")
    assert item.output.root == "Build 7 failed."
    assert read.preview == "And?"
    told = first["input"][-1]["content"]
    assert "'bot/ci'" in told[0]["text"]
    assert "not from the user" in told[0]["text"]
    assert told[1]["text"] == "Build 7 failed."
