"""Hooks around what the loop is given: its model, its toolbox, its ears and its questions.

Each wrap is what it wraps to whoever uses it. A hook's no is final; its yes is not a yes: the call
that it lets through, or rewrites, is judged as if the model had made it so.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.ears import Ears
from octavo.agent.hands import CallHands
from octavo.agent.hooks.matching import Seen, Told, rewritten, told
from octavo.agent.hooks.reply import Verdict
from octavo.agent.hooks.runner import Hooks, Place
from octavo.agent.inbox import Said
from octavo.agent.journal import Journal
from octavo.agent.last import last_message
from octavo.agent.step import Toolbox
from octavo.context.assemble import ContextItem, digest_of
from octavo.context.encode import message, text_part
from octavo.model import Call, Chunk, Model, Prompt
from octavo.protocol.errors import ModelError, OctavoError
from octavo.protocol.events import CallFacts, Noticed
from octavo.protocol.inputs import Text
from octavo.protocol.questions import CommandQuestion, FileChangeQuestion, NetworkQuestion, Question
from octavo.protocol.visible import visible_line
from octavo.tools import Hands, Outcome
from octavo.tools.truncate import truncate

STOP_BLOCKS_LIMIT = 10
"""How often hooks may send a turn on that would end."""
SAID_TOKENS = 10_000
"""What all hooks together may add to what a call gave."""
_UNTRUSTED = frozenset(("untrusted",))


class Refused(OctavoError):
    """A hook did not let the turn begin."""

    code = "hook"


class TurnHooks:
    """The hooks of a thread, in one turn.

    Attributes:
        stopped: why a hook wants the turn to end.
    """

    def __init__(self, hooks: Hooks, place: Place) -> None:
        self.place = place
        self.stopped: str | None = None
        self._hooks = hooks

    @property
    def source(self) -> str | None:
        """How the thread began, as long as its hooks were not told."""
        return self._hooks.source

    @source.setter
    def source(self, source: str | None) -> None:
        self._hooks.source = source

    def read(self) -> None:
        """See which hooks there are; see `Hooks.read`."""
        self._hooks.read(self.place.cwd)

    def any_for(self, *events: str) -> bool:
        return self._hooks.any_for(*events)

    async def fire(
        self,
        event: str,
        fields: Mapping[str, Any],
        *,
        about: str | None = None,
        told: Told | None = None,
    ) -> Verdict:
        """Run the hooks of an event; what ends the turn is noted."""
        verdict = await self._hooks.fire(event, self.place, fields, about=about, told=told)
        if verdict.stop is not None:
            self.stopped = verdict.stop
        return verdict

    async def before_compaction(self, trigger: str, instructions: str = "") -> str | None:
        """Tell hooks that the history is about to be made shorter; return why it shall not be.

        Args:
            trigger: "manual" or "auto".
            instructions: what the user wants kept.
        """
        self.read()
        given = {"trigger": trigger, "custom_instructions": instructions}
        verdict = await self.fire("PreCompact", given, about=trigger)
        return verdict.block or verdict.stop

    async def after_compaction(self, trigger: str) -> None:
        """Tell hooks that it was; before the next request they are told that a thread began."""
        await self.fire("PostCompact", {"trigger": trigger}, about=trigger)
        self.source = "compact"

    async def before_question(self, turn_id: str, call_id: str, question: Question) -> str | None:
        """Return why a person is not to be asked at all: what hooks say to it is no.

        A hook's yes counts for nothing here: what is asked would widen the cage, or cannot be had
        back, and that is for a person.
        """
        del turn_id, call_id
        match question:
            case CommandQuestion():
                name, shown, why = "Bash", question.command, question.reason or question.why
            case NetworkQuestion():
                name, shown, why = "Bash", question.command, f"Reach {question.host}."
            case FileChangeQuestion():
                name, shown, why = "apply_patch", "\n".join(question.paths), question.reason
            case _:
                return None
        given: dict[str, Any] = {"command": shown}
        if why:
            given["description"] = why
        seen = Seen(name, given)
        verdict = await self.fire("PermissionRequest", {}, told=Told(seen, _aliases(seen)))
        refusal = verdict.block or verdict.stop
        return None if refusal is None else f"A hook refused it: {refusal}"


def _aliases(seen: Seen) -> tuple[tuple[Seen, ...], ...]:
    if seen.name != "apply_patch":
        return ()
    return ((Seen("Write", seen.input),), (Seen("Edit", seen.input),))


class HookedModel:
    """A model that is not asked when a hook says no. Implements `Model`."""

    def __init__(self, model: Model, hooks: TurnHooks) -> None:
        self._model = model
        self._hooks = hooks

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        if self._hooks.any_for("PreModelRequest"):
            given = {
                "input": [msgspec.Raw(item) for item in prompt.input],
                "tools": msgspec.Raw(prompt.tools),
                "parallel_tool_calls": prompt.parallel_calls,
            }
            verdict = await self._hooks.fire("PreModelRequest", given)
            refusal = verdict.block or verdict.stop
            if refusal is not None:
                raise ModelError(
                    f"A hook refused the request to the model: {refusal}",
                    info="inferenceHookDenied",
                )
        async with aclosing(self._model.stream(prompt)) as chunks:
            async for chunk in chunks:
                yield chunk


class HookedToolbox:
    """A toolbox whose calls hooks see before and after. Implements `step.Toolbox`."""

    def __init__(self, toolbox: Toolbox, hooks: TurnHooks) -> None:
        self._toolbox = toolbox
        self._hooks = hooks

    def may_run_beside(self, call: Call) -> bool:
        return self._toolbox.may_run_beside(call)

    async def run(self, call: Call, hands: Hands) -> Outcome:
        hooks = self._hooks
        if not hooks.any_for("PreToolUse", "PostToolUse"):
            return await self._toolbox.run(call, hands)
        about = told(call, hands.cwd)
        given = {"tool_use_id": call.call_id}
        before = await hooks.fire("PreToolUse", given, told=about)
        refusal = await self._refusal(before, about, hands)
        said = [_context("PreToolUse", text) for text in before.context]
        if refusal is not None:
            return _with(_refused(refusal), said)
        if before.input is not None:
            try:
                call = rewritten(call, before.input)
            except ValueError as why:
                return _refused(f"Not run: a hook wanted to change the call, but {why}.")
            about = told(call, hands.cwd)
            said.insert(0, _context("PreToolUse", f"The call was changed to: {about.shown}"))
        outcome = await self._toolbox.run(call, hands)
        if outcome.ok:
            response = {"tool_response": outcome.content}
            after = await hooks.fire("PostToolUse", {**given, **response}, told=about)
            said += [_context("PostToolUse", text) for text in after.context]
            if after.block is not None:
                said.append(_context("PostToolUse", after.block))
        return _with(outcome, said)

    async def _refusal(self, verdict: Verdict, about: Told, hands: Hands) -> str | None:
        """Return what the model is told if the call is not to run."""
        shown = about.shown
        if verdict.block is not None:
            why = verdict.block.rstrip(".")
            return f"Command blocked by PreToolUse hook: {why}. Command: {shown}"
        if verdict.stop is not None:
            return f"Not run: a hook ends the turn here. {verdict.stop}"
        if verdict.ask is None:
            return None
        if not hands.asks or not isinstance(hands, CallHands):
            return (
                f"Not run: a hook wants the user to be asked first, and nobody can be. "
                f"{verdict.ask} Go another way, or say in your answer what is missing."
            )
        why = f"A hook wants you to be asked: {verdict.ask}"
        question = CommandQuestion(shown, str(hands.cwd), why=why)
        answer = await hands.ask_person(question)
        if answer.yes:
            return None
        return f"The user declined this. Nothing was run. It was asked because: {verdict.ask}"


def _refused(text: str) -> Outcome:
    facts = CallFacts(declined=True)
    return Outcome(content=truncate(text, SAID_TOKENS), ok=False, facts=facts, labels=_UNTRUSTED)


def _context(event: str, text: str) -> str:
    """Return a hook's words so that nobody takes them for the user's, or for the tool's."""
    inner = _unframed(text)
    return f'<hook_context event="{event}" by="a program">\n{inner}\n</hook_context>'


def _unframed(text: str) -> str:
    """Return a hook's words unable to end the frame they are put in."""
    return re.sub(r"(?i)<(?=\s*/\s*hook_(?:context|prompt))", "&lt;", text)


def _with(outcome: Outcome, said: Sequence[str]) -> Outcome:
    """Return an outcome with what hooks said at its end."""
    if not said:
        return outcome
    text = truncate("\n".join(said), SAID_TOKENS)
    content = outcome.content
    joined: str | Sequence[Mapping[str, str]]
    if isinstance(content, str):
        joined = f"{content}\n{text}"
    else:
        joined = [*content, {"type": "input_text", "text": text}]
    return msgspec.structs.replace(outcome, content=joined, labels=outcome.labels | _UNTRUSTED)


class HookedEars:
    """Ears that hooks hear with. Implements `step.Ears`."""

    def __init__(self, ears: Ears, hooks: TurnHooks, journal: Journal) -> None:
        self._ears = ears
        self._hooks = hooks
        self._journal = journal
        self._began = False
        self._asked = False
        """The model was asked something; else there is nothing that could stop."""
        self._sent_on = 0

    async def hear(self, *, called: bool) -> bool:
        is_to_be_asked = await self._hear(called=called)
        self._asked = self._asked or is_to_be_asked
        return is_to_be_asked

    async def _hear(self, *, called: bool) -> bool:
        hooks, first = self._hooks, not self._began
        self._began = True
        hooks.read()
        context = await self._session_start()
        self._ears.tell([*self._ears.news(), *context])
        heard = await self._listen(first=first)
        if heard:
            hooks.stopped = None  # the user goes on
            return True
        if hooks.stopped is not None:
            return False
        return called or (self._asked and await self._goes_on())

    async def _session_start(self) -> Sequence[ContextItem]:
        source = self._hooks.source
        if source is None:
            return ()
        verdict = await self._hooks.fire("SessionStart", {"source": source}, about=source)
        if verdict.stop is not None:
            self._ears.inbox.take()
            raise Refused(f"A hook stopped the thread: {verdict.stop}")
        self._hooks.source = None
        said = [*verdict.context, *filter(None, (verdict.block,))]
        return [_item(_context("SessionStart", text)) for text in said]

    async def _listen(self, *, first: bool) -> bool:
        """Take in what was said until nothing is left, and return if anything was."""
        heard, refusal = False, None
        while said := self._ears.inbox.take():
            for number, one in enumerate(said):
                try:
                    refused = await self._take_in(one)
                except BaseException:
                    self._lose(len(said) - number)
                    raise
                refusal = refusal or refused
                heard = heard or refused is None
        if first and not heard and refusal is not None:
            raise Refused(f"A hook refused the prompt: {refusal}")
        return heard

    async def _take_in(self, said: Said) -> str | None:
        """Let what the user said become part of the thread, or return why not."""
        if said.external is not None or not self._hooks.any_for("UserPromptSubmit"):
            self._ears.spoke(said)
            return None
        prompt = "\n".join(part.text for part in said.inputs if isinstance(part, Text))
        verdict = await self._hooks.fire("UserPromptSubmit", {"prompt": prompt})
        refusal = verdict.block or verdict.stop
        if refusal is not None:
            self._hooks.stopped = None  # what it says is about this prompt
            return refusal
        self._ears.spoke(said)
        self._ears.tell([_item(_context("UserPromptSubmit", text)) for text in verdict.context])
        return None

    def _lose(self, count: int) -> None:
        """What no hook has let through is not kept for the model; the person is told."""
        what = "Your message was" if count == 1 else f"{count} messages of yours were"
        text = f"{what} not taken in: the turn ended while hooks looked at it. Send it again."
        self._journal.emit_last(Noticed(now_ms(), text, self._ears.turn_id))

    async def _goes_on(self) -> bool:
        """Whether hooks, or the user meanwhile, have the turn go on that would end."""
        hooks = self._hooks
        given = {
            "stop_hook_active": self._sent_on > 0,
            "last_assistant_message": last_message(self._journal.thread),
        }
        verdict = await hooks.fire("Stop", given)
        if verdict.stop is None and verdict.block is not None:
            if self._sent_on < STOP_BLOCKS_LIMIT:
                self._sent_on += 1
                self._ears.tell([_item(_prompt(self._sent_on, verdict.block))])
                await self._listen(first=False)
                return True
            text = (
                f"A hook wanted the turn to go on {STOP_BLOCKS_LIMIT} times, which is the most. "
                "It ends here."
            )
            self._journal.emit_last(Noticed(now_ms(), text, self._ears.turn_id))
        return await self._listen(first=False)


def _prompt(number: int, reason: str) -> str:
    inner = _unframed(reason)
    return f'<hook_prompt hook_run_id="{visible_line(f"stop:{number}")}">{inner}</hook_prompt>'


def _item(text: str) -> ContextItem:
    return ContextItem("hook", digest_of(text), message("user", [text_part(text)]))
