"""The official TypeScript SDK, as npm has it, on octavo: every option and every way a turn ends.

Each test runs one small script of `sdk/` in Node. The SDK is told where octavo is by its own
option `codexPathOverride`; nothing of it is changed or replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.trial import scripted
from octavo.trial.scripted import Script, answer, call, custom, refuse, say, search, think

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".node/node_modules/@openai/codex-sdk/dist/index.js"
SCRIPTS = Path(__file__).parent / "sdk"
OCTAVO = Path(sys.executable).with_name("octavo")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)
TIMEOUT_S = 60

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here"),
    pytest.mark.skipif(
        not SDK.exists(), reason="@openai/codex-sdk is not here; `make node` gets it"
    ),
]


class Place:
    """A git repository, and a home for octavo, where the sandbox decides what can be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        self.env = {
            "HOME": str(root),
            "OCTAVO_HOME": str(root / "octavo-home"),
            "PATH": os.environ["PATH"],
            "SDK_MODULE": str(SDK),
            "OCTAVO_PROGRAM": str(OCTAVO),
        }
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        subprocess.run(["git", "init", "-q"], cwd=self.work, check=True)

    async def node(self, script_file: str, script: Script, **given: Any) -> Any:
        """Run a script of `sdk/` while the model plays `script`; return what it told."""
        async with scripted.serve(script) as model:
            given = {"baseUrl": model.base_url, "prompt": "Go.", **given}
            given.setdefault("thread", {})
            given["thread"].setdefault("workingDirectory", str(self.work))
            with anyio.fail_after(TIMEOUT_S):
                done = await anyio.run_process(
                    ["node", SCRIPTS / script_file, json.dumps(given)],
                    env=self.env,
                    cwd=self.root,
                    check=False,
                )
            self.requests = [msgspec.json.decode(request.body) for request in model.requests]
            self.headers = [request.headers for request in model.requests]
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def output(self, request: int = -1) -> str:
        """The last output of a call that a request carries."""
        outputs = [item["output"] for item in self.requests[request]["input"] if "output" in item]
        return str(outputs[-1])


@pytest.fixture
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="octavo-sdk-", dir=Path.home()))
    yield Place(root)
    shutil.rmtree(root, ignore_errors=True)


async def test_a_thread_runs_two_turns(place: Place) -> None:
    script = [
        answer(say("One."), input_tokens=100, cached_tokens=40, output_tokens=7),
        answer(say("Two."), input_tokens=200, cached_tokens=90, output_tokens=9),
    ]
    told = await place.node("run.mjs", script)

    assert told["before"] is None
    assert len(told["id"]) == 36
    assert told["first"] == {
        "items": [{"id": "item_0", "type": "agent_message", "text": "One."}],
        "finalResponse": "One.",
        "usage": {
            "input_tokens": 100,
            "cached_input_tokens": 40,
            "cache_write_input_tokens": 0,
            "output_tokens": 7,
            "reasoning_output_tokens": 0,
        },
    }
    assert told["second"]["finalResponse"] == "Two."
    assert told["second"]["usage"]["input_tokens"] == 300  # of the thread, as Codex counts
    first, second = place.requests
    assert second["prompt_cache_key"] == first["prompt_cache_key"] == told["id"]
    assert second["input"][: len(first["input"])] == first["input"]
    texts = [part["text"] for item in second["input"][-3:] for part in item["content"]]
    assert texts == ["Go.", "One.", "And again."]


async def test_a_compaction_in_mid_turn_is_no_item_that_the_sdk_does_not_know(
    place: Place,
) -> None:
    headings = ("Goal", "Rules and wishes", "State", "Facts", "Next")
    summary = "\n".join(f"## {heading}\nSomething about it." for heading in headings)
    script = [
        answer(call("exec_command", cmd="echo hi"), input_tokens=500_000),
        say("I know of no such item."),
        say(summary),
        say("Done."),
        say("Again."),
    ]
    told = await place.node("run.mjs", script)

    assert place.requests[1]["input"][-1] == {"type": "compaction_trigger"}
    assert "about to be shortened" in str(place.requests[2]["input"][-1])
    assert [item["type"] for item in told["first"]["items"]] == [
        "command_execution",
        "agent_message",
    ]
    assert told["first"]["finalResponse"] == "Done."
    assert told["first"]["usage"]["input_tokens"] == 500_300  # the summary was paid for, too
    assert told["second"]["finalResponse"] == "Again."


async def test_all_events_are_streamed_in_order(place: Place) -> None:
    patch = "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** End Patch\n"
    plan = [{"step": "Write", "status": "in_progress"}, {"step": "Check", "status": "pending"}]
    done = [{"step": "Write", "status": "completed"}, {"step": "Check", "status": "completed"}]
    script = [
        answer(think("I think."), call("update_plan", plan=plan), search("octopus"), say("Now.")),
        answer(custom("apply_patch", patch), call("exec_command", cmd="cat new.txt; exit 3")),
        call("update_plan", plan=done),
        answer(call("no_such_tool"), call("exec_command", "{broken")),
        say("Done."),
    ]
    told = await place.node("streamed.mjs", script)

    assert told["error"] is None
    seen = told["seen"]
    assert [event["type"] for event in seen[:2]] == ["thread.started", "turn.started"]
    assert seen[-1]["type"] == "turn.completed"
    items = [(event["type"][5:], event["item"]) for event in seen if "item" in event]
    assert [(kind, item["type"]) for kind, item in items] == [
        ("completed", "reasoning"),
        ("started", "todo_list"),
        ("completed", "web_search"),
        ("completed", "agent_message"),
        ("started", "file_change"),
        ("completed", "file_change"),
        ("started", "command_execution"),
        ("completed", "command_execution"),
        ("updated", "todo_list"),
        ("completed", "error"),
        ("completed", "error"),
        ("completed", "agent_message"),
        ("completed", "todo_list"),
    ]
    by_type = {(kind, item["type"]): item for kind, item in items}
    assert by_type["completed", "reasoning"]["text"] == "I think."
    assert by_type["started", "todo_list"]["items"] == [
        {"text": "Write", "completed": False},
        {"text": "Check", "completed": False},
    ]
    assert [item["completed"] for item in by_type["completed", "todo_list"]["items"]] == [
        True,
        True,
    ]
    assert by_type["completed", "web_search"]["query"] == "octopus"
    change = by_type["completed", "file_change"]
    assert change["status"] == "completed"
    assert [(c["path"], c["kind"]) for c in change["changes"]] == [
        (str(place.work / "new.txt"), "add")
    ]
    assert "+hello" in change["changes"][0]["diff"]
    command = by_type["completed", "command_execution"]
    assert command["command"] == "cat new.txt; exit 3"
    assert command["aggregated_output"].strip() == "hello"
    assert (command["status"], command["exit_code"]) == ("failed", 3)
    assert by_type["started", "command_execution"]["status"] == "in_progress"
    open_ids = {item["id"] for kind, item in items if kind == "started"}
    assert open_ids <= {item["id"] for kind, item in items if kind == "completed"}


async def test_an_output_schema_reaches_the_model(place: Place) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    told = await place.node("once.mjs", [say('{"ok":true}')], turn={"outputSchema": schema})

    assert json.loads(told["finalResponse"]) == {"ok": True}
    format_ = place.requests[0]["text"]["format"]
    assert (format_["type"], format_["strict"], format_["schema"]) == ("json_schema", True, schema)


async def test_texts_and_local_images_are_shown_to_the_model(place: Place) -> None:
    image = place.root / "pixel.png"
    image.write_bytes(PNG)
    prompt = [
        {"type": "text", "text": "What is this?"},
        {"type": "local_image", "path": str(image)},
        {"type": "text", "text": "Be brief."},
    ]
    await place.node("once.mjs", [say("A pixel.")], prompt=prompt)

    content = place.requests[0]["input"][-1]["content"]
    images = [part for part in content if part["type"] == "input_image"]
    assert len(images) == 1
    assert images[0]["image_url"].startswith("data:image/png;base64,")
    assert content[-1] == {"type": "input_text", "text": "What is this?\n\nBe brief."}


async def test_a_thread_is_resumed_by_its_id(place: Place) -> None:
    first = await place.node("streamed.mjs", [say("I am one.")])
    thread_id = first["seen"][0]["thread_id"]

    told = await place.node("resume.mjs", [say("I am two.")], id=thread_id, prompt="Who?")

    assert told["id"] == thread_id
    assert told["turn"]["finalResponse"] == "I am two."
    assert "I am one." in json.dumps(place.requests[0]["input"])


async def test_resuming_an_unknown_thread_throws_and_says_why(place: Place) -> None:
    given = {"id": "00000000-dead-7000-8000-000000000000"}
    with pytest.raises(AssertionError, match="There is no thread"):
        await place.node("resume.mjs", [], **given)


async def test_an_abort_ends_everything_and_the_thread_can_go_on(place: Place) -> None:
    script = [call("exec_command", cmd="while sleep 0.05; do echo x >> alive; done"), say("Hm.")]
    told = await place.node("abort.mjs", script)

    assert told["error"]["name"] == "AbortError"
    alive = place.work / "alive"
    with anyio.fail_after(10):
        while _writers(place.root):
            await anyio.sleep(0.02)
    size = alive.stat().st_size if alive.exists() else 0
    again = await place.node("resume.mjs", [say("Here.")], id=told["id"])
    assert (alive.stat().st_size if alive.exists() else 0) == size
    assert again["turn"]["finalResponse"] == "Here."
    calls = [item for item in place.requests[0]["input"] if item["type"] == "function_call"]
    outputs = [item for item in place.requests[0]["input"] if "output" in item]
    assert [one["call_id"] for one in calls] == [one["call_id"] for one in outputs]


async def test_a_failed_turn_throws_the_providers_message(place: Place) -> None:
    told = await place.node("failed.mjs", [refuse(400, "No such model: nothing-1.")])

    assert "No such model: nothing-1." in told["message"]


async def test_a_failed_turn_streams_its_end_and_then_throws(place: Place) -> None:
    told = await place.node("streamed.mjs", [refuse(401, "Bad key.")])

    assert [event["type"] for event in told["seen"]] == [
        "thread.started",
        "turn.started",
        "turn.failed",
    ]
    assert "Bad key." in told["seen"][-1]["error"]["message"]
    assert "exited with code 1" in told["error"]["message"]


async def test_a_retried_request_is_told_and_is_no_failure(place: Place) -> None:
    told = await place.node("streamed.mjs", [refuse(503), say("There.")])

    kinds = [event["type"] for event in told["seen"]]
    assert kinds.count("error") == 1
    assert kinds[-1] == "turn.completed"
    assert told["error"] is None


async def test_the_key_and_the_address_are_those_of_the_sdk(place: Place) -> None:
    place.env["OPENAI_API_KEY"] = "sk-of-the-environment"
    await place.node("once.mjs", [say("Hi.")])

    assert place.headers[0]["authorization"] == "Bearer sk-scripted-key"


async def test_the_environment_is_the_one_given(place: Place) -> None:
    given = {name: place.env[name] for name in ("HOME", "OCTAVO_HOME", "PATH")}
    place.env["LEAKED"] = "leaked"
    script = [call("exec_command", cmd="echo [$LEAKED$GIVEN$CODEX_API_KEY]"), say("x")]
    await place.node("once.mjs", script, codex={"env": {**given, "GIVEN": "given"}})

    assert "[given]" in place.output()


async def test_config_overrides_hold_in_both_forms(place: Place) -> None:
    config = {"model_verbosity": "low", "tools": {"update_plan": {"enabled": False}}}
    overrides = ["tool_output_token_limit=50", 'developer_instructions="Speak Latin."']
    script = [call("exec_command", cmd="seq 2000"), say("x")]
    await place.node("once.mjs", script, codex={"config": config, "configOverrides": overrides})

    first = place.requests[0]
    assert first["text"]["verbosity"] == "low"
    assert "update_plan" not in [tool.get("name") for tool in first["tools"]]
    assert "Speak Latin." in json.dumps(first["input"])
    assert len(place.output()) < 1500


async def test_the_model_and_its_effort_are_chosen(place: Place) -> None:
    thread = {"model": "gpt-5.5", "modelReasoningEffort": "high"}
    await place.node("once.mjs", [say("x")], thread=thread)

    assert place.requests[0]["model"] == "gpt-5.5"
    assert place.requests[0]["reasoning"]["effort"] == "high"


@pytest.mark.parametrize(
    ("thread", "mode"),
    [
        ({"webSearchMode": "live"}, "live"),
        ({"webSearchMode": "cached"}, "cached"),
        ({"webSearchEnabled": True}, "live"),
        ({"webSearchEnabled": False}, None),
    ],
    ids=str,
)
async def test_web_search_is_what_was_asked_for(
    thread: dict[str, Any], mode: str | None, place: Place
) -> None:
    await place.node("once.mjs", [say("x")], thread=thread)

    tools = [tool for tool in place.requests[0]["tools"] if tool["type"] == "web_search"]
    access = [tool.get("external_web_access", True) for tool in tools]
    assert access == {"live": [True], "cached": [False], None: []}[mode]


async def test_read_only_is_read_only(place: Place) -> None:
    script = [call("exec_command", cmd="echo x > file"), say("x")]
    await place.node("once.mjs", script, thread={"sandboxMode": "read-only"})

    assert not (place.work / "file").exists()
    assert "exited with code 0" not in place.output()


async def test_additional_directories_can_be_written_and_others_not(place: Place) -> None:
    added, other = place.root / "added", place.root / "other"
    added.mkdir()
    other.mkdir()
    cmd = f"echo x > file; echo x > {added}/file; echo x > {other}/file"
    thread = {"sandboxMode": "workspace-write", "additionalDirectories": [str(added)]}
    await place.node("once.mjs", [call("exec_command", cmd=cmd), say("x")], thread=thread)

    assert (place.work / "file").exists()
    assert (added / "file").exists()
    assert not (other / "file").exists()


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_network_is_open_only_when_it_is_enabled(enabled: bool, place: Place) -> None:
    async with scripted.serve() as reachable:
        connect = f'import socket; socket.create_connection(("127.0.0.1", {reachable.port}))'
        cmd = f"{sys.executable} -c '{connect}' && echo reached"
        thread = {"sandboxMode": "workspace-write", "networkAccessEnabled": enabled}
        await place.node("once.mjs", [call("exec_command", cmd=cmd), say("x")], thread=thread)

    assert ("reached" in place.output().splitlines()) == enabled


async def test_outside_of_git_it_refuses_unless_told_to_skip_the_check(place: Place) -> None:
    plain = place.root / "plain"
    plain.mkdir()
    thread = {"workingDirectory": str(plain)}

    refused = await place.node("failed.mjs", [say("x")], thread=thread)
    skipped = await place.node("once.mjs", [say("x")], thread={**thread, "skipGitRepoCheck": True})

    assert "not in a git repository" in refused["message"]
    assert skipped["finalResponse"] == "x"


@pytest.mark.parametrize("policy", ["on-request", "untrusted"])
async def test_whatever_the_approval_policy_nobody_is_asked(policy: str, place: Place) -> None:
    escalated = call("exec_command", cmd="true", sandbox_permissions="require_escalated")
    thread = {"approvalPolicy": policy}
    told = await place.node("once.mjs", [escalated, say("x")], thread=thread)

    assert told["finalResponse"] == "x"
    assert "nobody can be asked" in place.output()


async def test_options_without_a_meaning_here_do_no_harm(place: Place) -> None:
    told = await place.node(
        "once.mjs",
        [say("x")],
        thread={"threadSource": "user"},
        turn={"cyberAccessProgram": "standard"},
    )

    assert told["finalResponse"] == "x"


def _writers(root: Path) -> list[str]:
    """The processes that work below `root`."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(root):
                found.append(process.name)
        except OSError:
            continue  # gone, or not ours to look at
    return found
