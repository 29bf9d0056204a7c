"""`octavo sessions` and `octavo index`, as a person uses them between runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from octavo.store.find import find
from octavo.store.rollout import Rollout
from octavo.trial import scripted
from octavo.trial.scripted import say
from tests.cli.running import Shell
from tests.cli.test_thread import Desk
from tests.store.logs import AT_MS, write_thread


def test_threads_are_listed_shown_found_and_named(shell: Shell) -> None:
    one, _ = write_thread(shell.home, ("mend\x1b[2J it", "It is\nmended."), cwd=str(shell.cwd))
    two, _ = write_thread(shell.home, ("write docs", "Done."), cwd="/elsewhere", at_ms=AT_MS + 9)

    here = shell.octavo("sessions", "list")
    everywhere = shell.octavo("sessions", "list", "--all", "--json")
    named = shell.octavo("sessions", "rename", one[:18], "The mending")
    listed = shell.octavo("sessions", "list", "--all", "-n", "1")
    shown = shell.octavo("sessions", "show", one)
    found = shell.octavo("sessions", "search", "mended")
    nothing = shell.octavo("sessions", "search", "docs")

    assert here.returncode == 0, here.stderr
    assert here.stdout.startswith(one[:13])
    assert here.stdout.endswith("1 turn  mend⟨U+001B⟩[2J it\n")
    assert [thread["id"] for thread in json.loads(everywhere.stdout)] == [two, one]
    assert (named.returncode, named.stdout) == (0, "Renamed.\n")
    assert listed.stdout.startswith(two[:13])
    assert listed.stderr == "There are more: -n 4 lists more of them.\n"
    assert "Name        The mending\n" in shown.stdout
    assert "   user: mend⟨U+001B⟩[2J it\n   model: It is mended.\n" in shown.stdout
    assert "  assistant: It is mended.\n" in found.stdout
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "--all looks at those of every directory" in nothing.stderr


def test_what_is_put_away_comes_back_and_what_is_deleted_is_asked_about(shell: Shell) -> None:
    one, path = write_thread(shell.home, ("hi", "x"), cwd=str(shell.cwd))
    away = shell.octavo("sessions", "archive", one)
    gone = shell.octavo("sessions", "list")
    kept = shell.octavo("sessions", "list", "--archived")
    back = shell.octavo("sessions", "unarchive", one)
    unsaid = shell.octavo("sessions", "delete", one)
    with Rollout.open(path):
        in_use = shell.octavo("sessions", "delete", one, "--yes")
    assert path.exists()
    said = shell.octavo("sessions", "delete", one, "--yes")

    assert (away.stdout, back.stdout) == (f"Archived: {one}\n", f"Listed again: {one}\n")
    assert (gone.stdout, kept.stdout[:13]) == ("", one[:13])
    assert unsaid.returncode == 2
    assert unsaid.stderr.endswith("Add --yes, or archive instead.\n")
    assert (in_use.returncode, in_use.stdout) == (1, "")
    assert "in use by process" in in_use.stderr
    assert said.stdout == f"Deleted: {one}\n"
    assert not path.exists()


@pytest.mark.parametrize(("answer", "is_deleted"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_a_person_is_asked(shell: Shell, answer: str, is_deleted: bool) -> None:
    one, path = write_thread(shell.home, ("hi", "x"))
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "octavo", "sessions", "delete", one],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        cwd=shell.cwd,
        env=shell.env,
        timeout=60,
    )
    asked = os.read(ours, 4096).decode()
    os.close(ours)
    os.close(theirs)
    assert "Delete this thread for good? [y/N]" in asked
    assert (path.exists(), done.returncode) == ((False, 0) if is_deleted else (True, 2))


@pytest.mark.anyio
async def test_a_thread_is_forked_from_an_earlier_turn_and_goes_on(shell: Shell) -> None:
    async with scripted.serve([say("one"), say("two"), say("three")]) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "first")
        await desk.octavo("exec", "resume", "--last", "second")
        listed = await desk.octavo("sessions", "list", "--json")
        [thread] = json.loads(listed.stdout)
        forked = await desk.octavo("sessions", "fork", thread["id"], "--turn", "1")
        no_turn = await desk.octavo("sessions", "fork", thread["id"], "--turn", "3")
        new_id = forked.stdout.removeprefix("Forked: ").strip()
        resumed = await desk.octavo("exec", "resume", new_id[:18], "other")
        last = await desk.octavo("sessions", "list", "--json", "-n", "1")
        sent = model.requests[-1].body

    assert forked.returncode == 0, forked.stderr
    assert f"octavo exec resume {new_id} PROMPT" in forked.stderr
    assert (no_turn.returncode, no_turn.stdout) == (2, "")
    assert "There is no turn 3 in this thread." in no_turn.stderr
    assert resumed.stdout == "three\n"
    assert b"first" in sent
    assert b"second" not in sent
    assert json.loads(last.stdout)[0]["forkedFromId"] == thread["id"]


@pytest.mark.anyio
async def test_what_was_undone_is_shown_nowhere_until_that_is_taken_back(shell: Shell) -> None:
    async with scripted.serve([say("one"), say("two")]) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "first")
        await desk.octavo("exec", "resume", "--last", "mistaken")
        [thread] = json.loads((await desk.octavo("sessions", "list", "--json")).stdout)

        async def told() -> list[bool]:
            views = (("show", thread["id"]), ("export", thread["id"]), ("search", "mistaken"))
            shown = [(await desk.octavo("sessions", *words)).stdout for words in views]
            return ["mistaken" in one for one in shown]

        before = await told()
        undone = await desk.octavo("undo")
        after = await told()
        shown = (await desk.octavo("sessions", "show", thread["id"])).stdout
        redone = await desk.octavo("undo", "--redo")
        again = await told()

    assert before == [True] * 3
    assert (undone.returncode, redone.returncode) == (0, 0), undone.stderr + redone.stderr
    assert after == [False] * 3
    assert "Turns       1\n" in shown
    assert "\n1. " in shown
    assert again == [True] * 3


def test_a_thread_is_exported(shell: Shell, tmp_path: Path) -> None:
    one, path = write_thread(shell.home, ("fix <b>it</b>", "```\nDone."), cwd=str(shell.cwd))
    page = tmp_path / "page.html"
    written = shell.octavo("sessions", "export", one, "-o", str(page))
    again = shell.octavo("sessions", "export", one, "-o", str(page))
    markdown = shell.octavo("sessions", "export", one)
    as_json = shell.octavo("sessions", "export", one, "-f", "json")

    assert (written.returncode, written.stdout) == (0, "")
    assert "fix &lt;b&gt;it&lt;/b&gt;" in page.read_text()
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert markdown.stdout.startswith("# fix \\<b\\>it\\</b\\>\n")
    assert "````markdown\n```\nDone.\n````\n" in markdown.stdout
    exported = json.loads(as_json.stdout)
    assert [item["type"] for item in exported["turns"][0]["items"]] == [
        "userMessage",
        "agentMessage",
    ]
    assert find(shell.home, one) == path


def test_a_mistake_is_said_and_nothing_is_made(shell: Shell) -> None:
    for words, said in (
        (["show", "ffff"], "There is no thread 'ffff'. There are no threads at all yet."),
        (["list", "-n", "0"], "-n 0: there is nothing to show. Give 1 or more."),
    ):
        done = shell.octavo("sessions", *words)
        assert (done.returncode, done.stdout) == (2 if "-n" in words else 1, "")
        assert done.stderr == f"octavo: error: {said}\n"
    assert shell.octavo("sessions", "list", "--all").stderr == "There is no thread.\n"
    assert not shell.home.exists()


def test_the_index_can_be_made_anew(shell: Shell) -> None:
    write_thread(shell.home, ("hi", "x"))
    done = shell.octavo("index", "rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 threads, 2 messages, in ")
