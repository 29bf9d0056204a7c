"""Content put away for good: archives that any `tar` opens, written whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.workspace.snapshot.holdings import Piece

if TYPE_CHECKING:
    import tarfile

ENDING = ".tar.xz"
_REMARK = "ABOUT.txt"


def archive_pieces(
    target: Path,
    pieces: Iterable[Piece],
    content: Callable[[Piece], bytes],
    about: str,
    at_ms: Callable[[int], int],
) -> int:
    """Write content as files, each below the number of the last snapshot it was part of.

    Args:
        about: text for whoever opens it.
        at_ms: when a snapshot was taken.

    Returns:
        The size of the archive in bytes.

    Raises:
        OSError: it could not be written; there is no `target` then.
        SnapshotFailed: content is damaged; the same.
    """
    import tarfile

    with _writing(target, about) as tar:
        for piece in sorted(pieces, key=lambda one: (one.path, one.spans[-1:])):
            number = max((high for _, high in piece.spans), default=0)
            info = tarfile.TarInfo(os.path.join(str(number), os.fsdecode(piece.path)))
            info.mode = stat.S_IMODE(piece.mode)
            info.mtime = at_ms(number) / 1000
            if not piece.pack:
                info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(piece.content)
                tar.addfile(info)
                continue
            data = content(piece)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.stat().st_size


def archive_folder(target: Path, folder: Path, about: str) -> int:
    """Write all of a folder, links as links; return the archive's size in bytes.

    Raises:
        OSError: a part cannot be read or written; there is no `target` then.
    """
    with _writing(target, about) as tar:
        tar.add(folder, arcname=folder.name)
    return target.stat().st_size


def new_name(folder: Path, stem: str) -> Path:
    """Return a path for an archive that is not there yet."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
    for number in range(1, 1000):
        more = "" if number == 1 else f"-{number}"
        path = folder / f"{stem}-{stamp}{more}{ENDING}"
        if not path.exists():
            return path
    raise FileExistsError(f"{folder} has a thousand archives of this second")


@contextmanager
def _writing(target: Path, about: str) -> Iterator[tarfile.TarFile]:
    """An archive under another name until it is whole and on the disk."""
    import lzma
    import tarfile

    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = target.with_name(target.name + ".new")
    # Versions of one file are next to each other, so a large window is worth more than effort.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 32 << 20}]
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(aside, flags, 0o600), "wb") as file:
            with (
                lzma.open(file, "wb", format=lzma.FORMAT_XZ, filters=filters) as packed,
                tarfile.open(
                    fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, dereference=False
                ) as tar,
            ):
                remark = tarfile.TarInfo(_REMARK)
                text = about.encode("utf-8", "replace")
                remark.size, remark.mode, remark.mtime = len(text), 0o600, time.time()
                tar.addfile(remark, io.BytesIO(text))
                yield tar
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, target)
        sync_folder(target.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
