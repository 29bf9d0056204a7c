"""Which host a TLS client asks for, read from its first message.

Only ClientHello is read, as it arrives and within limits; nothing is decrypted. The name is the one
outside any encrypted ClientHello.
"""

from __future__ import annotations

import msgspec

from octavo.sandbox.net.hosts import NotAHost, canonical_host
from octavo.sandbox.net.wire import Malformed

HANDSHAKE = 22
CHANGE_CIPHER_SPEC = 20
APPLICATION_DATA = 23
RECORD_BYTES = 5
MAX_RECORD = 16384 + 256
MAX_HELLO = 64 * 1024
UNRECOGNIZED_NAME = bytes((21, 3, 3, 0, 2, 2, 112))
"""The fatal alert that tells a client at once."""

_CLIENT_HELLO = 1
_SERVER_HELLO = 2
_SERVER_NAME = 0
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Hello(msgspec.Struct, frozen=True):
    """A whole ClientHello."""

    name: str | None
    """The host it asks for, canonical; None if it names none."""
    size_bytes: int
    """How much of the stream it takes, with the records around it."""


def starts_tls(data: bytes | bytearray) -> bool:
    """Whether a stream that starts so can be a TLS client's. Judges at least one byte."""
    return data[0] == HANDSHAKE and (len(data) < 2 or data[1] == 3)


def read_hello(data: bytes | bytearray) -> Hello | None:
    """Read the ClientHello a stream starts with; None if more of it has to arrive.

    Raises:
        Malformed: it is no ClientHello, or one that could be read in two ways.
    """
    message = bytearray()
    at = 0
    while True:
        if len(data) < at + RECORD_BYTES:
            _check_start(data[at:])
            return None
        _check_start(data[at:])
        size = int.from_bytes(data[at + 3 : at + 5])
        if not 0 < size <= MAX_RECORD:
            raise Malformed("a TLS record has an impossible length")
        message += data[at + RECORD_BYTES : at + RECORD_BYTES + size]
        at += RECORD_BYTES + size
        if message and message[0] != _CLIENT_HELLO:
            raise Malformed("TLS does not start with a ClientHello")
        if len(message) >= 4:
            wanted = 4 + int.from_bytes(message[1:4])
            if wanted > MAX_HELLO:
                raise Malformed(f"the ClientHello is longer than {MAX_HELLO} bytes")
            if len(message) > wanted:
                raise Malformed("something follows the ClientHello in its record")
            if len(message) == wanted and len(data) >= at:
                return Hello(_server_name(bytes(message[4:])), at)
        if len(data) < at:
            return None


def _check_start(record: bytes | bytearray) -> None:
    if record and not starts_tls(record):
        raise Malformed("it is not TLS")


def is_retry(data: bytes | bytearray) -> bool:
    """Whether a server's stream starts with a HelloRetryRequest: another ClientHello follows."""
    return (
        len(data) >= 43
        and data[0] == HANDSHAKE
        and data[5] == _SERVER_HELLO
        and data[11:43] == _RETRY_RANDOM
    )


def may_be_retry(data: bytes | bytearray) -> bool:
    """Whether more of a server's stream has to arrive before `is_retry` can tell."""
    return not data or (len(data) < 43 and data[0] == HANDSHAKE)


class _Reader:
    """Reads length-prefixed vectors; anything that does not fit is malformed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Malformed("the ClientHello is cut short")
        found = self.data[self.at : end]
        self.at = end
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))

    def at_end(self) -> bool:
        return self.at == len(self.data)


def _server_name(body: bytes) -> str | None:
    hello = _Reader(body)
    hello.take(2 + 32)
    hello.vector(1)
    hello.vector(2)
    hello.vector(1)
    if hello.at_end():
        return None
    extensions = _Reader(hello.vector(2))
    if not hello.at_end():
        raise Malformed("something follows the extensions of the ClientHello")
    name: str | None = None
    while not extensions.at_end():
        kind, content = extensions.number(2), extensions.vector(2)
        if kind != _SERVER_NAME:
            continue
        if name is not None:
            raise Malformed("the ClientHello names two hosts")
        name = _only_name(content)
    return name


def _only_name(content: bytes) -> str:
    outer = _Reader(content)
    names = _Reader(outer.vector(2))
    kind, name = names.number(1), names.vector(2)
    if kind != 0 or not names.at_end() or not outer.at_end():
        raise Malformed("the ClientHello does not name exactly one host")
    try:
        return canonical_host(name.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("the host in the ClientHello is not ASCII") from None
    except NotAHost as error:
        raise Malformed(f"the host in the ClientHello is none: {error}") from None
