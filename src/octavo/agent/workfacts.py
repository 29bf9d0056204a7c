"""What a thread's history tells about the work without a model: the plan, and the files of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from octavo.context.handover import WorkFacts
from octavo.context.readable import Readable, readable
from octavo.protocol.fold import Spoken, Thread

COMMANDS_LOOKED_AT = 300
FILES_LIMIT = 200
_MARKS = {"completed": "[x]", "in_progress": "[>]", "pending": "[ ]"}
_WORD = re.compile(r"[\w./@+~-]{2,300}")
PLAN_ACCEPTED = "Plan updated"
"""How the output of a call that changed the plan begins; see `tools.builtin.update_plan`."""


class _Step(msgspec.Struct):
    step: str
    status: str


class _Plan(msgspec.Struct):
    plan: list[_Step]


class _Command(msgspec.Struct):
    cmd: str = ""
    path: str = ""


def work_facts(thread: Thread, cwd: Path) -> WorkFacts:
    """Return what is known about the work in `cwd`."""
    changed = [_shown(path, cwd) for path in reversed(thread.edited)]
    outputs: dict[str, str] = {}
    plan = ""
    opened: dict[str, None] = {}
    commands = 0
    for item in _backwards(thread):
        if item.kind == "output":
            outputs[item.call_id] = item.text[:100]
        elif item.kind != "call":
            continue
        elif item.name == "update_plan":
            if not plan and outputs.get(item.call_id, "").startswith(PLAN_ACCEPTED):
                plan = _plan(item.text)
        elif commands < COMMANDS_LOOKED_AT and len(opened) < FILES_LIMIT:
            commands += 1
            opened.update(dict.fromkeys(_files_named(item, cwd)))
    return WorkFacts(plan, tuple(changed), tuple(name for name in opened if name not in changed))


def readable_history(thread: Thread) -> Iterator[tuple[int, Readable]]:
    """Yield the items of the history that have their bytes, with their numbers."""
    for number, entry in enumerate(thread.history):
        if isinstance(entry, Spoken):
            yield number, readable(entry.raw)


def _backwards(thread: Thread) -> Iterator[Readable]:
    for entry in reversed(thread.history):
        if isinstance(entry, Spoken):
            yield readable(entry.raw)


def _plan(arguments: str) -> str:
    try:
        plan = msgspec.json.decode(arguments, type=_Plan)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return ""
    return "\n".join(f"{_MARKS.get(one.status, '[ ]')} {one.step}" for one in plan.plan)


def _files_named(call: Readable, cwd: Path) -> Iterator[str]:
    """Yield the files in `cwd` that a command names, or that an image was read from."""
    try:
        command = msgspec.json.decode(call.text, type=_Command)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return
    words = [command.path] if command.path else _WORD.findall(command.cmd[:4000])
    for word in dict.fromkeys(words):
        path = os.path.normpath(os.path.join(cwd, word))
        if path.startswith(f"{cwd}{os.sep}") and os.path.isfile(path):
            yield os.path.relpath(path, cwd)


def _shown(path: str, cwd: Path) -> str:
    return os.path.relpath(path, cwd) if path.startswith(f"{cwd}{os.sep}") else path
