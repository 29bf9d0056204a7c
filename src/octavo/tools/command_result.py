"""What a model is told about a command: a few header lines, `Output:`, and what it wrote."""

from __future__ import annotations

import signal
import time

import anyio

from octavo.tools import Hands
from octavo.tools.capture import Window
from octavo.tools.denials import about_remotes, explain
from octavo.tools.sessions import Session, exit_code

LEAST_WAIT_MS = 250

_NO_PATCH_PROGRAM = "apply_patch: command not found"
_GIT_REFUSED = ".lock': Read-only file system"
"""Git could not write; its status is lost where it runs in a pipe."""
_PATCH_IS_A_TOOL = (
    "nothing was patched: apply_patch is a tool, not a program. Call the tool with the patch; run "
    "other commands in a call of their own."
)


def clamp_wait_s(yield_time_ms: float | None, *, default_ms: int, most_ms: int) -> float:
    """Return how long a call waits: what the model asked for, within what is sensible."""
    wait_ms = default_ms if yield_time_ms is None else whole(yield_time_ms)
    return min(max(wait_ms, LEAST_WAIT_MS), most_ms) / 1000


def whole(value: float) -> int:
    """Return `value` as an integer; 0 for what no call means: infinity, or no number at all."""
    return int(value) if abs(value) < 1e15 else 0


async def wait_and_report(
    session: Session,
    hands: Hands,
    *,
    wait_s: float,
    max_output_tokens: float | None,
    note: str | None = None,
) -> str:
    """Wait for the command, at most that long, and return what there is to say then.

    Cancelled, it ends the command that this call started, and returns what that had written: the
    model is to know it when the thread goes on. Whoever cancelled hears of it at their next wait.
    """
    began_s = time.monotonic()
    try:
        window = await session.wait(wait_s)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            if session.call_id == hands.call_id:
                await hands.sessions.kill_calls([session.call_id])
                note = _STOPPED
            window = session.capture.take(final=not session.running)
            wall_s = time.monotonic() - began_s
            return await _report(session, hands, window, wall_s, max_output_tokens, note)
    wall_s = time.monotonic() - began_s
    return await _report(session, hands, window, wall_s, max_output_tokens, note)


_STOPPED = "it was ended while it ran, as the turn was. What it had changed stays changed."


async def _report(
    session: Session,
    hands: Hands,
    window: Window,
    wall_s: float,
    max_output_tokens: float | None,
    note: str | None,
) -> str:
    limit = hands.output_limit_tokens
    if max_output_tokens is not None:
        limit = min(limit, max(0, whole(max_output_tokens)))
    fits = window.fits(limit)
    if not fits:
        await session.capture.keep_whole()
    shown = window.show(limit, None if fits else session.capture.where())
    hands.sessions.forget_read(session)
    hosts = await hands.blocked(session.permit, session.told_hosts)
    lines = [f"Wall time: {wall_s:.4f} seconds", _state(session)]
    if note is not None:
        lines.append(f"Note: {note}")
    if _NO_PATCH_PROGRAM in shown:
        lines.append(f"Note: {_PATCH_IS_A_TOOL}")
    permit = session.permit
    is_apart = not permit.outside and permit.gh is None and not permit.remotes and not hands.network
    if is_apart and (advice := about_remotes(shown)) is not None:
        lines.append(f"Note: {advice}")
    lines += [f"Note: {host}" for host in hosts]
    confined = not permit.outside and not hosts
    failed = session.exit is None or exit_code(session.exit) != 0
    if confined and (failed or _GIT_REFUSED in shown):
        denial = explain(shown, hands, running=session.exit is None)
        if denial is not None:
            lines.append(f"Note: {denial}")
    if not fits:
        lines.append(f"Original token count: {window.tokens}")
    return "\n".join([*lines, "Output:", shown])


def _state(session: Session) -> str:
    if session.exit is None or session.running:
        return f"Process running with session ID {session.number}"
    ended = f"Process exited with code {exit_code(session.exit)}"
    if session.lost is not None:
        return f"{ended} (killed, as the sandbox was lost: {session.lost})"
    if session.exit.signal is not None:
        return f"{ended} (ended by {_signal_name(session.exit.signal)})"
    return ended


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
