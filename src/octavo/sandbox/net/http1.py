"""HTTP/1 heads: read strictly, and written anew.

A head that two programs could read differently is refused: that is what request smuggling lives
on. Where a body ends is decided here once, and what is passed on says it again in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from octavo.sandbox.net.hosts import NotAHost, split_port
from octavo.sandbox.net.wire import Malformed

MAX_HEAD = 64 * 1024
MAX_FIELDS = 200
MAX_LENGTH_DIGITS = 18
DEFAULT_PORT = 80

CHUNKED = -1
"""A body in chunks, instead of a length."""
TO_END = -2
"""A body until the connection closes; only of a reply."""

Fields = list[tuple[bytes, bytes]]
"""Names in lower case."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_DIGITS = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)
_STATUS = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_ABSOLUTE = re.compile(r"(?i:http)://([^/?#]+)(.*)")
_VERSION = re.compile(rb"HTTP/[0-9](?:\.[0-9])?")
_OF_ONE_HOP = frozenset(
    {
        b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding",
        b"content-length", b"upgrade", b"expect", b"proxy-authorization", b"proxy-authenticate",
        b"http2-settings",
    }
)  # fmt: skip


class Request(msgspec.Struct, frozen=True):
    """The head of a request."""

    method: str
    target: str
    version: bytes
    fields: Fields
    body: int
    """Length in bytes, or CHUNKED."""

    def host(self) -> str | None:
        """Return what the Host field says; None if there is none."""
        found = values(self.fields, b"host")
        if len(found) > 1:
            raise Malformed("there is more than one Host field")
        if not found:
            return None
        return found[0].decode("latin-1")

    def keeps_alive(self) -> bool:
        return _keeps_alive(self.version, self.fields)

    def wants_websocket(self) -> bool:
        upgrade = [value.lower() for value in values(self.fields, b"upgrade")]
        return upgrade == [b"websocket"] and b"upgrade" in _tokens(self.fields, b"connection")

    def expects_continue(self) -> bool:
        return b"100-continue" in _tokens(self.fields, b"expect")


class Reply(msgspec.Struct, frozen=True):
    """The head of a reply."""

    version: bytes
    status: int
    reason: bytes
    fields: Fields
    body: int
    """Length in bytes, CHUNKED or TO_END."""

    def keeps_alive(self) -> bool:
        return self.body != TO_END and _keeps_alive(self.version, self.fields)

    def ends_by_itself(self, request: Request) -> bool:
        """Whether whoever asked can see where the reply ends."""
        return self.body >= 0 or (self.body == CHUNKED and request.version == b"HTTP/1.1")


def parse_request(raw: bytes) -> Request:
    """Read a head, with its empty line. Raises Malformed."""
    first, fields = _parse_fields(raw)
    parts = first.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise Malformed("the first line is not a request of HTTP/1")
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        known = _VERSION.fullmatch(version)
        raise Malformed("only HTTP/1.1 is spoken here" if known else "the HTTP version is odd")
    body = _length(fields)
    if body == CHUNKED and version == b"HTTP/1.0":
        raise Malformed("HTTP/1.0 knows no chunks")
    return Request(method.decode(), target.decode(), version, fields, 0 if body is None else body)


def parse_reply(raw: bytes, method: str) -> Reply:
    """Read the head of a reply to `method`, with its empty line. Raises Malformed."""
    first, fields = _parse_fields(raw)
    match = _STATUS.fullmatch(first)
    if match is None:
        raise Malformed("the first line is not a reply of HTTP/1")
    status = int(match[2])
    body = _length(fields)
    if method == "HEAD" or status < 200 or status in (204, 304):
        body = 0
    elif body is None:
        body = TO_END
    return Reply(match[1], status, match[3] or b"", fields, body)


def _parse_fields(raw: bytes) -> tuple[bytes, Fields]:
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise Malformed(f"there are more than {MAX_FIELDS} fields")
    fields: Fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Malformed("a field has no proper name")
        value = value.strip(b" \t")
        if not _VALUE.fullmatch(value):
            raise Malformed("a field contains a control character")
        fields.append((name.lower(), value))
    return lines[0], fields


def split_authority(text: str) -> tuple[str, int | None]:
    """Split host and port of a CONNECT, an address or a Host field. Raises Malformed."""
    if text.count(":") > 1 and not text.startswith("["):
        raise Malformed("an IPv6 address needs brackets")
    try:
        return split_port(text)
    except NotAHost as error:
        raise Malformed(str(error)) from None


def split_absolute(target: str, method: str) -> tuple[str, int, str]:
    """Return host, port and path of a whole address. Raises Malformed."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise Malformed("only http:// addresses go through here; for others there is CONNECT")
    authority, path = match[1], match[2]
    if "@" in authority:
        raise Malformed("an address must not contain a user")
    if "#" in target:
        raise Malformed("an address must not contain a fragment")
    host, port = split_authority(authority)
    if not path:
        path = "*" if method == "OPTIONS" else "/"
    elif path.startswith("?"):
        path = "/" + path
    return host, port or DEFAULT_PORT, path


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Return all values of one field."""
    return [value for key, value in fields if key == name]


def _tokens(fields: Fields, name: bytes) -> list[bytes]:
    return [
        token.strip(b" \t").lower() for value in values(fields, name) for token in value.split(b",")
    ]


def _length(fields: Fields) -> int | None:
    """Return how long the body is; None if nothing says so."""
    lengths = values(fields, b"content-length")
    codings = values(fields, b"transfer-encoding")
    if codings:
        if lengths:
            raise Malformed("it has a Content-Length and a Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Malformed("its Transfer-Encoding is not just chunked")
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1:
        raise Malformed("it has more than one Content-Length")
    if not _DIGITS.fullmatch(lengths[0]):
        raise Malformed("its Content-Length is not a number")
    return int(lengths[0])


def _keeps_alive(version: bytes, fields: Fields) -> bool:
    said = _tokens(fields, b"connection") + _tokens(fields, b"proxy-connection")
    if b"close" in said:
        return False
    return version == b"HTTP/1.1" or b"keep-alive" in said


def end_to_end(fields: Fields) -> Fields:
    """Return the fields that are for the other end, without those of one connection."""
    named = set(_tokens(fields, b"connection"))
    return [
        (name, value) for name, value in fields if name not in _OF_ONE_HOP and name not in named
    ]


def framing(body: int) -> Fields:
    """Return the field that says where a body ends; none for TO_END."""
    if body == CHUNKED:
        return [(b"transfer-encoding", b"chunked")]
    return [] if body == TO_END else [(b"content-length", b"%d" % body)]


def write_head(first: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a head with its empty line."""
    lines = [first, *(b"%b: %b" % field for field in fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
