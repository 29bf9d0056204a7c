"""An AGENTS.md that is too long, is not text, or hides what it says: told, and the turn goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.protocol import notifications as note
from octavo.trial.scripted import say
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

MIB = 1 << 20
BAD = b"Be nice.\n\xff\xfe not text\nuse \xe2\x80\xaetabs\xe2\x80\xac\n"
"""Two bytes that are not UTF-8, and a word whose letters are shown backwards."""


def told(play: Play) -> list[str]:
    return [n.message for n in play.seen if isinstance(n, note.Warned)]


def shown(play: Play) -> str:
    """What the first request holds of AGENTS.md."""
    [text] = [
        part["text"]
        for item in play.requests()[0]["input"]
        for part in item["content"]
        if part["text"].startswith("# AGENTS.md")
    ]
    return str(text)


async def test_a_projects_file_of_ten_megabytes(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_bytes(BAD + b"and so on\n" * MIB)
    async with playing([say("Ok.")], workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    text = shown(play)
    assert len(text) < 40_000
    assert "Be nice." in text
    assert "use ⟨U+202E⟩tabs⟨U+202C⟩" in text
    assert "\ufffd\ufffd not text" in text
    assert "is left out here; read it in the file" in text
    long, mended = told(play)
    assert "is too long: 32766 of 10485796 bytes were loaded" in long
    assert "is not UTF-8" in mended


async def test_the_users_own_file_of_ten_megabytes_leaves_room_for_the_work(
    workspace: Path,
) -> None:
    """It has no budget, so it alone could fill a window; then it is shown in part."""
    home = workspace.parent / "octavo-home"
    home.mkdir()
    (home / "AGENTS.md").write_bytes(BAD + b"and so on\n" * MIB)
    async with playing([say("Ok.")], workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    text = shown(play)
    assert len(text) < 128_000 * 4 * 0.2
    assert "use ⟨U+202E⟩tabs⟨U+202C⟩" in text
    assert 'recall {"item": 3} shows it' in text
    assert text.endswith("</INSTRUCTIONS>")
    messages = told(play)
    assert "is too long" in messages[0]
    assert "the end of AGENTS.md, or of what is pinned, is left out" in messages[-1]
    assert len(play.requests()) == 1
