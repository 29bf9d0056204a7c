"""A turn of the model: what it is given, put together anew for each one.

`Kept` is what a thread has from its first turn to its last. Out of that, and of what a turn was
begun with, comes the `Setup` of a loop, which knows of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

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
from octavo.protocol.events import Noticed, TurnStarted
from octavo.protocol.inputs import UserInput
from octavo.tools.sessions import CommandSessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.goals import Pursuit
    from octavo.agent.mcp import ThreadServers
    from octavo.agent.shell import ShellCommand


class NextTurn:
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


class Kept:
    """What a thread keeps from turn to turn.

    Attributes:
        snapshots: what the files were before and after its turns.
        mcp: its MCP servers, while it runs and if it has any.
        wants_room: it was asked to compact, and has not yet.
    """

    def __init__(
        self, thread_id: str, journal: Journal, wiring: Wiring, cancel_turn: Callable[[], None]
    ) -> None:
        self.journal = journal
        self.wiring = wiring
        self.approvals = Approvals(journal, cancel_turn)
        self.ground = Ground(wiring.loaded, wiring.env, journal.thread, self.notice, wiring.allowed)
        self.snapshots = wiring.snapshots(journal)
        self.hooking = Hooking(thread_id, wiring, journal)
        self.inbox = Inbox()
        self.transcript = Transcript(journal.thread)
        self.mcp: ThreadServers | None = None
        self.wants_room = False
        self.warned: set[str] = set()
        self._pursuit: Pursuit | None = None
        wiring.goal_text = lambda: "" if self._pursuit is None else self._pursuit.text()

    def notice(self, text: str) -> None:
        """Tell the person something."""
        self.journal.emit_last(Noticed(now_ms(), text))

    def take_wish_for_room(self) -> bool:
        """Return whether it was asked to compact, which it then is not any more."""
        wanted, self.wants_room = self.wants_room, False
        return wanted

    def pursuit(self) -> Pursuit:
        """Return what pursues the thread's goal."""
        if self._pursuit is None:
            from octavo.agent.goals import Pursuit  # few threads have a goal

            self._pursuit = Pursuit(self.journal, lambda bug: self.wiring.on_bug(repr(bug)))
        return self._pursuit

    def tools(self, equipment: Equipment) -> bytes:
        """What is declared: `recall` as well, from the thread's first compaction on."""
        compacted = bool(self.journal.thread.added)
        tools = equipment.tools_after_compaction if compacted else equipment.prompt.tools
        if self._pursuit is not None:
            tools = self._pursuit.with_tools(tools)
        return tools if self.mcp is None else self.mcp.declared(tools)


class ModelTurn:
    """One turn, with what it works with."""

    def __init__(
        self,
        kept: Kept,
        begun: NextTurn,
        choices: TurnChoices,
        equipment: Equipment,
        cages: Cages,
        sessions: CommandSessions,
    ) -> None:
        self._kept = kept
        self._begun = begun
        self._turn_id = begun.started.turn_id
        self._choices = choices
        self._equipment = equipment
        self._cages = cages
        self._sessions = sessions
        self._skills = Skills(kept.wiring.loaded, kept.wiring.env, choices.policy.cwd)
        self._pursuit = kept.pursuit() if kept.journal.thread.had_goal else None
        self._hooks = kept.hooking.for_turn(self._turn_id, choices, equipment, cages)
        self._calls: list[str] = []
        self._known: dict[str, tuple[int, ...]] = {}
        """Files that run later, as they were before the first call, which alone can change them."""
        self._said: set[str] = set()
        """Warnings of this turn, each of which is said once in it."""

    async def loop(self) -> Loop:
        """Return what runs it."""
        kept, choices, equipment = self._kept, self._choices, self._equipment
        ears = Ears(self._turn_id, kept.journal, kept.inbox, self._reporter(), self._named)
        prompt = self._prompter()
        make_room: MakeRoomFor = self._room_maker(prompt)
        toolbox: AnyToolbox = equipment.toolbox
        if kept.mcp is not None:
            await kept.mcp.under(choices.policy)
            make_room = kept.mcp.waiting(make_room)
            toolbox = kept.mcp.toolbox(toolbox, equipment.redact)
        setup = Setup(
            model=equipment.model,
            toolbox=toolbox,
            hands=self._hands_of(self._room()),
            prompt=prompt,
            ears=ears,
            make_room=make_room,
            patience=equipment.patience(),
            step_limit=kept.wiring.step_limit,
            time_limit_s=self._begun.budget.max_time_s,
        )
        if self._hooks is not None:
            kept.approvals.before = self._hooks.before_question
            setup = hooked(setup, self._hooks, ears, kept.journal)
        if self._pursuit is not None:
            setup = self._pursuit.around(
                setup, self._turn_id, equipment.redact, began_it=self._begun.for_goal
            )
        return Loop(
            *(self._begun.started, setup, kept.journal, self._clear, self._look_back),
            asked_for_room=self._begun.asks_for_room,
        )

    def ended(self) -> None:
        """Note how it ended, where that matters to the goal."""
        if (
            self._pursuit is not None
            and self._hooks is not None
            and self._hooks.stopped is not None
        ):
            self._pursuit.stop_for_hook()

    def _room(self) -> Room:
        kept, choices, equipment = self._kept, self._choices, self._equipment
        alone = kept.wiring.nobody_answers(choices)
        return Room(
            journal=kept.journal,
            approvals=kept.approvals,
            sandbox=equipment.sandbox,
            cages=self._cages,
            ground=kept.ground,
            policy=choices.policy,
            approval=choices.approval,
            judge=equipment.judge,
            judging=kept.wiring.has_reviewer(choices),
            sessions=self._sessions,
            cwd=choices.policy.cwd,
            env=equipment.env,
            writable_roots=equipment.writable_roots,
            network=equipment.network,
            asks=may_widen(choices.approval, present=not alone),
            alone=alone,
            output_limit_tokens=kept.wiring.output_limit_tokens,
            login_env=equipment.login_env,
            redact=equipment.redact,
            before_effect=kept.snapshots.before,
            keep_output=kept.wiring.keep_output,
        )

    def _hands_of(self, room: Room) -> Callable[[str, str], CallHands]:
        def hands(turn_id: str, call_id: str) -> CallHands:
            if not self._calls:
                from octavo.agent import later  # most turns call something, and not at once

                self._known.update(later.look(room.cwd))
            self._calls.append(call_id)
            return CallHands(room, turn_id, call_id)

        return hands

    async def _clear(self) -> None:
        await self._sessions.kill_calls(self._calls)

    async def _look_back(self) -> None:
        # Before the turn's end is told: what a person does from then on is theirs.
        await self._kept.snapshots.after()
        if not self._calls:
            return
        from octavo.agent import later

        changed = later.changes(self._known, self._choices.policy.cwd)
        if changed:
            text = later.pointed_out(changed)
            self._kept.journal.emit_last(Noticed(now_ms(), text, self._turn_id, "files.later"))

    def _named(self, inputs: Sequence[UserInput]) -> Sequence[ContextItem]:
        items, warnings = self._skills.named(inputs)
        for warning in warnings:
            if warning not in self._said:
                self._kept.notice(warning)
        return items

    def _reporter(self) -> Callable[[], Sequence[ContextItem]]:
        """What the model must be told: everything at first, then what changed.

        Only the cage can change within a turn: what confines it is known when it is ready, and the
        first request does not wait for that.
        """
        journal, sandbox = self._kept.journal, self._equipment.sandbox
        told: object = None
        unconfinable = False

        def news() -> Sequence[ContextItem]:
            nonlocal told, unconfinable
            report, failure = sandbox.report, sandbox.failure
            if failure is not None and failure.code == "sandbox.none" and not unconfinable:
                unconfinable = True
                journal.emit(Noticed(now_ms(), str(failure), code=failure.code))
            gaps = () if report is None else report.gaps
            if (gaps, *journal.thread.pins) == told:
                return ()
            told = (gaps, *journal.thread.pins)
            items, warnings = self._context(journal.thread.context)
            for warning in warnings:
                if warning not in self._kept.warned:
                    self._kept.warned.add(warning)
                    self._said.add(warning)
                    journal.emit(Noticed(now_ms(), warning))
            return items

        return news

    def _context(self, known: dict[str, str]) -> tuple[Sequence[ContextItem], Sequence[str]]:
        """What a model must know that it does not, and what a person has to be warned of."""
        return self._kept.wiring.context(
            known,
            self._choices,
            self._equipment,
            self._equipment.sandbox.report,
            self._skills,
            self._kept.journal.thread.pins,
        )

    def _prompter(self) -> Callable[[], Prompt]:
        kept, equipment = self._kept, self._equipment
        base = msgspec.structs.replace(equipment.prompt, output_schema=self._begun.schema)

        def prompt() -> Prompt:
            # Beside the request, as soon as that is under way.
            kept.snapshots.begin(self._turn_id, equipment.choices.policy)
            if kept.mcp is not None:
                kept.mcp.begin()
            tools = kept.tools(equipment)
            return msgspec.structs.replace(base, input=kept.transcript.items(), tools=tools)

        return prompt

    def _room_maker(self, prompt: Callable[[], Prompt]) -> MakeRoom:
        """What is asked before every step, and does nothing as long as there is room."""
        kept, choices, equipment = self._kept, self._choices, self._equipment
        window = Window(
            kept.journal.thread,
            kept.transcript,
            kept.wiring.limits(choices),
            lambda: kept.tools(equipment),
            (choices.model, choices.provider),
        )
        means = partial(
            kept.wiring.means, equipment, prompt, lambda: self._context({})[0], self._hooks
        )
        return MakeRoom(
            *(kept.journal, kept.transcript, window, means, self._turn_id),
            *(kept.take_wish_for_room, self._hooks),
        )
