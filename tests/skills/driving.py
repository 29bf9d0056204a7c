"""Drives a bundled skill: the user names it, and the scripted model does what it says.

    async with driving("yeet", [call("exec_command", cmd="…"), say("Done.")], workspace) as drive:
        await drive.turn("$yeet this")
    assert "…" in drive.skill_text()
    assert drive.outputs() == […]

`drive.folder` is where the skill lies, as the model is told; its scripts are run from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from octavo.context.skills.roots import BUNDLED
from octavo.trial.scripted import Script
from tests.scenarios.playing import Play, playing


class Drive:
    """A thread in which a skill is used."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.folder = BUNDLED / name
        self._name = name

    async def turn(self, text: str) -> None:
        """Say something, and see the turn completed."""
        turn = await self.play.turn(text)
        assert turn.status == "completed", turn.error

    def outputs(self) -> list[str]:
        """What the calls of the last request answered, in order."""
        return self.play.outputs()

    def skill_text(self) -> str:
        """The skill as it was given to the model; the first request must have it."""
        [text] = [
            part["text"]
            for item in self.play.requests()[0]["input"]
            if item["type"] == "message"
            for part in item["content"]
            if part["text"].startswith(f"<skill>\n<name>{self._name}</name>")
        ]
        return str(text)


@asynccontextmanager
async def driving(name: str, script: Script, workspace: Path, **how: Any) -> AsyncIterator[Drive]:
    """A thread in `workspace` with a model that plays `script`; see `playing` for `how`."""
    async with playing(script, workspace, **how) as play:
        yield Drive(play, name)
