"""What was permitted is what happens, and nothing else: no command and no change gets more."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.agent.approval import Approvals
from octavo.agent.cages import Cages
from octavo.agent.ground import Allowed, Ground
from octavo.agent.hands import CallHands, Room
from octavo.agent.journal import Journal
from octavo.config.load import load
from octavo.protocol import events as ev
from octavo.protocol.fold import fold
from octavo.protocol.questions import Answer, FileChangeQuestion
from octavo.sandbox import Command, Mode, Policy, Write
from octavo.tools import Declined, Permit, ToolFailed, WantedCommand
from tests.protocol.test_fold import STARTED, call, turn

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def hands_in(cwd: Path, *, decision: Any = "accept") -> AsyncIterator[CallHands]:
    """The hands of a call that has begun, and a person who answers everything with `decision`."""
    journal = Journal(fold([STARTED, turn(), call("c")]), None)
    approvals = Approvals(journal, lambda: None)
    loaded = load(cwd=cwd, env=os.environ)
    ground = Ground(loaded, os.environ, journal.thread, lambda _: None, Allowed())
    policy = Policy(Mode.WORKSPACE_WRITE, cwd, write_tmp=False, write_tmpdir=False)
    unused: Any = None

    def reply(event: ev.Event) -> None:
        if isinstance(event, ev.QuestionAsked):
            approvals.answer(event.question_id, Answer(decision))

    journal.follow(reply)
    async with Cages(None, ground.blocks) as cages:
        room = Room(
            journal=journal,
            approvals=approvals,
            sandbox=await cages.open(policy),
            cages=cages,
            ground=ground,
            policy=policy,
            approval="on-request",
            judge=None,
            sessions=unused,
            cwd=cwd,
            env={},
            writable_roots=(cwd,),
            network=False,
            asks=True,
            alone=False,
            output_limit_tokens=1,
            login_env=unused,
            redact=str,
            keep_output=unused,
        )
        hands = CallHands(room, "1", "c")
        await hands.begin(ev.RunIntent("x", "/"))
        with anyio.fail_after(20):
            yield hands


def wanted(cwd: Path, script: str, *, outside: bool = True) -> WantedCommand:
    return WantedCommand(script, Command(("/bin/sh", "-c", script), cwd, {}), outside=outside)


async def test_what_a_person_let_out_runs_outside_and_once(workspace: Path) -> None:
    out = workspace.parent / "out"
    async with hands_in(workspace) as hands:
        permit = await hands.permit(wanted(workspace, f"echo x >> {out}"))
        await (await hands.spawn(permit)).wait()
        with pytest.raises(ToolFailed, match="nobody permitted"):
            await hands.spawn(permit)

    assert out.read_text() == "x\n"


async def test_a_permit_that_was_changed_is_none(workspace: Path) -> None:
    bad = workspace.parent / "bad"
    async with hands_in(workspace) as hands:
        permit = await hands.permit(wanted(workspace, "true"))
        other = wanted(workspace, f"touch {bad}").command
        forged = [
            msgspec.structs.replace(permit, command=other),
            Permit(other, permit.policy, outside=True),
        ]
        for one in forged:
            with pytest.raises(ToolFailed, match="nobody permitted"):
                await hands.spawn(one)
    assert not bad.exists()


async def test_a_permit_for_the_cage_stays_in_the_cage(workspace: Path) -> None:
    bad = workspace.parent / "bad"
    async with hands_in(workspace) as hands:
        permit = await hands.permit(wanted(workspace, f"touch {bad} in", outside=False))
        await (await hands.spawn(permit)).wait()

    assert (workspace / "in").exists()
    assert not bad.exists()


async def test_a_no_lets_nothing_out(workspace: Path) -> None:
    async with hands_in(workspace, decision="decline") as hands:
        with pytest.raises(Declined, match="The user declined"):
            await hands.permit(wanted(workspace, "true"))


async def test_another_file_than_the_accepted_one_is_not_changed(workspace: Path) -> None:
    fine, bad = workspace.parent / "fine", workspace.parent / "bad"
    async with hands_in(workspace) as hands:
        await hands.ask(FileChangeQuestion((str(fine),)))
        with pytest.raises(ToolFailed, match="Nobody accepted"):
            await hands.change([Write(fine, b"x"), Write(bad, b"x")], granted=[fine, bad])
    assert not fine.exists()
    assert not bad.exists()


async def test_the_accepted_file_is_changed(workspace: Path) -> None:
    fine = workspace.parent / "fine"
    async with hands_in(workspace) as hands:
        await hands.ask(FileChangeQuestion((str(fine),)))
        await hands.change([Write(fine, b"x")], granted=[fine])

    assert fine.read_bytes() == b"x"
