"""What a person accepted for longer than once: `$OCTAVO_HOME/approvals.json`.

An approval spares a question; it never widens what a command may touch without one having been
answered, and none of them lets a command out of the cage. What one thread remembers is not here:
that is in the thread's log. A file that cannot be read, or that others may write, remembers
nothing until it is mended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.paths import FILE_MODE, approvals_file, make_private, write_private
from octavo.protocol.errors import ConfigError, UsageError

_LIMIT_BYTES = 4 << 20
_ID_BYTES = 4


class Approval(msgspec.Struct, frozen=True, omit_defaults=True):
    """One remembered yes.

    Attributes:
        id: short, for people to type.
        covers: "exact": what has `key`. "prefix": commands in `project` that begin with `words`.
            "host": connections to `host`.
        project: the directory it holds in, as `trust.trust_unit` names it; None is everywhere.
        key: digest of the command, its folder and its programs as they were.
        command: what was asked about; for people only.
    """

    id: str
    covers: Literal["exact", "prefix", "host"]
    at_ms: int
    project: str | None
    command: str
    key: str | None = None
    cwd: str | None = None
    words: tuple[str, ...] = ()
    host: str | None = None


class _File(msgspec.Struct, frozen=True):
    format: Literal[1]
    approvals: tuple[Approval, ...] = ()


def new_approval_id() -> str:
    """Return an id that no other approval has, for all practical purposes."""
    return os.urandom(_ID_BYTES).hex()


def read_approvals(home: Path) -> tuple[Approval, ...]:
    """Return what is remembered, oldest first.

    Raises:
        ConfigError: the file is damaged, cannot be read, or could be another user's work.
    """
    path = approvals_file(home)
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            status = os.fstat(number)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise ConfigError(
                    f"{path} can be written by others, so nothing in it counts.",
                    hint=f"Look through it, then: chmod 600 {path}",
                )
            data = file.read(_LIMIT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read, so nothing in it counts: {error.strerror}."
        ) from None
    try:
        return msgspec.json.decode(data, type=_File).approvals
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is damaged, so nothing in it counts: you are asked again.",
            hint="Mend it, or delete it to begin anew.",
        ) from None


def remember(home: Path, approval: Approval) -> None:
    """Add an approval; one that says the same already stays as it is.

    Raises:
        ConfigError: the file is damaged or cannot be written; nothing was changed.
    """
    with _changing(home) as write:
        known = read_approvals(home)
        if not any(_same(one, approval) for one in known):
            write((*known, approval))


def revoke(home: Path, ids: Sequence[str]) -> tuple[Approval, ...]:
    """Forget these approvals, and return them.

    Raises:
        UsageError: there is none of one of these ids; nothing was changed.
        ConfigError: as for `remember`.
    """
    with _changing(home) as write:
        known = read_approvals(home)
        for one in ids:
            if all(approval.id != one for approval in known):
                raise UsageError(
                    f"There is no approval {one!r}.", hint="`octavo approvals list` shows them."
                )
        gone = tuple(approval for approval in known if approval.id in ids)
        write(tuple(approval for approval in known if approval.id not in ids))
    return gone


def revoke_all(home: Path) -> int:
    """Forget every approval, a damaged file included; return how many were known."""
    with _changing(home) as write:
        try:
            known = len(read_approvals(home))
        except ConfigError:
            known = 0
        write(())
    return known


@contextmanager
def _changing(home: Path) -> Iterator[Callable[[tuple[Approval, ...]], None]]:
    """Nobody else changes the file meanwhile."""
    path = approvals_file(home)
    make_private(home)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(path.with_name(f"{path.name}.lock"), flags, FILE_MODE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def write(approvals: tuple[Approval, ...]) -> None:
            data = msgspec.json.format(msgspec.json.encode(_File(1, approvals)), indent=2)
            write_private(path, data + b"\n")

        yield write
    finally:
        os.close(lock)


def _same(one: Approval, other: Approval) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("covers", "project", "key", "words", "host")
    )
