"""Logs of whole threads, for the tests of what is made from them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from octavo.protocol.events import (
    ForkedFrom,
    ItemAdded,
    Spent,
    StepEnded,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.ids import new_id
from octavo.protocol.usage import Usage
from octavo.store.rollout import Rollout

AT_MS = 1_790_000_000_000


def raw(role: str, text: str) -> msgspec.Raw:
    kind = "input_text" if role == "user" else "output_text"
    content = [{"type": kind, "text": text}]
    item = {"type": "message", "role": role, "content": content}
    return msgspec.Raw(msgspec.json.encode(item))


def add_turn(log: Rollout, asked: str, answer: str, *, at_ms: int = AT_MS, cwd: str = "/w") -> str:
    """Write a turn of one question and one answer, for ten tokens; return its id."""
    turn_id = new_id()
    log.append(TurnStarted(turn_id, at_ms, "m2", "p2", cwd, "workspace-write", "never"))
    log.append(UserSpoke(turn_id, new_id(), at_ms, raw("user", asked)))
    log.append(ItemAdded(turn_id, new_id(), "message", at_ms, raw("assistant", answer)))
    log.append(Spent(at_ms, "turn", "p2", "m2", Usage(total_tokens=10), turn_id=turn_id))
    log.append(StepEnded(turn_id, at_ms))
    log.append(TurnEnded(turn_id, at_ms + 5, "completed"))
    return turn_id


def write_thread(
    home: Path,
    *turns: tuple[str, str],
    cwd: str = "/w",
    at_ms: int = AT_MS,
    source: str = "exec",
    forked_from: ForkedFrom | None = None,
) -> tuple[str, Path]:
    """Write a thread; return its id and its log."""
    thread_id = new_id()
    with Rollout.create(home, thread_id, at_ms) as log:
        head = ThreadStarted(
            *(thread_id, cwd, at_ms, "0.1.0", "m", "p", source),
            format=2 if forked_from else 1,
            forked_from=forked_from,
        )
        log.append(head)
        for number, (asked, answer) in enumerate(turns):
            add_turn(log, asked, answer, at_ms=at_ms + 1000 * (number + 1), cwd=cwd)
    return thread_id, log.path
