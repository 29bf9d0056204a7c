"""Server-sent events: bytes in, events out.

The parser is incremental and knows nothing of HTTP or JSON. However the bytes are cut, the events
are the same, and each comes out with the very byte that ends it. It works on bytes, so a
character split between two chunks needs no care; it follows the WHATWG specification, except that
`id` and `retry` are ignored, because an answer is never resumed.
"""

from __future__ import annotations

from octavo.protocol.errors import StreamCut

MAX_EVENT_BYTES = 64 << 20
_BOM = b"\xef\xbb\xbf"

Event = tuple[bytes, bytes]
"""Its name (empty when the stream gives none) and its data."""


class SseParser:
    """Turns one stream into events."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._scanned = 0
        """No blank line ends before here."""
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completes.

        Raises:
            StreamCut: an event is larger than the limit.
        """
        buffer = self._buffer
        buffer += self._plain(chunk) if self._after_cr or b"\r" in chunk else chunk
        if self._at_start and not self._skip_bom():
            return []
        events: list[Event] = []
        start = 0
        end = buffer.find(b"\n\n", max(0, self._scanned - 1))
        while end >= 0:
            event = _parse(bytes(buffer[start:end]))
            if event is not None:
                events.append(event)
            start = end + 2
            end = buffer.find(b"\n\n", start)
        if start:
            del buffer[:start]
        self._scanned = len(buffer)
        if len(buffer) > self._max_event_bytes:
            limit = self._max_event_bytes
            raise StreamCut(f"The provider sent a single event of more than {limit} bytes.")
        return events

    def _plain(self, chunk: bytes) -> bytes:
        """Return `chunk` with every line ending as LF."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if chunk.endswith(b"\r"):
            self._after_cr = True
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _skip_bom(self) -> bool:
        """Drop a byte order mark; False while there may still be one to come."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        self._at_start = False
        return True


def _parse(block: bytes) -> Event | None:
    """Return the event of the lines before a blank one; None if they hold no data."""
    head, _, rest = block.partition(b"\n")
    if head[:7] == b"event: " and rest[:6] == b"data: " and b"\n" not in rest:
        return head[7:], rest[6:]  # nearly every event looks like this
    name = b""
    data: bytes | None = None
    for line in block.split(b"\n"):
        field, colon, value = line.partition(b":")
        if field == b"data":
            if value[:1] == b" ":
                value = value[1:]
            data = value if data is None else data + b"\n" + value
        elif field == b"event" and colon:
            name = value[1:] if value[:1] == b" " else value
    return None if data is None else (name, data)
