"""Logins that are kept: `$OCTAVO_HOME/mcp_logins/`, a file each, which only its owner can read.

The directory is hidden from every cage. A login is found by a server's name and its URL: at another
URL it is no login, whoever has that name.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from octavo.config.paths import make_private, read_private, write_private
from octavo.mcp.oauth.words import Metadata, Tokens
from octavo.protocol.errors import ConfigError
from octavo.sandbox.policy import MCP_LOGINS

EXPIRES_SOON_S = 30.0
"""A token that has less to live is renewed before it is used."""
_LIMIT_BYTES = 1 << 20
_LOOK_EVERY_S = 0.05


class Kept(msgspec.Struct, frozen=True):
    """A login.

    Attributes:
        resource: what the token was issued for.
        since_s: when these tokens were got; Unix time.
    """

    server: str
    url: str
    resource: str
    metadata: Metadata
    tokens: Tokens
    since_s: float

    @property
    def is_fresh(self) -> bool:
        """Whether the token may still be used, as far as its server said how long it lives."""
        lives_s = self.tokens.expires_in
        return lives_s is None or time.time() < self.since_s + lives_s - EXPIRES_SOON_S


class Logins:
    """The logins of a person.

    Args:
        home: octavo's own directory.
    """

    def __init__(self, home: Path) -> None:
        self._directory = home / MCP_LOGINS

    def find(self, server: str, url: str) -> Kept | None:
        """Return the login at exactly this server.

        Raises:
            ConfigError: there is one that cannot be read.
        """
        path = self._path(server, url)
        data = read_private(path, limit_bytes=_LIMIT_BYTES)
        if data is None:
            return None
        try:
            kept = msgspec.json.decode(data, type=Kept)
        except msgspec.MsgspecError:
            raise ConfigError(
                f"{path} is damaged, so the login at {server} is lost.",
                hint=f"Delete it, then: octavo mcp login {server}",
            ) from None
        return kept if (kept.server, kept.url) == (server, url) else None

    def keep(self, login: Kept) -> None:
        """Write a login in place of what there was. Raises ConfigError."""
        write_private(self._path(login.server, login.url), msgspec.json.encode(login))

    def forget(self, server: str, url: str) -> None:
        """Take a login away, if there is one. Raises ConfigError."""
        path = self._path(server, url)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise ConfigError(f"{path} cannot be deleted: {error.strerror}.") from None

    def forget_all(self, server: str) -> bool:
        """Take all logins at a server away, at whatever URL; return whether there were any."""
        found = False
        for path in self._directory.glob("*.json"):
            data = read_private(path, limit_bytes=_LIMIT_BYTES)
            try:
                kept = None if data is None else msgspec.json.decode(data, type=Kept)
            except msgspec.MsgspecError:
                continue
            if kept is not None and kept.server == server:
                self.forget(server, kept.url)
                found = True
        return found

    @asynccontextmanager
    async def alone(self, server: str, url: str) -> AsyncIterator[None]:
        """Keep others, in whatever process, from renewing or ending the same login meanwhile."""
        import fcntl

        path = self._path(server, url).with_suffix(".lock")
        make_private(self._directory)
        try:
            number = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be opened: {error.strerror}.") from None
        try:
            while True:
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:  # a thread that waits for it could not be cancelled
                    await anyio.sleep(_LOOK_EVERY_S)
            yield
        finally:
            os.close(number)

    def _path(self, server: str, url: str) -> Path:
        stands_for = hashlib.sha256(f"{server}\0{url}".encode("utf-8", "surrogatepass"))
        return self._directory / f"{stands_for.hexdigest()[:32]}.json"
