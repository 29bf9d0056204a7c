"""One process that speaks with strangers for a login, in a cage that reaches only them."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
from msgspec.structs import replace

import octavo
from octavo.config.paths import make_private
from octavo.mcp.oauth.endpoints import LoginFailed, host_of
from octavo.mcp.oauth.words import FRAME_LIMIT_BYTES, REFUSED, Visit, Visited
from octavo.mcp.spec import Spec
from octavo.protocol.extras import missing
from octavo.protocol.visible import visible_line
from octavo.rpc import LinkClosed, RpcError
from octavo.rpc.peer import Peer, decode_params
from octavo.rpc.stream import StreamLink
from octavo.sandbox import Command, Policy, Process, Sandbox
from octavo.sandbox.process import Output

T = TypeVar("T")
OpenCage = Callable[[Policy], Awaitable[Sandbox]]
OnVisit = Callable[[str], Awaitable[Visited]]
"""Sends the person to a page, and returns what they come back with."""

START_S = 30.0
"""What such a process may take besides what its servers take: it loads a good deal."""
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); from octavo.mcp.oauth.host import main; main()"
)


async def asked(
    spec: Spec,
    urls: Sequence[str],
    open_cage: OpenCage,
    method: str,
    params: Any,
    kind: type[T],
    *,
    who: str,
    timeout_s: float,
    on_visit: OnVisit | None = None,
) -> T:
    """Return what a process that reaches only the hosts of `urls` answers.

    Args:
        who: is spoken with, for what is said when it fails.
        timeout_s: how long its servers may take; with `on_visit`, the person as well.

    Raises:
        LoginFailed: it went wrong.
        NotInstalled, ConfigError, SandboxError: there is nothing to ask with.
    """
    if find_spec("mcp") is None:
        raise missing("A login at an MCP server", "mcp", "mcp")
    make_private(spec.home)
    sandbox = await open_cage(_policy(spec, urls))
    try:
        with anyio.fail_after(timeout_s + START_S):
            return await _asked(sandbox, spec, method, params, kind, on_visit)
    except TimeoutError:
        raise LoginFailed(f"{who}: it did not answer in time.") from None
    except LinkClosed:
        raise LoginFailed(f"{who}: what speaks with it ended.") from None
    except RpcError as refusal:
        why = visible_line(refusal.message).rstrip(".")[:600]
        raise LoginFailed(f"{who}: {why}.", refused=refusal.code == REFUSED) from None
    except (msgspec.DecodeError, RecursionError):
        raise LoginFailed(f"{who}: its answer makes no sense.") from None


def _policy(spec: Spec, urls: Sequence[str]) -> Policy:
    """Return a policy of a process that reads for a login; see `endpoints` for which hosts it gets.

    An address on this machine gets here only where the server is on this machine as well.
    """
    hosts = tuple(dict.fromkeys(map(host_of, urls)))
    meant = {*spec.policy.network.allow_local}
    local = tuple(
        host for host in hosts if host in meant or host.startswith(("127.0.0.1:", "localhost:"))
    )
    network = replace(spec.policy.network, access="hosts", allow=hosts, allow_local=local)
    return replace(spec.policy, network=network)


async def _asked(
    sandbox: Sandbox,
    spec: Spec,
    method: str,
    params: Any,
    kind: type[T],
    on_visit: OnVisit | None,
) -> T:
    failure: LoginFailed | None = None

    async def on_request(name: str, raw: bytes) -> Any:
        nonlocal failure
        if name != "visit" or on_visit is None:
            raise RpcError(REFUSED, "nothing else is asked here")
        try:
            return await on_visit(decode_params(raw, Visit).url)
        except LoginFailed as error:
            failure = error
            raise RpcError(REFUSED, "the person is not coming back") from None

    async def on_notification(name: str, raw: bytes) -> None:
        del name, raw

    inner_in, ours_in = os.pipe()
    ours_out, inner_out = os.pipe()
    ours_err, inner_err = os.pipe()
    theirs = (inner_in, inner_out, inner_err)
    log = Output(ours_err, is_terminal=False)
    os.set_blocking(ours_out, False)
    link = StreamLink(ours_out, ours_in, limit_bytes=FRAME_LIMIT_BYTES)
    process: Process | None = None
    result: T | RpcError | LinkClosed | msgspec.DecodeError | RecursionError
    try:
        try:
            argv = (sys.executable, "-I", "-c", _PROGRAM, _place())
            command = Command(argv, spec.policy.cwd, spec.env, stdio=theirs)
            process = await sandbox.spawn(command)
        finally:
            for number in theirs:
                os.close(number)
        peer = Peer(link, on_request, on_notification)
        async with anyio.create_task_group() as group:
            group.start_soon(peer.run)
            group.start_soon(_drain, log)
            try:
                result = await peer.request(method, params, kind)
            except (RpcError, LinkClosed, msgspec.DecodeError, RecursionError) as error:
                result = error  # out of here it would come in a group
            group.cancel_scope.cancel()
    finally:
        link.close()
        if process is not None:
            await process.kill()
        log.close()
        for number in (ours_in, ours_out):
            anyio.notify_closing(number)
            os.close(number)
    if failure is not None:
        raise failure
    if isinstance(result, (RpcError, LinkClosed, msgspec.DecodeError, RecursionError)):
        raise result
    return result


async def _drain(log: Output) -> None:
    """Let it print; what it prints may hold secrets, and is nobody's."""
    while await log.read():
        pass


def _place() -> str:
    """Return the folder that `octavo` is imported from."""
    return str(Path(octavo.__file__).parent.parent)
