"""One thread: it receives ops, runs turns one after another, and owns what they leave running.

`run` holds everything that must be gone when the thread is: the cage, the commands, the turns.
Ops only leave a note for it and return; what comes of them comes as events.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial

import anyio
import anyio.abc
import msgspec

from octavo.agent.approval import Approvals
from octavo.agent.cages import Cages
from octavo.agent.clock import now_ms
from octavo.agent.ears import Ears
from octavo.agent.ground import Ground, may_widen
from octavo.agent.hands import CallHands, Room
from octavo.agent.hooking import Hooking
from octavo.agent.inbox import Inbox, Said
from octavo.agent.journal import Journal
from octavo.agent.loop import Loop
from octavo.agent.make_room import MakeRoom
from octavo.agent.skills import Skills
from octavo.agent.step import MakeRoom as MakeRoomFor
from octavo.agent.step import Setup
from octavo.agent.step import Toolbox as AnyToolbox
from octavo.agent.transcript import Transcript
from octavo.agent.window import Window
from octavo.agent.wiring import Equipment, TurnChoices, Wiring, hooked
from octavo.config.settings import TurnBudget
from octavo.context.assemble import ContextItem
from octavo.model import Prompt
from octavo.protocol.errors import OctavoError, StoreError, UsageError
from octavo.protocol.events import CompactionUndone, Noticed, TurnEnded, TurnStarted
from octavo.protocol.ids import new_id
from octavo.protocol.inputs import UserInput
from octavo.protocol.questions import Answer
from octavo.tools.sessions import CommandSessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.goals import Pursuit
    from octavo.agent.hooks.wraps import TurnHooks
    from octavo.agent.mcp import ThreadServers
    from octavo.agent.notify import Notifier
    from octavo.agent.shell import ShellCommand, Shells


class _Next:
    """A turn that is about to run; without anything said, for the goal or only to make room."""

    def __init__(
        self,
        started: TurnStarted,
        said: Said | None,
        schema: bytes | None,
        budget: TurnBudget,
        *,
        cancelled: bool,
        for_goal: bool = False,
        shell: ShellCommand | None = None,
    ) -> None:
        self.started = started
        self.said = [] if said is None else [said]
        self.for_goal = for_goal
        self.shell = shell
        self.asks_for_room = said is None and not for_goal
        self.schema = schema
        self.budget = budget
        self.cancelled = cancelled


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
        self.approvals = Approvals(journal, self.cancel_turn)
        self._ground = Ground(
            wiring.loaded, wiring.env, journal.thread, self._notice, wiring.allowed
        )
        self.purse = wiring.purse(journal, self._notice)
        self.snapshots = wiring.snapshots(journal)
        self._hooking = Hooking(thread_id, wiring, journal)
        self._notifier: Notifier | None = None
        self._inbox = Inbox()
        self._transcript = Transcript(journal.thread)
        self._next: deque[_Next] = deque()
        self._current: TurnStarted | None = None
        self._loop: Loop | None = None
        self._scope: anyio.CancelScope | None = None
        self._wake = anyio.Event()
        self._closing = False
        self._warned: set[str] = set()
        self._idle = anyio.Event()
        self._quiet = anyio.Lock()
        """Held by a turn, and by what must not happen beside one."""
        self._sessions: CommandSessions | None = None
        self._beside: anyio.abc.TaskGroup | None = None
        self._wants_room = False
        self._shells: Shells | None = None
        self._is_deaf = False
        """The running turn is a person's own command, to which nothing can be said."""
        self._pursuit: Pursuit | None = None
        self.goes_on_alone = True
        """An active goal begins turns. Not where a thread was opened for one thing."""
        wiring.goal_text = lambda: "" if self._pursuit is None else self._pursuit.text()
        self.mcp: ThreadServers | None = None
        """Its MCP servers, while it runs and if it has any."""

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
        started = choices.turn_started(new_id(), now_ms())
        budget = budget or self.wiring.turn_budget
        self._next.append(_Next(started, said, output_schema, budget, cancelled=self._closing))
        self._wake.set()
        return started.turn_id

    def compact(self) -> None:
        """Make room: before the running turn's next request, else in a turn of its own."""
        if self.turn_id is not None:
            self._wants_room = True
            return
        started = self.choices.turn_started(new_id(), now_ms())
        budget = self.wiring.turn_budget
        self._next.append(_Next(started, None, None, budget, cancelled=self._closing))
        self._wake.set()

    def pursue(self) -> None:
        """Begin a turn for the thread's goal, if it is active and no turn runs."""
        goal = self.journal.thread.goal
        if goal is None or goal.status != "active" or not self.goes_on_alone:
            return
        if self.turn_id is not None or self._closing:
            return
        started = self.choices.turn_started(new_id(), now_ms())
        budget = self.wiring.turn_budget
        self._next.append(_Next(started, None, None, budget, cancelled=False, for_goal=True))
        self._wake.set()

    def undo_compaction(self) -> bool:
        """Lift the last compaction; False if there is none. Not while a turn runs."""
        made = self.journal.thread.cut.made
        if made is None:
            return False
        self.journal.emit(CompactionUndone(made.item_id, now_ms()))
        return True

    def shown_tokens(self) -> int:
        """Return about how many tokens of the thread a model is shown."""
        return self._transcript.tokens(0)

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
        self._inbox.put(said)
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
        started = self.choices.turn_started(new_id(), now_ms())
        budget, closing = self.wiring.turn_budget, self._closing
        self._next.append(_Next(started, None, None, budget, cancelled=closing, shell=command))
        self._wake.set()

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
        return self.approvals.answer(question_id, answer)

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
            blocks = self._ground.blocks
            async with (
                self.snapshots,
                Cages(self.wiring.spare, blocks, self.wiring.yard) as cages,
                CommandSessions() as sessions,
                self._mcp_servers() as self.mcp,
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
                await self._hooking.end(self.choices, equipment)
        finally:
            self._sessions = self._beside = self.mcp = None
            self._idle.set()

    def _mcp_servers(self) -> AbstractAsyncContextManager[ThreadServers | None]:
        loaded = self.wiring.loaded
        if not any(one.enabled for one in loaded.settings.mcp_servers.values()):
            return nullcontext()
        from octavo.agent.mcp import thread_servers  # few threads have any

        return thread_servers(
            *(loaded, self.choices.policy, self.wiring.env, self.journal, self.wiring.allowed),
            self._notice,
            elicits=not self.wiring.nobody_answers(self.choices),
        )

    async def _turn(
        self,
        turn: _Next,
        sessions: CommandSessions,
        cages: Cages,
        equipment: Equipment | None,
    ) -> Equipment | None:
        self._current = turn.started
        for said in turn.said:
            self._inbox.put(said)
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
                    await self._run_loop(turn, sessions, cages, ready)
            except OctavoError as failure:
                self._refuse(turn.started, failure)
            except Exception as bug:  # noqa: BLE001 - whatever it is, the thread outlives it
                self.wiring.on_bug("".join(traceback.format_exception(bug)))
                self._refuse(turn.started, OctavoError("octavo made a mistake; this is a bug."))
        self._scope = self._loop = self._current = None
        self._is_deaf = False
        if self._take_wish_for_room() and not self._next:  # it ended before it could
            self.compact()
        self.approvals.before = None
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
        if self._goal_pursuit().goes_on(thread.turns[-1], was_work=was_work):
            self.pursue()

    def _goal_pursuit(self) -> Pursuit:
        if self._pursuit is None:
            from octavo.agent.goals import Pursuit  # few threads have a goal

            self._pursuit = Pursuit(self.journal, lambda bug: self.wiring.on_bug(repr(bug)))
        return self._pursuit

    async def _equip(self, cages: Cages, last: Equipment | None) -> Equipment:
        return await self.wiring.equip(self.choices, cages, last, self._notice, self.purse)

    def _notice(self, text: str) -> None:
        self.journal.emit_last(Noticed(now_ms(), text))

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
            self._notice(failure)

    def _refuse(self, started: TurnStarted, failure: OctavoError) -> None:
        """A turn that could not begin, or whose end could not be told, begins and ends."""
        if self.journal.thread.turn is None:
            if self._loop is not None and self._loop.ending:
                return  # it ended; only what came after went wrong
            self._inbox.take()
            self.journal.emit_last(started)
        info = getattr(failure, "info", "other")
        end = TurnEnded(started.turn_id, now_ms(), "failed", str(failure), info)
        self.journal.emit_last(end)

    async def _run_loop(
        self, turn: _Next, sessions: CommandSessions, cages: Cages, equipment: Equipment
    ) -> None:
        choices, journal = self.choices, self.journal
        pursuit = self._goal_pursuit() if journal.thread.had_goal else None
        turn_calls: list[str] = []
        alone = self.wiring.nobody_answers(choices)
        room = Room(
            journal=journal,
            approvals=self.approvals,
            sandbox=equipment.sandbox,
            cages=cages,
            ground=self._ground,
            policy=choices.policy,
            approval=choices.approval,
            judge=equipment.judge,
            judging=self.wiring.has_reviewer(choices),
            sessions=sessions,
            cwd=choices.policy.cwd,
            env=equipment.env,
            writable_roots=equipment.writable_roots,
            network=equipment.network,
            asks=may_widen(choices.approval, present=not alone),
            alone=alone,
            output_limit_tokens=self.wiring.output_limit_tokens,
            login_env=equipment.login_env,
            redact=equipment.redact,
            before_effect=self.snapshots.before,
            keep_output=self.wiring.keep_output,
        )
        known: dict[str, tuple[int, ...]] = {}
        """Files that run later, as they were before the first call, which alone can change them."""

        def hands(turn_id: str, call_id: str) -> CallHands:
            if not turn_calls:
                from octavo.agent import later  # most turns call something, and not at once

                known.update(later.look(choices.policy.cwd))
            turn_calls.append(call_id)
            return CallHands(room, turn_id, call_id)

        async def clear() -> None:
            await sessions.kill_calls(turn_calls)

        async def look_back() -> None:
            # Before the turn's end is told: what a person does from then on is theirs.
            await self.snapshots.after()
            if not turn_calls:
                return
            from octavo.agent import later

            changed = later.changes(known, choices.policy.cwd)
            if changed:
                said = later.pointed_out(changed)
                journal.emit_last(Noticed(now_ms(), said, turn.started.turn_id, "files.later"))

        skills = Skills(self.wiring.loaded, self.wiring.env, choices.policy.cwd)
        said: set[str] = set()
        """Warnings of this turn, each of which is said once in it."""

        def named(inputs: Sequence[UserInput]) -> Sequence[ContextItem]:
            items, warnings = skills.named(inputs)
            for warning in warnings:
                if warning not in said:
                    self._notice(warning)
            return items

        turn_id = turn.started.turn_id
        ears = Ears(
            *(turn_id, journal, self._inbox),
            self._reporter(equipment, skills, said),
            named,
        )
        prompt = self._prompter(equipment, turn)
        hooks = self._hooking.for_turn(turn_id, choices, equipment, cages)
        make_room: MakeRoomFor = self._room_maker(turn, equipment, prompt, skills, hooks)
        toolbox: AnyToolbox = equipment.toolbox
        if self.mcp is not None:
            await self.mcp.under(choices.policy)
            make_room = self.mcp.waiting(make_room)
            toolbox = self.mcp.toolbox(toolbox, equipment.redact)
        setup = Setup(
            model=equipment.model,
            toolbox=toolbox,
            hands=hands,
            prompt=prompt,
            ears=ears,
            make_room=make_room,
            patience=equipment.patience(),
            step_limit=self.wiring.step_limit,
            time_limit_s=turn.budget.max_time_s,
        )
        if hooks is not None:
            self.approvals.before = hooks.before_question
            setup = hooked(setup, hooks, ears, journal)
        if pursuit is not None:
            setup = pursuit.around(setup, turn_id, equipment.redact, began_it=turn.for_goal)
        loop = self._loop = Loop(
            *(turn.started, setup, journal, clear, look_back), asked_for_room=turn.asks_for_room
        )
        await loop.run()
        if pursuit is not None and hooks is not None and hooks.stopped is not None:
            pursuit.stop_for_hook()

    def _reporter(
        self, equipment: Equipment, skills: Skills, said: set[str]
    ) -> Callable[[], Sequence[ContextItem]]:
        """What the model must be told: everything at first, then what changed.

        Only the cage can change within a turn: what confines it is known when it is ready, and the
        first request does not wait for that.
        """
        told: object = None
        unconfinable = False

        def news() -> Sequence[ContextItem]:
            nonlocal told, unconfinable
            report = equipment.sandbox.report
            failure = equipment.sandbox.failure
            if failure is not None and failure.code == "sandbox.none" and not unconfinable:
                unconfinable = True
                self.journal.emit(Noticed(now_ms(), str(failure), code=failure.code))
            gaps = () if report is None else report.gaps
            pins = self.journal.thread.pins
            if (gaps, *pins) == told:
                return ()
            told = (gaps, *pins)
            known = self.journal.thread.context
            items, warnings = self.wiring.context(
                known, self.choices, equipment, report, skills, pins
            )
            for warning in warnings:
                if warning not in self._warned:
                    self._warned.add(warning)
                    said.add(warning)
                    self.journal.emit(Noticed(now_ms(), warning))
            return items

        return news

    def _prompter(self, equipment: Equipment, turn: _Next) -> Callable[[], Prompt]:
        base = msgspec.structs.replace(equipment.prompt, output_schema=turn.schema)

        def prompt() -> Prompt:
            # Beside the request, as soon as that is under way.
            self.snapshots.begin(turn.started.turn_id, equipment.choices.policy)
            if self.mcp is not None:
                self.mcp.begin()
            tools = self._tools(equipment)
            return msgspec.structs.replace(base, input=self._transcript.items(), tools=tools)

        return prompt

    def _tools(self, equipment: Equipment) -> bytes:
        """What is declared: `recall` as well, from the thread's first compaction on."""
        compacted = bool(self.journal.thread.added)
        tools = equipment.tools_after_compaction if compacted else equipment.prompt.tools
        if self._pursuit is not None:
            tools = self._pursuit.with_tools(tools)
        return tools if self.mcp is None else self.mcp.declared(tools)

    def _room_maker(
        self,
        turn: _Next,
        equipment: Equipment,
        prompt: Callable[[], Prompt],
        skills: Skills,
        hooks: TurnHooks | None,
    ) -> MakeRoom:
        """What is asked before every step, and does nothing as long as there is room."""
        thread, choices = self.journal.thread, equipment.choices

        def surroundings() -> Sequence[ContextItem]:
            report = equipment.sandbox.report
            return self.wiring.context({}, choices, equipment, report, skills, thread.pins)[0]

        window = Window(
            thread,
            self._transcript,
            self.wiring.limits(choices),
            lambda: self._tools(equipment),
            (choices.model, choices.provider),
        )
        means = partial(self.wiring.means, equipment, prompt, surroundings, hooks)
        wants = self._take_wish_for_room
        turn_id = turn.started.turn_id
        return MakeRoom(self.journal, self._transcript, window, means, turn_id, wants, hooks)

    def _take_wish_for_room(self) -> bool:
        wanted, self._wants_room = self._wants_room, False
        return wanted
