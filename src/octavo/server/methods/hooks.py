"""Hooks: list them, those that do not run too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import anyio.to_thread

from octavo.config.hook_files import Found, read_hooks
from octavo.config.hooks import EVENTS
from octavo.config.load import load
from octavo.protocol import methods as m
from octavo.server.connection import Handler, Request
from octavo.server.server import Launch


async def list_hooks(request: Request) -> m.HooksListResult:
    """hooks/list: of each directory, as a thread there would have them"""
    params = request.params(m.HooksListParams)
    launch = request.server.launch
    cwds = params.cwds or (os.getcwd(),)
    found = [await anyio.to_thread.run_sync(_entry, launch, cwd) for cwd in cwds]
    return m.HooksListResult(tuple(found))


def _entry(launch: Launch, directory: str) -> m.HooksListEntry:
    cwd = Path(os.path.abspath(directory))
    loaded = load(
        cwd=cwd,
        env=launch.env,
        profile=launch.profile,
        overrides=launch.overrides,
        ignore_user_config=launch.ignore_user_config,
    )
    files = read_hooks(loaded, cwd, launch.env)
    return m.HooksListEntry(
        cwd=str(cwd),
        hooks=tuple(_metadata(number, one) for number, one in enumerate(files.found)),
        warnings=files.skipped,
        errors=tuple(m.HookErrorInfo(str(path), text) for path, text in files.errors),
    )


def _metadata(number: int, found: Found) -> m.HookMetadata:
    hook = found.hook
    return m.HookMetadata(
        key=f"{hook.path}:{hook.key}",
        event_name=EVENTS[hook.event],
        matcher=hook.matcher,
        command=hook.command,
        timeout_sec=hook.timeout_s,
        status_message=hook.status_message,
        source_path=str(hook.path),
        source=hook.source,
        display_order=number,
        enabled=found.counts,
        current_hash="sha256:" + hashlib.sha256(found.content).hexdigest(),
        trust_status=found.trust,
        octavo_outside=hook.outside,
    )


HANDLERS: dict[str, Handler] = {
    m.HOOKS_LIST.name: list_hooks,
}
