"""What servers said of their tools when a person agreed to it: `$OCTAVO_HOME/mcp_pins.json`.

A pinned server's tools are offered before it has even started. Until a person agreed, the pin only
remembers what was seen last, and what the server says of harmlessness counts for nothing. After
that, a tool that the server describes otherwise is not what was agreed to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from octavo.config.paths import make_private, read_private, write_private
from octavo.mcp.remote import Remote, remotes
from octavo.protocol.errors import ConfigError
from octavo.protocol.visible import visible_line

FILE = "mcp_pins.json"
_LIMIT_BYTES = 64 << 20


class Pin(msgspec.Struct, frozen=True, omit_defaults=True):
    """One server as it was known last.

    Attributes:
        digest: of how it is reached; see `spec.Spec`.
        tools: what it said of them.
        resources: it has resources.
        instructions: what it says of itself.
        agreed: a person agreed to all of it.
    """

    digest: str
    tools: tuple[dict[str, Any], ...] = ()
    resources: bool = False
    instructions: str | None = None
    agreed: bool = False


class _File(msgspec.Struct, frozen=True):
    servers: dict[str, Pin] = {}


class Drift(msgspec.Struct, frozen=True):
    """How what a server says now differs from what was agreed to; names of tools."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)

    def told(self) -> str:
        """Return it as the middle of a sentence."""
        parts = (("new: ", self.new), ("changed: ", self.changed), ("gone: ", self.gone))
        return "; ".join(word + _listed(names) for word, names in parts if names)


class Pins:
    """The pins of a person.

    Args:
        home: octavo's own directory.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE

    def read(self) -> dict[str, Pin]:
        """Return all of them, by server.

        Raises:
            ConfigError: the file is there and cannot be read or understood.
        """
        data = read_private(self._path, limit_bytes=_LIMIT_BYTES)
        if data is None:
            return {}
        try:
            return msgspec.json.decode(data, type=_File).servers
        except msgspec.MsgspecError:
            raise ConfigError(
                f"{self._path} is damaged, so no MCP server is used as agreed.",
                hint="Delete it and run `octavo mcp accept NAME` for each of your servers.",
            ) from None

    def find(self, server: str, digest: str) -> Pin | None:
        """Return the pin of exactly this server. Raises ConfigError."""
        pin = self.read().get(server)
        return pin if pin is not None and pin.digest == digest else None

    def keep(self, server: str, pin: Pin) -> None:
        """Write a pin in place of what there was. Raises ConfigError."""
        with self._alone():
            self._write({**self.read(), server: pin})

    def forget(self, server: str) -> None:
        """Take a pin away. Raises ConfigError."""
        with self._alone():
            kept = self.read()
            if kept.pop(server, None) is not None:
                self._write(kept)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes, and threads, from changing the pins meanwhile."""
        import fcntl

        try:
            make_private(self._path.parent)
            number = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    def _write(self, servers: dict[str, Pin]) -> None:
        data = msgspec.json.encode(_File(dict(sorted(servers.items()))), order="deterministic")
        write_private(self._path, data + b"\n")


def drift(server: str, pin: Pin, now: Sequence[Remote]) -> Drift:
    """Return how a server's tools differ from its pin."""
    was = {one.tool: one.digest for one in remotes(server, pin.tools)}
    there = {one.tool: one.digest for one in now}
    return Drift(
        tuple(tool for tool in there if tool not in was),
        tuple(tool for tool, digest in there.items() if was.get(tool, digest) != digest),
        tuple(tool for tool in was if tool not in there),
    )


def agreed_to(server: str, pin: Pin | None) -> Mapping[str, Remote]:
    """Return the tools a person agreed to, as they were, by their real names."""
    if pin is None or not pin.agreed:
        return {}
    return {one.tool: one for one in remotes(server, pin.tools)}


def with_tool(pin: Pin, tool: Remote) -> Pin:
    """Return a pin in which one tool is what it says now."""
    others = [dict(said) for said in pin.tools if said.get("name") != tool.tool]
    return replace(pin, tools=(*others, dict(tool.said)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(visible_line, names[:10])) + more
