"""What the model is told came of its calls and turns.

An output that a call really gave is encoded by `encode_output`. An output that a call never got is
derived here when a prompt is assembled (`missing_output`), never written into the log, so every
call has exactly one output however its turn ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from octavo.context.encode import Part, encode, message, text_part
from octavo.context.visible import visible_line

UNDO_PATHS = 50
"""How many restored files the model is told by name."""

Why = Literal["interrupted", "crashed", "cut", "failed", "step_limit", "budget"]
"""Why a call has no output: the turn's outcome, or "cut" when the response broke off."""


def encode_output(call_id: str, freeform: bool, content: str | Sequence[Part]) -> bytes:
    """Return the output of a call as a model item.

    Args:
        call_id: the id the model gave the call.
        freeform: the call was a `custom_tool_call`.
        content: text, or content parts such as an `input_image`.
    """
    kind = "custom_tool_call_output" if freeform else "function_call_output"
    return encode({"type": kind, "call_id": call_id, "output": content})


def missing_output(call_id: str, freeform: bool, why: Why, *, ran: bool) -> bytes:
    """Return the output of a call that never got one.

    Args:
        call_id: the id the model gave the call.
        freeform: the call was a `custom_tool_call`.
        why: how it came that there is none.
        ran: the call's start is in the log, so it may have had an effect.
    """
    text = _STOPPED[why] if ran else f"Not run: {_CAUSE[why]} before this call started."
    return encode_output(call_id, freeform, text)


_CAUSE: dict[Why, str] = {
    "interrupted": "the user interrupted the turn",
    "crashed": "octavo stopped unexpectedly",
    "cut": "your response broke off",
    "failed": "the turn failed",
    "step_limit": "the turn reached its limit of steps",
    "budget": "the turn's budget was used up",
}

_UNKNOWN = "How far it got is unknown: look at the actual state before you repeat it."

_STOPPED: dict[Why, str] = {
    "interrupted": (
        "Stopped by the user, on purpose, while it ran; its output is lost. What it had already"
        " changed stays changed: look at the actual state before you go on."
    ),
    "crashed": f"No result: octavo stopped unexpectedly while this ran. {_UNKNOWN}",
    "cut": f"No result: the response broke off while this ran. {_UNKNOWN}",
    "failed": f"No result: the turn failed while this ran, and it was ended. {_UNKNOWN}",
    "step_limit": (f"No result: the turn reached its limit of steps while this ran. {_UNKNOWN}"),
    "budget": f"No result: the turn's budget was used up while this ran. {_UNKNOWN}",
}


def turn_note(outcome: str) -> bytes | None:
    """Return the message that follows a turn that did not end by itself; None if none is needed.

    Args:
        outcome: as in `TurnEnded`.
    """
    text = _NOTES.get(outcome)
    if text is None:
        return None
    return message("user", [text_part(f"<turn_aborted>\n{text}\n</turn_aborted>")])


def undo_note(paths: Sequence[str]) -> bytes:
    """Return the message that follows where files were restored behind the model's back."""
    shown = "\n".join(map(visible_line, paths[:UNDO_PATHS]))
    more = f"\nand {len(paths) - UNDO_PATHS} more" if len(paths) > UNDO_PATHS else ""
    text = (
        "The user restored these files to what they were at another time; what was said of them"
        f" before may not hold any more. Look at them before you rely on it.\n{shown}{more}"
    )
    return message("user", [text_part(f"<files_restored>\n{text}\n</files_restored>")])


_NOTES = {
    "interrupted": (
        "The user interrupted this turn on purpose. Commands it had started were ended, and files"
        " may be half changed. Do not take the work up again unless the next message asks for it;"
        " when you do, look at the actual state first."
    ),
    "crashed": (
        "octavo stopped unexpectedly during this turn. Commands it had started were ended, and"
        " files may be half changed. Look at the actual state before you go on."
    ),
    "step_limit": (
        "This turn was stopped because it reached its limit of steps. Commands it had started"
        " were ended. Say where the work stands when you go on."
    ),
    "budget": (
        "This turn was stopped because its budget of tokens, money or time was used up. Commands"
        " it had started were ended, and files may be half changed. When you go on, look at the"
        " actual state first, do not repeat what is done, and take the shortest way to the end."
    ),
}
