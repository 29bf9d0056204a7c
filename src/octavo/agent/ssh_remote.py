"""Addresses of git over ssh: read strictly, and what the person's own ssh makes of them.

    git@host:path        ssh://git@host:2222/path        host:path, with a host of ~/.ssh/config

An address is the repository's or the model's word and becomes an argument of a program outside of
the cage, so nothing in it may be anything else than a name: no option, no token, no quote.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from octavo.agent.git_cage import GitRefused

_ASIDE_S = 20.0
_USER = r"(?P<user>[A-Za-z0-9_][\w.+-]{0,63})"
_HOST = r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})"
_PATH = r"(?P<path>%s[\w./~+@%%=,: -]{0,1023})"
_WHOLE = re.compile(rf"ssh://(?:{_USER}@)?{_HOST}(?::(?P<port>\d{{1,5}}))?{_PATH % '/'}", re.ASCII)
_SHORT = re.compile(rf"(?:{_USER}@)?{_HOST}:{_PATH % '[A-Za-z0-9_./~]'}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_OFF = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "CanonicalizeHostname": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "Tunnel": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "ControlMaster": "no",
    "ControlPath": "none",
    "AddKeysToAgent": "no",
    "ConnectTimeout": "20",
    "SendEnv": "GIT_PROTOCOL",
}
"""What no settings of the person's turn on for git, and what they may not turn off."""


class SshAddress(msgspec.Struct, frozen=True):
    """Where git goes over ssh.

    Attributes:
        name: the host as the address has it; a `Host` of the person's settings, perhaps.
        told_user, told_port: those of the address; None leaves them to the person's settings.
        path: as git tells it the other end.
        host, port, user: what the person's settings make of it.
        jumps: it is reached by way of another host or program of the person's settings.
    """

    name: str
    told_user: str | None
    told_port: int | None
    path: str
    host: str = ""
    port: int = 22
    user: str = ""
    jumps: bool = False

    @property
    def said(self) -> str:
        """Who signs in where, for the person who is asked."""
        alias = "" if self.name == self.host else f' ("{self.name}" in the ssh settings)'
        way = ", by way of the ssh settings' own proxy," if self.jumps else ""
        return (
            f"Ssh signs in at {self.host}, port {self.port}{alias},{way} as {self.user} with your "
            f"keys, for {self.path} only."
        )


def read_ssh(url: str) -> SshAddress | None:
    """Return what an address over ssh says; None if it is none, or has more in it than names."""
    match = _WHOLE.fullmatch(url) or (None if "://" in url else _SHORT.fullmatch(url))
    if match is None or ".." in match["host"]:
        return None
    port = match.groupdict().get("port")
    if port is not None and int(port) not in range(1, 65_536):
        return None
    path = match["path"]
    if "://" in url and path.startswith("/~"):
        path = path[1:]  # as git does
    return SshAddress(match["host"], match["user"], int(port) if port else None, path)


async def resolve(address: SshAddress, env: Mapping[str, str], home: Path) -> SshAddress:
    """Ask the person's own ssh, outside of the cage, where an address leads.

    Args:
        env: octavo's own, with a `PATH` in which no command can have put a program.
        home: where ssh is started.

    Raises:
        GitRefused: there is no ssh, or it does not say.
    """
    import subprocess

    argv = [_program(env), "-G", "-o", "CanonicalizeHostname=no", *_told(address)]
    said = b""
    with anyio.move_on_after(_ASIDE_S):
        done = await anyio.run_process(
            [*argv, "--", address.name],
            check=False,
            cwd=home,
            env=own_env(env),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        said = done.stdout if done.returncode == 0 else b""
    found: dict[str, str] = {}
    for line in said.decode("utf-8", "replace").splitlines():
        word, _, value = line.partition(" ")
        found.setdefault(word, value)
    host, port, user = found.get("hostname", ""), found.get("port", ""), found.get("user", "")
    if not (_NAME.fullmatch(host) and port.isdecimal() and user):
        raise GitRefused(
            f"ssh does not say where {address.name} is: its settings may have an error, which "
            f"`ssh -G {address.name}` shows the user. Nothing was run."
        )
    jumps = any(found.get(word, "none") != "none" for word in ("proxyjump", "proxycommand"))
    return msgspec.structs.replace(address, host=host, port=int(port), user=user, jumps=jumps)


def git_words(address: SshAddress) -> tuple[str, ...]:
    """Return what git tells its ssh about an address, without the program it wants there."""
    user = f"{address.told_user}@" if address.told_user else ""
    port = () if address.told_port is None else ("-p", str(address.told_port))
    return *port, f"{user}{address.name}"


def git_program(service: str, path: str) -> str:
    """Return what git wants to be run at the other end."""
    return f"{service} '{path}'"  # no path that was read has a quote in it


def outside_argv(address: SshAddress, service: str, env: Mapping[str, str]) -> list[str]:
    """Return the command that reaches an address outside of the cage, all of it octavo's own.

    Raises:
        GitRefused: there is no ssh.
    """
    settings = _OFF | {"HostName": address.host, "Port": str(address.port), "User": address.user}
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    wanted = f"{service} {shlex.quote(address.path)}"
    return [_program(env), "-T", *options, "--", address.name, wanted]


def own_env(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an ssh that asks nobody anything."""
    kept = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    kept.pop("SSH_ASKPASS", None)
    return kept | {"SSH_ASKPASS_REQUIRE": "never"}


def hint(address: SshAddress, said: str, env: Mapping[str, str]) -> str:
    """Return what a person can do about an ssh that was not let in; "" where nothing is known."""
    by_hand = " ".join(("ssh", *_told(address), address.name))
    if "IDENTIFICATION HAS CHANGED" in said:
        return (
            f"octavo: {address.host} shows another host key than the user's known_hosts has. That "
            "may be an attack. Nothing was sent. Leave it to the user.\n"
        )
    if "Host key verification failed" in said:
        return (
            f"octavo: the host key of {address.host} is not in the user's known_hosts. Nothing was "
            f"sent. The user can run `{by_hand}` once, compare the fingerprint, and say yes.\n"
        )
    if "Permission denied" not in said:
        return ""
    if not env.get("SSH_AUTH_SOCK"):
        return (
            "octavo: there is no ssh-agent in octavo's environment, so only keys without a "
            'passphrase could be tried. The user can run `eval "$(ssh-agent)"` and `ssh-add`, and '
            "start octavo again in that shell.\n"
        )
    return (
        f"octavo: {address.host} took none of the keys of the user's ssh-agent for {address.user}. "
        "`ssh-add -l` lists them, and `ssh-add FILE` adds one; nobody is asked for a passphrase "
        "here.\n"
    )


def path_without(path: str, roots: Sequence[Path]) -> str:
    """Return the folders of `path` in which no command can put a program."""
    real = [Path(os.path.realpath(root)) for root in roots]
    kept = []
    for folder in path.split(os.pathsep):
        place = Path(os.path.realpath(folder))
        if os.path.isabs(folder) and not any(root in (place, *place.parents) for root in real):
            kept.append(folder)
    return os.pathsep.join(kept)


def _told(address: SshAddress) -> tuple[str, ...]:
    user = () if address.told_user is None else ("-l", address.told_user)
    port = () if address.told_port is None else ("-p", str(address.told_port))
    return *user, *port


def _program(env: Mapping[str, str]) -> str:
    found = shutil.which("ssh", path=env.get("PATH", ""))
    if found is None:
        raise GitRefused("There is no ssh. Nothing was run.")
    return found
