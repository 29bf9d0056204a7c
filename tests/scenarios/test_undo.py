"""Turns are taken back, and nothing that a person did is lost by it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.rpc import RpcError
from octavo.sandbox.policy import PROTECTED_NAMES
from octavo.trial.scripted import Script, call, say
from tests.scenarios.playing import Play, playing
from tests.workspace.test_snapshot import Tree
from tests.workspace.test_snapshot import tree as whole_tree

pytestmark = pytest.mark.anyio


def tree(root: Path) -> Tree:
    """Without the empty things that a cage stands in the place of what must not be made."""
    found = whole_tree(root)
    names = [name.encode() for name in PROTECTED_NAMES]
    filled = {path.split(b"/")[0] for path in found if b"/" in path}
    return {path: what for path, what in found.items() if path not in names or path in filled}


def run(command: str, answer: str = "Done.") -> Script:
    return [call("exec_command", cmd=command, login=False), say(answer)]


async def undo(play: Play, **params: Any) -> m.UndoResult:
    return await play.client.call(m.UNDO, m.UndoParams(play.thread_id, **params))


def texts(play: Play) -> str:
    return str(play.requests()[-1]["input"])


@pytest.fixture
def files(workspace: Path) -> Path:
    (workspace / "src").mkdir()
    (workspace / "src" / "a.py").write_bytes(b"one\r\n")
    (workspace / "run.sh").write_text("#!/bin/sh\n")
    (workspace / "run.sh").chmod(0o750)
    (workspace / "link").symlink_to("src/a.py")
    return workspace


async def test_what_a_turn_did_to_files_is_taken_back_with_what_was_said(files: Path) -> None:
    before = tree(files)
    wreck = "rm -r src link; chmod 644 run.sh; mkdir -p new/deep; echo x > new/deep/file"
    async with playing([*run(wreck, "Wrecked."), say("Hello.")], files) as play:
        await play.turn("wreck it")
        assert tree(files) != before
        done = await undo(play)
        assert tree(files) == before
        await play.turn("go on")

    assert str(files / "src" / "a.py") in done.paths
    assert done.left == ()
    assert "wreck it" not in texts(play)
    assert "Wrecked." not in texts(play)


async def test_files_alone_are_restored_and_the_model_is_told_which(files: Path) -> None:
    async with playing([*run("echo two > src/a.py"), say("Hello.")], files) as play:
        await play.turn("write two")
        await undo(play, conversation=False)
        await play.turn("go on")

    assert (files / "src" / "a.py").read_bytes() == b"one\r\n"
    assert "write two" in texts(play)
    assert "<files_restored>" in texts(play)
    assert str(files / "src" / "a.py") in texts(play)


async def test_the_conversation_alone_is_taken_back(files: Path) -> None:
    async with playing([*run("echo two > src/a.py"), say("Hello.")], files) as play:
        await play.turn("write two")
        await undo(play, files=False)
        await play.turn("go on")

    assert (files / "src" / "a.py").read_text() == "two\n"
    assert "write two" not in texts(play)


async def test_an_undo_is_taken_back_whole(files: Path) -> None:
    async with playing([*run("echo two > src/a.py; rm link"), say("Hello.")], files) as play:
        await play.turn("write two")
        after = tree(files)
        await undo(play)
        await play.client.call(m.REDO, m.RedoParams(play.thread_id))
        assert tree(files) == after
        await play.turn("go on")
        with pytest.raises(RpcError, match="no undo to take back"):
            await play.client.call(m.REDO, m.RedoParams(play.thread_id))

    assert "write two" in texts(play)


async def test_an_earlier_turn_is_taken_back_with_all_after_it(files: Path) -> None:
    before = tree(files)
    script = [*run("echo two > src/a.py"), *run("echo three > src/a.py"), say("Hello.")]
    async with playing(script, files) as play:
        first = await play.turn("write two")
        await play.turn("write three")
        done = await undo(play, turn_id=first.id)
        assert tree(files) == before
        await play.turn("go on")

    assert len(done.turn_ids) == 2
    assert "write two" not in texts(play)


async def test_what_a_person_edited_since_is_not_overwritten(files: Path) -> None:
    async with playing(run("echo two > src/a.py; rm run.sh"), files) as play:
        await play.turn("write two")
        (files / "src" / "a.py").write_text("mine")
        (files / "notes").write_text("mine")
        with pytest.raises(RpcError, match=r"src/a\.py\. Nothing was undone"):
            await undo(play)
        assert not (files / "run.sh").exists()
        await undo(play, overwrite=True)

    assert (files / "src" / "a.py").read_bytes() == b"one\r\n"
    assert (files / "notes").read_text() == "mine"


async def test_commits_of_a_turn_are_taken_back_with_refs_and_index(files: Path) -> None:
    def git(*words: str) -> str:
        own = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
        return subprocess.run(
            [*own, *words], cwd=files, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q", "-b", "main")
    git("config", "user.name", "A")
    git("config", "user.email", "a@b")
    git("add", ".")
    git("commit", "-qm", "one")
    (files / "run.sh").write_text("staged")
    git("add", "run.sh")
    before, head = tree(files), git("rev-parse", "HEAD")
    script = [
        call("exec_command", cmd="echo two > src/a.py", login=False),
        call("exec_command", cmd="git commit -qam two", login=False),
        say("Done."),
    ]
    async with playing(script, files) as play:
        await play.turn("commit")
        assert git("rev-parse", "HEAD") != head
        await undo(play)

    assert tree(files) == before
    assert git("rev-parse", "HEAD") == head
    git("fsck", "--strict")


async def test_a_resumed_thread_is_undone_as_well(files: Path) -> None:
    before = tree(files)
    async with playing(run("echo two > src/a.py"), files) as play:
        await play.turn("write two")
        thread_id = play.thread_id
    async with playing([say("Hello.")], files, start=False) as play:
        await play.resume(thread_id)
        await undo(play)
        assert tree(files) == before
        await play.turn("go on")
        assert "write two" not in texts(play)


async def test_a_turn_that_was_cut_off_says_that_it_cannot_tell_whose_changes_are_whose(
    files: Path,
) -> None:
    async with playing(run("echo two > src/a.py"), files) as play:
        await play.turn("write two")
        thread = play.server.threads[play.thread_id].journal.thread
        turn = thread.turns[-1]
        turn.after.clear()
        assert turn.ended is not None
        turn.ended = type(turn.ended)(turn.started.turn_id, 0, "crashed")
        with pytest.raises(RpcError, match="cannot tell its own changes"):
            await undo(play)
        await undo(play, overwrite=True)

    assert (files / "src" / "a.py").read_bytes() == b"one\r\n"


async def test_nothing_is_kept_where_a_person_does_not_want_it(files: Path) -> None:
    overrides = ["undo.enabled=false"]
    async with playing(run("echo two > src/a.py"), files, overrides=overrides) as play:
        await play.turn("write two")
        done = await undo(play)

    assert done.paths == ()
    assert not (files.parent / "octavo-home" / "snapshots").exists()


async def test_a_turn_that_only_reads_is_undone_without_touching_files(files: Path) -> None:
    async with playing([*run("cat src/a.py"), say("Hello.")], files) as play:
        await play.turn("read it")
        (files / "src" / "a.py").write_text("mine")
        done = await undo(play)
        listed = await play.client.call(m.UNDO_LIST, m.ThreadIdParams(play.thread_id))

    assert done.paths == ()
    assert (files / "src" / "a.py").read_text() == "mine"
    assert [(turn.text, turn.undone) for turn in listed.data] == [("read it", True)]


async def test_a_workspace_that_is_the_persons_home_is_not_kept_and_that_is_said(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(files))
    async with playing(run("echo two > src/a.py"), files) as play:
        await play.turn("write two")

    said = [n.message for n in play.seen if isinstance(n, note.Warned)]
    assert any("cannot be undone" in text for text in said), said
    assert os.path.exists(files / "src")


async def test_a_workspace_that_has_moved_is_named_and_what_was_said_can_be_undone(
    files: Path,
) -> None:
    async with playing([*run("echo two > src/a.py"), say("Hello.")], files) as play:
        await play.turn("write two")
        moved = files.rename(files.with_name("moved"))
        with pytest.raises(RpcError, match="is not there any more"):
            await undo(play)
        done = await undo(play, files=False)

    assert len(done.turn_ids) == 1
    assert (moved / "src" / "a.py").read_bytes() == b"two\n"
