"""Tokens that somebody else signs and this server can check: JSON web tokens, with HS256."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec

from octavo.server.gate import Check


class Head(msgspec.Struct):
    """How a token is signed."""

    alg: str
    crit: Any = None


class Claims(msgspec.Struct):
    """What a token says; RFC 7519, 4.1."""

    exp: int
    nbf: int | None = None
    iss: str | None = None
    aud: str | tuple[str, ...] = ()


def is_signed(
    secret: bytes,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    skew_s: int = 30,
    now_s: Callable[[], float] = time.time,
) -> Check:
    """The check for JSON web tokens that are signed with `secret` (HS256); RFC 7519.

    Args:
        issuer, audience: who must have made it, and for whom, if that is looked at.
        skew_s: how far clocks may differ.
    """

    def part(text: str) -> bytes:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

    def check(token: str) -> str | None:
        signed, _, signature = token.rpartition(".")
        try:
            ours = hmac.digest(secret, signed.encode("ascii"), "sha256")
            if not hmac.compare_digest(part(signature), ours):
                return "The token's signature is not right."
            head_part, _, claims_part = signed.partition(".")
            head = msgspec.json.decode(part(head_part), type=Head)
            claims = msgspec.json.decode(part(claims_part), type=Claims)
        except (ValueError, binascii.Error, RecursionError, msgspec.DecodeError):
            return "This is no signed token."
        if head.alg != "HS256" or head.crit is not None:
            return "The token is signed in another way: HS256 is expected."
        if claims.exp + skew_s < now_s():
            return "The token has expired."
        if claims.nbf is not None and claims.nbf - skew_s > now_s():
            return "The token is not valid yet."
        if issuer is not None and claims.iss != issuer:
            return "The token is of another issuer."
        audiences = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
        if audience is not None and audience not in audiences:
            return "The token is for another audience."
        return None

    return check
