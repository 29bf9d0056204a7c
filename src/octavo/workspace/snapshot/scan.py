"""What is in a folder: each path, and a stamp that changes whenever the thing at it does.

The stamp is the inode's change time, which every write, rename and change of mode moves and no
program can set. A walk in Python takes 3 µs a file; GNU find, where it is, half of that, and two
of them side by side a quarter.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from octavo.workspace.snapshot import SnapshotFailed

GNU_FIND = "/usr/bin/find"
"""A fixed place that no command can write to."""
FINDS = 2
LARGE = 3_000
PRUNED = (b"/.git/objects", b"/.git/lfs")
"""At the top alone: a repository inside of the folder can be deleted with all that it holds."""
_CHUNK_BYTES = 1 << 20


def scan(root: Path, *, is_large: bool, limit: int) -> bytes:
    """Return every path below `root` and its stamp; `stamps` reads it. Equal: nothing changed.

    Objects of the folder's own repository and of its submodules are left out, and what is mounted
    from another file system is not entered. Links are not followed. What vanishes meanwhile is left
    out.

    Args:
        is_large: more than `LARGE` files are expected.
        limit: how many paths there may be.

    Raises:
        SnapshotFailed: the folder cannot be listed, or has too many files.
    """
    top = os.fsencode(root)
    try:
        names = sorted(os.listdir(top))
        if {b"HEAD", b"objects", b"refs"} <= {*names}:  # it is a git directory itself
            names = [name for name in names if b"/.git/" + name not in PRUNED]
        if _has_gnu_find():
            # Below some thousand files, starting other programs costs more than it saves.
            walked = None if is_large else _by_walking(top, names, min(limit, LARGE))
            found = _by_find(top, names, limit) if walked is None else walked
            if found is not None:
                return found
        walked = _by_walking(top, names, limit)
        if walked is not None:
            return walked
    except OSError as error:
        raise SnapshotFailed(f"{root} cannot be listed: {error.strerror}.") from error
    raise _too_many(top, limit)


def stamps(scanned: bytes) -> dict[bytes, bytes]:
    """Return the stamp of each path, relative to the folder, in what `scan` returned."""
    parts = iter(scanned.split(b"\0"))
    return {path[2:]: stamp for path, stamp in zip(parts, parts, strict=False)}


def stamp_of(found: os.stat_result) -> bytes:
    """Return the stamp of an inode, as `scan` says it."""
    return stamp_at(found.st_ctime_ns)


def stamp_at(time_ns: int) -> bytes:
    """Return what would be the stamp of an inode changed at this time; later ones are greater."""
    # Ten digits after the point, as GNU find has them.
    return b"%d.%09d0" % divmod(time_ns, 1_000_000_000)


def _has_gnu_find() -> bool:
    return os.path.exists(GNU_FIND) and os.uname().sysname == "Linux"


def _by_find(top: bytes, names: list[bytes], limit: int) -> bytes | None:
    """Let find list the top folders, half each; None where it is of another kind."""
    shares = [share for share in (names[start::FINDS] for start in range(FINDS)) if share]
    with ThreadPoolExecutor(max_workers=FINDS) as threads:
        answers = list(threads.map(lambda share: _find(top, share, limit), shares))
    return None if None in answers else b"".join(answer for answer in answers if answer)


def _find(top: bytes, names: list[bytes], limit: int) -> bytes | None:
    import subprocess  # slow to load, and only large folders need it

    prune: list[bytes] = []
    for ending in PRUNED:
        prune += [b"-path", b"." + ending, b"-o"]
    prune += [b"-path", b"./.git/modules/*/objects", b"!", b"-path", b"*/refs/*"]
    prune += [b"!", b"-path", b"*/logs/*"]
    told = [b"(", *prune, b")", b"-prune", b"-o", b"-printf", b"%p\\0%C@\\0"]
    with subprocess.Popen(
        [GNU_FIND.encode(), b"-P", *(b"./" + name for name in names), b"-xdev", *told],
        cwd=top,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ) as finding:
        assert finding.stdout is not None
        parts: list[bytes] = []
        count = 0
        while chunk := finding.stdout.read(_CHUNK_BYTES):
            parts.append(chunk)
            count += chunk.count(b"\0") // 2
            if count > limit:
                finding.kill()
                raise _too_many(top, limit)
    found = b"".join(parts)
    # A failure of 1 is what vanished or cannot be entered; another program's words end otherwise.
    return found if finding.returncode in (0, 1) and found[-1:] in (b"", b"\0") else None


def _by_walking(top: bytes, names: list[bytes], limit: int) -> bytes | None:
    """Return as `scan`; None if there is more than `limit`."""
    device = os.lstat(top).st_dev
    prefix = len(top.rstrip(b"/"))
    parts: list[bytes] = []
    folders: list[bytes] = []

    def note(path: bytes, found: os.stat_result) -> None:
        if stat.S_ISDIR(found.st_mode):
            if _is_pruned(path[prefix:]):
                return
            if found.st_dev == device:
                folders.append(path)
        parts.append(b".%b\0%b\0" % (path[prefix:], stamp_of(found)))

    for name in names:
        with suppress(FileNotFoundError):
            note(os.path.join(top, name), os.lstat(os.path.join(top, name)))
    while folders:
        if len(parts) > limit:
            return None
        with (
            suppress(FileNotFoundError, NotADirectoryError, PermissionError),
            os.scandir(folders.pop()) as entries,
        ):
            for entry in entries:
                with suppress(FileNotFoundError):
                    note(entry.path, entry.stat(follow_symlinks=False))
    return b"".join(parts)


def _too_many(top: bytes, limit: int) -> SnapshotFailed:
    return SnapshotFailed(
        f"{os.fsdecode(top)} has more than {limit} files and folders, too many to keep."
    )


def _is_pruned(path: bytes) -> bool:
    if path in PRUNED:
        return True
    if not path.endswith(b"/objects") or not path.startswith(b"/.git/modules/"):
        return False
    return b"/refs/" not in path and b"/logs/" not in path
