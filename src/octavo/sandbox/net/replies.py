"""The heads that are written anew: to the host, to the client, and octavo's own errors."""

from __future__ import annotations

from octavo.sandbox.net import Blocked
from octavo.sandbox.net.http1 import (
    CHUNKED,
    DEFAULT_PORT,
    TO_END,
    Fields,
    Reply,
    Request,
    end_to_end,
    framing,
    values,
    write_head,
)
from octavo.sandbox.net.rules import Allowed

_ERROR_WORDS = {
    "not_allowed": "blocked-by-allowlist",
    "not_allowed_local": "blocked-by-allowlist",
    "denied": "blocked-by-denylist",
    "method_not_allowed": "blocked-by-method-policy",
}
_TITLES = {400: b"400 Bad Request", 403: b"403 Forbidden", 502: b"502 Bad Gateway"}
_UPGRADE: Fields = [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]


def request_head(request: Request, allowed: Allowed, path: str, *, websocket: bool) -> bytes:
    """Return what the host is told; the Host field is the host that was judged."""
    host = f"[{allowed.host}]" if ":" in allowed.host else allowed.host
    if allowed.port != DEFAULT_PORT:
        host += f":{allowed.port}"
    fields: Fields = [(b"host", host.encode())]
    fields += [field for field in end_to_end(request.fields) if field[0] != b"host"]
    if request.body or values(request.fields, b"content-length"):
        fields += framing(request.body)
    if websocket:
        fields += _UPGRADE
    return write_head(f"{request.method} {path} HTTP/1.1".encode(), fields)


def reply_head(request: Request, reply: Reply) -> bytes:
    """Return what the client is told of a reply."""
    fields = end_to_end(reply.fields)
    if reply.status == 101:
        fields += _UPGRADE
    elif request.method == "HEAD" or reply.status == 304:
        fields += [(b"content-length", value) for value in values(reply.fields, b"content-length")]
    elif reply.status != 204:
        to_end = reply.body == CHUNKED and request.version == b"HTTP/1.0"
        fields += framing(TO_END if to_end else reply.body)
    if reply.status != 101:
        stays = request.keeps_alive() and reply.ends_by_itself(request)
        fields.append((b"connection", b"keep-alive" if stays else b"close"))
    return write_head(b"HTTP/1.1 %d %b" % (reply.status, reply.reason), fields)


def error_reply(status: int, text: str, blocked: Blocked | None = None) -> bytes:
    """Return a whole reply of octavo's own: one line of plain text."""
    body = f"octavo: {text}\n".encode()
    fields: Fields = [(b"content-type", b"text/plain; charset=utf-8")]
    if blocked is not None:
        word = _ERROR_WORDS.get(blocked.reason, "blocked-by-policy")
        fields.append((b"x-proxy-error", word.encode()))
    fields += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    return write_head(b"HTTP/1.1 " + _TITLES[status], fields) + body
