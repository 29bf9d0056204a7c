"""The name in a ClientHello: one, or none, but never two."""

from __future__ import annotations

import pytest

from octavo.sandbox.net.sni import Hello, read_hello
from octavo.sandbox.net.wire import Malformed


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width) + data


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2) + vector(2, content)


def named(*names: bytes, kind: int = 0) -> bytes:
    """Return the extension that names hosts."""
    return extension(0, vector(2, b"".join(bytes((kind,)) + vector(2, name) for name in names)))


def hello(extensions: bytes, *, after: bytes = b"") -> bytes:
    """Return a ClientHello in one record."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    message = b"\x01" + vector(3, body + vector(2, extensions) + after)
    return b"\x16\x03\x01" + vector(2, message)


def test_the_name_is_read_in_its_canonical_form() -> None:
    data = hello(extension(23, b"") + named(b"Allowed.TEST.") + extension(0xFE0D, b"x" * 40))

    assert read_hello(data) == Hello("allowed.test", len(data))


def test_a_handshake_may_name_nothing() -> None:
    data = hello(extension(23, b""))

    assert read_hello(data) == Hello(None, len(data))


@pytest.mark.parametrize(
    "data",
    [
        hello(named(b"allowed.test") + named(b"evil.test")),
        hello(named(b"allowed.test", b"evil.test")),
        hello(named()),
        hello(named(b"")),
        hello(named(b"allowed.test", kind=1)),
        hello(extension(0, b"")),
        hello(extension(0, vector(2, b"\0" + vector(2, b"allowed.test")) + b"more")),
        hello(named(b"allowed.test\0.evil.test")),
        hello(named(b"allowed.test\xff")),
        hello(named(b"allowed..test")),
        hello(named(b"127.1")),
        hello(b"\0\0\0\x09abc"),
        hello(named(b"allowed.test"), after=b"more"),
        hello(named(b"allowed.test"))[:5] + b"\x02" + hello(named(b"allowed.test"))[6:],
        b"\x16\x03\x01\0\0",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\0\4\1\xff\xff\xff",
        b"\x80\x2e\1\3\1",
    ],
)
def test_what_could_be_read_in_two_ways_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_hello(data)
