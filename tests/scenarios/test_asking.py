"""Commands that are asked about: who is asked what, what a yes is worth, and for how long."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octavo.agent.allowed import Allowed
from octavo.config.approvals import Approval, read_approvals
from octavo.config.consent import accept, items
from octavo.config.trust import set_trust
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.methods import Granular, GranularApproval
from tests.scenarios.asking import Person, asking, outputs

pytestmark = pytest.mark.anyio

CLEAN = "git clean -fdx junk"


@pytest.fixture
def home(workspace: Path) -> Path:
    """Octavo's own directory in these scenarios."""
    return workspace.parent / "octavo-home"


@pytest.fixture
def junk(workspace: Path) -> Path:
    """A file that `CLEAN` deletes."""
    file = workspace / "junk" / "file"
    file.parent.mkdir()
    file.touch()
    return file


def ran(output: str) -> bool:
    return "Process exited with code 0" in output


def rule(home: Path, text: str) -> Path:
    file = home / "rules" / "my.rules"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


# ---- Whether somebody is asked ----


async def test_ordinary_commands_and_forced_deletion_in_the_workspace_just_run(
    workspace: Path, junk: Path
) -> None:
    nobody = Person()
    found = await outputs(workspace, nobody, "ls -la | head -3", "rm -rf junk", "git status")

    assert all(map(ran, found))
    assert not junk.parent.exists()


async def test_what_cannot_be_undone_runs_in_the_cage_when_a_person_says_yes(
    workspace: Path, junk: Path
) -> None:
    person = Person("accept")
    out = workspace.parent / "out"
    [first, second] = await outputs(workspace, person, CLEAN, f"{CLEAN}; touch {out}")

    assert ran(first)
    assert "code 1" in second
    assert not junk.exists()
    assert not out.exists()
    [asked, _] = person.asked
    assert asked["method"] == "item/commandExecution/requestApproval"
    assert (asked["command"], asked["octavoOutside"]) == (CLEAN, False)
    assert "`git clean -fdx junk`" in asked["reason"]
    assert asked["octavoPrograms"] == [
        {"name": "git", "path": os.path.realpath("/usr/bin/git")},
    ]


@pytest.mark.parametrize("decision", ["decline", "nonsense", {"decision": {"accept": 1}}, {}])
async def test_a_no_runs_nothing_and_tells_the_model_why_it_was_asked(
    workspace: Path, junk: Path, decision: Any
) -> None:
    [output] = await outputs(workspace, Person(decision), CLEAN)

    assert output.startswith("The user declined to run this. Nothing was run.")
    assert "`git clean -fdx junk`" in output
    assert junk.exists()


async def test_where_nobody_may_be_asked_it_is_refused_with_a_reason(
    workspace: Path, junk: Path
) -> None:
    found = await outputs(
        workspace, Person(), CLEAN, "f() { ls; }; f", "rm -rf junk", policy="never"
    )

    assert found[0].startswith("This was not run, as nobody can be asked here. `git clean")
    assert "Write it as plain commands" in found[1]
    assert ran(found[2])


async def test_only_the_kinds_of_question_that_a_person_wants_are_asked(
    workspace: Path, home: Path, junk: Path
) -> None:
    rule(home, 'prefix_rule(pattern=["make"], decision="prompt", justification="Slow.")')
    escalated = {"cmd": "true", "sandbox_permissions": "require_escalated"}
    commands = [CLEAN, "make --version", escalated]

    def granular(**kinds: bool) -> GranularApproval:
        return GranularApproval(Granular(mcp_elicitations=True, **kinds))

    rules_only = Person("accept")
    found = await outputs(
        workspace, rules_only, *commands, policy=granular(sandbox_approval=False, rules=True)
    )
    assert [question["command"] for question in rules_only.asked] == ["make --version"]
    assert found[0].startswith("This was not run")
    assert found[2].startswith("Commands cannot leave the sandbox here")

    no_rules = Person("accept")
    found = await outputs(
        workspace, no_rules, *commands, policy=granular(sandbox_approval=True, rules=False)
    )
    assert [question["command"] for question in no_rules.asked] == [CLEAN, "true"]
    assert found[1].startswith("This was not run")


# ---- Rules ----


async def test_a_rule_forbids_asks_or_spares_and_never_lets_out(
    workspace: Path, home: Path, junk: Path
) -> None:
    file = rule(
        home,
        'prefix_rule(pattern=["curl"], decision="forbidden", justification="No downloads.")\n'
        'prefix_rule(pattern=["make"], decision="prompt")\n'
        'prefix_rule(pattern=["git", "clean", "-fdx", "junk"], decision="allow")\n',
    )
    out = workspace.parent / "out"
    person = Person("accept")
    found = await outputs(
        workspace, person, "curl x", "make --version", CLEAN, f"git clean -fdx {out}"
    )

    assert f"is forbidden by a rule of the user ({file}:1). No downloads." in found[0]
    assert ran(found[2])
    assert [question["octavoRules"] for question in person.asked] == [[f"{file}:2"], []]
    assert person.asked[1]["command"] == f"git clean -fdx {out}"


async def test_a_broken_rule_file_stops_every_command_until_it_is_mended(
    workspace: Path, home: Path
) -> None:
    file = rule(home, 'prefix_rule(pattern=["a"])\nprefix_rule(pattern=[])\n')
    async with asking(workspace, Person(), "echo one", "echo two") as play:
        await play.turn("go")
        refused = play.outputs()
        warned = [n.message for n in play.seen if isinstance(n, note.Warned)]

    assert all(f"{file}:2: pattern must have at least one word" in text for text in refused)
    assert len([text for text in warned if f"{file}:2" in text]) == 1

    file.write_text('prefix_rule(pattern=["a"])\n')
    assert all(map(ran, await outputs(workspace, Person(), "echo one")))


async def test_rules_of_a_project_count_only_as_they_were_agreed_to(
    workspace: Path, home: Path
) -> None:
    file = workspace / ".octavo" / "rules" / "team.rules"
    file.parent.mkdir(parents=True)
    file.write_text('prefix_rule(pattern=["touch"], decision="forbidden")')

    async with asking(workspace, Person(), "touch a", "touch b") as play:
        await play.turn("go")
        warned = [n.message for n in play.seen if isinstance(n, note.Warned)]
        assert all(map(ran, play.outputs()))
    assert any(str(file) in text and "not agreed" in text for text in warned)

    set_trust(home, workspace, "trusted")
    assert ran((await outputs(workspace, Person(), "touch c"))[0])
    accept(home, items(home, [file]))
    [output] = await outputs(workspace, Person(), "touch d")
    assert f"({file}:1)" in output
    assert not (workspace / "d").exists()
    file.write_text(file.read_text() + "\n")
    assert ran((await outputs(workspace, Person(), "touch d"))[0])


# ---- What a question shows ----


async def test_a_question_shows_what_is_really_meant(workspace: Path) -> None:
    person = Person("decline")
    hidden = "rm -rf link/\u202etxt.exe\u200b && echo '\x1b[2J\u3164'"
    await outputs(workspace, person, hidden)

    [asked] = person.asked
    assert "⟨U+202E⟩txt.exe⟨U+200B⟩" in asked["command"]
    assert "⟨U+001B⟩[2J⟨U+3164⟩" in asked["command"]
    assert asked["octavoCommand"] == hidden
    assert all(char.isprintable() for char in asked["reason"])


async def test_paths_are_shown_with_their_links_followed(workspace: Path) -> None:
    elsewhere = workspace.parent / "elsewhere"
    elsewhere.mkdir()
    (workspace / "link").symlink_to(elsewhere)
    person = Person("decline")
    await outputs(workspace, person, "cd link && rm -rf sub ../elsewhere/x > log")

    [asked] = person.asked
    assert sorted(asked["octavoPaths"]) == [str(elsewhere / name) for name in ("log", "sub", "x")]


async def test_a_program_is_shown_by_the_file_that_would_run(workspace: Path) -> None:
    (workspace / "real").write_text("#!/bin/sh\necho evil")
    (workspace / "real").chmod(0o755)
    (workspace / "shred").symlink_to("real")
    person = Person("decline")
    await outputs(workspace, person, "./shred -u x")

    assert person.asked[0]["octavoPrograms"] == [
        {"name": "./shred", "path": str(workspace / "real")}
    ]


# ---- What is remembered ----


async def test_a_yes_for_the_thread_covers_exactly_this_command_and_survives_a_restart(
    workspace: Path, home: Path, junk: Path
) -> None:
    person = Person("acceptForSession", "decline")
    async with asking(workspace, person, CLEAN, CLEAN, f"{CLEAN} ", "cd . && " + CLEAN) as play:
        await play.turn("go")
        first, second, third, _ = play.outputs()
        thread_id = play.thread_id
    assert ran(first)
    assert ran(second)
    assert third.startswith("The user declined")
    assert len(person.asked) == 3
    assert read_approvals(home) == ()

    nobody = Person()
    async with asking(workspace, nobody, CLEAN) as play:
        await play.resume(thread_id, approval_policy="on-request")
        await play.turn("go")
        assert ran(play.outputs()[-1])

    other = Person("decline")
    await outputs(workspace, other, CLEAN)
    assert len(other.asked) == 1


async def test_a_yes_for_the_project_is_kept_listed_and_revoked(
    workspace: Path, home: Path, junk: Path
) -> None:
    yes = Person({"decision": "accept", "octavoRemember": "project"})
    assert ran((await outputs(workspace, yes, CLEAN))[0])
    assert (home / "approvals.json").stat().st_mode & 0o777 == 0o600

    person = Person("decline")
    wait = "while [ ! -e go ]; do sleep 0.01; done"
    async with asking(workspace, person, CLEAN, wait, CLEAN) as play:
        [kept] = (await play.client.call(m.APPROVALS_LIST, m.Nothing())).data
        assert (kept.covers, kept.scope, kept.command) == ("exact", "project", CLEAN)
        assert kept.project == str(workspace)
        turn_id = await play.begin("go")
        await play.until_item(True, it.CommandExecution)
        await play.until_item(True, it.CommandExecution)
        done = await play.client.call(m.APPROVALS_REVOKE, m.ApprovalsRevokeParams((kept.id,)))
        (workspace / "go").touch()
        await play.ended(turn_id)
        first, _, last = play.outputs()
    assert done.revoked == 1
    assert ran(first)
    assert last.startswith("The user declined")
    assert read_approvals(home) == ()


async def test_an_exact_yes_ends_when_the_program_is_another_one(
    workspace: Path, junk: Path
) -> None:
    tool = workspace / "shred"
    tool.write_text("#!/bin/sh\necho one")
    tool.chmod(0o755)
    yes = Person({"decision": "accept", "octavoRemember": "project"})
    await outputs(workspace, yes, "./shred -u x")
    await outputs(workspace, Person(), "./shred -u x")

    tool.write_text("#!/bin/sh\necho two, and longer")
    person = Person("decline")
    await outputs(workspace, person, "./shred -u x")
    assert len(person.asked) == 1


async def test_a_prefix_is_offered_with_examples_and_covers_its_project_only(
    workspace: Path, home: Path, junk: Path
) -> None:
    def prefix(question: dict[str, Any]) -> dict[str, Any]:
        words = question["proposedExecpolicyAmendment"]
        return {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": words}}}

    person = Person(prefix, "decline")
    found = await outputs(
        workspace,
        person,
        "git reset --hard",
        "git reset --hard HEAD",
        "git clean -fd",
        "git reset --hard $X",
    )
    assert len(person.asked) == 3
    assert not found[1].startswith("The user")
    [offer] = [one for one in person.asked[0]["octavoOffers"] if one["covers"] == "prefix"]
    assert offer["words"] == ["git", "reset", "--hard"]
    assert offer["allows"][0] == "git reset --hard"
    assert "git reset --hard && rm -rf ~" in offer["refuses"]

    other = workspace.parent / "other"
    other.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    elsewhere = Person("decline")
    await outputs(other, elsewhere, "git reset --hard")
    assert len(elsewhere.asked) == 1


async def test_another_prefix_than_the_offered_one_is_a_no(workspace: Path, junk: Path) -> None:
    person = Person(
        {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["git"]}}},
        {"decision": "accept", "octavoRemember": "always"},
    )
    found = await outputs(workspace, person, CLEAN, CLEAN)

    assert all(text.startswith("The user declined") for text in found)


async def test_a_damaged_file_of_approvals_spares_nothing_and_is_told(
    workspace: Path, home: Path, junk: Path
) -> None:
    home.mkdir()
    file = home / "approvals.json"
    file.write_text('{"format": 1, "approvals": [{"id": 5}]}')
    yes = {"decision": "accept", "octavoRemember": "project"}
    async with asking(workspace, Person(yes), CLEAN) as play:
        await play.turn("go")
        assert ran(play.outputs()[0])
        warned = " ".join(n.message for n in play.seen if isinstance(n, note.Warned))
    assert f"{file} is damaged" in warned
    assert "Your answer holds only this once." in warned
    assert '"id": 5' in file.read_text()


async def test_approvals_that_others_may_write_do_not_count(
    workspace: Path, home: Path, junk: Path
) -> None:
    yes = Person({"decision": "accept", "octavoRemember": "project"})
    await outputs(workspace, yes, CLEAN)
    (home / "approvals.json").chmod(0o666)

    person = Person("decline")
    await outputs(workspace, person, CLEAN)
    assert len(person.asked) == 1


async def test_no_approval_lets_a_command_out_of_the_cage(
    workspace: Path, home: Path, junk: Path
) -> None:
    out = workspace.parent / "out"
    escalated = {"cmd": f"touch {out}", "sandbox_permissions": "require_escalated"}
    person = Person(
        {"decision": "accept", "octavoRemember": "thread"}, "acceptForSession", "accept"
    )
    found = await outputs(workspace, person, *[escalated] * 3, f"touch {out}2")

    # Neither answer was on offer for a command outside, so both are a no.
    assert [ran(text) for text in found] == [False, False, True, False]
    assert [one["availableDecisions"] for one in person.asked] == [
        ["accept", "decline", "cancel"]
    ] * 3
    assert out.exists()
    assert not Path(f"{out}2").exists()


# ---- Grants ----


def wider(cmd: str, **asked: Any) -> dict[str, Any]:
    return {
        "cmd": cmd,
        "sandbox_permissions": "with_additional_permissions",
        "additional_permissions": asked,
        "justification": "May I?",
    }


async def test_a_grant_widens_the_cage_for_one_call(workspace: Path) -> None:
    out, beside = workspace.parent / "out", workspace.parent / "beside"
    out.mkdir()
    beside.mkdir()
    (workspace / "link").symlink_to(out)
    person = Person("accept")
    asked = wider(f"touch {out}/a; touch {beside}/b", file_system={"write": ["link"]})
    first, second = await outputs(workspace, person, asked, f"touch {out}/c")

    assert (out / "a").exists()
    assert not (beside / "b").exists()
    assert not (out / "c").exists()
    assert "code 1" in first
    assert "code 1" in second
    [question] = person.asked
    assert question["additionalPermissions"]["fileSystem"] == {"write": [str(out)]}
    assert question["reason"] == (f"For this one call the command may write in {out}. May I?")


async def test_a_declined_grant_runs_nothing(workspace: Path) -> None:
    out = workspace.parent / "out"
    out.mkdir()
    asked = wider(f"touch {out}/a in", file_system={"write": [str(out)]})
    [output] = await outputs(workspace, Person("decline"), asked)

    assert output.startswith("The user declined to let this command have more")
    assert not (workspace / "in").exists()


async def test_a_place_that_moves_while_it_is_asked_about_is_not_granted(
    workspace: Path,
) -> None:
    out, other = workspace.parent / "out", workspace.parent / "other"
    out.mkdir()
    other.mkdir()

    def swap(question: dict[str, Any]) -> str:
        del question
        out.rmdir()
        out.symlink_to(other)
        return "accept"

    asked = wider(f"touch {out}/a in", file_system={"write": [str(out)]})
    [output] = await outputs(workspace, Person(swap), asked)

    assert output.startswith(f"{out} became something else")
    assert not (workspace / "in").exists()
    assert not (other / "a").exists()


async def test_a_grant_where_nothing_may_be_written_opens_only_that_place(
    workspace: Path,
) -> None:
    out = workspace.parent / "out"
    out.mkdir()
    asked = wider(f"touch {out}/a; touch in", file_system={"write": [str(out)]})
    [output] = await outputs(workspace, Person("accept"), asked, sandbox="read-only")

    assert (out / "a").exists()
    assert not (workspace / "in").exists()
    assert "Read-only file system" in output


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"file_system": {"write": ["/"]}}, "The whole disk cannot be made writable"),
        ({"file_system": {"write": ["../nope/x"]}}, "does not exist; only directories"),
        ({"file_system": {"write": ["../octavo-home"]}}, "octavo's own files"),
        ({"network": {"hosts": ["a*b"]}}, "additional_permissions.network.hosts"),
        ({"file_system": {"read": ["/root/.ssh/x"]}}, None),
    ],
)
async def test_a_grant_that_makes_no_sense_is_refused_unasked(
    workspace: Path, asked: dict[str, Any], told: str | None
) -> None:
    [output] = await outputs(workspace, Person(), wider("true", **asked))

    assert told in output if told else ran(output) or "stay hidden" in output


async def test_what_is_granted_already_is_not_asked_about(workspace: Path) -> None:
    (workspace / "sub").mkdir()
    asked = wider("touch sub/x", file_system={"write": ["sub"], "read": ["/etc"]})

    assert ran((await outputs(workspace, Person(), asked))[0])


async def test_a_grant_needs_somebody_to_give_it(workspace: Path) -> None:
    out = workspace.parent / "out"
    out.mkdir()
    asked = wider("true", file_system={"write": [str(out)]})
    [output] = await outputs(workspace, Person(), asked, policy="never")

    assert output.startswith("Commands cannot have more than the sandbox gives here")


# ---- Flags ----


async def test_a_prefix_from_the_command_line_spares_the_refusal_in_the_cage(
    workspace: Path, junk: Path
) -> None:
    allowed = Allowed(commands=(("git", "clean", "-fdx"), ("git", "reset")))
    found = await outputs(
        workspace, Person(), CLEAN, "git reset --hard", f"sh -c '{CLEAN}'; rm -rf ~/x",
        policy="never", allowed=allowed,
    )  # fmt: skip

    assert ran(found[0])
    assert found[1].startswith("This was not run")
    assert found[2].startswith("This was not run")
    assert not junk.exists()


async def test_with_full_access_and_nobody_to_ask_rules_still_forbid(
    workspace: Path, home: Path, junk: Path
) -> None:
    rule(home, 'prefix_rule(pattern=["touch"], decision="forbidden")')
    found = await outputs(
        workspace, Person(), CLEAN, "touch x", policy="never", allowed=Allowed(unasked=True)
    )

    assert ran(found[0])
    assert "forbidden by a rule" in found[1]


async def test_without_a_reviewer_nothing_is_approved_in_a_persons_place(
    workspace: Path, junk: Path
) -> None:
    [output] = await outputs(workspace, Person(), CLEAN, allowed=Allowed(approve_for_me=True))

    assert output.startswith("A reviewer refused to let this run")
    assert junk.exists()


async def test_files_accepted_for_the_thread_are_not_asked_about_again(workspace: Path) -> None:
    from octavo.trial.scripted import call, say
    from tests.scenarios.playing import playing

    out = workspace.parent / "out.txt"

    def patch(number: int) -> Any:
        add = (
            f"*** Add File: {out}\n+{number}"
            if number == 1
            else (f"*** Update File: {out}\n@@\n-{number - 1}\n+{number}")
        )
        return call("apply_patch", input=f"*** Begin Patch\n{add}\n*** End Patch")

    person = Person("acceptForSession")
    script = [patch(1), patch(2), say("Done.")]
    async with playing(script, workspace, start=False, alone=False, answer=person) as play:
        await play.start(approval_policy="on-request")
        await play.turn("go")

    assert out.read_text() == "2\n"
    assert len(person.asked) == 1


def test_approvals_of_one_kind_do_not_pass_for_another(home: Path) -> None:
    from octavo.config.approvals import remember

    host = Approval("1", "host", 0, None, "x", host="example.com")
    for one in (host, host, msgspec.structs.replace(host, id="2", project="/p")):
        remember(home, one)
    assert [one.id for one in read_approvals(home)] == ["1", "2"]
