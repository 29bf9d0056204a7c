"""Content on the disk: git's pack files, each written once, and read from where an entry says.

The format is Documentation/gitformat-pack.adoc's, version 2, and only whole blobs are written. A
pack has no index, as entries know their offsets; `git index-pack` makes one for whoever wants to
look inside with git.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

from octavo.workspace.snapshot import SnapshotFailed

try:
    # What hashlib falls back on; importing hashlib itself loads OpenSSL.
    from _sha1 import sha1  # type: ignore[import-not-found]  # typeshed has no stub of it
except ImportError:
    from hashlib import sha1

_BLOB = 3
_LEVEL = 1
_PACKED = (b"PACK\0\0\0", b"x\x01", b"x\x9c")
"""How git's packs and objects begin, which do not get smaller."""
_HEADER_BYTES, CHECKSUM_BYTES = 12, 20
PACK_FRAME_BYTES = _HEADER_BYTES + CHECKSUM_BYTES
"""What a pack has besides its blobs: before them and after."""
_CHUNK_BYTES = 1 << 20


def blob_id(data: bytes) -> bytes:
    """Return the name git gives to a file with this content, 20 bytes."""
    digest: bytes = sha1(b"blob %d\0" % len(data) + data).digest()
    return digest


class PackWriter:
    """A pack being written, under a name of its own until `close` has put it on the disk."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._path = pack_path(folder, number)
        self._aside = self._path.with_suffix(".new")
        self._file: BinaryIO | None = None
        self._count = 0
        self._offset = _HEADER_BYTES
        self._known: dict[bytes, int] = {}

    def add(self, blob: bytes, data: bytes) -> int:
        """Write a blob, or find it among those written, and return its offset.

        Raises:
            OSError: the disk does not take it.
        """
        if blob in self._known:
            return self._known[blob]
        if self._file is None:
            fd = os.open(self._aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(fd, "w+b", _CHUNK_BYTES)
            self._file.write(b"PACK\0\0\0\x02\0\0\0\0")
        level = 0 if data.startswith(_PACKED) else _LEVEL
        packed = _head(len(data)) + zlib.compress(data, level)
        self._file.write(packed)
        at, self._offset = self._offset, self._offset + len(packed)
        self._count += 1
        self._known[blob] = at
        return at

    def close(self) -> None:
        """Put the pack on the disk under its name. Without a blob there is none.

        Raises:
            OSError: it could not be written; `abandon` removes what there is.
        """
        if self._file is None:
            return
        self._file.seek(8)
        self._file.write(self._count.to_bytes(4, "big"))
        self._file.seek(0)
        total = sha1()
        while chunk := self._file.read(_CHUNK_BYTES):
            total.update(chunk)
        self._file.write(total.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.rename(self._aside, self._path)

    def abandon(self) -> None:
        """Remove what was written so far."""
        if self._file is not None:
            self._file.close()
            self._aside.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove what a writer that was killed has left."""
    for left in folder.glob("*.new"):
        left.unlink(missing_ok=True)


def pack_path(folder: Path, number: int) -> Path:
    """Return the file of a pack."""
    return folder / f"{number:08d}.pack"


class PackReader:
    """Reads blobs out of the packs of a folder. The last pack stays open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._file: BinaryIO | None = None

    def read(self, number: int, offset: int, blob: bytes) -> bytes:
        """Return the content of a blob.

        Raises:
            SnapshotFailed: it is not there, or is not what it was.
        """
        try:
            data = self._read(number, offset)
        except (OSError, zlib.error, EOFError):
            data = None
        if data is None or blob_id(data) != blob:
            raise SnapshotFailed(
                f"The kept content in {pack_path(self._folder, number)} is damaged or gone."
            )
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, number: int, offset: int) -> bytes:
        if self._file is None or self._number != number:
            self.close()
            self._file = pack_path(self._folder, number).open("rb")
            self._number = number
        self._file.seek(offset)
        while self._byte() & 0x80:
            pass
        unpack = zlib.decompressobj()
        out = []
        while not unpack.eof:
            chunk = self._file.read(_CHUNK_BYTES)
            if not chunk:
                raise EOFError
            out.append(unpack.decompress(chunk))
        return b"".join(out)

    def _byte(self) -> int:
        assert self._file is not None
        byte = self._file.read(1)
        if not byte:
            raise EOFError
        return byte[0]


def _head(size: int) -> bytes:
    """Return the type and size before a blob: four bits, then seven a byte, lowest first."""
    out = bytearray()
    byte, size = _BLOB << 4 | size & 0x0F, size >> 4
    while size:
        out.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    out.append(byte)
    return bytes(out)
