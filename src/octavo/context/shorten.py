"""Leaving parts of a thread out of what a model is shown: no model is asked, and it always works.

The oldest outputs go first, each replaced by a line that says what it was and how `recall` finds
it; then whole turns, oldest first; then steps of the last turn; then what is left, down to the
surroundings and the user's last message. Nothing is lost: the history has it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from octavo.context.encode import message, text_part
from octavo.context.outputs import encode_output
from octavo.context.parts import Part, tokens_of
from octavo.context.readable import readable
from octavo.context.visible import visible_line

WORTH_TOKENS = 120
"""An output of fewer tokens than this is not worth replacing."""
NAMED_CHARS = 120
_LEFT_OUT_HERE = b"[Left out here"


def shorten(parts: Sequence[Part], *, spare_tokens: int, users_tokens: int) -> None:
    """Mark parts as dropped, or replace them, until they are worth at most `spare_tokens`.

    Args:
        parts: all that is shown, the surroundings included; those that are `fixed` stay.
        users_tokens: of the user's messages so much is kept to the last, the newest first.
    """
    left = _Left(parts, spare_tokens)
    steps = _grouped((part.step, part) for part in parts if part.kind == "step")
    last_step = max(steps, default=-1)
    last_turn = max((part.turn for part in parts), default=0)
    users = [part for part in parts if part.kind == "user"]
    left.replace_outputs(range(last_step))
    turns = _grouped((part.turn, part) for part in parts if part.kind == "step")
    for turn in sorted(turns):
        if turn < last_turn:
            left.drop(turns[turn])
    for step in sorted(steps)[:-1]:
        left.drop(steps[step])
    users_left_tokens = tokens_of(users)
    for part in users[:-1]:
        if users_left_tokens > users_tokens:
            users_left_tokens -= part.tokens
            left.drop([part])
    left.replace_outputs(range(last_step, last_step + 1))
    for part in users[:-1]:
        left.drop([part])
    left.drop([part for part in parts if part.kind in ("step", "note")])
    if users and left.too_many_tokens > 0:
        cut_message(users[-1], max(200, users[-1].tokens - left.too_many_tokens))


class _Left:
    """What is left to be shown. Each method does nothing once there is little enough of it.

    Attributes:
        too_many_tokens: how much too much it is.
    """

    def __init__(self, parts: Sequence[Part], spare_tokens: int) -> None:
        self._parts = parts
        self.too_many_tokens = tokens_of(parts) - spare_tokens

    def drop(self, parts: Iterable[Part]) -> None:
        """Drop all of `parts` that may be."""
        if self.too_many_tokens <= 0:
            return
        for part in parts:
            if not part.fixed and not part.dropped:
                part.dropped = True
                self.too_many_tokens -= part.tokens

    def replace_outputs(self, steps: range) -> None:
        """Replace outputs of calls in `steps`, the oldest first, as many as are needed."""
        calls: dict[str, bytes] = {}
        for part in self._parts:
            if self.too_many_tokens <= 0:
                return
            if part.is_call:
                calls[part.call_id] = part.raw
            if part.fixed or part.dropped or not part.is_output or part.step not in steps:
                continue
            if part.tokens < WORTH_TOKENS:
                continue
            before_tokens = part.tokens
            replace_output(part, _called(calls.get(part.output_of)))
            self.too_many_tokens -= before_tokens - part.tokens


def _grouped(parts: Iterable[tuple[int, Part]]) -> dict[int, list[Part]]:
    groups: dict[int, list[Part]] = {}
    for number, part in parts:
        groups.setdefault(number, []).append(part)
    return groups


def replace_output(part: Part, called: str) -> None:
    """Show in place of an output what it was of, its size, and how to find it."""
    where = "" if part.place is None or part.place < 0 else _recall(part.place)
    text = f"[Left out to make room: the output of {called}, about {part.tokens:,} tokens.{where}]"
    freeform = part.type == "custom_tool_call_output"
    part.replace(encode_output(part.output_of, freeform, text))


def cut_message(part: Part, tokens: int) -> None:
    """Show only the beginning of a message of the user, and how to find the rest."""
    text = readable(part.raw).text
    if part.tokens <= tokens:
        return
    where = "" if part.place is None or part.place < 0 else _recall(part.place)
    head = text.encode("utf-8", "replace")[: tokens * 3].decode("utf-8", "ignore")
    note = f"[octavo left out the rest of this message, {part.tokens:,} tokens in all.{where}]"
    part.replace(message("user", [text_part(f"{head}\n{note}")]))


def _recall(place: int) -> str:
    return f' recall {{"item": {place}}} shows it.'


def _called(raw: bytes | None) -> str:
    if raw is None:
        return "a call"
    call = readable(raw)
    given = visible_line(" ".join(call.text[: NAMED_CHARS * 4].split()))
    if len(given) > NAMED_CHARS:
        given = f"{given[:NAMED_CHARS]}…"
    return f"{call.name or 'a call'} {given}".rstrip()


def is_left_out(part: Part) -> bool:
    """Whether a part only says that something was left out there: a new one will say it."""
    return part.kind == "note" and (part.place or 0) < 0 and _LEFT_OUT_HERE in part.raw


def with_notes(parts: Sequence[Part], until: int) -> Iterator[Part]:
    """Yield what is still shown, and for each run that is not a note of where it is to be found.

    Args:
        until: how many entries the history has.
    """
    run: list[Part] = []
    first = 0
    for part in parts:
        if part.dropped:
            run.append(part)
            continue
        if run:
            place = part.place if part.place is not None and part.place >= 0 else until
            yield _note(run, first, place - 1)
            run = []
        if part.place is not None and part.place >= 0:
            first = part.place + 1
        yield part
    if run:
        yield _note(run, first, until - 1)


def _note(run: Sequence[Part], first: int, last: int) -> Part:
    calls = sum(part.is_call for part in run)
    tokens = sum(part.tokens for part in run)
    text = (
        f"{_LEFT_OUT_HERE.decode()} to make room, without a summary: items {first} to {last} of "
        f"the record of this thread, with {calls} calls of tools, about {tokens:,} tokens. Search "
        "them with recall before you rely on what was in them.]"
    )
    note = Part(None, message("developer", [text_part(text)]), "note")
    note.fixed = True
    return note
