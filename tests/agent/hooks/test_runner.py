"""Hooks around the shortening of a thread's history, in a cage of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from octavo.agent.cages import Cages
from octavo.agent.hooks.runner import Hooks, Place
from octavo.agent.hooks.wraps import TurnHooks
from octavo.agent.journal import Journal
from octavo.agent.network import Blocks
from octavo.config.load import load
from octavo.protocol.events import HookEnded, Noticed, ThreadStarted
from octavo.protocol.fold import Thread
from octavo.sandbox import Mode, Policy
from tests.scenarios.hooking import home_of, own

pytestmark = pytest.mark.anyio


async def test_hooks_hear_of_a_compaction_and_can_refuse_it(workspace: Path) -> None:
    own(
        workspace,
        ("PreCompact", "auto", "echo 'Not now.' >&2; exit 2"),
        ("PreCompact", "manual", "cat > before.json"),
        ("PostCompact", None, "cat > after.json"),
    )
    env = {**os.environ, "OCTAVO_HOME": str(home_of(workspace))}
    loaded = load(cwd=workspace, env=env)
    journal = Journal(Thread(), None)
    journal.emit(ThreadStarted("t", str(workspace), 0, "0", "m", "p"))
    seen: list[object] = []
    journal.follow(seen.append)
    policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=workspace)
    async with Cages(None, Blocks()) as cages:
        hooks = Hooks(loaded, env, journal, cages.open, source="startup")
        place = Place(
            thread_id="t",
            turn_id="u",
            cwd=workspace,
            home=loaded.home,
            project=workspace,
            model="m",
            permission_mode="default",
            log_path=None,
            policy=policy,
            env=env,
            writable_roots=(workspace,),
            redact=str,
        )
        turn = TurnHooks(hooks, place)
        hooks.source = None

        refused = await turn.before_compaction("auto")
        allowed = await turn.before_compaction("manual", "Keep the plan.")
        await turn.after_compaction("manual")

    assert (refused, allowed) == ("Not now.", None)
    before = json.loads((workspace / "before.json").read_text())
    assert (before["trigger"], before["custom_instructions"]) == ("manual", "Keep the plan.")
    assert json.loads((workspace / "after.json").read_text())["trigger"] == "manual"
    assert hooks.source == "compact"
    ended = [event.run.event_name for event in seen if isinstance(event, HookEnded)]
    assert ended == ["preCompact", "preCompact", "postCompact"]
    assert not [event for event in seen if isinstance(event, Noticed)]
