"""Turns: which there are, taking them back, and taking that back."""

from __future__ import annotations

from octavo.agent import undo as undoing
from octavo.agent.last import user_texts
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.server.connection import Handler, Request

TEXT_CHARS = 200


async def undo(request: Request) -> m.UndoResult:
    """octavo/thread/undo"""
    params = request.params(m.UndoParams)
    if not params.files and not params.conversation:
        raise UsageError("There is nothing to undo: neither files nor the conversation.")
    agent = request.server.agent(params.thread_id)
    async with agent.undoing():
        event, left = await undoing.undo(
            agent.journal,
            agent.snapshots,
            params.turn_id,
            files=params.files,
            conversation=params.conversation,
            overwrite=params.overwrite,
        )
    return m.UndoResult(event.turn_ids, event.paths, left)


async def redo(request: Request) -> m.UndoResult:
    """octavo/thread/redo"""
    params = request.params(m.RedoParams)
    agent = request.server.agent(params.thread_id)
    async with agent.undoing():
        last = agent.journal.thread.undone
        left = await undoing.undo_undo(agent.journal, agent.snapshots, overwrite=params.overwrite)
    return m.UndoResult(*(((), ()) if last is None else (last.turn_ids, last.paths)), left)


async def turns(request: Request) -> m.UndoableTurns:
    """octavo/thread/turns"""
    thread = request.server.agent(request.params(m.ThreadIdParams).thread_id).journal.thread
    ends = [turn.said_before for turn in thread.turns[1:]] + [len(thread.said)]
    said = [
        user_texts(thread.said[turn.said_before : end])
        for turn, end in zip(thread.turns, ends, strict=False)  # no turn has an end, too
    ]
    return m.UndoableTurns(
        tuple(
            m.UndoableTurn(
                turn.started.turn_id,
                turn.started.at_ms // 1000,
                (texts[0] if texts else "")[:TEXT_CHARS],
                any(number != turn.before.get(root) for root, number in turn.after.items()),
                turn.undone,
            )
            for turn, texts in zip(thread.turns, said, strict=True)
        )
    )


HANDLERS: dict[str, Handler] = {
    m.UNDO.name: undo,
    m.REDO.name: redo,
    m.UNDO_LIST.name: turns,
}
