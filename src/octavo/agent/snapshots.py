"""What the files of a workspace were before and after each turn, so that turns can be taken back.

The first snapshot of a turn is taken beside its first request, and its first effect waits for it.
One that cannot be taken is said, and the turn goes on: it just cannot be undone.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.config.settings import Undo
from octavo.protocol.events import Noticed, SnapshotTaken
from octavo.sandbox import Mode, Policy
from octavo.sandbox.policy import PROTECTED_NAMES
from octavo.workspace.git import find_repository

try:
    from _blake2 import blake2b  # importing hashlib loads OpenSSL as well
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from octavo.workspace.snapshot.store import Store

SNAPSHOTS = "snapshots"
"""Where in octavo's directory they are."""
PATIENCE_S = 2.0
"""After so long a person is told what is being waited for."""


class Snapshots:
    """The snapshots of one thread. Open it around its turns.

    Args:
        home: octavo's own directory, where they are kept.
        user_home: the person's; a workspace that holds it is none that can be kept.
        settings: whether, and how large a file may be.
    """

    def __init__(self, home: Path, user_home: Path, journal: Journal, settings: Undo) -> None:
        self._home = home
        self._user_home = user_home
        self._journal = journal
        self._settings = settings
        self._stopping = False
        self._wanted = False
        self._unkept = False
        self._stores: dict[Path, Store] = {}
        self._group: TaskGroup | None = None
        self._taken = anyio.Event()
        self._taken.set()
        self._roots: tuple[Path, ...] = ()
        self._turn_id = ""
        self._failed = False
        self._counts: dict[Path, tuple[int, int]] = {}

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        group, self._group = self._group, None
        self._stopping = True
        if group is not None:
            await group.__aexit__(None, None, None)
        self.release()

    def begin(self, turn_id: str, policy: Policy) -> None:
        """Start to note what is there before `turn_id` changes anything; once is enough."""
        if turn_id == self._turn_id:
            return
        self._wanted = False
        self._turn_id = turn_id
        self._roots = roots(policy, self._user_home) if self._settings.enabled else ()
        is_writable = policy.mode is not Mode.READ_ONLY
        cwd = Path(os.path.realpath(policy.cwd))
        is_kept = any(root in (cwd, *cwd.parents) for root in self._roots)
        self._unkept = self._settings.enabled and is_writable and not is_kept
        if not self._roots or self._group is None:
            return
        self._taken = anyio.Event()
        self._group.start_soon(self._take, "before", self._taken)

    async def before(self) -> None:
        """Wait until what is there is noted. Called before each effect."""
        self._wanted = True
        if self._unkept:
            self._unkept = False
            self._say(
                "This turn's changes of files cannot be undone: the files of a whole home, or of a"
                " temporary folder, are not kept."
            )
        if self._taken.is_set():
            return
        with anyio.move_on_after(PATIENCE_S):
            await self._taken.wait()
            return
        done, total = map(sum, zip(*self._counts.values(), strict=True)) if self._counts else (0, 0)
        self._journal.emit(
            Noticed(
                now_ms(),
                "The files of this workspace are being copied aside, so that this turn can be"
                f" undone; commands wait for it. {done:,} of {total:,} files so far.",
                self._turn_id,
            )
        )
        await self._taken.wait()

    async def after(self) -> None:
        """Note what the turn left behind, if it had any effect."""
        if self._wanted:
            await self._taken.wait()
            await self._take("after", anyio.Event())
        if self._taken.is_set():
            self.release()

    def release(self) -> None:
        """Say that what was taken is in the log, so that `octavo gc` finds it there."""
        for store in self._stores.values():
            store.release()

    def store(self, root: Path) -> Store:
        """Return what is kept of a folder."""
        from octavo.workspace.snapshot.store import Store  # not on the way to the first request

        if root not in self._stores:
            self._stores[root] = Store(
                root,
                folder_of(self._home, root),
                file_limit_bytes=self._settings.file_limit_bytes,
                placeholders=PROTECTED_NAMES,
            )
        return self._stores[root]

    async def _take(self, when: Literal["before", "after"], done: anyio.Event) -> None:
        from octavo.workspace.snapshot import SnapshotFailed

        self._counts.clear()
        try:
            for root in self._roots:
                try:
                    store = self.store(root)
                    count = partial(self._count, root)
                    number = await anyio.to_thread.run_sync(_held_and_taken, store, count)
                except SnapshotFailed as failure:
                    self._roots = tuple(other for other in self._roots if other != root)
                    self._say(f"This turn's changes of files cannot be undone. {failure}")
                else:
                    taken = SnapshotTaken(self._turn_id, now_ms(), str(root), number, when)
                    self._journal.emit_last(taken)
        finally:
            done.set()

    def _count(self, root: Path, done: int, total: int) -> None:
        if self._stopping and not self._wanted:
            from octavo.workspace.snapshot import SnapshotFailed

            raise SnapshotFailed("The thread ended before anything was changed.")
        self._counts[root] = (done, total)

    def _say(self, text: str) -> None:
        if not self._failed and not self._stopping:  # once a thread is enough
            self._failed = True
            self._journal.emit_last(Noticed(now_ms(), text, self._turn_id, "snapshot.failed"))


def _held_and_taken(store: Store, count: Callable[[int, int], None]) -> int:
    """Take a snapshot that is let go no earlier than `store` is; both in one go, off the loop."""
    store.hold()
    return store.take(count)


def roots(policy: Policy, user_home: Path) -> tuple[Path, ...]:
    """Return the folders that commands under `policy` may change and a person would want back.

    A repository counts as a whole, as git changes all of it; where git keeps it elsewhere, that
    place counts as well. Temporary folders do not, nor what holds a whole home.
    """
    if policy.mode is Mode.READ_ONLY:
        return ()
    found: list[Path] = []
    for wanted in (policy.cwd, *policy.writable_roots):
        real = Path(os.path.realpath(wanted))
        repository = find_repository(real)
        if repository is not None and repository.vouched:
            found += [repository.top, repository.common_dir]
        else:
            found.append(real)
    home = Path(os.path.realpath(user_home))
    unkept = {home, *home.parents, Path("/tmp")}
    kept = [root for root in dict.fromkeys(found) if root not in unkept and root.is_dir()]
    return tuple(root for root in kept if not any(other in root.parents for other in kept))


def folder_of(home: Path, root: Path) -> Path:
    """Return where the snapshots of `root` are kept."""
    name = blake2b(os.fsencode(root), digest_size=12).hexdigest()
    return home / SNAPSHOTS / name
