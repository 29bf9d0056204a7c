"""`hooks/list` and the notices of hooks, in the shapes of Codex 0.169."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.trial.scripted import call, say
from tests.scenarios.hooking import agree, own, theirs
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio

METADATA = {
    *("key", "eventName", "matcher", "timeoutSec", "statusMessage", "additionalContextLimit"),
    *("sourcePath", "source", "pluginId", "displayOrder", "enabled", "isManaged", "currentHash"),
    *("trustStatus", "handlerType", "executionMode", "command", "async", "octavoOutside"),
}
RUN = {
    *("id", "eventName", "handlerType", "executionMode", "scope", "sourcePath", "source"),
    *("displayOrder", "status", "statusMessage", "startedAt", "completedAt", "durationMs"),
    "entries",
}


async def test_hooks_are_listed_by_directory(workspace: Path) -> None:
    own(workspace, ("Stop", None, {"command": "true", "statusMessage": "Looking"}))
    file = theirs(workspace, ("PreToolUse", "Bash", "true"))
    async with playing([], workspace) as play:
        params = m.HooksListParams((str(workspace), "/"))
        untrusted = (await play.client.call(m.HOOKS_LIST, params)).data
        agree(workspace)
        agreed = (await play.client.call(m.HOOKS_LIST, params)).data
        file.write_text("{")
        broken = (await play.client.call(m.HOOKS_LIST, params)).data

    assert [entry.cwd for entry in agreed] == [str(workspace), "/"]
    assert [hook.event_name for hook in untrusted[0].hooks] == ["stop"]
    assert "is not trusted" in untrusted[0].warnings[0]
    both = agreed[0].hooks
    assert [(h.event_name, h.source, h.trust_status) for h in both] == [
        ("stop", "user", "trusted"),
        ("preToolUse", "project", "trusted"),
    ]
    assert set(msgspec.to_builtins(both[0])) == METADATA
    assert both[0].status_message == "Looking"
    assert agreed[0].warnings == agreed[0].errors == ()
    assert [error.path for error in broken[0].errors] == [str(file)]


async def test_clients_are_told_of_every_run(workspace: Path) -> None:
    own(workspace, ("PreToolUse", "Bash", "echo no >&2; exit 2"))
    script = [call("exec_command", cmd="true", login=False), say("Done.")]
    async with playing(script, workspace) as play:
        turn = await play.turn("go")

    [started] = [n for n in play.seen if isinstance(n, note.HookStarted)]
    [completed] = [n for n in play.seen if isinstance(n, note.HookCompleted)]
    assert (started.method, completed.method) == ("hook/started", "hook/completed")
    assert started.run.id == completed.run.id
    assert started.turn_id == completed.turn_id == turn.id
    assert set(msgspec.to_builtins(completed.run)) == RUN
    assert (started.run.status, completed.run.status) == ("running", "blocked")
    assert completed.run.duration_ms is not None
