"""A person logs in at a server: who does that is found out, then their browser is sent there.

server          who logs people in?         a cage that reaches the server
its authority   where?                      a cage that reaches both
the login       register, page, tokens      a cage that reaches the hosts of these endpoints
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec

from octavo import __version__
from octavo.mcp.oauth import words as w
from octavo.mcp.oauth.caged import OpenCage, asked
from octavo.mcp.oauth.endpoints import (
    LoginFailed,
    checked,
    checked_metadata,
    has_own_token,
    host_of,
    is_within,
    may_log_in,
)
from octavo.mcp.oauth.loopback import loopback
from octavo.mcp.oauth.store import Kept
from octavo.mcp.spec import Spec

TIMEOUT_S = 300.0
"""How long a person may take."""


class Page(msgspec.Struct, frozen=True):
    """Where the person goes. `hosts`: all that are reached in this login, with their ports."""

    url: str
    hosts: tuple[str, ...]


async def log_in(
    spec: Spec,
    open_cage: OpenCage,
    *,
    scopes: Sequence[str] | None,
    timeout_s: float,
    show: Callable[[Page], None],
) -> Kept:
    """Return a login at a server, made by the person to whom `show` shows the page.

    Args:
        scopes: None: what the server asks for.
        timeout_s: how long the person may take.

    Raises:
        LoginFailed: it did not come about.
    """
    url, resource, metadata = await _found(spec, open_cage)
    endpoints = (metadata.issuer, metadata.token_endpoint, metadata.registration_endpoint or "")
    reached = (url, *filter(None, endpoints))
    hosts = tuple(dict.fromkeys(map(host_of, (*reached, metadata.authorization_endpoint))))
    step_s = spec.startup_timeout_s
    tokens: w.Tokens | None = None
    async with loopback() as there:

        async def visit(page: str) -> w.Visited:
            state = _state_of(page, metadata.authorization_endpoint, there.redirect_uri)
            there.expect(state)
            show(Page(page, hosts))
            with anyio.move_on_after(timeout_s):
                return await there.back()
            raise LoginFailed(f"Nobody came back from the browser within {timeout_s:g} s.")

        scope = None if scopes is None else " ".join(scopes)
        login = w.Login(url, there.redirect_uri, scope, __version__, step_s)
        tokens = await asked(
            spec,
            reached,
            open_cage,
            w.LOGIN,
            login,
            w.Tokens,
            who=f"The login at {host_of(metadata.issuer)} failed",
            timeout_s=step_s + timeout_s,
            on_visit=visit,
        )
    assert tokens is not None
    return Kept(spec.name, url, resource, metadata, usable(tokens), time.time())


async def _found(spec: Spec, open_cage: OpenCage) -> tuple[str, str, w.Metadata]:
    """Return a server's URL, what its tokens are for, and where one logs in. Raises LoginFailed."""
    url, name = spec.config.url, spec.name
    if url is None:
        raise LoginFailed(f"{name} is a program, and nobody logs in at a program.")
    if has_own_token(spec):
        raise LoginFailed(
            f"Your settings give {name} a token.",
            hint="Take it out of them to log in instead.",
        )
    if not may_log_in(spec):
        raise LoginFailed(f"{name} is not reached by https, so a token for it could be read.")
    who, step_s = f"{name} does not say who logs people in", spec.startup_timeout_s
    probe = w.Probe(url, step_s)
    said = await asked(spec, (url,), open_cage, w.PROBE, probe, w.Probed, who=who, timeout_s=step_s)
    if said.status != 401:
        what = "wants no login" if said.status < 400 else f"answers with HTTP {said.status}"
        raise LoginFailed(f"{name} {what}.")
    resource = said.resource or url
    if not is_within(url, resource):
        raise LoginFailed(f"{who}: its tokens would be for something else.")
    if not said.issuer:
        raise LoginFailed(
            f"{who}: it wants a token, and names no authorization server.",
            hint="If you have a token, name its variable in bearer_token_env_var.",
        )
    issuer = checked(said.issuer, "authorization server", url)
    metadata = said.metadata
    if metadata is None:
        who = f"{name} names {host_of(issuer)} to log in, which does not say how"
        probe = w.Probe(url, step_s, issuer)
        said = await asked(
            spec, (url, issuer), open_cage, w.PROBE, probe, w.Probed, who=who, timeout_s=step_s
        )
        metadata = said.metadata
    if metadata is None:
        raise LoginFailed(f"{who}: there is nothing at the addresses where it would be said.")
    if metadata.issuer.rstrip("/") != issuer.rstrip("/"):
        raise LoginFailed(f"{who}: it says that it is somebody else.")
    return url, resource, checked_metadata(metadata, url)


def _state_of(page: str, endpoint: str, redirect_uri: str) -> str:
    """Return the state in the address of a page to log in, if it is the one that was meant.

    Raises:
        LoginFailed: it is another one.
    """
    given, meant = urlsplit(page), urlsplit(endpoint)
    query = parse_qs(given.query, max_num_fields=50)
    fits = (
        page.isascii()
        and page.isprintable()
        and given[:3] == meant[:3]
        and given.query.startswith(meant.query)
        and not given.fragment
        and query.get("redirect_uri") == [redirect_uri]
        and query.get("code_challenge_method") == ["S256"]
        and len(query.get("state", [])) == 1
    )
    if not fits:
        raise LoginFailed("The page to log in is not the one that the server named before.")
    return query["state"][0]


def usable(tokens: w.Tokens) -> w.Tokens:
    """Return tokens that can be sent as they are. Raises LoginFailed."""
    for token in (tokens.access_token, tokens.refresh_token):
        if token is not None and not (token.isascii() and token.isprintable() and len(token) > 0):
            raise LoginFailed("The authorization server gave a token that cannot be sent.")
    return tokens
