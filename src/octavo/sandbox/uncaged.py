"""What a person let out of the cage: one exact command, or one batch of changes to exact paths.

Nothing here is confined, and nothing here is ever a fallback. A command still has a guard, so its
whole tree ends with it, when it is killed, and when octavo is gone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import anyio

from octavo.sandbox import Command, Exit, FileChange, Mode, Policy, Process
from octavo.sandbox.caged import Caged
from octavo.sandbox.ordered import Ordered
from octavo.sandbox.policy import UNCONFINED


async def spawn_uncaged(command: Command) -> Process:
    """Start `command` with all the rights of octavo itself.

    Raises:
        SandboxError: `cwd` or the program does not exist.
    """
    policy = Policy(mode=Mode.DANGER_FULL_ACCESS, cwd=command.cwd)
    cage = Caged(Ordered(policy, UNCONFINED), warm=1)
    try:
        process = await cage.spawn(command)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await cage.close()
        raise
    return _Alone(process, cage)


class _Alone:
    """A process with a keeper for itself, which ends with it. Implements `sandbox.Process`."""

    def __init__(self, process: Process, cage: Caged) -> None:
        self._process = process
        self._cage = cage
        self.read = process.read
        self.write = process.write
        self.resize = process.resize
        self.interrupt = process.interrupt

    async def wait(self) -> Exit:
        ended = await self._process.wait()
        await self._cage.close()
        return ended

    async def kill(self) -> Exit:
        ended = await self._process.kill()
        await self._cage.close()
        return ended


def change_uncaged(changes: Sequence[FileChange]) -> None:
    """Apply all changes or none, outside any cage.

    Each path must be the real one that was shown to the person: where a link now leads somewhere
    else, the batch is refused as "outside".

    Raises:
        FileChangeRefused: nothing was changed.
    """
    from octavo.sandbox import filework
    from octavo.sandbox.cage import files

    plain = [filework.plain(change) for change in changes]
    exact = [os.path.normpath(change.path) for change in changes]
    try:
        files.change(plain, roots=exact, exact=True)
    except files.Refused as refusal:
        raise filework.refused_here(refusal, changes) from None
