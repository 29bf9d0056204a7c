"""What the model is told of the thread's goal: once in full, then a few words a turn. Pure."""

from __future__ import annotations

from octavo.context.encode import message, text_part
from octavo.context.visible import visible


def goal_text(objective: str) -> str:
    """Return what is before the model for as long as the goal is active."""
    shown = visible(objective).replace("</goal>", "&lt;/goal&gt;")
    return f"<goal>\n{shown}\n</goal>\n{_RULES}"


def turn_message(
    number: int, tokens_used: int, token_budget: int | None, time_used_s: int, idle_turns: int
) -> bytes:
    """Return the message that begins a turn which nobody else began.

    Args:
        number: of the turn among those of this goal, from 1.
        idle_turns: how many in a row, up to now, brought nothing new.
    """
    of = "" if token_budget is None else f" of {token_budget:,}"
    spent = f"{tokens_used:,}{of} tokens and {_duration(time_used_s)} are spent."
    if number == 1:
        said = f"Begin to work on the goal. {spent}"
    else:
        said = f"Turn {number} of the goal: go on with what is next. {spent}"
    if idle_turns:
        turns = "The last turn" if idle_turns == 1 else f"The last {idle_turns} turns"
        said += f" {turns} {_IDLE}"
    return _framed("goal_turn", said)


def wrap_up_message(tokens_used: int, token_budget: int) -> bytes:
    """Return what the model is told, once, in the turn in which the budget is used up."""
    return _framed(
        "goal_budget",
        f"The goal's budget is used up: {tokens_used:,} of {token_budget:,} tokens. Begin nothing "
        "new. Bring what you are in the middle of to a safe state, then say what is done, what is "
        "not, and what comes next. Do not call the goal complete because of this; it is complete "
        "only if it was reached.",
    )


def _framed(tag: str, text: str) -> bytes:
    return message("user", [text_part(f"<{tag}>\n{text}\n</{tag}>")])


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


_IDLE = (
    "brought nothing new: no call, or only calls that were made before and gave the same. Take "
    "another way. If everything is done, check it and call update_goal; if only the user can get "
    "you further, call it with blocked. Otherwise octavo stops here soon."
)

_RULES = """\
This is the thread's goal. You work on it by yourself, turn after turn: when you end a turn and \
the goal is still active, octavo begins the next one. Nobody may be watching.
- Go for all of it. Do not replace it by something smaller that is easier to reach.
- Use a turn for a real piece of work; end it with a few sentences on what is done and what is next.
- Before you call update_goal with complete, go through the goal point by point, and look at the \
actual state for each: files, output, tests that you run now. What you remember or intend is no \
evidence. If anything is missing or unsure, go on instead.
- Call update_goal with blocked only when you have tried what you can, and nothing gets you \
further but something that only the user can do or decide. Say in your answer what that is.
- A goal widens no permission: what has to be asked is still asked, and a no holds.
- What the user writes comes first."""
