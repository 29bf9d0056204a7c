"""Commands that a client runs by itself, in the cage that the settings ask for.

Each has a cage of its own and is gone, with all it started, when it was answered or its client is
gone. A client that reads too slowly slows its commands, not the server.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import anyio

from octavo.config.shell_env import env_for
from octavo.protocol import commands as c
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.notifications import CommandExecOutput
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, RpcError
from octavo.sandbox import Command, Exit, Process, open_sandbox
from octavo.sandbox.from_settings import sandbox_policy
from octavo.server.connection import Connection, Handler, Request
from octavo.server.policies import read_policy
from octavo.server.settings import load_for

DEFAULT_TIMEOUT_MS = 10_000
DEFAULT_CAP_BYTES = 1 << 20
EXIT_TIMEOUT = 124
EXIT_SIGNAL = 128
AT_ONCE = 64
"""Commands of one client."""
_ROWS_COLUMNS = (24, 80)
_READ_BYTES = 1 << 16

Read = Callable[[], Awaitable[bytes]]
StreamName = Literal["stdout", "stderr"]


class Running:
    """A command with a name, as later requests reach it."""

    def __init__(self, process: Process, stdin: int | None, *, tty: bool) -> None:
        self.process = process
        self.tty = tty
        self._stdin = stdin
        self._writing = anyio.Lock()

    async def write(self, data: bytes) -> None:
        """Raises RpcError when it has no input, or not any more."""
        if self.tty:
            await self.process.write(data)
            return
        async with self._writing:
            while data:
                if self._stdin is None:
                    raise RpcError(INVALID_REQUEST, "its standard input is closed")
                await anyio.wait_writable(self._stdin)
                try:
                    data = data[os.write(self._stdin, data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise RpcError(INVALID_REQUEST, "it does not read any more") from None

    async def close_stdin(self) -> None:
        """What was written before is still read."""
        async with self._writing:
            self.drop_stdin()

    def drop_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


class _Stream:
    """What a command says on one of its outputs."""

    def __init__(self, name: StreamName, cap_bytes: int | None) -> None:
        self.name = name
        self.kept = bytearray()
        self._room = cap_bytes

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what of `data` is within the cap, and whether anything was not."""
        if self._room is None:
            return data, False
        within = data[: self._room]
        self._room -= len(within)
        return within, len(within) < len(data)


async def execute(request: Request) -> c.CommandExecResult:
    """command/exec: answered when it has ended"""
    params = request.params(c.CommandExecParams)
    _check(params, request.connection)
    loaded = load_for(request.server, params.cwd)
    cwd = _directory(params.cwd or ".")
    policy = sandbox_policy(loaded, cwd, request.server.launch.add_dirs)
    if params.sandbox_policy is not None:
        policy = read_policy(params.sandbox_policy, policy)
    env = dict(env_for(request.server.launch.env, loaded.settings.shell_environment_policy))
    for name, value in (params.env or {}).items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    async with open_sandbox(policy) as sandbox:
        await sandbox.ready()
        if params.tty:
            size = params.size
            tty = _ROWS_COLUMNS if size is None else (size.rows, size.cols)
            process = await sandbox.spawn(Command(params.command, cwd, env, tty))
            running = Running(process, None, tty=True)
            return await _see_out(request.connection, params, running, {"stdout": process.read})
        async with _pipes(stdin=bool(params.stream_stdin)) as (ours, theirs):
            with theirs:
                command = Command(params.command, cwd, env, stdio=theirs.ends)
                running = Running(await sandbox.spawn(command), ours.stdin, tty=False)
            reads: dict[StreamName, Read] = {
                "stdout": _reader(ours.stdout),
                "stderr": _reader(ours.stderr),
            }
            try:
                return await _see_out(request.connection, params, running, reads)
            finally:
                ours.stdin = None
                running.drop_stdin()


def _directory(path: str) -> Path:
    cwd = Path(os.path.abspath(path))
    if not cwd.is_dir():
        raise UsageError(f"{cwd} is not a directory.", hint="Name an existing one.")
    return cwd


def _check(params: c.CommandExecParams, connection: Connection) -> None:
    named = params.process_id
    if not params.command:
        raise RpcError(BAD_PARAMS, "Invalid params: it is empty - at `$.command`")
    if any("\0" in word for word in (*params.command, params.cwd or "", *(params.env or {}))):
        raise RpcError(BAD_PARAMS, "Invalid params: a null character - at `$.command`")
    if any("\0" in (v or "") or not k or "=" in k for k, v in (params.env or {}).items()):
        raise RpcError(BAD_PARAMS, "Invalid params: no name of a variable - at `$.env`")
    if named is None and (params.tty or params.stream_stdin or params.stream_stdout_stderr):
        raise RpcError(BAD_PARAMS, "Invalid params: needed for streams - at `$.processId`")
    if params.size is not None and not params.tty:
        raise RpcError(BAD_PARAMS, "Invalid params: only with `tty` - at `$.size`")
    if params.disable_timeout and params.timeout_ms is not None:
        raise RpcError(BAD_PARAMS, "Invalid params: not with `disableTimeout` - at `$.timeoutMs`")
    if params.disable_output_cap and params.output_bytes_cap is not None:
        raise RpcError(
            BAD_PARAMS, "Invalid params: not with `disableOutputCap` - at `$.outputBytesCap`"
        )
    if named in connection.commands:
        raise RpcError(INVALID_REQUEST, f"process {named!r} is running already")
    if len(connection.commands) >= AT_ONCE:
        raise RpcError(INVALID_REQUEST, f"{AT_ONCE} commands are running; end one first")


async def _see_out(
    connection: Connection,
    params: c.CommandExecParams,
    running: Running,
    reads: dict[StreamName, Read],
) -> c.CommandExecResult:
    """Pass on or keep what the command says, until it has ended."""
    cap = params.output_bytes_cap
    if cap is None and not params.disable_output_cap:
        cap = DEFAULT_CAP_BYTES
    streams = {name: _Stream(name, cap) for name in reads}
    named = params.process_id
    streamed = named if params.tty or params.stream_stdout_stderr else None
    limit_s = (DEFAULT_TIMEOUT_MS if params.timeout_ms is None else params.timeout_ms) / 1000

    async def pass_on(stream: _Stream, read: Read) -> None:
        told_cap = False
        while data := await read():
            data, capped = stream.take(data)
            if streamed is None:
                stream.kept += data
            elif data or (capped and not told_cap):
                told_cap = capped
                await connection.room()
                encoded = binascii.b2a_base64(data, newline=False).decode()
                connection.post(CommandExecOutput(streamed, stream.name, encoded, capped))

    key = named if named is not None else object()
    connection.commands[key] = running
    ended: Exit | None = None
    try:
        async with anyio.create_task_group() as group:
            for name, read in reads.items():
                group.start_soon(pass_on, streams[name], read)
            with anyio.move_on_after(None if params.disable_timeout else limit_s):
                ended = await running.process.wait()
            if ended is None:
                await running.process.kill()
    finally:
        del connection.commands[key]
    out = {name: stream.kept.decode("utf-8", "replace") for name, stream in streams.items()}
    code = EXIT_TIMEOUT
    if ended is not None:
        code = ended.code if ended.code is not None else EXIT_SIGNAL + (ended.signal or 0)
    return c.CommandExecResult(code, out["stdout"], out.get("stderr", ""))


class _Ours:
    """The ends of the pipes that are the server's."""

    def __init__(self, stdin: int | None, stdout: int, stderr: int) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


class _Theirs:
    """Those that are the command's, closed here once it has them."""

    def __init__(self, ends: tuple[int | None, int, int]) -> None:
        self.ends = ends

    def __enter__(self) -> None:
        return

    def __exit__(self, *failure: object) -> None:
        for end in self.ends:
            if end is not None:
                os.close(end)


@asynccontextmanager
async def _pipes(*, stdin: bool) -> AsyncIterator[tuple[_Ours, _Theirs]]:
    into = os.pipe() if stdin else None
    out, error = os.pipe(), os.pipe()
    ours = _Ours(None if into is None else into[1], out[0], error[0])
    if ours.stdin is not None:
        os.set_blocking(ours.stdin, False)
    try:
        yield ours, _Theirs((None if into is None else into[0], out[1], error[1]))
    finally:
        for end in (ours.stdin, ours.stdout, ours.stderr):
            if end is not None:
                with suppress(OSError):
                    os.close(end)


def _reader(fd: int) -> Read:
    async def read() -> bytes:
        await anyio.wait_readable(fd)
        return os.read(fd, _READ_BYTES)

    return read


def _find(request: Request, process_id: str) -> Running:
    running = request.connection.commands.get(process_id)
    if not isinstance(running, Running):
        raise RpcError(INVALID_REQUEST, f"there is no process {process_id[:80]!r}")
    return running


async def write(request: Request) -> m.Nothing:
    """command/exec/write"""
    params = request.params(c.CommandExecWriteParams)
    running = _find(request, params.process_id)
    try:
        data = binascii.a2b_base64(params.delta_base64 or "", strict_mode=True)
    except ValueError:
        raise RpcError(BAD_PARAMS, "Invalid params: not base64 - at `$.deltaBase64`") from None
    if data:
        await running.write(data)
    if params.close_stdin:
        await running.close_stdin()
    return m.Nothing()


async def resize(request: Request) -> m.Nothing:
    """command/exec/resize"""
    params = request.params(c.CommandExecResizeParams)
    running = _find(request, params.process_id)
    if not running.tty:
        raise RpcError(INVALID_REQUEST, "it has no terminal")
    running.process.resize(params.size.rows, params.size.cols)
    return m.Nothing()


async def terminate(request: Request) -> m.Nothing:
    """command/exec/terminate: `command/exec` is answered when it is gone"""
    params = request.params(c.CommandExecTerminateParams)
    await _find(request, params.process_id).process.kill()
    return m.Nothing()


HANDLERS: dict[str, Handler] = {
    c.COMMAND_EXEC.name: execute,
    c.COMMAND_WRITE.name: write,
    c.COMMAND_RESIZE.name: resize,
    c.COMMAND_TERMINATE.name: terminate,
}
