"""What a client does to a thread's history by itself; see `protocol.history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from octavo.agent import undo as undoing
from octavo.agent.clock import now_ms
from octavo.context.encode import encode
from octavo.protocol import history as h
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.events import Injected
from octavo.rpc import BAD_PARAMS, RpcError
from octavo.server.connection import Handler, Request
from octavo.server.methods.threads import thread_of

ITEMS_LIMIT = 1_000
ITEM_LIMIT_BYTES = 8 << 20
_CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
_ROLES = ("user", "assistant", "developer", "system")
_PARTS = ("input_text", "output_text", "input_image")


async def shell_command(request: Request) -> m.Nothing:
    """thread/shellCommand"""
    from octavo.agent.shell import DEFAULT_TIMEOUT_S, ShellCommand

    params = request.params(h.ShellCommandParams)
    agent = request.server.agent(params.thread_id)
    if not params.command.strip():
        raise UsageError("The command is empty.", hint="Say what is to be run.")
    if "\0" in params.command:
        raise RpcError(BAD_PARAMS, "Invalid params: a null character - at `$.command`")
    timeout_s = DEFAULT_TIMEOUT_S if params.timeout_ms is None else params.timeout_ms / 1000
    agent.run_shell(ShellCommand(params.command, timeout_s))
    return m.Nothing()


async def inject_items(request: Request) -> m.Nothing:
    """thread/inject_items"""
    params = request.params(h.InjectItemsParams)
    agent = request.server.agent(params.thread_id)
    if not params.items:
        raise UsageError("There are no items to put in.")
    if len(params.items) > ITEMS_LIMIT:
        raise UsageError(f"{len(params.items)} items are too many; {ITEMS_LIMIT} may be.")
    call_ids = _checked(params.items)
    for call_id in call_ids:
        if agent.journal.thread.knows_call(call_id):
            raise UsageError(f"There is a call {call_id!r} in this thread already.")
    raws = tuple(map(encode, params.items))
    for at, raw in enumerate(raws):
        if len(raw) > ITEM_LIMIT_BYTES:
            raise _bad(at, f"it has more than {ITEM_LIMIT_BYTES >> 20} MiB")
    agent.journal.emit(Injected(now_ms(), tuple(map(msgspec.Raw, raws)), call_ids))
    await agent.journal.sync()
    return m.Nothing()


async def revert(request: Request) -> h.RevertResult:
    """thread/revert"""
    params = request.params(h.RevertParams)
    agent = request.server.agent(params.thread_id)
    async with agent.undoing():
        event, left = await undoing.undo(
            agent.journal,
            agent.snapshots,
            params.before_turn_id,
            files=params.octavo_files,
            overwrite=params.octavo_overwrite,
        )
    return h.RevertResult(thread_of(agent), octavo_paths=event.paths, octavo_left=left)


HANDLERS: dict[str, Handler] = {
    h.SHELL_COMMAND.name: shell_command,
    h.INJECT_ITEMS.name: inject_items,
    h.REVERT.name: revert,
}


def _checked(items: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the ids of the calls among `items`.

    Raises:
        RpcError: one of them is nothing that a model could be shown.
    """
    open_: dict[str, str] = {}
    calls: list[str] = []
    for at, item in enumerate(items):
        kind = item.get("type")
        if kind == "message":
            _check_message(at, item)
        elif kind in _CALLS:
            call_id, name = item.get("call_id"), item.get("name")
            text = item.get("arguments" if kind == "function_call" else "input")
            if not (isinstance(call_id, str) and isinstance(name, str) and isinstance(text, str)):
                raise _bad(at, "a call has a `call_id`, a `name` and its arguments, as text")
            if call_id in calls:
                raise _bad(at, f"there are two calls {call_id!r}")
            calls.append(call_id)
            open_[call_id] = _CALLS[kind]
        elif kind in _CALLS.values():
            if open_.pop(str(item.get("call_id")), None) != kind:
                raise _bad(at, "it is the output of no call before it in this request")
            if not isinstance(item.get("output"), str | list):
                raise _bad(at, "its `output` is neither text nor a list")
        else:
            raise _bad(at, f"an item of the type {kind!r} cannot be put in")
    if open_:
        raise RpcError(
            BAD_PARAMS,
            f"Invalid params: the call {next(iter(open_))!r} has no output - at `$.items`",
        )
    return tuple(calls)


def _check_message(at: int, item: dict[str, Any]) -> None:
    if item.get("role") not in _ROLES:
        raise _bad(at, f"the `role` of a message is one of {', '.join(_ROLES)}")
    content = item.get("content")
    if not isinstance(content, list) or not content:
        raise _bad(at, "the `content` of a message is a list of parts")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        field = "image_url" if kind == "input_image" else "text"
        if kind not in _PARTS or not isinstance(part.get(field), str):
            raise _bad(at, f"a part is one of {', '.join(_PARTS)}, with its text or URL")


def _bad(at: int, why: str) -> RpcError:
    return RpcError(BAD_PARAMS, f"Invalid params: {why} - at `$.items[{at}]`")
