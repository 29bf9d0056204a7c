"""The cage of a server that speaks with octavo over pipes: an MCP server, mostly.

It is somebody else's program, which a person chose to run: it gets what that person named for it
and nothing more. It reads the workspace, and writes only in a home of its own, which commands of
the model and other servers cannot read. Whoever starts it makes that home first (mode 0700), and
opens its cage with `open_sandbox(cage.policy)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, Limits, Mode, Network, Policy
from octavo.sandbox.policy import OUTPUTS, SERVER_HOMES

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BASIC = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ")
"""What programs need to start and to write as the user reads, and nobody keeps a secret in."""


class ServerDoor(Struct, frozen=True):
    """What a person allows a server.

    Attributes:
        network: patterns of the only hosts it reaches; none is no network.
        variables: names of the environment variables that are passed on, where they are set.
        env: variables that are set for it.
        writes_workspace: it may write the workspace as well.
    """

    network: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    writes_workspace: bool = False


class ServerCage(Struct, frozen=True):
    """How to run a server: `env` is its whole environment, `home` has to be made first."""

    policy: Policy
    env: dict[str, str]
    home: Path


def server_cage(
    name: str,
    door: ServerDoor,
    *,
    workspace: Path,
    octavo_home: Path,
    environ: Mapping[str, str],
    limits: Limits | None = None,
) -> ServerCage:
    """Return the cage of server `name`. Nothing is made or started.

    Raises:
        ConfigError: the name, a host or a variable makes no sense.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be a server's name.",
            hint="Letters, digits, - and _, at most 64 of them.",
        )
    homes = octavo_home / SERVER_HOMES
    home = homes / name
    policy = Policy(
        mode=Mode.WORKSPACE_WRITE,
        cwd=workspace,
        write_cwd=door.writes_workspace,
        writable_roots=(home,),
        network=_network(name, door),
        tmp="private",
        # What commands of all threads said: each thread's own commands read it, a server has no
        # business there, and may have a network.
        deny_read=(octavo_home / OUTPUTS,),
        # The directory of all homes cannot be hidden as a whole: one in it is this server's.
        deny_globs=(f"{_literal(homes)}/*", f"!{home}"),
        limits=limits or Limits(),
    )
    return ServerCage(policy, _environment(name, door, home, environ), home)


def _network(name: str, door: ServerDoor) -> Network:
    if not door.network:
        return OFF
    from octavo.sandbox.net.rules import HostRules  # only where hosts are named

    try:
        HostRules(door.network)
    except ConfigError as error:
        raise ConfigError(f"Server {name}: network: {error}") from None
    return Network("hosts", allow=door.network)


def _environment(
    name: str, door: ServerDoor, home: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    for variable in (*door.variables, *door.env):
        if not _VARIABLE.fullmatch(variable):
            raise ConfigError(
                f"Server {name}: {variable!r} cannot be the name of an environment variable.",
                hint="Letters, digits and _, without the value.",
            )
    for variable, value in door.env.items():
        if "\0" in value:
            raise ConfigError(f"Server {name}: the value of {variable} holds a NUL character.")
    passed = {key: environ[key] for key in (*_BASIC, *door.variables) if key in environ}
    own = {"HOME": os.fspath(home), "TMPDIR": "/tmp"}
    return {**passed, **own, **door.env}


def _literal(path: Path) -> str:
    """Return a path as a pattern that matches it alone."""
    return re.sub(r"([*?\[])", r"[\1]", os.fspath(path))
