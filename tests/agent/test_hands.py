"""What a person accepted outside of the cage is what happens there, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from octavo.agent.approval import Approvals
from octavo.agent.hands import CallHands, Room
from octavo.agent.journal import Journal
from octavo.protocol import events as ev
from octavo.protocol.fold import fold
from octavo.protocol.questions import Answer, CommandQuestion, FileChangeQuestion, Question
from octavo.sandbox import Command, Write
from octavo.tools import ToolFailed
from tests.protocol.test_fold import STARTED, call, turn

pytestmark = pytest.mark.anyio


async def hands_after(question: Question, *, decision: Any = "accept") -> CallHands:
    """The hands of a call that has begun and asked `question`."""
    journal = Journal(fold([STARTED, turn(), call("c")]), None)
    approvals = Approvals(journal, lambda: None)
    unused: Any = None
    room = Room(
        journal=journal,
        approvals=approvals,
        sandbox=unused,
        sessions=unused,
        cwd=Path("/"),
        env={},
        writable_roots=(),
        network=False,
        asks=True,
        alone=False,
        output_limit_tokens=1,
        login_env=unused,
        redact=str,
        keep_output=unused,
    )

    def reply(event: ev.Event) -> None:
        if isinstance(event, ev.QuestionAsked):
            approvals.answer(event.question_id, Answer(decision))

    journal.follow(reply)
    hands = CallHands(room, "1", "c")
    await hands.begin(ev.RunIntent("x", "/"))
    with anyio.fail_after(5):
        await hands.ask(question)
    return hands


async def test_another_command_than_the_accepted_one_stays_in(tmp_path: Path) -> None:
    hands = await hands_after(CommandQuestion("echo fine", "/"))
    other = Command(("/bin/sh", "-c", f"touch {tmp_path}/bad"), tmp_path, {})

    with pytest.raises(ToolFailed, match="Nobody accepted"):
        await hands.spawn(other, outside=True)
    assert not (tmp_path / "bad").exists()


async def test_another_file_than_the_accepted_one_is_not_changed(tmp_path: Path) -> None:
    fine, bad = tmp_path / "fine", tmp_path / "bad"
    hands = await hands_after(FileChangeQuestion((str(fine),)))
    changes = [Write(fine, b"x"), Write(bad, b"x")]

    with pytest.raises(ToolFailed, match="Nobody accepted"):
        await hands.change(changes, granted=[fine, bad])
    assert not fine.exists()
    assert not bad.exists()


async def test_the_accepted_file_is_changed(tmp_path: Path) -> None:
    hands = await hands_after(FileChangeQuestion((str(tmp_path / "fine"),)))

    await hands.change([Write(tmp_path / "fine", b"x")], granted=[tmp_path / "fine"])

    assert (tmp_path / "fine").read_bytes() == b"x"


async def test_a_no_lets_nothing_out(tmp_path: Path) -> None:
    hands = await hands_after(CommandQuestion("true", "/"), decision="decline")

    with pytest.raises(ToolFailed, match="Nobody accepted"):
        await hands.spawn(Command(("/bin/sh", "-c", "true"), tmp_path, {}), outside=True)
