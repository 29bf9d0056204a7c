"""What files there are below a directory: as git would list them, else all of them.

Listed in a cage, so what the policy hides is not seen and a repository's configuration of git runs
nothing outside. A listing is kept for a while, and shared by all who search.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.lowlevel

from octavo.config.shell_env import env_for
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, NotStarted, Sandbox, trees
from octavo.server.files import caged
from octavo.server.server import Server
from octavo.server.settings import load_for
from octavo.workspace.fuzzy import Listing
from octavo.workspace.git import is_inside_git
from octavo.workspace.hardening import hardened_env

FRESH_S = 10.0
"""How long a listing is used by whoever has no session."""
KEPT = 4
MAX_PATHS = 500_000
MAX_BYTES = 64 << 20
"""Of their names. What is more is not found."""
LIST_S = 30.0
"""How long listing may take."""
_PIECE = 1000
_GIT = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
_QUIETLY = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")


class Listings:
    """The listings that were made lately, by directory."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[Path, tuple[float, Listing]] = {}
        self._listing: dict[Path, anyio.Lock] = {}

    async def get(self, root: Path, *, fresh: bool = False) -> Listing:
        """Return what is below `root`; nothing where it is no directory.

        Args:
            fresh: not one that was made before this was called.
        """
        asked_at = anyio.current_time()
        lock = self._listing.setdefault(root, anyio.Lock())
        try:
            async with lock:
                made_at, listing = self._known.get(root, (-1.0, Listing()))
                if made_at >= 0 and made_at + (0 if fresh else FRESH_S) >= asked_at:
                    return listing
                self._known.pop(root, None)
                listing = await list_files(self._server, root)
                self._known[root] = (anyio.current_time(), listing)
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._listing.pop(root, None)
        for old in list(self._known)[:-KEPT]:
            del self._known[old]
        return listing


async def list_files(server: Server, root: Path) -> Listing:
    """List what is below `root`, in a cage. What takes too long is not listed."""
    data = b""
    with anyio.move_on_after(LIST_S):
        async with caged(server, root) as sandbox:
            data = await _listed_by_git(server, sandbox, root)
            if not data:
                data = await trees.walk(sandbox, root, limit=MAX_PATHS)
    listing = Listing()
    paths = data.split(b"\0", MAX_PATHS)[:MAX_PATHS]
    for start in range(0, len(paths), _PIECE):
        listing.add(_texts(paths[start : start + _PIECE]))
        await anyio.lowlevel.checkpoint()
    return listing


def _texts(paths: Sequence[bytes]) -> list[str]:
    """Return paths as text; one that is none could not be told, or opened by who is told."""
    found: list[str] = []
    for path in paths:
        try:
            found.append(path.decode())
        except UnicodeDecodeError:
            continue
    return [path for path in found if path]


async def _listed_by_git(server: Server, sandbox: Sandbox, root: Path) -> bytes:
    """Return what git lists; nothing where it lists nothing, or there is no git."""
    if is_inside_git(root) is None:
        return b""
    policy = load_for(server).settings.shell_environment_policy
    env = hardened_env(env_for(server.launch.env, policy))
    try:
        process = await sandbox.spawn(Command((*_QUIETLY, *_GIT), root, env))
    except (NotStarted, SandboxError):
        return b""
    parts: list[bytes] = []
    size = 0
    try:
        while size <= MAX_BYTES and (part := await process.read()):
            parts.append(part)
            size += len(part)
        ended = None if size > MAX_BYTES else await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            await process.kill()
    whole = b"".join(parts)
    if ended is None:
        return whole[: whole.rfind(b"\0", 0, MAX_BYTES) + 1]
    return whole if ended.code == 0 else b""
