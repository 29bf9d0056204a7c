"""HTTP/1 bodies on their way: passed on exactly as long as their head said.

Chunks are read strictly and written anew without extensions and trailers, so both ends agree where
a body ends, whatever the sender hoped for.
"""

from __future__ import annotations

import re

from octavo.sandbox.net.http1 import CHUNKED, TO_END
from octavo.sandbox.net.wire import Malformed, Wire

MAX_CHUNK_LINE = 1024
MAX_TRAILERS = 16 * 1024
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")


async def pass_body(source: Wire, sink: Wire, body: int, *, chunks: bool = True) -> None:
    """Pass on one body.

    Args:
        source: stands at the first byte of the body.
        sink: gets it.
        body: length in bytes, CHUNKED or TO_END.
        chunks: write a CHUNKED body in chunks; else plainly, and the sink's end is its end.

    Raises:
        Malformed: chunks are not as they must be.
        Ended: it is cut short.
        OSError: one of the two is gone.
    """
    if body == CHUNKED:
        await _pass_chunks(source, sink, chunks=chunks)
    elif body == TO_END:
        await source.pour(sink)
    else:
        await source.pour(sink, body)


async def _pass_chunks(source: Wire, sink: Wire, *, chunks: bool) -> None:
    while True:
        line = await source.until(b"\r\n", MAX_CHUNK_LINE)
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Malformed("the length of a chunk is odd")
        size = int(match[1], 16)
        if not size:
            break
        if chunks:
            await sink.send(b"%x\r\n" % size)
        await source.pour(sink, size)
        await source.need(2)
        if source.take(2) != b"\r\n":
            raise Malformed("a chunk is longer than it says")
        if chunks:
            await sink.send(b"\r\n")
    left = MAX_TRAILERS
    while (line := await source.until(b"\r\n", MAX_CHUNK_LINE)) != b"\r\n":
        left -= len(line)
        if left < 0:
            raise Malformed("there are too many trailers")
    if chunks:
        await sink.send(b"0\r\n\r\n")
