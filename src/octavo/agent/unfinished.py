"""What came of the calls that were open when octavo was stopped, seen when it starts again.

Each is done, not done, partly done or unknown; that is looked up once, recorded as the call's
output, and so told to the model in the same words ever after. Nothing is done again. A call whose
start is not in the log had no effect, as nothing has one before. A patch is compared with what its
files were and would be, a commit with where the repository stood. Of another command only its end
would tell, and nobody saw that.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.labels import BOTH
from octavo.context import cut_off
from octavo.context.cut_off import Found
from octavo.context.outputs import encode_output
from octavo.policy.porcelain import GitScript, NotPlain, read_git
from octavo.policy.porcelain_options import READING, REMOTE
from octavo.protocol.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    EditIntent,
    Event,
    FileMark,
    GitMark,
    ItemAdded,
    RunIntent,
    ToolIntent,
    TurnStarted,
)
from octavo.protocol.fold import Thread
from octavo.workspace import git_mark
from octavo.workspace.marks import digest_at, left_behind

TAIL_CHARACTERS = 4_000
"""How much of a stopped command's output is told."""
_TELLING = frozenset(("add", "commit", "tag"))
"""Calls of git whose whole effect is in the refs and the index."""
_TYPES = "write_stdin"

_IN_SHORT: dict[Found, str] = {
    "done": "done",
    "not_done": "not done",
    "partly": "partly done",
    "unknown": "unknown",
}

Verdict = tuple[Found, str]


class Kept(msgspec.Struct, frozen=True):
    """The file with what a command had written, and the end of that as a model may see it."""

    path: Path
    tail: str


FindKept = Callable[[str], Kept | None]
"""Finds what was kept of a call's output."""


def endings(events: Sequence[Event], thread: Thread, find_kept: FindKept) -> Iterator[CallEnded]:
    """Yield how each open call of `thread` ended, as far as that can be seen now.

    Reads files of the workspace: off the event loop.

    Args:
        events: the log that made `thread`.
        find_kept: finds the outputs that outlived their commands.
    """
    if thread.turn is None:
        return
    turn_id = thread.turn.started.turn_id
    added, started = _of_the_turn(events)
    for call_id, freeform, _ in thread.waiting():
        start = started.get(call_id)
        kept = None if start is None else find_kept(call_id)
        found, text = _verdict(added.get(call_id), start, kept)
        raw = msgspec.Raw(encode_output(call_id, freeform, text))
        facts = CallFacts(found=found, output_path=None if kept is None else str(kept.path))
        # What a stopped command had read is not known any more, so the worst is taken for true.
        labels = () if kept is None else tuple(sorted(BOTH))
        yield CallEnded(turn_id, call_id, now_ms(), raw, found == "done", facts, labels)


def told_in_short(ended: Sequence[CallEnded]) -> str:
    """Return the sentence for the person."""
    counts = Counter(event.facts.found for event in ended if event.facts is not None)
    listed = ", ".join(
        f"{counts[found]} {word}" for found, word in _IN_SHORT.items() if counts[found]
    )
    return (
        f"octavo was stopped during the last turn. Of the calls that were open then: {listed}. The"
        " model is told which; nothing was done again."
    )


def _of_the_turn(events: Sequence[Event]) -> tuple[dict[str, ItemAdded], dict[str, CallStarted]]:
    added: dict[str, ItemAdded] = {}
    started: dict[str, CallStarted] = {}
    for event in reversed(events):
        match event:
            case ItemAdded(call_id=str(call_id)):
                added[call_id] = event
            case CallStarted():
                started[event.call_id] = event
            case TurnStarted():
                break
            case _:
                pass
    return added, started


def _verdict(added: ItemAdded | None, started: CallStarted | None, kept: Kept | None) -> Verdict:
    if started is None:
        if added is not None and added.name == _TYPES and b"chars" in bytes(added.raw):
            return "unknown", cut_off.typed()
        return "not_done", cut_off.never_began()
    match started.intent:
        case EditIntent():
            return _edit(started.intent)
        case RunIntent():
            return _run(started.intent, kept)
        case ToolIntent():
            return "unknown", cut_off.server_call(started.intent.server, started.intent.tool)
        case _:
            assert_never(started.intent)


# ---- Patches ----


def _edit(intent: EditIntent) -> Verdict:
    if not intent.files:
        return "unknown", cut_off.files_unmarked()
    done: list[str] = []
    not_done: list[str] = []
    other: list[str] = []
    for file in intent.files:
        now = digest_at(Path(file.path))
        kind = done if now == file.after else not_done if now == file.before else other
        kind.append(file.path)
    verdict: Verdict
    if not (not_done or other):
        verdict = "done", cut_off.files_done(done)
    elif not (done or other):
        verdict = "not_done", cut_off.files_not_done(not_done)
    else:
        found: Found = "unknown" if other else "partly"
        verdict = found, cut_off.files_mixed(done, not_done, other)
    left = _left_by(intent.files)
    return (verdict[0], verdict[1] + cut_off.remains(left)) if left else verdict


def _left_by(files: Sequence[FileMark]) -> list[str]:
    """Return what the stopped change left beside its files: what holds content of theirs."""
    contents = {digest for file in files for digest in (file.before, file.after)} - {None}
    folders = dict.fromkeys(Path(os.path.realpath(file.path)).parent for file in files)
    return [
        str(path)
        for folder in folders
        for path in left_behind(folder)
        if digest_at(path) in contents
    ]


# ---- Commands ----


def _run(intent: RunIntent, kept: Kept | None) -> Verdict:
    script = _git(intent)
    if intent.git is not None and script is not None:
        found, text = _git_run(script, intent.git)
        held = [str(path) for path in git_mark.locks(Path(intent.git.top))]
        return found, text + (cut_off.locked(held) if held else "")
    text = cut_off.command(*(() if kept is None else (kept.tail, str(kept.path))))
    return "unknown", text + (cut_off.reaching_out() if intent.outside else "")


def _git(intent: RunIntent) -> GitScript | None:
    try:
        return read_git(intent.command)
    except NotPlain:
        return None


def _git_run(script: GitScript, before: GitMark) -> Verdict:
    now = git_mark.mark(Path(before.top))
    steps = [step for step in script.steps if step.subcommand not in READING]
    words = [step.subcommand for step in steps]
    if now is None or now.top != before.top:
        return "unknown", cut_off.git_unknown("Its repository cannot be read now.")
    said = _what_changed(before, now)
    if any(word in REMOTE for word in words):
        return "unknown", cut_off.git_unknown(said) + cut_off.reaching_out()
    if not set(words) <= _TELLING:
        return "unknown", cut_off.git_unknown(said)
    if now == before:
        return "not_done", cut_off.git_not_done()
    moved = now.head == before.head and now.commit != before.commit
    if words.count("commit") == 1 and words[-1] == "commit" and "tag" not in words and moved:
        return "done", cut_off.git_done(f"HEAD went from {_short(before)} to {_short(now)}")
    same_head = (now.head, now.commit) == (before.head, before.commit)
    if words == ["add"] and same_head and now.refs == before.refs:
        return "done", cut_off.git_done("the index has changed")
    if words == ["tag"] and same_head and now.index == before.index:
        return "done", cut_off.git_done("the refs have changed")
    if "commit" in words and "tag" not in words and same_head and now.refs == before.refs:
        return "partly", cut_off.git_partly("The index has changed, and nothing was committed.")
    return "unknown", cut_off.git_unknown(said)


def _what_changed(before: GitMark, now: GitMark) -> str:
    parts = []
    if (now.head, now.commit) != (before.head, before.commit):
        parts.append(f"HEAD was {_named(before)} and is {_named(now)} now.")
    else:
        parts.append(f"HEAD is {_named(now)}, as before.")
    same = [name for name in ("refs", "index") if getattr(now, name) == getattr(before, name)]
    changed = [name for name in ("refs", "index") if name not in same]
    if changed:
        parts.append(f"Changed since: {', '.join(changed)}.")
    if same:
        parts.append(f"Not changed: {', '.join(same)}.")
    return " ".join(parts)


def _named(mark: GitMark) -> str:
    if mark.head.startswith("ref: "):
        return f"{mark.head.removeprefix('ref: ')} at {_short(mark)}"
    return _short(mark)


def _short(mark: GitMark) -> str:
    return "no commit" if mark.commit is None else mark.commit[:12]
