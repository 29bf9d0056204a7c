"""What octavo and the process that logs in say to each other: JSON-RPC over its pipes.

That process is in a cage with what it reads, so nothing it says is believed.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any

import msgspec

PROBE = "probe"
LOGIN = "login"
VISIT = "visit"
RENEW = "renew"
REVOKE = "revoke"

FRAME_LIMIT_BYTES = 1 << 20
"""Of one frame between octavo and that process."""
ANSWER_LIMIT_BYTES = 128 << 10
"""Of one answer of a server: metadata, a registration, tokens."""

FAILED = 1
REFUSED = 2
"""Codes of refusals: it went wrong, and may go well later; the answer is no."""


class Metadata(msgspec.Struct, frozen=True):
    """Where an authorization server is spoken with (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    pkce_methods: tuple[str, ...] = ()


class Probe(msgspec.Struct, frozen=True):
    """Ask a server who logs people in, or, with `issuer`, that one where that is done."""

    url: str
    timeout_s: float
    issuer: str | None = None


class Probed(msgspec.Struct, frozen=True):
    """What is known now.

    Attributes:
        status: of the server's answer to who has no token; 401 is one that wants it.
        challenged: it said that it wants a bearer token.
        resource: what tokens are issued for, as the server says.
        issuer: of its authorization server; "" where it names none.
        metadata: None where it has to be asked for at the issuer.
    """

    status: int = 401
    challenged: bool = False
    resource: str | None = None
    issuer: str = ""
    metadata: Metadata | None = None


class Login(msgspec.Struct, frozen=True):
    """Log a person in. `scope` None: what the server asks for."""

    url: str
    redirect_uri: str
    scope: str | None
    version: str
    timeout_s: float


class Visit(msgspec.Struct, frozen=True):
    """The page that the person has to open; answered when they are back."""

    url: str


class Visited(msgspec.Struct, frozen=True):
    """What they came back with."""

    code: str
    state: str
    iss: str | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What an authorization server gave. `client`: the registration, as RFC 7591 has it."""

    access_token: str
    refresh_token: str | None = None
    expires_in: int | None = None
    scope: str | None = None
    client: dict[str, Any] = {}


class Renew(msgspec.Struct, frozen=True):
    """Get new tokens for old ones; or, as `REVOKE`, have them revoked."""

    url: str
    resource: str
    metadata: Metadata
    tokens: Tokens
    timeout_s: float


class Done(msgspec.Struct, frozen=True):
    """Nothing else is to be said."""
