"""What a client does with files by itself, as a command in the same place could.

A path belongs to the innermost directory of a loaded thread that it is in, else to the server's
own. The policy is the one that a command of the client's would have there (`server.commands`), and
what any loaded thread may not read cannot be read here either. The kernel holds it: everything is
done in a cage, by a process that was made for it.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from msgspec.structs import replace

from octavo.protocol import files as f
from octavo.protocol import methods as m
from octavo.protocol.notifications import FsChanged
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, RpcError
from octavo.sandbox import OFF, FileChangeRefused, Policy, Sandbox, Write, trees
from octavo.sandbox.from_settings import sandbox_policy
from octavo.server.cages import KeptCages
from octavo.server.connection import Connection, Handler, Request
from octavo.server.server import Server
from octavo.server.settings import load_for

READ_LIMIT_BYTES = 32 << 20
"""Base64 makes 43 MB of it, and a frame holds 64."""
WATCHES = 32
"""Of one client. The system has 128 for all of a person's programs unless it is told otherwise."""
SETTLE_S = 0.1
"""How long changes are gathered before they are told."""
_IN_THREAD_BYTES = 1 << 20


async def read_file(request: Request) -> f.FsReadFileResult:
    """fs/readFile"""
    path = absolute(request.params(f.FsPathParams).path, "path")
    async with caged(request.server, path) as sandbox:
        [state] = await sandbox.look([path], limit_bytes=READ_LIMIT_BYTES)
    match state.kind:
        case "file":
            return f.FsReadFileResult(await _encoded(state.data))
        case "missing":
            raise _refusal(f"{path} does not exist.", "missing")
        case "unreadable":
            raise _refusal(state.reason, "unreadable")
        case _:
            raise _refusal(f"{path} is not a file.", "not_a_file")


async def write_file(request: Request) -> m.Nothing:
    """fs/writeFile: the old content stays until the new one is whole"""
    params = request.params(f.FsWriteFileParams)
    path = absolute(params.path, "path")
    data = await _decoded(params.data_base64)
    async with caged(request.server, path) as sandbox:
        # A name that was mistyped is not to make directories.
        if not (await trees.metadata(sandbox, path.parent)).is_directory:
            raise _refusal(f"{path.parent} is not a directory.", "missing")
        await sandbox.change([Write(path, data, overwrite=True)])
    return m.Nothing()


async def create_directory(request: Request) -> m.Nothing:
    """fs/createDirectory"""
    params = request.params(f.FsCreateDirectoryParams)
    path = absolute(params.path, "path")
    async with caged(request.server, path) as sandbox:
        await trees.make_directory(sandbox, path, parents=params.recursive is not False)
    return m.Nothing()


async def get_metadata(request: Request) -> f.FsMetadata:
    """fs/getMetadata"""
    path = absolute(request.params(f.FsPathParams).path, "path")
    async with caged(request.server, path) as sandbox:
        found = await trees.metadata(sandbox, path)
    return f.FsMetadata(found.is_directory, found.is_file, found.is_link, 0, found.modified_at_ms)


async def read_directory(request: Request) -> f.FsReadDirectoryResult:
    """fs/readDirectory"""
    path = absolute(request.params(f.FsPathParams).path, "path")
    async with caged(request.server, path) as sandbox:
        found = await trees.entries(sandbox, path)
    return f.FsReadDirectoryResult(
        tuple(f.FsDirectoryEntry(e.name, e.is_directory, e.is_file) for e in found)
    )


async def remove(request: Request) -> m.Nothing:
    """fs/remove"""
    params = request.params(f.FsRemoveParams)
    path = absolute(params.path, "path")
    async with caged(request.server, path) as sandbox:
        await trees.remove(
            sandbox,
            path,
            recursive=params.recursive is not False,
            force=params.force is not False,
        )
    return m.Nothing()


async def copy(request: Request) -> m.Nothing:
    """fs/copy: in the policy of where it goes to"""
    params = request.params(f.FsCopyParams)
    source = absolute(params.source_path, "sourcePath")
    target = absolute(params.destination_path, "destinationPath")
    async with caged(request.server, target) as sandbox:
        await trees.copy(sandbox, source, target, recursive=params.recursive)
    return m.Nothing()


async def watch(request: Request) -> f.FsWatchResult:
    """fs/watch: until the client says `fs/unwatch`, or is gone"""
    params = request.params(f.FsWatchParams)
    path, connection = absolute(params.path, "path"), request.connection
    key = _key(params.watch_id)
    if key in connection.beside:
        raise RpcError(INVALID_REQUEST, f"watchId already exists: {params.watch_id[:80]}")
    if sum(kind == "watch" for kind, _ in connection.beside) >= WATCHES:
        raise RpcError(INVALID_REQUEST, f"{WATCHES} paths are watched; unwatch one first")
    connection.beside[key] = scope = anyio.CancelScope()
    try:
        async with caged(request.server, path) as sandbox:
            watched = await trees.watch(sandbox, path)
    except BaseException:
        connection.beside.pop(key, None)
        raise
    request.server.group.start_soon(_tell, connection, params.watch_id, watched, scope)
    return f.FsWatchResult(str(watched.path))


async def _tell(
    connection: Connection, watch_id: str, watched: trees.Watch, scope: anyio.CancelScope
) -> None:
    try:
        with scope:
            while True:
                await anyio.wait_readable(watched.fd)
                await anyio.sleep(
                    SETTLE_S
                )  # a save is many events; and no flood of them is passed on
                if changed := watched.read():
                    await connection.room()
                    connection.post(FsChanged(watch_id, tuple(map(str, changed))))
    finally:
        watched.close()
        if connection.beside.get(_key(watch_id)) is scope:
            del connection.beside[_key(watch_id)]


async def unwatch(request: Request) -> m.Nothing:
    """fs/unwatch"""
    scope = request.connection.beside.pop(_key(request.params(f.FsUnwatchParams).watch_id), None)
    if scope is not None:
        scope.cancel()
    return m.Nothing()


def _key(watch_id: str) -> tuple[str, str]:
    return ("watch", watch_id)


def absolute(path: str, field: str) -> Path:
    """Return a client's path. Raises RpcError when it is none, with the field named."""
    why = ""
    if not os.path.isabs(path):
        why = "not an absolute path"
    elif "\0" in path:
        why = "a null character"
    else:
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            why = "not UTF-8"
    if why:
        raise RpcError(BAD_PARAMS, f"Invalid params: {why} - at `$.{field}`")
    return Path(os.path.normpath(path)) if "/../" not in path + "/" else Path(path)


@asynccontextmanager
async def caged(server: Server, path: Path) -> AsyncIterator[Sandbox]:
    """The cage in which `path` may be used.

    Raises:
        RpcError: for what was refused inside.
    """
    if server.files is None:
        server.files = KeptCages(server.group)
    try:
        async with server.files.use(file_policy(server, path)) as sandbox:
            yield sandbox
    except FileChangeRefused as refused:
        raise _refusal(str(refused), refused.reason) from refused


def file_policy(server: Server, path: Path) -> Policy:
    """Return what may be done at `path`; see the module."""
    policies = [agent.choices.policy for agent in server.threads.values()]
    own = Path(os.getcwd())
    names = (path, Path(os.path.realpath(path)))  # to choose; the cage's walls go by neither
    places = [
        place
        for place in {own, *(policy.cwd for policy in policies)}
        for way in {place, Path(os.path.realpath(place))}
        if any(name.is_relative_to(way) for name in names)
    ]
    place = max(places, key=lambda place: len(place.parts), default=own)
    policy = sandbox_policy(load_for(server, str(place)), place, server.launch.add_dirs)
    globs = policy.deny_globs
    others = {glob for p in policies for glob in p.deny_globs} - {*globs}
    if others:  # an exception of one is none for the others
        globs = tuple(sorted(glob for glob in {*globs, *others} if not glob.startswith("!")))
    denied = {denied for p in policies for denied in p.deny_read} - {*policy.deny_read}
    return replace(
        policy,
        deny_globs=globs,
        deny_read=(*policy.deny_read, *sorted(denied)),
        network=OFF,
        sockets=(),
    )


def _refusal(text: str, reason: str) -> RpcError:
    return RpcError(INVALID_REQUEST, text, {"code": f"files.{reason}"})


async def _encoded(data: bytes) -> str:
    if len(data) < _IN_THREAD_BYTES:
        return binascii.b2a_base64(data, newline=False).decode()
    encoded = await anyio.to_thread.run_sync(binascii.b2a_base64, data)
    return encoded[:-1].decode()


async def _decoded(text: str) -> bytes:
    try:
        if len(text) < _IN_THREAD_BYTES:
            return _from_base64(text)
        return await anyio.to_thread.run_sync(_from_base64, text)
    except ValueError:
        raise RpcError(BAD_PARAMS, "Invalid params: not base64 - at `$.dataBase64`") from None


def _from_base64(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


HANDLERS: dict[str, Handler] = {
    f.FS_READ_FILE.name: read_file,
    f.FS_WRITE_FILE.name: write_file,
    f.FS_CREATE_DIRECTORY.name: create_directory,
    f.FS_GET_METADATA.name: get_metadata,
    f.FS_READ_DIRECTORY.name: read_directory,
    f.FS_REMOVE.name: remove,
    f.FS_COPY.name: copy,
    f.FS_WATCH.name: watch,
    f.FS_UNWATCH.name: unwatch,
}
