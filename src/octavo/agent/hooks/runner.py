"""Runs the hooks of one thread: finds those that an event is for, starts them, and joins their say.

The hooks of one event run side by side; their say is joined in the order in which they are
configured. Each has its events in the log, before it starts and when nothing of it is left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec.structs import replace

from octavo.agent.clock import now_ms
from octavo.agent.hooks.matching import FILES_LIMIT, MATCHING, Told, matches
from octavo.agent.hooks.process import Ran, run_hook
from octavo.agent.hooks.reply import NOTHING, REFUSING_EVENTS, Verdict, failed, join, read_reply
from octavo.agent.journal import Journal
from octavo.config.hook_files import (
    PROJECT_VARIABLES,
    HookFiles,
    hooks_stamp,
    is_as_agreed,
    read_hooks,
)
from octavo.config.hooks import EVENTS, Hook
from octavo.config.load import Loaded
from octavo.protocol.events import HookEnded, HookStarted, Noticed
from octavo.protocol.hooks import HookEntry, HookRun
from octavo.protocol.ids import new_id
from octavo.protocol.visible import visible, visible_line
from octavo.sandbox import OFF, Command, Policy, Process, Sandbox
from octavo.tools.redact import names_secret
from octavo.tools.truncate import truncate

SIDE_BY_SIDE = 8
SAY_TOKENS = 2_500
"""How much of one hook's text the model gets."""
SHOWN_TOKENS = 500
"""How much of it a person is shown."""
STATUS_CHARS = 200
END_TIMEOUT_S = 10
"""What a hook has at most when its thread ends."""
_TOO_MANY = (
    f"hooks look at each file of a patch, and this one has more than {FILES_LIMIT}; make several "
    "smaller ones of it"
)
_BRIEF = frozenset(("SessionEnd",))
_VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
_GLOB = re.compile(r"[^/]*[*?\[]")
_ENDS = re.compile(r"[\s;&|()<>`'\"{}$=,:]+")


class Place(msgspec.Struct, frozen=True):
    """Where the hooks of a turn run, and what they are told of it.

    Attributes:
        policy: of the thread's commands.
        env: of the thread's commands.
        home: octavo's own directory.
        project: the root of what is worked on.
        log_path: where the thread's log is; a hook in the cage cannot read it.
    """

    thread_id: str
    turn_id: str | None
    cwd: Path
    home: Path
    project: Path
    model: str
    permission_mode: str
    log_path: Path | None
    policy: Policy
    env: Mapping[str, str]
    writable_roots: Sequence[Path]
    redact: Callable[[str], str]


class Hooks:
    """The hooks of one thread.

    Args:
        loaded: where the thread's settings come from.
        env: says where the person's home is.
        open_cage: gives the cage of a policy.

    Attributes:
        source: how the thread began, as long as its hooks were not told.
    """

    def __init__(
        self,
        loaded: Loaded,
        env: Mapping[str, str],
        journal: Journal,
        open_cage: Callable[[Policy], Any],
        *,
        source: str,
    ) -> None:
        self.source: str | None = source
        self._loaded = loaded
        self._env = env
        self._journal = journal
        self._open_cage = open_cage
        self._stamp: object = self
        self._hooks: tuple[Hook, ...] = ()
        self._said: set[str] = set()
        self._limit = anyio.CapacityLimiter(SIDE_BY_SIDE)

    def read(self, cwd: Path) -> None:
        """Find the hooks that count in `cwd`, if anything about them changed; say what does not."""
        stamp = (cwd, hooks_stamp(self._loaded, cwd, self._hooks))
        if stamp == self._stamp:
            return
        found = read_hooks(self._loaded, cwd, self._env)
        self._hooks = (*found.hooks, *self._fallen(found))
        self._stamp = (cwd, hooks_stamp(self._loaded, cwd, self._hooks))
        for text in (*(text for _, text in found.errors), *found.skipped):
            self._tell(text)

    def _fallen(self, found: HookFiles) -> Sequence[Hook]:
        """Return the guards that stood and are not what they were, though nobody agreed to that.

        They stay, and as what they were is gone, they let nothing pass: whoever could change a
        guard would otherwise be rid of it.
        """
        counting = {(one.hook.path, one.hook.key) for one in found.found if one.counts}
        named = {(one.hook.path, one.hook.key) for one in found.found}
        return [
            hook
            for hook in self._hooks
            if hook.source == "project"
            and hook.event in REFUSING_EVENTS
            and (hook.path, hook.key) not in counting
            and (hook.path not in found.settled or (hook.path, hook.key) in named)
        ]

    def any_for(self, *events: str) -> bool:
        """Whether there is a hook for one of these events."""
        return any(hook.event in events for hook in self._hooks)

    async def fire(
        self,
        event: str,
        place: Place,
        fields: Mapping[str, Any],
        *,
        about: str | None = None,
        told: Told | None = None,
    ) -> Verdict:
        """Run the hooks for `event` and return what they want together.

        Args:
            fields: what the event adds to the input of a hook.
            about: what matchers are compared with; for a tool call, `told` instead.
            told: the call; each hook gets it under the name that it knows.
        """
        runs: list[tuple[int, Hook, dict[str, Any]]] = []
        for order, hook in enumerate(self._hooks):
            if hook.event != event:
                continue
            if told is not None and event == "PreToolUse" and told.is_too_much_for(hook):
                return Verdict(status="blocked", block=_TOO_MANY)
            if told is not None:
                runs += [
                    (order, hook, {**fields, "tool_name": seen.name, "tool_input": seen.input})
                    for seen in told.for_hook(hook)[:FILES_LIMIT]
                ]
            elif event not in MATCHING or matches(hook.matcher, about or ""):
                runs.append((order, hook, dict(fields)))
        if not runs:
            return NOTHING
        verdicts: list[Verdict] = [NOTHING] * len(runs)

        async def one(number: int, order: int, hook: Hook, given: dict[str, Any]) -> None:
            async with self._limit:
                verdicts[number] = await self._run(order, hook, place, given)

        async with anyio.create_task_group() as group:
            for number, run in enumerate(runs):
                group.start_soon(one, number, *run)
        return join(verdicts)

    async def _run(
        self, order: int, hook: Hook, place: Place, fields: Mapping[str, Any]
    ) -> Verdict:
        began_ms = now_ms()
        run = HookRun(
            id=f"{EVENTS[hook.event]}:{new_id()}",
            event_name=EVENTS[hook.event],
            source_path=str(hook.path),
            source=hook.source,
            display_order=order,
            status="running",
            started_at=began_ms // 1000,
            scope="thread" if hook.event.startswith("Session") else "turn",
            status_message=None
            if hook.status_message is None
            else visible_line(hook.status_message)[:STATUS_CHARS],
        )
        self._journal.emit(HookStarted(began_ms, run, place.turn_id))
        verdict = failed("The turn ended before it did.")
        try:
            verdict = self._for_model(await self._verdict(hook, place, fields), place)
        finally:
            ended_ms = now_ms()
            said = [*verdict.context, verdict.block or "", verdict.ask or ""]
            self._journal.emit_last(
                HookEnded(
                    ended_ms,
                    replace(
                        run,
                        status=verdict.status,
                        completed_at=ended_ms // 1000,
                        duration_ms=ended_ms - began_ms,
                        entries=tuple(_shown(hook, entry) for entry in verdict.entries),
                    ),
                    place.turn_id,
                    _labels(said),
                )
            )
        return verdict

    async def _verdict(self, hook: Hook, place: Place, fields: Mapping[str, Any]) -> Verdict:
        """Run one hook and return what it wants; a failure is what its file says it is."""
        if hook.source == "project" and not is_as_agreed(hook):
            # Somebody changed the guard while it stood: nothing passes until a person has looked.
            why = (
                "It was not run: its file, or one that it names, has changed since you agreed to "
                "it. "
                f"`octavo trust {hook.path.parent.parent}` shows it and asks; a new thread begins "
                "without it."
            )
            verdict, blocks = failed(why), True
        else:
            ran = await self._ran(hook, place, fields)
            verdict, blocks = read_reply(hook.event, ran), hook.blocks
            if hook.source == "project" and not is_as_agreed(hook):
                verdict, blocks = failed("Its file, or one that it names, changed meanwhile."), True
        if verdict.status == "failed" and blocks and hook.event in REFUSING_EVENTS:
            why = "A hook that has to agree failed, so it did not. " + verdict.entries[0].text
            return replace(verdict, block=why)
        return verdict

    async def _ran(self, hook: Hook, place: Place, fields: Mapping[str, Any]) -> Ran:
        outside = hook.outside and place.policy.mode.is_confined
        env = {**place.env, **dict.fromkeys(PROJECT_VARIABLES, str(place.project))}
        if outside:
            from octavo.agent.ssh_remote import path_without  # few hooks are let out

            roots = (place.cwd, *place.writable_roots)
            env["PATH"] = path_without(env.get("PATH", os.defpath), roots)
            inside = _in_workspace(hook.command, place, env)
            if inside is not None:
                return Ran(
                    exit=None,
                    trouble=f"was not run outside of the sandbox: {inside}, which it names, is "
                    "where commands of the model may write. Keep the file elsewhere, or let the "
                    "hook run in the sandbox",
                )
        given: dict[str, Any] = {
            "session_id": place.thread_id,
            "turn_id": place.turn_id,
            "transcript_path": str(place.log_path) if outside and place.log_path else None,
            "cwd": str(place.cwd),
            "hook_event_name": hook.event,
            "model": place.model,
            "permission_mode": place.permission_mode,
            **fields,
        }
        command = Command(
            argv=(_shell(env), "-c", hook.command),
            # Outside, nothing of the repository is to be found by chance.
            cwd=place.home if outside else place.cwd,
            env=env,
        )
        timeout_s = min(hook.timeout_s, END_TIMEOUT_S) if hook.event in _BRIEF else hook.timeout_s
        return await run_hook(
            self._spawn_outside if outside else self._spawner(place.policy),
            command,
            _encoded(given),
            timeout_s=timeout_s,
        )

    def _spawner(self, policy: Policy) -> Callable[[Command], Any]:
        async def spawn(command: Command) -> Process:
            sandbox: Sandbox = await self._open_cage(replace(policy, network=OFF))
            return await sandbox.spawn(command)

        return spawn

    async def _spawn_outside(self, command: Command) -> Process:
        from octavo.sandbox.uncaged import spawn_uncaged  # few hooks are let out

        return await spawn_uncaged(command)

    def _for_model(self, verdict: Verdict, place: Place) -> Verdict:
        """Bound what is said, take keys out of it, and hide nothing in it."""

        def clean(text: str) -> str:
            return truncate(visible(place.redact(text)), SAY_TOKENS)

        return replace(
            verdict,
            block=None if verdict.block is None else clean(verdict.block),
            stop=None if verdict.stop is None else clean(verdict.stop),
            ask=None if verdict.ask is None else clean(verdict.ask),
            context=tuple(map(clean, verdict.context)),
            entries=tuple(HookEntry(e.kind, clean(e.text)) for e in verdict.entries),
        )

    def _tell(self, text: str) -> None:
        """Tell the person, once."""
        if text not in self._said:
            self._said.add(text)
            self._journal.emit_last(Noticed(now_ms(), text, code="hooks.skipped"))


def _shown(hook: Hook, entry: HookEntry) -> HookEntry:
    text = truncate(entry.text, SHOWN_TOKENS)
    if entry.kind != "error":
        return HookEntry(entry.kind, text)
    return HookEntry("error", f"{text} ({hook.name})")


def _labels(said: Sequence[str]) -> tuple[str, ...]:
    """What a hook says is somebody else's, and may be a secret; see `agent.labels`."""
    if not any(said):
        return ()
    if any(names_secret(text) or "[redacted]" in text for text in said):
        return ("private", "untrusted")
    return ("untrusted",)


def _in_workspace(command: str, place: Place, env: Mapping[str, str]) -> str | None:
    """Return a file that a command names and that the model's commands may change."""
    from octavo.config.hook_files import words_of

    def value(match: re.Match[str]) -> str:
        return env.get(match[1] or match[2], "")

    roots = [os.path.realpath(root) for root in (place.cwd, *place.writable_roots)]
    command = _VARIABLE.sub(value, command)
    for word in dict.fromkeys(
        one for text in (command, _spread(command)) for one in words_of(text)
    ):
        named = _GLOB.split(word, maxsplit=1)[0]  # of a pattern, the folder
        if not named:
            continue
        path = os.path.realpath(os.path.join(place.home, os.path.expanduser(named)))
        inside = any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
        if inside and os.path.exists(path) and path != "/":
            return word
    return None


def _spread(command: str) -> str:
    """Return a command with what a shell takes for ends of words, and quotes, as blanks."""
    return _ENDS.sub(" ", command)


def _shell(env: Mapping[str, str]) -> str:
    for folder in (*env.get("PATH", "").split(":"), "/bin", "/usr/bin"):
        if os.path.isabs(folder) and os.access(os.path.join(folder, "bash"), os.X_OK):
            return "bash"
    return "/bin/sh"


def _encoded(given: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(given) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, from the model or a file's name
        import json

        return json.dumps(given).encode() + b"\n"
