"""One thread: it receives ops, runs turns one after another, and owns what they leave running.

`run` holds everything that must be gone when the thread is: the cage, the commands, the turns.
Ops only leave a note for it and return; what comes of them comes as events.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress

import anyio
import anyio.abc

from octavo.agent.cages import Cages
from octavo.agent.clock import now_ms
from octavo.agent.inbox import Said
from octavo.agent.journal import Journal
from octavo.agent.loop import Loop
from octavo.agent.turn import Kept, ModelTurn, NextTurn
from octavo.agent.wiring import Equipment, TurnChoices, Wiring
from octavo.config.settings import TurnBudget
from octavo.protocol.errors import OctavoError, StoreError, UsageError
from octavo.protocol.events import CompactionUndone, Noticed, TurnEnded, TurnStarted
from octavo.protocol.ids import new_id
from octavo.protocol.questions import Answer
from octavo.tools.sessions import CommandSessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.mcp import ThreadServers
    from octavo.agent.notify import Notifier
    from octavo.agent.shell import ShellCommand, Shells


class Agent:
    """A loaded thread. `run` must be running for turns to happen.

    Attributes:
        id: the thread's id.
        choices: the settings the next turn runs under, unless it brings others.
        purse: pays for what it asks of models.
        snapshots: what the files were before and after its turns.
    """

    def __init__(
        self, thread_id: str, journal: Journal, wiring: Wiring, choices: TurnChoices
    ) -> None:
        self.id = thread_id
        self.journal = journal
        self.wiring = wiring
        self.choices = choices
        self._kept = Kept(thread_id, journal, wiring, self.cancel_turn)
        self.snapshots = self._kept.snapshots
        self.purse = wiring.purse(journal, self._kept.notice)
        self._notifier: Notifier | None = None
        self._next: deque[NextTurn] = deque()
        self._current: TurnStarted | None = None
        self._loop: Loop | None = None
        self._scope: anyio.CancelScope | None = None
        self._wake = anyio.Event()
        self._closing = False
        self._idle = anyio.Event()
        self._quiet = anyio.Lock()
        """Held by a turn, and by what must not happen beside one."""
        self._sessions: CommandSessions | None = None
        self._beside: anyio.abc.TaskGroup | None = None
        self._shells: Shells | None = None
        self._is_deaf = False
        """The running turn is a person's own command, to which nothing can be said."""
        self.goes_on_alone = True
        """An active goal begins turns. Not where a thread was opened for one thing."""

    @property
    def mcp(self) -> ThreadServers | None:
        """Its MCP servers, while it runs and if it has any."""
        return self._kept.mcp

    @property
    def turn_id(self) -> str | None:
        """The running turn's id, or the one's that is about to run."""
        if self._next:
            return self._next[-1].started.turn_id
        return None if self._current is None else self._current.turn_id

    def start_turn(
        self,
        said: Said,
        choices: TurnChoices,
        *,
        output_schema: bytes | None = None,
        budget: TurnBudget | None = None,
    ) -> str:
        """Begin a turn, or steer the one that runs; return its id.

        A turn that is ending hears nothing any more; the new one begins after it.

        Args:
            budget: what the turn may take; what the settings say by default.
        """
        turn_id = self.turn_id
        if turn_id is not None and self.steer(said):
            return turn_id
        self.choices = choices
        return self._begin(said, schema=output_schema, budget=budget)

    def _begin(
        self,
        said: Said | None = None,
        *,
        schema: bytes | None = None,
        budget: TurnBudget | None = None,
        for_goal: bool = False,
        shell: ShellCommand | None = None,
    ) -> str:
        started = self.choices.turn_started(new_id(), now_ms())
        budget = budget or self.wiring.turn_budget
        closing = self._closing
        self._next.append(
            NextTurn(
                *(started, said, schema, budget), cancelled=closing, for_goal=for_goal, shell=shell
            )
        )
        self._wake.set()
        return started.turn_id

    def compact(self) -> None:
        """Make room: before the running turn's next request, else in a turn of its own."""
        if self.turn_id is not None:
            self._kept.wants_room = True
            return
        self._begin()

    def pursue(self) -> None:
        """Begin a turn for the thread's goal, if it is active and no turn runs."""
        goal = self.journal.thread.goal
        if goal is None or goal.status != "active" or not self.goes_on_alone:
            return
        if self.turn_id is not None or self._closing:
            return
        self._begin(for_goal=True)

    def undo_compaction(self) -> bool:
        """Lift the last compaction; False if there is none. Not while a turn runs."""
        made = self.journal.thread.cut.made
        if made is None:
            return False
        self.journal.emit(CompactionUndone(made.item_id, now_ms()))
        return True

    def shown_tokens(self) -> int:
        """Return about how many tokens of the thread a model is shown."""
        return self._kept.transcript.tokens(0)

    def steer(self, said: Said) -> bool:
        """Say something into the running turn; False if there is none that would hear it."""
        if self._next:
            hears = not self._next[-1].cancelled and self._next[-1].shell is None
            if hears:
                self._next[-1].said.append(said)
            return hears
        if self._is_deaf or self._scope is None or self._scope.cancel_called:
            return False
        if self._loop is not None and self._loop.ending:
            return False
        self._kept.inbox.put(said)
        return True

    def cancel_turn(self) -> None:
        """End the running turn as interrupted; a turn about to run ends as soon as it began."""
        for turn in self._next:
            turn.cancelled = True
        if self._scope is not None:
            self._scope.cancel()
        if self._shells is not None:
            self._shells.cancel()

    def run_shell(self, command: ShellCommand) -> None:
        """Run a person's own command: beside the running turn, else in a turn of its own."""
        if self._shells is None:
            from octavo.agent.shell import Shells  # few people run any

            self._shells = Shells(self.journal, self.wiring)
        turn = self.journal.thread.turn
        if turn is not None and self._beside is not None:
            self._shells.start(self._beside, command, turn.started, self.choices)
            return
        self._begin(shell=command)

    @asynccontextmanager
    async def undoing(self) -> AsyncIterator[None]:
        """Keep turns from beginning while something that was done is taken back.

        Raises:
            UsageError: a turn is running, or about to.
        """
        if self.turn_id is not None:
            raise UsageError(
                "A turn is running in this thread.", hint="Wait until it ends, or interrupt it."
            )
        async with self._quiet:  # a turn that has just ended is still looked back on
            yield

    def answer(self, question_id: str, answer: Answer) -> bool:
        """Answer an open question; False when it is not open any more."""
        return self._kept.approvals.answer(question_id, answer)

    async def clean_terminals(self) -> None:
        """Kill the commands that outlived their calls; returns when they are gone."""
        if self._sessions is not None:
            await self._sessions.close()

    async def close(self) -> None:
        """End the running turn and everything the thread left running."""
        self._closing = True
        self.cancel_turn()
        self._wake.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Run turns until `close` or cancellation."""
        try:
            blocks = self._kept.ground.blocks
            async with (
                self.snapshots,
                Cages(self.wiring.spare, blocks, self.wiring.yard) as cages,
                CommandSessions() as sessions,
                self._mcp_servers() as self._kept.mcp,
                anyio.create_task_group() as self._beside,
            ):
                self._sessions = sessions
                equipment: Equipment | None = None
                with suppress(OctavoError):  # the turn will say it; the cage starts before it
                    equipment = await self._equip(cages, None)
                while True:
                    await self._wake.wait()
                    self._wake = anyio.Event()
                    while self._next:
                        turn = self._next.popleft()
                        async with self._quiet:
                            cages.turn_begins()
                            equipment = await self._turn(turn, sessions, cages, equipment)
                            cages.turn_ended()
                        self._go_on(was_work=turn.shell is None and not turn.asks_for_room)
                    if self._closing:
                        break
                await self._kept.hooking.end(self.choices, equipment)
        finally:
            self._sessions = self._beside = self._kept.mcp = None
            self._idle.set()

    def _mcp_servers(self) -> AbstractAsyncContextManager[ThreadServers | None]:
        loaded = self.wiring.loaded
        if not any(one.enabled for one in loaded.settings.mcp_servers.values()):
            return nullcontext()
        from octavo.agent.mcp import thread_servers  # few threads have any

        return thread_servers(
            *(loaded, self.choices.policy, self.wiring.env, self.journal, self.wiring.allowed),
            self._kept.notice,
            elicits=not self.wiring.nobody_answers(self.choices),
        )

    async def _turn(
        self,
        turn: NextTurn,
        sessions: CommandSessions,
        cages: Cages,
        equipment: Equipment | None,
    ) -> Equipment | None:
        self._current = turn.started
        for said in turn.said:
            self._kept.inbox.put(said)
        with anyio.CancelScope() as self._scope:
            if turn.cancelled:
                self._scope.cancel()
            self._is_deaf = turn.shell is not None
            try:
                if turn.shell is not None and self._shells is not None:
                    await self._shells.turn(turn.shell, turn.started, self.choices)
                else:
                    self.purse.begin_turn(turn.budget, self.choices.provider, self.choices.model)
                    with anyio.CancelScope(shield=True):
                        equipment = ready = await self._equip(cages, equipment)
                    ready_turn = ModelTurn(
                        *(self._kept, turn, self.choices, ready, cages, sessions)
                    )
                    self._loop = await ready_turn.loop()
                    await self._loop.run()
                    ready_turn.ended()
            except OctavoError as failure:
                self._refuse(turn.started, failure)
            except Exception as bug:  # noqa: BLE001 - whatever it is, the thread outlives it
                self.wiring.on_bug("".join(traceback.format_exception(bug)))
                self._refuse(turn.started, OctavoError("octavo made a mistake; this is a bug."))
        self._scope = self._loop = self._current = None
        self._is_deaf = False
        if self._kept.take_wish_for_room() and not self._next:  # it ended before it could
            self.compact()
        self._kept.approvals.before = None
        if self.wiring.loaded.settings.notify and turn.shell is None:
            self._notify(turn.started, equipment)
        try:
            await self.journal.sync()
        except StoreError as failure:
            self.journal.emit_last(Noticed(now_ms(), str(failure)))
        return equipment

    def _go_on(self, *, was_work: bool) -> None:
        """After a turn: begin the next one for the goal, unless somebody said something."""
        thread = self.journal.thread
        if thread.goal is None or self._closing or not thread.turns:
            return
        if self._kept.pursuit().goes_on(thread.turns[-1], was_work=was_work):
            self.pursue()

    async def _equip(self, cages: Cages, last: Equipment | None) -> Equipment:
        return await self.wiring.equip(self.choices, cages, last, self._kept.notice, self.purse)

    def _notify(self, started: TurnStarted, equipment: Equipment | None) -> None:
        """Call the person's program, if the turn did what it should."""
        thread = self.journal.thread
        turn = thread.turns[-1] if thread.turns else None
        if turn is None or turn.ended is None or turn.ended.outcome != "completed":
            return
        from octavo.agent.last import last_message, user_texts  # few people have such a program
        from octavo.agent.notify import Notifier, TurnComplete

        if self._notifier is None:
            loaded = self.wiring.loaded
            self._notifier = Notifier(loaded.settings.notify, self.wiring.env, loaded.home)
        policy = self.choices.policy
        roots = () if equipment is None else (policy.cwd, *equipment.writable_roots)
        failure = self._notifier.notify(
            TurnComplete(
                thread_id=self.id,
                turn_id=started.turn_id,
                cwd=started.cwd,
                client="octavo" if thread.started is None else f"octavo-{thread.started.source}",
                input_messages=user_texts(thread.said[turn.said_before :]),
                last_assistant_message=last_message(thread),
            ),
            roots if policy.mode.is_confined else (),
        )
        if failure is not None:
            self._kept.notice(failure)

    def _refuse(self, started: TurnStarted, failure: OctavoError) -> None:
        """A turn that could not begin, or whose end could not be told, begins and ends."""
        if self.journal.thread.turn is None:
            if self._loop is not None and self._loop.ending:
                return  # it ended; only what came after went wrong
            self._kept.inbox.take()
            self.journal.emit_last(started)
        info = getattr(failure, "info", "other")
        end = TurnEnded(started.turn_id, now_ms(), "failed", str(failure), info)
        self.journal.emit_last(end)
