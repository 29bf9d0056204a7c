"""What a hook's end means.

Exit 0 with nothing, or with text that is no JSON, is agreement; after SessionStart and
UserPromptSubmit such text is context for the model. Exit 0 with a JSON object says more, exit 2 is
a no whose reason is on stderr. Anything else is a failed hook: nothing it said counts, the person
is told, and the turn goes on (Codex does the same), unless the hook was told to block when it
fails.

Shapes: Codex 0.169 and the hooks reference of Claude Code. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from octavo.agent.hooks.process import OUT_LIMIT_BYTES, Ran
from octavo.protocol.hooks import HookEntry, HookStatus

CONTEXT_EVENTS = frozenset(("SessionStart", "UserPromptSubmit"))
"""After these, plain text is context."""
REFUSING_EVENTS = frozenset(
    ("UserPromptSubmit", "PreModelRequest", "PreToolUse", "PermissionRequest", "PreCompact")
)
"""What these announce has not happened yet, so a no keeps it from happening."""
_NO_REASON = "It gave no reason."


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one hook, or all of an event's together, want.

    Attributes:
        block: why not; for Stop and PostToolUse, what the model shall do or know instead.
        stop: why the turn is to end.
        ask: why a person is to be asked first.
        context: what the model shall know.
        input: what the tool shall get instead.
        entries: what to show of it.
    """

    status: HookStatus = "completed"
    block: str | None = None
    stop: str | None = None
    ask: str | None = None
    context: tuple[str, ...] = ()
    input: dict[str, Any] | None = None
    entries: tuple[HookEntry, ...] = ()


NOTHING = Verdict()


class _Decision(msgspec.Struct, frozen=True, rename="camel"):
    behavior: Literal["allow", "deny"]
    message: str | None = None


class _Specific(msgspec.Struct, frozen=True, rename="camel"):
    hook_event_name: str | None = None
    permission_decision: Literal["allow", "deny", "ask", "defer"] | None = None
    permission_decision_reason: str | None = None
    updated_input: dict[str, Any] | None = None
    additional_context: str | None = None
    decision: _Decision | None = None


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    continue_: bool = msgspec.field(default=True, name="continue")
    stop_reason: str | None = None
    suppress_output: bool = False
    system_message: str | None = None
    decision: Literal["approve", "block", "allow", "deny"] | None = None
    reason: str | None = None
    additional_context: str | None = None
    hook_specific_output: _Specific | None = None


def read_reply(event: str, ran: Ran) -> Verdict:
    """Return what a hook wants that ran for `event`."""
    if ran.trouble:
        return failed(f"It {ran.trouble.rstrip('.')}.")
    if ran.exit is None or ran.exit.code is None:
        number = "" if ran.exit is None else f" by signal {ran.exit.signal}"
        return failed(f"It was ended{number}.")
    if ran.exit.code == 2:
        reason = _text(ran.err).strip() or _NO_REASON
        return _no(reason)
    if ran.exit.code != 0:
        return failed(_ended(ran.exit.code, _text(ran.err).strip()))
    return _zero(event, ran)


def failed(why: str) -> Verdict:
    """Return what a hook wants that did not do what it should: nothing."""
    return Verdict(status="failed", entries=(HookEntry("error", why),))


def join(verdicts: Sequence[Verdict]) -> Verdict:
    """Return what hooks want together, in their order: one no is a no, the last input counts."""
    block = [one.block for one in verdicts if one.block is not None]
    stop = [one.stop for one in verdicts if one.stop is not None]
    ask = [one.ask for one in verdicts if one.ask is not None]
    inputs = [one.input for one in verdicts if one.input is not None]
    return Verdict(
        block="\n\n".join(block) if block else None,
        stop=stop[0] if stop else None,
        ask="\n\n".join(ask) if ask else None,
        context=tuple(text for one in verdicts for text in one.context),
        input=inputs[-1] if inputs else None,
    )


def _no(reason: str, more: tuple[HookEntry, ...] = ()) -> Verdict:
    entries = (*more, HookEntry("feedback", reason))
    return Verdict(status="blocked", block=reason, entries=entries)


def _zero(event: str, ran: Ran) -> Verdict:
    try:
        text = ran.out.decode()
    except UnicodeDecodeError as error:
        cut = ran.out_bytes > len(ran.out) and error.start > len(ran.out) - 4
        if not cut:
            return failed("What it printed is not UTF-8 text.")
        text = ran.out.decode(errors="ignore")
    if text.lstrip()[:1] in ("{", "["):
        if ran.out_bytes > len(ran.out):
            return failed(
                f"It printed {ran.out_bytes:,} bytes; an answer has {OUT_LIMIT_BYTES:,} at most."
            )
        return _json(event, text)
    text = text.strip()
    if not text or event not in CONTEXT_EVENTS:
        return NOTHING
    return Verdict(context=(text,), entries=(HookEntry("context", text),))


def _json(event: str, text: str) -> Verdict:
    try:
        said = msgspec.json.decode(text, type=_Said)
    except (msgspec.DecodeError, RecursionError) as error:
        return failed(f"What it printed is no answer that octavo understands: {error}.")
    specific = said.hook_specific_output or _Specific()
    entries: list[HookEntry] = []
    if said.system_message:
        entries.append(HookEntry("warning", said.system_message))
    context = tuple(filter(None, (specific.additional_context, said.additional_context)))
    entries += [HookEntry("context", one) for one in context]
    if not said.continue_:
        reason = (said.stop_reason or said.reason or _NO_REASON).strip()
        entries.append(HookEntry("stop", reason))
        return Verdict(status="stopped", stop=reason, context=context, entries=tuple(entries))
    refusal = _refusal(event, said, specific)
    if refusal is not None:
        verdict = _no(refusal.strip() or _NO_REASON, tuple(entries))
        return msgspec.structs.replace(verdict, context=context)
    if event == "PreToolUse" and specific.permission_decision == "ask":
        reason = (specific.permission_decision_reason or "").strip() or _NO_REASON
        entries.append(HookEntry("feedback", reason))
        return Verdict(
            ask=reason, context=context, input=specific.updated_input, entries=tuple(entries)
        )
    wanted = specific.updated_input if event == "PreToolUse" else None
    return Verdict(context=context, input=wanted, entries=tuple(entries))


def _refusal(event: str, said: _Said, specific: _Specific) -> str | None:
    """Return the reason of a no, "" where none is given; None if it is no no."""
    if event == "PreToolUse" and specific.permission_decision is not None:
        denies = specific.permission_decision == "deny"
        return (specific.permission_decision_reason or said.reason or "") if denies else None
    if event == "PermissionRequest" and specific.decision is not None:
        return (specific.decision.message or "") if specific.decision.behavior == "deny" else None
    return (said.reason or "") if said.decision in ("block", "deny") else None


def _ended(code: int, err: str) -> str:
    """Say how a hook ended that ended badly; shells have numbers of their own for two ways."""
    if code == 126:
        what = "It cannot be executed"
    elif code == 127:
        what = "There is no such program"
    else:
        what = f"It ended with {code}"
    return f"{what}: {err}" if err else f"{what}."


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
