"""Which hooks a tool call is for, and how it is told to them.

Hooks written for Codex know `Bash` and `apply_patch`; those for Claude Code know `Bash`, `Write`
and `Edit`, one file at a time. A hook that asks for `apply_patch` gets the patch as one; a hook
that asks for `Write` or `Edit` only runs once for each file. Nothing here starts anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from octavo.config.hooks import Hook, is_exact
from octavo.model import Call
from octavo.protocol.show import CALL_TOOL

NAME_LIMIT_CHARS = 200
"""A longer name is matched by hooks for everything alone: a pattern could take ages over it."""
FILES_LIMIT = 50
"""How many files of one patch are told one by one; a patch with more is not run, where it would
have to be told so: a guard of files must not miss one."""
MATCHING = frozenset(
    (
        *("PreToolUse", "PermissionRequest", "PostToolUse", "SessionStart", "SessionEnd"),
        *("PreCompact", "PostCompact"),
    )
)
"""Events that have something to match; others run every hook."""


class Seen(msgspec.Struct, frozen=True):
    """A tool call as a hook sees it: a name and the input that goes with it."""

    name: str
    input: Any


class Told(msgspec.Struct, frozen=True):
    """A tool call as hooks are told of it.

    Attributes:
        seen: under its own name.
        others: under other names, a group each; those of one group are told one after the other.
        shown: what to call it in a sentence.
    """

    seen: Seen
    others: tuple[tuple[Seen, ...], ...] = ()
    shown: str = ""

    def is_too_much_for(self, hook: Hook) -> bool:
        """Whether the hook would have to be told of more files than it can be."""
        return len(self.for_hook(hook)) > FILES_LIMIT

    def for_hook(self, hook: Hook) -> Sequence[Seen]:
        """Return what the hook is told: nothing if it is not for this call."""
        for group in ((self.seen,), *self.others):
            found = [one for one in group if matches(hook.matcher, one.name)]
            if found:
                return found
        return ()


def matches(matcher: str | None, name: str) -> bool:
    """Whether a matcher is for `name`: names apart by "|", or a regular expression."""
    if matcher is None or matcher in ("", "*"):
        return True
    if is_exact(matcher):
        return name in matcher.split("|")
    return len(name) <= NAME_LIMIT_CHARS and re.search(matcher, name) is not None


def told(call: Call, cwd: Path) -> Told:
    """Return how hooks are told of a call; its arguments need not be valid."""
    given = _arguments(call)
    if call.name == "exec_command" and isinstance(given, dict):
        command = given.get("cmd")
        bash: dict[str, Any] = {"command": command if isinstance(command, str) else ""}
        if isinstance(given.get("justification"), str):
            bash["description"] = given["justification"]
        return Told(Seen("Bash", bash), _patched(bash["command"], cwd), bash["command"])
    if call.name == "apply_patch":
        patch = given.get("input") if isinstance(given, dict) else call.arguments
        text = patch if isinstance(patch, str) else call.arguments
        return Told(Seen("apply_patch", {"command": text}), (_files(text, cwd),), "apply_patch")
    if call.name == CALL_TOOL and isinstance(given, dict):  # another way to say the same
        name = str(given.get("name"))
        return Told(Seen(name, given.get("arguments", {})), shown=name)
    return Told(Seen(call.name, given), shown=call.name)


def rewritten(call: Call, wanted: Mapping[str, Any]) -> Call:
    """Return the call with what a hook wants instead; it is judged like any other.

    Raises:
        ValueError: that is no input for this tool.
    """
    if call.name == "apply_patch":
        patch = wanted.get("command", wanted.get("input"))
        if not isinstance(patch, str):
            raise ValueError("updatedInput has no patch as `command`")
        arguments = patch if call.freeform else msgspec.json.encode({"input": patch}).decode()
        return msgspec.structs.replace(call, arguments=arguments)
    if call.name == "exec_command":
        given = _arguments(call)
        command = wanted.get("command", wanted.get("cmd"))
        if not isinstance(command, str) or not isinstance(given, dict):
            raise ValueError("updatedInput has no `command`")
        wanted = {**given, "cmd": command}
    if call.name == CALL_TOOL:
        given = _arguments(call)
        if not isinstance(given, dict):
            raise ValueError("updatedInput is for a call that is none")
        wanted = {**given, "arguments": wanted}
    return msgspec.structs.replace(call, arguments=msgspec.json.encode(wanted).decode())


def _arguments(call: Call) -> Any:
    if call.freeform:
        return call.arguments
    try:
        given = msgspec.json.decode(call.arguments or "{}")
        # The toolbox takes an object that was encoded twice, so hooks have to be told of it.
        return msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return call.arguments


def _patched(command: str, cwd: Path) -> tuple[tuple[Seen, ...], ...]:
    """Return a command that is nothing but a patch as what it is."""
    if "patch" not in command:
        return ()
    from octavo.tools.patch.heredoc import extract_heredoc

    found = extract_heredoc(command)
    if found is None:
        return ()
    patch, directory = found
    whole = Seen("apply_patch", {"command": patch})
    return ((whole,), _files(patch, cwd / directory if directory else cwd))


def _files(patch: str, cwd: Path) -> tuple[Seen, ...]:
    """Return a patch file by file; nothing if it is no patch."""
    from octavo.tools import ToolFailed
    from octavo.tools.patch import AddFile, UpdateFile
    from octavo.tools.patch.parse import parse
    from octavo.tools.patch.plan import resolve

    try:
        sections = parse(patch).sections
    except ToolFailed:
        return ()
    seen: list[Seen] = []
    for section in sections:
        given: dict[str, Any] = {"file_path": str(resolve(section.path, cwd))}
        name = "Edit"
        match section:
            case AddFile():
                name = "Write"
                given["content"] = "".join(f"{line}\n" for line in section.lines)
            case UpdateFile():
                if section.move_to is not None:  # the file is gone from where it was
                    seen.append(Seen(name, dict(given)))
                    given["file_path"] = str(resolve(section.move_to, cwd))
                given["old_string"] = "\n".join(t for chunk in section.chunks for t in chunk.old())
                given["new_string"] = "\n".join(t for chunk in section.chunks for t in chunk.new())
            case _:
                pass
        seen.append(Seen(name, given))
    return tuple(seen)
