"""The outside world for one call, as the thread's policy allows it: `tools.Hands`, made real.

Every effect goes into the sandbox, and none before its intent is in the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from octavo.agent.approval import Approvals
from octavo.agent.cages import Cages
from octavo.agent.clock import now_ms
from octavo.agent.ground import Ground, may_elicit
from octavo.agent.journal import Journal
from octavo.config.settings import ApprovalPolicy
from octavo.protocol.events import (
    CallFacts,
    CallStarted,
    Intent,
    ProcessEnded,
    Progress,
    RunIntent,
    ToolIntent,
)
from octavo.protocol.questions import (
    Answer,
    CommandQuestion,
    ElicitationQuestion,
    FileChangeQuestion,
    InputQuestion,
    NetworkQuestion,
    Question,
    ToolQuestion,
)
from octavo.sandbox import FileChange, FileState, Policy, Process, Sandbox
from octavo.store.kept import KeptOutput
from octavo.tools import Permit, Record, ToolFailed, WantedCommand
from octavo.tools.sessions import CommandSessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.git_cage import Reach
    from octavo.agent.git_remote import Outside
    from octavo.agent.judge import Judge
    from octavo.agent.permits import Terms
    from octavo.policy.gh import GhScript
    from octavo.policy.porcelain import GitScript


class Room(msgspec.Struct, frozen=True):
    """Where the calls of a turn work: what their hands reach."""

    journal: Journal
    approvals: Approvals
    sandbox: Sandbox
    """The cage of `policy`."""
    cages: Cages
    ground: Ground
    policy: Policy
    approval: ApprovalPolicy
    judge: Judge | None
    judging: bool
    """The judge is asked in the person's place."""
    sessions: CommandSessions
    cwd: Path
    env: Mapping[str, str]
    writable_roots: tuple[Path, ...]
    network: bool
    asks: bool
    alone: bool
    output_limit_tokens: int
    login_env: Callable[[], Awaitable[Mapping[str, str]]]
    redact: Callable[[str], str]
    before_effect: Callable[[], Awaitable[None]]
    """Returns when what is there is noted, so that it can be had back."""
    keep_output: Callable[[str], KeptOutput]
    """Opens the file for a call's full output, by the call's id."""


class CallHands:
    """The hands of one call. See `tools.Hands` for what each does."""

    def __init__(self, room: Room, turn_id: str, call_id: str) -> None:
        self.call_id = call_id
        self.cwd = room.cwd
        self.env: Mapping[str, str] = room.env
        self.writable_roots: Sequence[Path] = room.writable_roots
        self.network = room.network
        self.asks = room.asks
        self.alone = room.alone
        self.sessions = room.sessions
        self.output_limit_tokens = room.output_limit_tokens
        self._room = room
        self._turn_id = turn_id
        self._began = False
        self._accepted: FileChangeQuestion | None = None
        self._permits: list[Permit] = []
        self._ended: CallFacts | None = None
        self._record: Record | None = None
        self.labels: frozenset[str] = frozenset()
        """Where what the call reads comes from, as far as its words tell."""

    @property
    def record(self) -> Record:
        if self._record is None:
            from octavo.agent.record import ThreadRecord  # only compacted threads look back

            self._record = ThreadRecord(self._room.journal.thread, self._saw)
        return self._record

    def _saw(self, labels: Sequence[str]) -> None:
        self.labels |= frozenset(labels)

    async def begin(self, intent: Intent) -> None:
        await self._room.before_effect()
        permit = self._permits[-1] if self._permits else None
        if isinstance(intent, RunIntent) and permit is not None and permit.git is not None:
            folder = permit.command.cwd
            intent = await anyio.to_thread.run_sync(_marked, intent, permit.git, folder)
        started = CallStarted(self._turn_id, self.call_id, now_ms(), intent)
        self._room.journal.emit(started)
        leaves = isinstance(intent, ToolIntent) and not intent.reads
        if leaves or (permit is not None and _reaches_out(permit)):
            await self._room.journal.sync()  # what cannot be had back is not done on a maybe
        self._began = True

    def progress(self, text: str) -> None:
        thread = self._room.journal.thread
        if thread.is_open(self.call_id) or self.call_id in thread.running:
            self._room.journal.emit(Progress(self._turn_id, self.call_id, self._room.redact(text)))

    async def ask(self, question: Question) -> Answer:
        if not self._may_ask(question):
            return Answer("decline", by="policy")
        if self._is_remembered(question):
            if isinstance(question, FileChangeQuestion):
                self._accepted = question
            return Answer("accept", by="policy")
        answer = await self._room.approvals.ask(self._turn_id, self.call_id, question)
        if answer.yes and isinstance(question, FileChangeQuestion):
            self._accepted = question
        return answer

    def _is_remembered(self, question: Question) -> bool:
        """Whether these very files, or this very tool, were accepted for the whole thread.

        A question's key stands for the tool as it is described, or for several such of a server.
        """
        if isinstance(question, ToolQuestion):
            return bool(question.offers) and any(
                isinstance(one, ToolQuestion)
                and (one.server, one.key) == (question.server, question.key)
                and (one.tool == question.tool or question.key.startswith("sight:"))
                for one in self._room.journal.thread.remembered
            )
        if not isinstance(question, FileChangeQuestion):
            return False
        return self._room.ground.remembered.paths().issuperset(question.paths)

    def _may_ask(self, question: Question) -> bool:
        if isinstance(question, ToolQuestion | ElicitationQuestion):
            return may_elicit(self._room.approval, present=not self.alone)
        if isinstance(question, InputQuestion):
            return self._room.approval != "never" and not self.alone
        return self.asks

    # ---- As `permits.Asker` ----

    @property
    def judging(self) -> bool:
        return self._room.judging

    async def ask_person(self, question: CommandQuestion | NetworkQuestion) -> Answer:
        return await self._room.approvals.ask(self._turn_id, self.call_id, question)

    async def ask_judge(self, question: CommandQuestion) -> Answer:
        from octavo.agent.judge import Context  # only threads with a judge need it

        room = self._room
        context = Context(self._turn_id, self.call_id, room.journal.thread, room.policy)
        return await room.approvals.judged(room.judge, question, context)

    async def login_env(self) -> Mapping[str, str]:
        return await self._room.login_env()

    async def permit(self, wanted: WantedCommand) -> Permit:
        from octavo.agent.permits import permit  # reads commands: off the way to the first request

        given = await permit(wanted, self._terms(), self)
        self._permits.append(given)
        if given.reads_others:
            self.labels |= {"private"}
        return given

    async def spawn(self, permit: Permit) -> Process:
        self._check_begun()
        if not any(given is permit for given in self._permits):
            raise ToolFailed("octavo made a mistake: a command nobody permitted; it was not run")
        self._permits = [given for given in self._permits if given is not permit]
        if not permit.outside:
            if permit.git is not None:
                from octavo.agent.git_cage import GitCage  # most commands are not git

                cage = GitCage(permit.policy, self._room.cages.open)
                if cage.can_run(permit.git, permit.command.cwd):
                    return await cage.spawn(permit.git, permit.command, await self._reach(permit))
            if permit.gh is not None:
                return await self._gh(permit, permit.gh)
            sandbox = await self._room.cages.open(permit.policy)
            return await sandbox.spawn(permit.command)
        from octavo.sandbox.uncaged import spawn_uncaged  # most threads never get here

        return await spawn_uncaged(permit.command)

    async def _reach(self, permit: Permit) -> Reach | None:
        if not permit.remotes:
            return None
        from octavo.agent.git_remote import reach

        outside = self._outside(permit.policy)
        return await reach(permit.remotes, outside, deny=permit.policy.network.deny)

    async def _gh(self, permit: Permit, script: GhScript) -> Process:
        from octavo.agent.gh_run import GhRun  # most commands are not gh
        from octavo.agent.git_cage import GitCage

        command, policy = permit.command, permit.policy
        programs = await GitCage(policy, self._room.cages.open).programs(command)
        outside = self._outside(policy)
        return GhRun(script, permit.remotes, command, policy, programs, outside)

    def _outside(self, policy: Policy) -> Outside:
        from octavo.agent.git_remote import Outside

        room, ground = self._room, self._room.ground
        roots = (*room.writable_roots, policy.cwd, *policy.writable_roots)
        return Outside(ground.env, ground.home, roots)

    async def blocked(self, permit: Permit, told: set[str]) -> Sequence[str]:
        if permit.outside or self._room.ground.blocks.count == permit.blocked_since:
            return ()
        from octavo.agent.blocked import answered  # few commands reach for the network

        return await answered(permit, told, self._terms(), self)

    def _terms(self) -> Terms:
        from octavo.agent.permits import Terms

        room, ground = self._room, self._room.ground
        return Terms(
            policy=room.policy,
            roots=room.writable_roots,
            approval=room.approval,
            present=not room.alone,
            home=ground.home,
            rulebook=ground.rulebook,
            remembered=ground.remembered,
            blocks=ground.blocks,
            sandbox=room.sandbox,
            accepted=ground.allowed.commands,
            push=ground.allowed.push,
            env=ground.env,
            own=ground.own,
            outputs=ground.outputs,
            seen=frozenset(room.journal.thread.labels),
            unasked=ground.allowed.unasked,
        )

    async def look(self, paths: Sequence[Path]) -> list[FileState]:
        from octavo.agent.labels import reads_others  # off the way to the first request

        ground = self._room.ground
        if reads_others(map(str, paths), self.cwd, ground.own, ground.outputs):
            self.labels |= {"private"}
        return await self._room.sandbox.look(paths)

    async def change(self, changes: Sequence[FileChange], *, granted: Sequence[Path] = ()) -> None:
        self._check_begun()
        if not granted:
            await self._room.sandbox.change(changes)
            return
        accepted = self._accepted
        asked = accepted.paths if accepted is not None else ()
        self._check_accepted({str(c.path) for c in changes} <= {*asked} & {*map(str, granted)})
        from octavo.sandbox.uncaged import change_uncaged

        await self._room.journal.sync()
        await anyio.to_thread.run_sync(change_uncaged, changes)

    async def keep_output(self) -> KeptOutput:
        return self._room.keep_output(self.call_id)

    def ended(self, facts: CallFacts) -> None:
        if self.call_id in self._room.journal.thread.running:
            self._room.journal.emit_last(ProcessEnded(self.call_id, now_ms(), facts))
        else:
            self._ended = facts

    def call_ended(self) -> None:
        """The call's own end is recorded; what it left running may be reported from now on."""
        facts, self._ended = self._ended, None
        if facts is not None:
            self.ended(facts)

    def _check_begun(self) -> None:
        if not self._began:
            raise ToolFailed("octavo made a mistake: an effect before its intent; nothing was done")

    def _check_accepted(self, is_what_was_asked: bool) -> None:
        """Only a person lets a change out of the cage, and only that very one."""
        if not is_what_was_asked:
            raise ToolFailed("Nobody accepted this outside of the sandbox; nothing was done.")


def _reaches_out(permit: Permit) -> bool:
    """Whether a command may do what cannot be had back: beyond the workspace, or any cage."""
    policy = permit.policy
    if permit.outside or permit.gh is not None or permit.remotes:
        return True
    return policy.network.access != "off" or not policy.mode.is_confined


def _marked(intent: RunIntent, script: GitScript, cwd: Path) -> RunIntent:
    """Add where the repository stands, if git is to write it and it is but one."""
    folders = {step.folder for step in script.steps}
    if not script.writes or len(folders) != 1:
        return intent
    from octavo.workspace.git_mark import mark  # most commands are not git

    return msgspec.structs.replace(intent, git=mark(cwd / folders.pop()))
