"""Skills in whole turns: listed once, given when named, refused when changed, caged when run."""

from __future__ import annotations

import os
import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from octavo.config.trust import set_trust
from octavo.context.skills import Root
from octavo.context.skills.folder import read_folder
from octavo.context.skills.lock import Locks, Pin
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Skill, Text
from octavo.protocol.methods import TurnStartParams
from octavo.trial.scripted import call, say
from tests.context.skills.making import make_skill
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio


def home_of(workspace: Path) -> Path:
    return workspace.parent / "octavo-home"


def own(workspace: Path) -> Root:
    return Root(home_of(workspace) / "skills", "user")


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request's messages, in order."""
    return [
        part["text"]
        for item in request["input"]
        if item["type"] == "message"
        for part in item["content"]
    ]


def listing(request: dict[str, Any]) -> list[str]:
    return [text for text in texts(request) if "<skills>" in text]


def given(request: dict[str, Any]) -> list[str]:
    return [text for text in texts(request) if text.startswith("<skill>")]


def warnings(play: Play) -> list[str]:
    return [seen.message for seen in play.seen if isinstance(seen, note.Warned)]


def agree(workspace: Path, root: Root, name: str) -> None:
    contents = read_folder(root.path / name)
    locks = Locks(home_of(workspace))
    locks.own.put(locks.key(root, name), Pin(contents.sha256, dict(contents.entries)))


async def test_the_model_is_told_once_which_skills_there_are(workspace: Path) -> None:
    make_skill(own(workspace).path, "tidy", "Tidies up.")
    script = [call("exec_command", cmd="true"), say("Done."), say("Again.")]
    async with playing(script, workspace) as play:
        await play.turn("go")
        await play.turn("go on")

    for request in play.requests():
        [text] = listing(request)
        assert "\n- tidy [r0]: Tidies up.\n" in text
        assert "\n- skill-creator [r1]: " in text


async def test_skills_keep_the_prefix_of_every_request(workspace: Path) -> None:
    make_skill(own(workspace).path, "tidy", body="The secret of tidying.\n")
    script = [call("exec_command", cmd="true"), say("Done."), say("Again."), say("Third.")]
    async with playing(script, workspace) as play:
        await play.turn("use $tidy")
        make_skill(own(workspace).path, "more", "New since.")
        await play.turn("go on")
        await play.turn("and $tidy again")

    bodies = [r.body for r in play.model.requests if r.number]
    inputs = [body.split(b'"input":', 1)[1] for body in bodies]
    for (before, after), request in zip(
        pairwise(play.requests()), play.requests()[1:], strict=True
    ):
        assert after["tools"] == before["tools"]
        assert request["input"][: len(before["input"])] == before["input"]
    assert len(inputs) == 4
    assert ["New since." in text for text in listing(play.requests()[2])] == [False, True]
    assert listing(play.requests()[2])[1].startswith("Update: this replaces")


async def test_a_skill_named_by_the_user_is_given_after_the_message(workspace: Path) -> None:
    folder = make_skill(own(workspace).path, "tidy", body="The secret of tidying.\n")
    async with playing([say("Done."), say("Nothing.")], workspace) as play:
        await play.turn("use $tidy here")
        await play.turn("and now?")

    *_, said, body = texts(play.requests()[0])
    assert said == "use $tidy here"
    assert body.startswith(f"<skill>\n<name>tidy</name>\n<path>{folder}/SKILL.md</path>\n---\n")
    assert "The secret of tidying." in body
    assert len(given(play.requests()[1])) == 1
    assert warnings(play) == []


async def test_a_skill_of_the_protocol_is_given_too(workspace: Path) -> None:
    folder = make_skill(own(workspace).path, "tidy", body="The secret of tidying.\n")
    async with playing([say("Done.")], workspace) as play:
        chosen = Skill("tidy", str(folder / "SKILL.md"))
        turn = await play.client.start_turn(TurnStartParams(play.thread_id, (chosen, Text("go"))))
        await play.ended(turn.id)

    assert "The secret of tidying." in given(play.requests()[0])[0]


async def test_a_skill_can_be_named_while_a_turn_runs(workspace: Path) -> None:
    make_skill(own(workspace).path, "tidy", body="The secret of tidying.\n")
    wait = "while [ ! -e go ]; do sleep 0.01; done"
    script = [call("exec_command", cmd=wait), say("Done.")]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("wait")
        await play.until(note.ItemStarted)
        await play.begin("use $tidy")
        (workspace / "go").touch()
        await play.ended(turn_id)

    assert [len(given(request)) for request in play.requests()] == [0, 1]


async def test_the_model_reads_a_skill_and_runs_its_script_in_the_cage(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTAVO_HOME", str(home_of(workspace)))  # the cage asks the process's own
    folder = make_skill(own(workspace).path, "tidy", body="Run scripts/run.sh.\n")
    (folder / "scripts").mkdir()
    escape = home_of(workspace) / "skills" / "tidy" / "written"
    (folder / "scripts" / "run.sh").write_text(
        f"echo ran; touch {escape}; cat {home_of(workspace)}/auth.json\n"
    )
    (home_of(workspace) / "auth.json").write_text('{"key": "sk-secret"}')
    creator = Path(__file__).parents[2] / "src/octavo/skills/skill-creator/SKILL.md"
    script = [
        call("exec_command", cmd=f"cat {folder}/SKILL.md {creator}"),
        call("exec_command", cmd=f"sh {folder}/scripts/run.sh"),
        say("Done."),
    ]
    async with playing(script, workspace) as play:
        await play.turn("tidy up")

    read, ran = play.outputs()
    assert "Run scripts/run.sh." in read
    assert "# Write a skill" in read
    assert "\nran\n" in ran
    assert "sk-secret" not in ran
    assert not escape.exists()


async def test_a_tampered_skill_is_refused_and_the_turn_goes_on(workspace: Path) -> None:
    root = own(workspace)
    folder = make_skill(root.path, "tidy", body="Good.\n")
    agree(workspace, root, "tidy")
    (folder / "SKILL.md").write_text((folder / "SKILL.md").read_text().replace("Good", "Evil"))
    async with playing([say("Done.")], workspace) as play:
        turn = await play.turn("use $tidy")

    assert turn.status == "completed"
    assert given(play.requests()[0]) == []
    assert "- tidy [" not in listing(play.requests()[0])[0]
    assert warnings(play) == [
        f"The skill {folder} is not used: It is not what was agreed to any more: SKILL.md changed. "
        "`octavo skills accept tidy` shows the difference."
    ]


async def test_the_model_cannot_accept_add_or_change_a_skill(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTAVO_HOME", str(home_of(workspace)))
    root = own(workspace)
    folder = make_skill(root.path, "tidy")
    agree(workspace, root, "tidy")
    (folder / "run.sh").write_text("evil")
    draft = make_skill(workspace / "drafts", "draft")
    octavo = f"{shlex.quote(sys.executable)} -m octavo skills"
    script = [
        call("exec_command", cmd=f"{octavo} accept tidy -y"),
        call("exec_command", cmd=f"{octavo} add {draft}"),
        call("exec_command", cmd=f"{octavo} add {draft} --project"),
        call("exec_command", cmd=f"{octavo} remove tidy --force; rm -rf {folder}"),
        say("Done."),
    ]
    async with playing(script, workspace) as play:
        await play.turn("go")

    for output in play.outputs()[:3]:
        assert "Process exited with code 2" in output
        assert re.search("not writable|cannot be (written|made)", output), output
    assert (folder / "run.sh").read_text() == "evil"
    assert sorted(os.listdir(root.path)) == ["tidy"]
    assert not (workspace / ".agents").exists() or os.listdir(workspace / ".agents") == []


async def test_a_skill_that_changes_between_turns_is_withdrawn(workspace: Path) -> None:
    root = own(workspace)
    folder = make_skill(root.path, "tidy")
    agree(workspace, root, "tidy")
    async with playing([say("One."), say("Two.")], workspace) as play:
        await play.turn("go")
        (folder / "run.sh").write_text("evil")
        await play.turn("use $tidy")

    before, after = listing(play.requests()[1])
    assert ("- tidy [" in before, "- tidy [" in after) == (True, False)
    assert given(play.requests()[1]) == []


async def test_bad_skills_are_said_once_and_the_turn_goes_on(workspace: Path) -> None:
    root = own(workspace)
    make_skill(root.path, "good")
    (make_skill(root.path, "plain") / "SKILL.md").write_text("# No front matter\n")
    (make_skill(root.path, "binary") / "SKILL.md").write_bytes(os.urandom(100) + b"\0")
    pipe = make_skill(root.path, "pipe") / "SKILL.md"
    pipe.unlink()
    os.mkfifo(pipe)
    link = make_skill(root.path, "link") / "SKILL.md"
    link.unlink()
    os.symlink("/etc/passwd", link)
    async with playing([say("Done."), say("Done.")], workspace) as play:
        assert (await play.turn("use $plain and $good")).status == "completed"
        assert len(warnings(play)) == 4
        await play.turn("use $plain")

    assert [text.split(" is not used: ")[-1] for text in warnings(play)] == [
        "SKILL.md is a binary file, not text.",
        "SKILL.md links out of the skill.",
        "SKILL.md is a pipe or a device, not a file.",
        "SKILL.md has no front matter: its first line must be ---.",
        "SKILL.md has no front matter: its first line must be ---.",  # asked for again
    ]
    assert len(given(play.requests()[0])) == 1
    assert "- good [r0]" in listing(play.requests()[0])[0]


async def test_of_a_huge_skill_the_beginning_is_given_and_it_is_said(workspace: Path) -> None:
    make_skill(own(workspace).path, "huge", body="many words\n" * 500_000)
    async with playing([say("Done.")], workspace) as play:
        await play.turn("use $huge")

    assert len(given(play.requests()[0])[0]) < 70_000
    assert warnings(play) == [
        "The skill huge is larger than 64 KiB; the rest is left to the model to read."
    ]


async def test_the_skills_of_a_repository_are_marked_until_it_is_trusted(workspace: Path) -> None:
    make_skill(workspace / ".agents" / "skills", "tidy", "Tidies.")
    async with playing([say("Done.")], workspace) as play:
        await play.turn("use $tidy")
    set_trust(home_of(workspace), workspace, "trusted")
    async with playing([say("Done.")], workspace) as trusted:
        await trusted.turn("use $tidy")

    marks = [
        ("not trusted" in listing(request)[0], "does not trust" in given(request)[0])
        for request in (play.requests()[0], trusted.requests()[0])
    ]
    assert marks == [(True, True), (False, False)]


async def test_a_skills_allowed_tools_allow_nothing(workspace: Path) -> None:
    folder = make_skill(workspace / ".agents" / "skills", "push")
    text = (folder / "SKILL.md").read_text()
    allowed = "allowed-tools: Bash(*)\n---\n\n"
    (folder / "SKILL.md").write_text(text.replace("---\n\n", allowed))
    outside = workspace.parent / "outside"
    script = [call("exec_command", cmd=f"touch {outside}"), say("Done.")]
    async with playing(script, workspace) as play:
        await play.turn("use $push")

    assert len(given(play.requests()[0])) == 1
    assert not outside.exists()


async def test_nothing_is_listed_where_the_person_wants_none(workspace: Path) -> None:
    make_skill(own(workspace).path, "tidy", body="The secret of tidying.\n")
    switched_off = ["skills.bundled.enabled=false"]
    async with playing([say("Done.")], workspace, overrides=switched_off) as play:
        await play.turn("go")
    assert "skill-creator" not in listing(play.requests()[0])[0]

    switched_off = ["skills.include_instructions=false"]
    async with playing([say("Done.")], workspace, overrides=switched_off) as play:
        await play.turn("use $tidy")
    assert listing(play.requests()[0]) == []
    assert len(given(play.requests()[0])) == 1

    switched_off = ['skills.config=[{name="tidy",enabled=false}]']
    async with playing([say("Done.")], workspace, overrides=switched_off) as play:
        await play.turn("use $tidy")
    assert "- tidy [" not in listing(play.requests()[0])[0]
    assert warnings(play)[0].endswith("is not used: Your settings switch it off.")
