"""The token that a server is reached with: found, renewed when it is used up, taken back.

What renews never speaks with the server, and what speaks with the server never sees what renews: a
server's host gets an access token and nothing more.
"""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace

from octavo.mcp.oauth import words as w
from octavo.mcp.oauth.caged import OpenCage, asked
from octavo.mcp.oauth.endpoints import LoginFailed, checked_metadata, is_within, may_log_in
from octavo.mcp.oauth.login import usable
from octavo.mcp.oauth.store import Kept, Logins
from octavo.mcp.spec import Spec

RENEW_EVERY_S = 2.0
"""A token is not renewed again before that: a server that refuses every token is not our hurry."""


class Renewal:
    """The tokens of servers.

    Args:
        home: octavo's own directory.
    """

    def __init__(self, home: Path, open_cage: OpenCage) -> None:
        self._logins = Logins(home)
        self._open_cage = open_cage

    def kept(self, spec: Spec) -> Kept | None:
        """Return the login at a server, if it is one that tokens may be sent to.

        Raises:
            ConfigError: it cannot be read.
        """
        url = spec.config.url
        if url is None or not may_log_in(spec):
            return None
        kept = self._logins.find(spec.name, url)
        return kept if kept is not None and is_within(url, kept.resource) else None

    async def token(self, spec: Spec, refused: str | None = None) -> str | None:
        """Return a token for a server; None: one has to log in.

        Args:
            refused: one that the server does not take any more.

        Raises:
            LoginFailed: it could not be renewed now.
            ConfigError, SandboxError: as elsewhere.
        """
        kept = self.kept(spec)
        if kept is None or _serves(kept, refused):
            return None if kept is None else kept.tokens.access_token
        async with self._logins.alone(spec.name, kept.url):
            kept = self.kept(spec)  # somebody else may have renewed it meanwhile
            if kept is None or _serves(kept, refused):
                return None if kept is None else kept.tokens.access_token
            if kept.tokens.refresh_token is None:
                return None
            if refused is not None and time.time() - kept.since_s < RENEW_EVERY_S:
                return None
            try:
                fresh = await self._renewed(spec, kept)
            except LoginFailed as error:
                if not error.refused:
                    raise
                self._logins.forget(spec.name, kept.url)
                return None
            self._logins.keep(fresh)
            return fresh.tokens.access_token

    async def _renewed(self, spec: Spec, kept: Kept) -> Kept:
        step_s = spec.startup_timeout_s
        metadata = checked_metadata(kept.metadata, kept.url)
        renew = w.Renew(kept.url, kept.resource, metadata, kept.tokens, step_s)
        tokens = await asked(
            spec,
            (metadata.token_endpoint,),
            self._open_cage,
            w.RENEW,
            renew,
            w.Tokens,
            who=f"The login at {spec.name} could not be renewed",
            timeout_s=step_s,
        )
        mine = replace(usable(tokens), client=kept.tokens.client)
        return replace(kept, tokens=mine, since_s=time.time())

    async def log_out(self, spec: Spec) -> tuple[bool, str | None]:
        """Forget a login, and have its tokens revoked.

        Returns:
            Whether there was one; why its tokens could not be revoked, as a sentence.
        """
        kept = self.kept(spec)
        if kept is None:
            return False, None
        async with self._logins.alone(spec.name, kept.url):
            kept = self.kept(spec) or kept
            self._logins.forget(spec.name, kept.url)
        where = kept.metadata.revocation_endpoint
        if where is None:
            return True, "Its authorization server has no way to take tokens back."
        step_s = spec.startup_timeout_s
        try:
            metadata = checked_metadata(kept.metadata, kept.url)
            await asked(
                spec,
                (where,),
                self._open_cage,
                w.REVOKE,
                w.Renew(kept.url, kept.resource, metadata, kept.tokens, step_s),
                w.Done,
                who=f"The tokens of {spec.name} could not be taken back",
                timeout_s=step_s,
            )
        except LoginFailed as error:
            return True, str(error)
        return True, None


def _serves(kept: Kept, refused: str | None) -> bool:
    """Whether a token can be used as it is."""
    if refused is not None:
        return kept.tokens.access_token != refused
    return kept.is_fresh
