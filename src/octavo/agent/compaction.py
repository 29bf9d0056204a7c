"""Making what a model is shown of a thread smaller: summed up where that works, else shortened.

Every way ends with room: a summary that does not come, or will not do, is made up for by leaving
the oldest parts out, which needs nobody. Nothing here changes the history; one event says what is
shown from now on, and another can take it back. Until that event is in the log nothing has
happened, so whatever stops a compaction half-way costs its request and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.summing import NoSummary, Summary, Summing
from octavo.agent.transcript import Transcript
from octavo.agent.window import Window
from octavo.agent.workfacts import readable_history, work_facts
from octavo.context.assemble import ContextItem
from octavo.context.contents import contents
from octavo.context.handover import (
    NOTE,
    TRIMMED_NOTE,
    note_item,
    summary_item,
    surroundings,
    users_messages,
)
from octavo.context.parts import Part, joined, parts_of, tokens_of
from octavo.context.shorten import is_left_out, shorten, with_notes
from octavo.model import Model, Prompt
from octavo.model.retry import Patience
from octavo.protocol.events import Compacted, CompactionUndone, Dropped, ItemBegan, Noticed
from octavo.protocol.ids import new_id
from octavo.protocol.usage import Usage
from octavo.protocol.view import Place
from octavo.sandbox import Policy

Trigger = Literal["auto", "asked", "refused"]
"""The window fills up; a person wants it; the provider would not take the request."""
Kind = Literal["local", "remote", "trimmed"]

PINNED_PERCENT = 20
"""Of the window: for what is told word for word beside a summary."""
ROOM_PERCENT = 50
"""Of the limit, or of what was shown where somebody wants less: so much is left at most."""
GROWN_PERCENT = 10
"""Of the limit: a thread that grew by less since it was compacted is not summed up again."""
WORTH_PERCENT = 5
"""Of what is shown: leaving out less than that is not worth a new beginning of the prompt."""
SHORTENINGS_LIMIT = 3
"""How often in a row a refused request is shortened before the turn fails."""


class Means(msgspec.Struct, frozen=True):
    """What a compaction works with; see `step.Setup`, whose model and prompt it shares.

    Attributes:
        prompt: the prompt as of now.
        surroundings: all that a new thread would be told before the user speaks.
        remote: the provider can keep a summary of its own.
        own_prompt: what the person wants asked in place of octavo's prompt.
    """

    model: Model
    prompt: Callable[[], Prompt]
    patience: Callable[[], Patience]
    surroundings: Callable[[], Sequence[ContextItem]]
    redact: Callable[[str], str]
    policy: Policy
    remote: bool
    own_prompt: str | None


class _Was(msgspec.Struct, frozen=True):
    """A part as it was before anything was left out."""

    place: Place | None
    kind: str
    is_output: bool
    tokens: int


class Compaction:
    """The compactions of one turn."""

    def __init__(
        self, journal: Journal, transcript: Transcript, window: Window, means: Means, turn_id: str
    ) -> None:
        self._journal = journal
        self._thread = journal.thread
        self._transcript = transcript
        self._window = window
        self._means = means
        self._turn_id = turn_id
        self._shortenings = 0
        self._said_full = False

    async def make_room(self, trigger: Trigger) -> bool:
        """Make what is shown smaller; return whether it is.

        Raises:
            ModelError: the provider can be asked nothing at all.
            StoreError: the log cannot be written.
        """
        if self._window.is_foreign():
            self._let_go_of_foreign()
            if trigger == "auto" and not self._window.is_full():
                return True
        work = self._work()
        if trigger == "asked" and not work.has_steps:
            self._notice("There is nothing to sum up yet.", "compaction.nothing")
            return False
        cut = self._thread.cut
        if trigger == "refused" and cut.made is not None and not cut.covered_tokens:
            self._shortenings += 1
            if self._shortenings > SHORTENINGS_LIMIT:
                return False
            return self._leave_out(work, trigger, "the provider refuses what a compaction left")
        if trigger != "asked" and cut.made is not None and not self._has_grown():
            return self._leave_out(work, trigger, "a compaction had not made enough room")
        if not work.has_steps and cut.made is None:
            return self._leave_out(work, trigger, "there is no work yet to sum up")
        return await self._sum_up(work, trigger)

    async def _sum_up(self, work: _Work, trigger: Trigger) -> bool:
        item_id = new_id()
        self._journal.emit(ItemBegan(self._turn_id, item_id, "compaction", now_ms()))
        means = self._means
        done, tail = work.split(before_last_step=trigger == "refused")
        summing = Summing(
            self._journal,
            self._turn_id,
            means.model,
            means.patience(),
            own_prompt=means.own_prompt,
            redact=means.redact,
        )
        prompt = msgspec.structs.replace(means.prompt(), input=[part.raw for part in done])
        try:
            summary = await self._summary(summing, prompt)
        except NoSummary as failure:
            why = f"a summary could not be made: {failure}"
            return self._leave_out(work, trigger, why, item_id, usage=summing.usage)
        work.hand_over(summary, tail)
        if work.tokens() >= self._window.limits.compact_at:
            work.shorten(trigger)
        kind: Kind = "local" if summary.item is None else "remote"
        self._journal.emit(work.event(item_id, kind, trigger, usage=summing.usage))
        return True

    async def _summary(self, summing: Summing, prompt: Prompt) -> Summary:
        if self._may_be_remote():
            try:
                return await summing.remote(prompt)
            except NoSummary:
                pass  # its model can be asked like any other
        return await summing.local(prompt)

    def _may_be_remote(self) -> bool:
        """Whether the provider is asked for a summary of its own; one that failed to is not."""
        if not self._means.remote or self._means.own_prompt is not None:
            return False
        made = [cut.made for cut in self._thread.cuts if cut.made is not None]
        asked = [one for one in made if (one.model, one.provider) == self._window.model]
        return not any(one.kind == "local" for one in asked)

    def _leave_out(
        self,
        work: _Work,
        trigger: Trigger,
        why: str,
        item_id: str | None = None,
        *,
        usage: Usage | None = None,
    ) -> bool:
        """Leave the oldest parts out; return whether that made a difference."""
        why = why.rstrip(".")
        before_tokens = work.tokens()
        work.leave_out(trigger)
        is_less = work.tokens() * 100 <= before_tokens * (100 - WORTH_PERCENT)
        if not is_less:
            self._say_nothing_left(trigger, why)
            if item_id is None:
                return False
            work = self._work()  # as it was
            work.leave_as_it_is()
        event = work.event(item_id or new_id(), "trimmed", trigger, usage=usage, failure=why)
        self._journal.emit(event)
        if is_less:
            self._notice(_told(event, why), "compaction.trimmed")
        return is_less

    def _say_nothing_left(self, trigger: Trigger, why: str) -> None:
        if trigger == "asked":
            text = (
                f"Nothing was changed. {why[:1].upper()}{why[1:]}, and there is little that could "
                "be left out."
            )
            self._notice(text, "compaction.nothing")
        elif not self._said_full:
            self._said_full = True
            self._notice(
                f"The thread fills the model's window, and {why}; nor can enough be left out, as "
                "it is little more than instructions and the last of the work. Shorten AGENTS.md "
                "or your message, or choose a model that reads more.",
                "compaction.full",
            )

    def _work(self) -> _Work:
        return _Work(self._journal, self._transcript, self._window, self._means, self._turn_id)

    def _has_grown(self) -> bool:
        """Whether enough came since the last compaction for a summary to be worth it."""
        least_tokens = self._window.limits.compact_at * GROWN_PERCENT // 100
        return self._transcript.grown_tokens() >= least_tokens

    def _let_go_of_foreign(self) -> None:
        while self._window.is_foreign():
            made = self._thread.cut.made
            assert made is not None
            self._journal.emit(CompactionUndone(made.item_id, now_ms(), "model"))

    def _notice(self, text: str, code: str) -> None:
        self._journal.emit(Noticed(now_ms(), text, self._turn_id, code))


def _told(event: Compacted, why: str) -> str:
    """Return what a person is told of parts that were left out."""
    gone = event.dropped
    what = (
        f"{gone.items} of the thread's older items (outputs of tools among them: {gone.outputs}; "
        f"about {gone.tokens:,} tokens) were left out of what the model is shown."
        if gone.items
        else "the end of AGENTS.md, or of what is pinned, is left out of what the model is shown."
    )
    begin = "" if event.trigger == "asked" else "the thread is too long for the model, and "
    reason = f"{begin}{why}"
    return (
        f"{reason[:1].upper()}{reason[1:]}. So {what} Everything stays in the thread, and the "
        "model can look it up."
    )


class _Work:
    """What is shown before a compaction, and what is to be shown after it."""

    def __init__(
        self, journal: Journal, transcript: Transcript, window: Window, means: Means, turn_id: str
    ) -> None:
        self._thread = journal.thread
        self._transcript = transcript
        self._window = window
        self._means = means
        self._turn_id = turn_id
        self._before_tokens = window.used_tokens()
        self._context = means.surroundings()
        self._known = {item.key: item.digest for item in self._context}
        self._parts = self._shown_now()
        self._was = [_Was(p.place, p.kind, p.is_output, p.tokens) for p in self._parts]

    @property
    def has_steps(self) -> bool:
        """Whether there is anything of the model's work."""
        return any(part.kind == "step" for part in self._parts)

    def tokens(self) -> int:
        """Return about how many tokens a request with what is to be shown is."""
        return self._transcript.scaled(tokens_of(self._parts) + self._window.tools_tokens())

    def split(self, *, before_last_step: bool) -> tuple[list[Part], list[Part]]:
        """Return what a summary is of, and what it is not of and stays: what is not yet answered.

        Args:
            before_last_step: the last step stays, too; what comes before it is known to fit.
        """
        steps = [n for n, part in enumerate(self._parts) if part.kind == "step"]
        at = steps[-1] + 1 if steps else len(self._parts)
        if before_last_step and steps:
            last = self._parts[steps[-1]].step
            first = next(n for n in steps if self._parts[n].step == last)
            at = first if any(n < first for n in steps) else at
        return self._parts[:at], [p for p in self._parts[at:] if p.kind != "context"]

    def hand_over(self, summary: Summary, tail: Sequence[Part]) -> None:
        """Show a summary of everything but `tail`."""
        thread = self._thread
        context, left_tokens = self._surroundings()
        in_tail = {part.place for part in tail}
        said = [Part(at, self._at(at) or b"", "user") for at in thread.said_at if at not in in_tail]
        users = users_messages(said, left_tokens)
        shown = {part.place for part in (*context, *users, *tail) if part.place is not None}
        dropped = contents(
            readable_history(thread),
            said=frozenset(thread.said_at),
            shown=shown | thread.surroundings,
        )
        facts = work_facts(thread, self._means.policy.cwd)
        own = [summary_item(summary.text, facts, dropped), note_item(NOTE)]
        if summary.item is not None:
            own.insert(0, summary.item)
        middle = [Part(None, raw, "note") for raw in own]
        for part in middle:
            part.fixed = True
        self._parts = [*context, *users, *middle, *tail]

    def leave_as_it_is(self) -> None:
        """Show just what is shown already."""
        self._known = dict(self._thread.context)

    def leave_out(self, trigger: Trigger) -> None:
        """Show the same with older parts left out."""
        context, _ = self._surroundings()
        note = Part(None, note_item(TRIMMED_NOTE), "note")
        note.fixed = True
        done, tail = self.split(before_last_step=False)
        for part in done:
            part.dropped = is_left_out(part)
        body = [p for p in done if p.kind != "context" and p.raw != note.raw]
        self._parts = [*context, *body, note, *tail]
        self.shorten(trigger)

    def shorten(self, trigger: Trigger) -> None:
        """Leave out as much as is needed for some room to work in."""
        limits = self._window.limits
        goal_tokens = limits.compact_at * ROOM_PERCENT // 100
        last = max((part.step for part in self._parts), default=-1)
        if trigger != "auto":
            goal_tokens = min(goal_tokens, self._before_tokens * ROOM_PERCENT // 100)
        if trigger != "refused":  # what the model has not seen yet is what it goes on from
            for part in self._parts:
                part.fixed = part.fixed or (part.kind == "step" and part.step == last)
        shorten(
            self._parts,
            spare_tokens=self._transcript.unscaled(goal_tokens) - self._window.tools_tokens(),
            users_tokens=self._pinned_tokens,
        )
        self._parts = list(with_notes(self._parts, len(self._thread.history)))

    def event(
        self,
        item_id: str,
        kind: Kind,
        trigger: Trigger,
        *,
        usage: Usage | None = None,
        failure: str | None = None,
    ) -> Compacted:
        """Return what has to be said for it to be shown."""
        model, provider = self._window.model
        return Compacted(
            self._turn_id,
            item_id,
            now_ms(),
            kind,
            trigger,
            len(self._thread.history),
            joined(part.shown() for part in self._parts),
            self._known,
            self._before_tokens,
            self.tokens(),
            self._dropped(self._parts),
            model,
            provider,
            failure,
            usage,
        )

    @property
    def _pinned_tokens(self) -> int:
        return self._transcript.unscaled(self._window.limits.window * PINNED_PERCENT // 100)

    def _surroundings(self) -> tuple[list[Part], int]:
        at = self._thread.context_at
        same = {key: self._at(place) or b"" for key, place in at.items()}
        return surroundings(self._context, at, same, self._pinned_tokens)

    def _shown_now(self) -> list[Part]:
        thread, cut = self._thread, self._thread.cut
        places = [*cut.base, *range(cut.since, len(thread.history))]
        context = set(thread.surroundings)
        if cut.made is not None:  # what is shown begins with them
            context.update(cut.base[: len(cut.made.context)])
        items = ((place, self._at(place)) for place in places)
        shown = ((place, item) for place, item in items if item is not None)
        return parts_of(shown, said=frozenset(thread.said_at), context=context)

    def _at(self, place: Place) -> bytes | None:
        return self._transcript.at(place)

    def _dropped(self, shown: Iterable[Part]) -> Dropped:
        places = {part.place for part in shown if not part.dropped}
        gone = [was for was in self._was if was.kind != "context" and was.place not in places]
        return Dropped(
            len(gone),
            sum(was.is_output for was in gone),
            sum(was.kind == "user" for was in gone),
            self._transcript.scaled(sum(was.tokens for was in gone)),
        )
