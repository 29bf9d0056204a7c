"""What was permitted is what happens, and nothing else: no command and no change gets more."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from octavo.agent.allowed import Allowed
from octavo.agent.approval import Approvals
from octavo.agent.cages import Cages
from octavo.agent.ground import Ground
from octavo.agent.hands import CallHands, Room
from octavo.agent.journal import Journal, Log
from octavo.agent.judge import Context, Judge, Verdict
from octavo.agent.network import Blocks
from octavo.agent.reviewer import TooManyDenials
from octavo.config.approvals import read_approvals
from octavo.config.consent import accept, items
from octavo.config.load import load
from octavo.config.trust import set_trust
from octavo.protocol import events as ev
from octavo.protocol.errors import OctavoError, StoreError
from octavo.protocol.fold import fold
from octavo.protocol.questions import (
    Answer,
    CommandQuestion,
    FileChangeQuestion,
    NetworkQuestion,
    Question,
)
from octavo.protocol.usage import Usage
from octavo.sandbox import OFF, OPEN, Command, Mode, Network, Policy, Write
from octavo.sandbox.net import Blocked
from octavo.tools import Declined, Extra, Permit, ToolFailed, WantedCommand
from octavo.workspace.git_mark import mark
from tests.protocol.test_fold import STARTED, call, turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of octavo's own for one test."""
    monkeypatch.setenv("OCTAVO_HOME", str(tmp_path / "octavo"))
    return tmp_path / "octavo"


@asynccontextmanager
async def hands_in(
    cwd: Path,
    *,
    decision: Any = "accept",
    remember: str | None = None,
    judge: Judge | None = None,
    network: Network = OFF,
    asked: list[Question] | None = None,
    log: Log | None = None,
    begun: bool = True,
) -> AsyncIterator[CallHands]:
    """The hands of a call that has begun, and a person who answers everything with `decision`."""
    journal = Journal(fold([STARTED, turn(), call("c")]), log)
    approvals = Approvals(journal, lambda: None)
    loaded = load(cwd=cwd, env=os.environ)
    ground = Ground(loaded, os.environ, journal.thread, lambda _: None, Allowed())
    policy = Policy(Mode.WORKSPACE_WRITE, cwd, network=network, write_tmp=False, write_tmpdir=False)
    unused: Any = None

    def reply(event: ev.Event) -> None:
        if isinstance(event, ev.QuestionAsked) and event.of == "person":
            if asked is not None:
                asked.append(event.question)
            approvals.answer(event.question_id, Answer(decision, remember=remember))

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
            judge=judge,
            judging=judge is not None,
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
            before_effect=anyio.lowlevel.checkpoint,
            keep_output=unused,
        )
        hands = CallHands(room, "1", "c")
        if begun:
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


# ---- Grants ----


async def test_a_protected_place_and_another_become_writable(
    workspace: Path,
) -> None:
    out = workspace.parent / "out"
    out.mkdir()
    git = workspace / ".git"
    async with hands_in(workspace) as hands:
        asked = msgspec.structs.replace(
            wanted(workspace, "true", outside=False),
            extra=Extra(write=(git, out, workspace), network=True),
        )
        permit = await hands.permit(asked)

    assert not permit.outside
    assert permit.policy.writable_roots == (git, out)
    assert permit.policy.network == OPEN


# ---- Hosts ----


def hands_blocks(hands: CallHands) -> Blocks:
    """Where the cages of these hands tell what they blocked."""
    blocks: Blocks = hands._room.ground.blocks
    return blocks


def blocked(host: str, reason: Any = "not_allowed", port: int = 443) -> Blocked:
    return Blocked(host, port, "https", reason)


async def test_a_host_accepted_once_is_reached_by_the_next_command_alone(workspace: Path) -> None:
    asked: list[Question] = []
    async with hands_in(workspace, asked=asked) as hands:
        first = await hands.permit(wanted(workspace, "true", outside=False))
        hands_blocks(hands)(blocked("example.com", port=0))
        hands_blocks(hands)(blocked("example.com"))
        told: set[str] = set()
        notes = await hands.blocked(first, told)
        again = await hands.blocked(first, told)
        second, third = [
            await hands.permit(wanted(workspace, "true", outside=False)) for _ in range(2)
        ]

    [note] = notes
    assert note.startswith("example.com:443 is not allowed: it is not on the list of hosts.")
    assert "run this again" in note
    assert not again
    [question] = asked
    assert isinstance(question, NetworkQuestion)
    assert (question.host, question.protocol, question.command) == ("example.com", "https", "true")
    assert first.policy.network == third.policy.network == OFF
    assert second.policy.network == Network("hosts", allow=("example.com",))


@pytest.mark.parametrize("remember", ["thread", "project", "always"])
async def test_a_host_accepted_for_longer_is_reached_from_then_on(
    workspace: Path, remember: str, fresh_home: Path
) -> None:
    decision = "acceptForSession" if remember == "thread" else "accept"
    listed = Network("hosts", allow=("docs.example.com",), deny=("evil.example",))
    async with hands_in(workspace, decision=decision, remember=remember, network=listed) as hands:
        first = await hands.permit(wanted(workspace, "true", outside=False))
        hands_blocks(hands)(blocked("example.com"))
        await hands.blocked(first, set())
        later = [await hands.permit(wanted(workspace, "true", outside=False)) for _ in range(2)]

    allowed = Network("hosts", allow=("docs.example.com", "example.com"), deny=("evil.example",))
    assert [one.policy.network for one in later] == [allowed, allowed]
    kept = {one.project for one in read_approvals(fresh_home)}
    assert kept == {"thread": set(), "project": {str(workspace)}, "always": {None}}[remember]


async def test_rules_open_and_close_hosts_and_those_of_a_project_only_close(
    workspace: Path, fresh_home: Path
) -> None:
    theirs = workspace / ".octavo" / "rules"
    for folder, decisions in (
        (fresh_home / "rules", {"a.example": "allow", "b.example": "deny"}),
        (theirs, {"c.example": "allow", "d.example": "deny"}),
    ):
        folder.mkdir(parents=True)
        lines = [
            f'network_rule(host="{host}", protocol="https", decision="{word}")'
            for host, word in decisions.items()
        ]
        (folder / "hosts.rules").write_text("\n".join(lines))
    set_trust(fresh_home, workspace, "trusted")
    accept(fresh_home, items(fresh_home, [theirs / "hosts.rules"]))
    denied = ("b.example", "d.example")

    async def network(given: Network) -> Network:
        async with hands_in(workspace, network=given) as hands:
            return (await hands.permit(wanted(workspace, "true", outside=False))).policy.network

    assert await network(OFF) == Network("hosts", allow=("a.example:443",), deny=denied)
    assert await network(OPEN) == Network("hosts", allow=("*",), deny=denied)


async def test_a_declined_host_is_asked_about_once(workspace: Path) -> None:
    asked: list[Question] = []
    async with hands_in(workspace, decision="decline", asked=asked) as hands:
        permit = await hands.permit(wanted(workspace, "true", outside=False))
        hands_blocks(hands)(blocked("example.com"))
        [first] = await hands.blocked(permit, set())
        [second] = await hands.blocked(permit, set())
        after = await hands.permit(wanted(workspace, "true", outside=False))

    assert "The user declined to allow it" in first
    assert "Go on without it" in second
    assert len(asked) == 1
    assert after.policy.network == OFF


async def test_nobody_is_asked_about_hosts_that_are_denied_or_local(workspace: Path) -> None:
    asked: list[Question] = []
    async with hands_in(workspace, asked=asked) as hands:
        permit = await hands.permit(wanted(workspace, "true", outside=False))
        hands_blocks(hands)(blocked("evil.example", "denied"))
        hands_blocks(hands)(blocked("router", "not_allowed_local"))
        notes = await hands.blocked(permit, set())

    assert [note.split()[0] for note in notes] == ["evil.example:443", "router:443"]
    assert asked == []


async def test_what_was_blocked_before_a_command_is_not_told_with_it(workspace: Path) -> None:
    async with hands_in(workspace) as hands:
        hands_blocks(hands)(blocked("example.com"))
        permit = await hands.permit(wanted(workspace, "true", outside=False))
        assert await hands.blocked(permit, set()) == ()


# ---- Judges ----


class Fixed:
    """A judge of one mind."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.seen: list[tuple[CommandQuestion, Context]] = []

    async def judge(self, question: CommandQuestion, context: Context) -> Verdict:
        self.seen.append((question, context))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Verdict(self.outcome, "It is risky.")


CLEAN = "git clean -fdx"


async def test_a_judge_answers_for_a_person_what_stays_in_the_cage(workspace: Path) -> None:
    asked: list[Question] = []
    judge = Fixed("allow")
    async with hands_in(workspace, judge=judge, asked=asked) as hands:
        permit = await hands.permit(wanted(workspace, CLEAN, outside=False))

    assert not permit.outside
    assert asked == []
    [(question, context)] = judge.seen
    assert (question.command, context.call_id) == (CLEAN, "c")


@pytest.mark.parametrize(
    ("outcome", "told"), [("deny", "It is risky."), (ValueError("x"), "The reviewer failed")]
)
async def test_a_judge_that_refuses_or_fails_runs_nothing(
    workspace: Path, outcome: Any, told: str
) -> None:
    async with hands_in(workspace, judge=Fixed(outcome)) as hands:
        with pytest.raises(Declined, match=told):
            await hands.permit(wanted(workspace, CLEAN, outside=False))


async def test_a_judge_may_end_the_turn(workspace: Path) -> None:
    async with hands_in(workspace, judge=Fixed(OctavoError("Too many refusals."))) as hands:
        with pytest.raises(OctavoError, match="Too many"):
            await hands.permit(wanted(workspace, CLEAN, outside=False))


async def test_a_refusal_that_ends_the_turn_is_in_the_log_with_what_it_cost(
    workspace: Path,
) -> None:
    end = TooManyDenials("Too many refusals.")
    end.usage = Usage(input_tokens=7)
    async with hands_in(workspace, judge=Fixed(end)) as hands:
        answers: list[ev.Event] = []
        hands._room.journal.follow(answers.append)
        with pytest.raises(TooManyDenials):
            await hands.permit(wanted(workspace, "git reset --hard", outside=False))

    [answered] = [one for one in answers if isinstance(one, ev.QuestionAnswered)]
    assert (answered.answer.decision, answered.answer.by) == ("decline", "reviewer")
    assert hands._room.journal.thread.usage.input_tokens == 7
    assert hands._room.journal.thread.questions == {}


async def test_a_judge_is_not_asked_about_what_leaves_the_cage(workspace: Path) -> None:
    asked: list[Question] = []
    judge = Fixed("allow")
    async with hands_in(workspace, judge=judge, asked=asked, decision="decline") as hands:
        with pytest.raises(Declined):
            await hands.permit(wanted(workspace, CLEAN))

    assert judge.seen == []
    assert len(asked) == 1


class _Disk:
    """A log that remembers what of it is safe, and may be unable to make it so."""

    def __init__(self, *, works: bool = True) -> None:
        self.written: list[ev.Event] = []
        self.safe: list[ev.Event] = []
        self._works = works

    def append(self, event: ev.Event) -> None:
        self.written.append(event)

    def sync(self) -> None:
        if not self._works:
            raise StoreError("The disk is broken.")
        self.safe = [*self.written]


@pytest.mark.parametrize(
    ("outside", "network", "is_safe"),
    [(False, OFF, False), (True, OFF, True), (False, OPEN, True)],
)
async def test_what_may_reach_out_is_begun_when_the_log_is_on_the_disk(
    workspace: Path, outside: bool, network: Network, is_safe: bool
) -> None:
    disk = _Disk()
    async with hands_in(workspace, network=network, log=disk, begun=False) as hands:
        await hands.permit(wanted(workspace, "true", outside=outside))
        await hands.begin(ev.RunIntent("true", str(workspace)))

    assert isinstance(disk.written[-1], ev.CallStarted)
    assert (disk.written[-1] in disk.safe) is is_safe


async def test_what_may_reach_out_does_not_run_when_the_disk_fails(workspace: Path) -> None:
    out = workspace.parent / "out"
    async with hands_in(workspace, log=_Disk(works=False), begun=False) as hands:
        permit = await hands.permit(wanted(workspace, f"touch {out}"))
        with pytest.raises(StoreError):
            await hands.begin(ev.RunIntent("touch", str(workspace)))
        with pytest.raises(ToolFailed, match="an effect before its intent"):
            await hands.spawn(permit)

    assert not out.exists()


async def test_files_outside_are_changed_when_the_log_is_on_the_disk(workspace: Path) -> None:
    out = workspace.parent / "out"
    disk = _Disk()
    async with hands_in(workspace, log=disk, begun=False) as hands:
        await hands.begin(ev.EditIntent(()))
        await hands.ask(FileChangeQuestion((str(out),), "why"))
        assert disk.safe == []
        await hands.change([Write(out, b"x")], granted=[out])

    assert out.read_bytes() == b"x"
    assert any(isinstance(event, ev.CallStarted) for event in disk.safe)


async def test_plain_git_begins_with_where_the_repository_stands(workspace: Path) -> None:
    disk = _Disk()
    script = "git add -A && git commit -m Two"
    async with hands_in(workspace, log=disk, begun=False) as hands:
        await hands.permit(wanted(workspace, script, outside=False))
        await hands.begin(ev.RunIntent(script, str(workspace)))

    started = disk.written[-1]
    assert isinstance(started, ev.CallStarted)
    assert isinstance(started.intent, ev.RunIntent)
    assert started.intent.git == mark(workspace)
    assert started.intent.git is not None
