"""What a file says of hooks, as one list; nothing is run here.

The shape is that of Codex and Claude Code, so that a file written for either can be taken as it is:

    {"hooks": {EVENT: [{"matcher": "regex", "hooks": [{"type": "command", "command": "…",
                                                       "timeout": seconds}]}]}}

octavo adds two words for a hook: `sandbox = "outside"`, which counts in the person's own settings
alone, and `onFailure = "block"`, with which a call is refused when the hook before it fails. What
octavo would have to guess is not run, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from octavo.protocol.hooks import HookEventName, HookSource
from octavo.protocol.visible import visible_line

EVENTS: dict[str, HookEventName] = {
    "SessionStart": "sessionStart",
    "UserPromptSubmit": "userPromptSubmit",
    "PreModelRequest": "preModelRequest",
    "PreToolUse": "preToolUse",
    "PermissionRequest": "permissionRequest",
    "PostToolUse": "postToolUse",
    "PreCompact": "preCompact",
    "PostCompact": "postCompact",
    "Stop": "stop",
    "SessionEnd": "sessionEnd",
}
"""As files name them, and as the wire does."""

DEFAULT_TIMEOUT_S = 600
MOST_TIMEOUT_S = 86_400
HOOKS_LIMIT = 200
"""In one file."""
COMMAND_LIMIT_CHARS = 32_768

_WORDS = frozenset(
    ("type", "command", "timeout", "timeoutSec", "statusMessage", "sandbox", "onFailure", "once")
)
_HARMLESS = frozenset(("description", "name", "async", "additionalContextLimit", "commandWindows"))


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One hook.

    Attributes:
        event: as files name it.
        matcher: what it is for; None is everything.
        command: for a shell.
        path: the file that names it.
        key: its place in there.
        outside: it runs outside of the sandbox.
        blocks: a call is refused when it fails.
        vouched: a project's file that names it and files that it names, and what the person agreed
            to.
    """

    event: str
    matcher: str | None
    command: str
    timeout_s: int
    status_message: str | None
    source: HookSource
    path: Path
    key: str
    outside: bool = False
    blocks: bool = False
    vouched: tuple[tuple[Path, bytes], ...] = ()

    @property
    def name(self) -> str:
        """How a person finds it."""
        return f"{visible_line(str(self.path))}: {visible_line(self.key)}"


def parse(table: object, *, path: Path, source: HookSource) -> tuple[list[Hook], list[str]]:
    """Return the hooks that a table by event names, and what is wrong with the others.

    Args:
        table: what stands under "hooks".
        path: the file it is from, for people.
    """
    hooks: list[Hook] = []
    problems: list[str] = []
    if not isinstance(table, Mapping):
        return hooks, [f"{path}: `hooks` is no table of events, so none of its hooks runs."]
    for event, groups in table.items():
        if event in ("state", "enabled"):
            continue
        shown = visible_line(str(event)[:80])
        if event not in EVENTS:
            problems.append(f"{path}: octavo has no event {shown}, so its hooks do not run.")
            continue
        for key, matcher, entry in _entries(event, groups):
            try:
                hook = _hook(event, matcher, entry, path=path, source=source, key=key)
            except ValueError as why:
                problems.append(f"{path}: the hook {key} does not run: {why}.")
            else:
                hooks.append(hook)
    if len(hooks) > HOOKS_LIMIT:
        problems.append(f"{path} names more than {HOOKS_LIMIT} hooks; the first ones count.")
    return hooks[:HOOKS_LIMIT], problems


def _entries(event: str, groups: object) -> Iterator[tuple[str, object, object]]:
    """Yield the place, the matcher and the words of every hook, however they are written."""
    for number, group in enumerate(groups if isinstance(groups, list | tuple) else [groups]):
        at = f"{event}:{number}"
        if not isinstance(group, Mapping) or not isinstance(group.get("hooks"), list | tuple):
            yield f"{at}:0", None, group
            continue
        for place, entry in enumerate(group["hooks"]):
            yield f"{at}:{place}", group.get("matcher"), entry


def _hook(
    event: str, matcher: object, entry: object, *, path: Path, source: HookSource, key: str
) -> Hook:
    """Return one hook. Raises ValueError with what is wrong, in words."""
    if not isinstance(entry, Mapping) or "hooks" in entry:
        raise ValueError('it is not written as {"matcher": …, "hooks": [{"type": "command", …}]}')
    kind = entry.get("type", "command")
    if kind != "command":
        raise ValueError(f"octavo runs commands only, not {visible_line(str(kind)[:40])!r}")
    if entry.get("async"):
        raise ValueError("octavo waits for every hook, and this one is `async`")
    unknown = sorted(str(name) for name in entry if name not in _WORDS | _HARMLESS)
    if unknown:
        raise ValueError(f"octavo does not know its {visible_line(', '.join(unknown)[:80])}")
    command = entry.get("command")
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        raise ValueError("it has no command")
    if len(command) > COMMAND_LIMIT_CHARS:
        raise ValueError(f"its command is longer than {COMMAND_LIMIT_CHARS:,} characters")
    message = entry.get("statusMessage")
    return Hook(
        event=event,
        matcher=_matcher(matcher),
        command=command,
        timeout_s=_timeout(entry.get("timeout", entry.get("timeoutSec", DEFAULT_TIMEOUT_S))),
        status_message=message if isinstance(message, str) else None,
        source=source,
        path=path,
        key=key,
        outside=_word(entry, "sandbox", ("inside", "outside")) == "outside",
        blocks=_word(entry, "onFailure", ("allow", "block")) == "block",
    )


def _matcher(matcher: object) -> str | None:
    if matcher is None:
        return None
    if not isinstance(matcher, str):
        raise ValueError("its matcher is no text")
    if not is_exact(matcher):
        try:
            re.compile(matcher)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"its matcher is no regular expression ({error})") from None
    return matcher


def is_exact(matcher: str) -> bool:
    """Whether a matcher is names apart by "|" and nothing more, or everything."""
    return matcher == "*" or all(char.isalnum() or char in "_|" for char in matcher)


def _timeout(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("its timeout is no number of seconds")
    if not 0 < value <= MOST_TIMEOUT_S:
        raise ValueError(f"its timeout is not between 1 and {MOST_TIMEOUT_S} seconds")
    return max(1, int(value))


def _word(entry: Mapping[str, object], name: str, words: tuple[str, str]) -> str:
    value = entry.get(name, words[0])
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"its {name} is neither {words[0]!r} nor {words[1]!r}")
    return value
