"""Which addresses a login may lead to. All of them are a stranger's word.

An endpoint is https; only a server on this machine may have them at loopback, and only with that
does http do. Nothing else leads to an address that is not public, but the server's own host.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from octavo.mcp.oauth.words import Metadata
from octavo.mcp.spec import Spec
from octavo.protocol.errors import OctavoError
from octavo.protocol.visible import visible_line

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?&=%+,@!*\[\]-]{1,2048}")
"""Of an endpoint: none that means something to a shell, or is read in two ways."""
_PLACE = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LOOPBACK = ("127.0.0.1", "localhost")


class LoginFailed(OctavoError):
    """A login did not come about, or is over; the text is a sentence for people."""

    code = "mcp.login"

    def __init__(self, message: str, *, hint: str | None = None, refused: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.refused = refused
        """The authorization server itself said no: asking again is of no use."""


def may_log_in(spec: Spec) -> bool:
    """Whether tokens of a login are what this server is reached with, once there are some."""
    if spec.config.url is None or has_own_token(spec):
        return False
    parts = urlsplit(spec.config.url)
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def has_own_token(spec: Spec) -> bool:
    """Whether the settings give it a token."""
    config = spec.config
    headers = (*config.http_headers, *config.env_http_headers)
    named = any(header.lower() == "authorization" for header in headers)
    return named or config.bearer_token_env_var is not None


def checked(url: str, what: str, server_url: str) -> str:
    """Return an endpoint that may be reached for a login at `server_url`.

    Args:
        what: it is, in the middle of a sentence.

    Raises:
        LoginFailed: it may not.
    """
    from octavo.sandbox.net.addresses import kind_of
    from octavo.sandbox.net.hosts import NotAHost, as_address, canonical_host

    mine = urlsplit(server_url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _wrong(what, url, "it is no URL") from None
    if not _CHARACTERS.fullmatch(url) or not _PLACE.fullmatch(parts.netloc):
        raise _wrong(what, url, "it is no plain URL")
    host = parts.hostname or ""
    if host in _LOOPBACK or host.endswith(".localhost"):
        if mine.hostname in _LOOPBACK and host in _LOOPBACK and parts.scheme in ("http", "https"):
            return url
        raise _wrong(what, url, "it is on this machine, and the server is not")
    if parts.scheme != "https":
        raise _wrong(what, url, "it is not https")
    try:
        address = as_address(canonical_host(host))
    except NotAHost as error:
        raise _wrong(what, url, str(error)) from None
    if address is not None and kind_of(address) != "public" and host != mine.hostname:
        raise _wrong(what, url, "it is at an address that is not public")
    return url


def checked_metadata(metadata: Metadata, server_url: str) -> Metadata:
    """Return where an authorization server is spoken with, if all of it may be reached.

    Raises:
        LoginFailed: something of it may not, or octavo cannot log in there.
    """
    checked(metadata.issuer, "authorization server", server_url)
    checked(metadata.authorization_endpoint, "page to log in", server_url)
    checked(metadata.token_endpoint, "token endpoint", server_url)
    for endpoint in (metadata.registration_endpoint, metadata.revocation_endpoint):
        if endpoint is not None:
            checked(endpoint, "endpoint for clients", server_url)
    if "S256" not in metadata.pkce_methods:
        raise LoginFailed(
            f"The authorization server {host_of(metadata.issuer)} does not say that it knows PKCE"
            " (S256), without which a login could be stolen."
        )
    if metadata.registration_endpoint is None:
        raise LoginFailed(
            f"The authorization server {host_of(metadata.issuer)} does not let programs register.",
            hint="If it gives you a token by hand, name its variable in bearer_token_env_var.",
        )
    return metadata


def host_of(url: str) -> str:
    """Return host and port of a URL, as the cage's rules have them; the port is always there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_within(url: str, resource: str) -> bool:
    """Whether a token for `resource` may be sent to `url`: the same place, or above it."""
    mine, theirs = urlsplit(url), urlsplit(resource)
    if _origin(mine) != _origin(theirs) or theirs.query or theirs.fragment:
        return False
    path = f"{theirs.path.rstrip('/')}/"
    return f"{mine.path.rstrip('/')}/".startswith(path)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _wrong(what: str, url: str, why: str) -> LoginFailed:
    return LoginFailed(f"The {what} it names, {visible_line(url)[:200]}, is not used: {why}.")
