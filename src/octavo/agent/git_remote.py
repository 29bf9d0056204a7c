"""Where plain git talks to: which hosts a script needs, and what it is lent to reach them.

The address is what git itself makes of a remote's name, every rewriting of the settings included,
and it is what a person is asked about. The cage of such a call reaches that host and no other.
Keys stay outside: octavo asks the person's own credential helper, outside of the cage and without
the repository's settings, and hands the answer to the one call, for that host alone. Over ssh it is
the person's own ssh, outside of the cage, that reaches the host (`ssh_door`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from octavo.agent.git_cage import GitRefused, Reach
from octavo.agent.ssh_remote import SshAddress, path_without, read_ssh, resolve
from octavo.policy.porcelain import GitScript, Step, plain_words
from octavo.sandbox import OFF, Command, Network, Sandbox
from octavo.sandbox.run import run_caged
from octavo.workspace.git import find_repository
from octavo.workspace.hardening import LISTING, hardened_env, settings_of

_ASIDE_S = 20.0
_CREDENTIAL_S = 60.0
_ANSWER_LIMIT_BYTES = 64 << 10
_LISTING_LIMIT_BYTES = 4 << 20
_URL = re.compile(
    r"(?P<scheme>https?)://(?:[^@/\s]*@)?(?P<host>\[[0-9a-f:.]+\]|[\w.-]+)"
    r"(?::(?P<port>\d{1,5}))?/\S*",
    re.IGNORECASE,
)
_HARMLESS_HTTP = {"postbuffer", "version", "lowspeedlimit", "lowspeedtime", "useragent"}
_OF_A_REMOTE = {"proxy", "proxyauthmethod", "uploadpack", "receivepack", "vcs"}
_OF_SSH = {"core.sshcommand", "ssh.variant", "core.gitproxy"}
_SERVICES = {"push": "git-receive-pack"}
"""What git runs at the other end; where nothing is said, "git-upload-pack"."""
_HERE = ("127.0.0.1", "localhost", "[::1]")
"""Hosts to which a key may be sent as it is, as nobody is on the way."""
_PORTS = {"http": 80, "https": 443}


class Remote(msgspec.Struct, frozen=True):
    """Where one call goes.

    Attributes:
        subcommand: what is done there, such as "push".
        url: without user and password.
        ssh: where ssh is to go; None where it plays no part.
    """

    subcommand: str
    url: str
    scheme: str
    host: str
    port: int
    ssh: SshAddress | None = None

    @property
    def place(self) -> str:
        """The host as a pattern for it and its port alone."""
        return f"{self.host}:{self.port}"


class Outside(msgspec.Struct, frozen=True):
    """Where the person's own programs are asked.

    Attributes:
        env: octavo's own environment.
        home: octavo's own directory, which no command can write.
        roots: where commands write; no program there is started outside of the cage.
    """

    env: Mapping[str, str]
    home: Path
    roots: Sequence[Path]

    @property
    def own_env(self) -> dict[str, str]:
        """The environment in which no program of a command's is found."""
        return dict(self.env) | {"PATH": path_without(self.env.get("PATH", ""), self.roots)}


async def remotes(
    script: GitScript, command: Command, git: str, sandbox: Sandbox, outside: Outside
) -> tuple[Remote, ...]:
    """Return where the calls of `script` go.

    Args:
        script: plain git.
        command: where and with what environment it is to run.
        git: the program.
        sandbox: the thread's ordinary cage, in which git is asked.
        outside: of the cage.

    Raises:
        GitRefused: it cannot be known, or is not reached in this way; the text is for the model.
    """
    found: dict[Remote, None] = {}
    for step in script.remote:
        where = Command((git,), command.cwd / step.folder, command.env)
        for url in await _urls(step, where, sandbox):
            found[await _read(step, url, outside)] = None
    return tuple(found)


def web_remote(subcommand: str, url: str) -> Remote | None:
    """Return where `git SUBCOMMAND` goes with an http address; None if it is another kind."""
    match = _URL.fullmatch(url)
    if match is None or int(match["port"] or 1) not in range(1, 65_536):
        return None
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"] or _PORTS[scheme])
    return Remote(subcommand, without_user(url), scheme, host, port)


def are_of_the_person(script: GitScript, cwd: Path, own: Path) -> bool:
    """Whether all calls go to remotes in settings that no command could have written.

    That is so in the thread's own repository. An address of the model's choosing, or a repository
    that its commands may have made, is none that a person allowed beforehand.

    Args:
        cwd: where the script runs.
        own: where the thread runs.
    """
    for step in script.remote:
        words = plain_words(step)
        is_address = bool(words) and ("/" in words[0] or ":" in words[0])
        if step.subcommand == "clone" or is_address or not is_in_own(cwd / step.folder, own):
            return False
    return True


def is_in_own(folder: Path, own: Path) -> bool:
    """Whether a folder is in the repository that the thread runs in, `own`."""
    mine, found = find_repository(own), find_repository(Path(os.path.realpath(folder)))
    if mine is None or found is None:
        return False
    return mine.vouched and found.vouched and found.common_dir == mine.common_dir


async def reach(found: Sequence[Remote], outside: Outside, *, deny: Sequence[str] = ()) -> Reach:
    """Return what the calls are lent, after a person allowed it.

    Args:
        found: where they go.
        outside: where the person's credential helper and ssh are.
        deny: patterns of hosts that a person lets nobody reach.

    Raises:
        GitRefused: one of them cannot be reached in this way.
    """
    env, home = outside.own_env, outside.home
    settings = {f"protocol.{scheme}.allow": "always" for scheme in {one.scheme for one in found}}
    settings["http.followRedirects"] = "initial"
    web = [one for one in found if one.ssh is None]
    for one in web:
        is_readable = one.scheme != "https" and one.host not in _HERE
        header = None if is_readable else await _authorization(one, env, home)
        if header is not None:
            # For this repository alone: whatever its name comes to stand for meanwhile.
            path = one.url.partition("://")[2].partition("/")[2]
            settings[f"http.{one.scheme}://{one.place}/{path}.extraHeader"] = header
            if one.port == _PORTS[one.scheme]:
                settings[f"http.{one.scheme}://{one.host}/{path}.extraHeader"] = header
    places = tuple(dict.fromkeys(one.place for one in web))
    lent = Reach(network=Network("hosts", allow_local=places) if places else OFF, settings=settings)
    addresses = [one for one in found if one.ssh is not None]
    return await _with_ssh(lent, addresses, outside, deny) if addresses else lent


async def _with_ssh(
    lent: Reach, found: Sequence[Remote], outside: Outside, deny: Sequence[str]
) -> Reach:
    from octavo.agent.ssh_door import Lent, SshDoor

    for one in found:
        await _check_not_denied(one, deny)
    services = [
        Lent(one.ssh, _SERVICES.get(one.subcommand, "git-upload-pack"))
        for one in found
        if one.ssh is not None
    ]
    door = SshDoor(services, outside.own_env, outside.home, outside.roots)
    return msgspec.structs.replace(lent, env=door.env, programs=door.programs, line=door.answer)


async def _check_not_denied(remote: Remote, deny: Sequence[str]) -> None:
    """Refuse a host as the proxy would, which ssh outside of the cage does not pass."""
    from octavo.sandbox.net import Blocked, Refused, Unreachable
    from octavo.sandbox.net.gate import Gate
    from octavo.sandbox.net.rules import HostRules

    rules = HostRules((), deny, (remote.place,))
    gate = Gate(rules)
    try:
        allowed = await gate.admit(remote.host, remote.port, "socks5")
        if remote.ssh is None or remote.ssh.jumps:
            return
        addresses = await gate.addresses(allowed)
        refused = [rules.check_address(allowed, one, protocol="socks5") for one in addresses]
    except Unreachable as error:
        raise GitRefused(f"{error} Nothing was run.") from None
    except Refused:
        refused = [Blocked(remote.host, remote.port, "socks5", "denied")]
    if any(one is not None for one in refused):
        raise GitRefused(
            f"{remote.place} may not be reached: the user's settings deny it, or its address is "
            "none of a host. Nothing was run. Leave it to the user, and say so."
        )


async def _urls(step: Step, command: Command, sandbox: Sandbox) -> list[str]:
    words = plain_words(step)
    if step.subcommand == "clone":  # as the person's settings have it; no repository's play a part
        command = msgspec.structs.replace(command, cwd=Path("/"))
        return (await _ask(("ls-remote", "--get-url", words[0]), command, sandbox)).split("\n")[:1]
    await _check_settings(command, sandbox)
    if step.subcommand == "ls-remote" and words and ("/" in words[0] or ":" in words[0]):
        return (await _ask(("ls-remote", "--get-url", words[0]), command, sandbox)).split("\n")[:1]
    if "--all" in step.arguments and step.subcommand != "push":
        names = (await _ask(("remote",), command, sandbox)).split()
    else:
        names = [words[0] if words else await _default(command, sandbox)]
    push = ["--push"] if step.subcommand == "push" else []
    urls: list[str] = []
    for name in names:
        said = await _ask(("remote", "get-url", "--all", *push, name), command, sandbox)
        urls += said.split()
    return urls


async def remote_urls(command: Command, sandbox: Sandbox) -> dict[str, str]:
    """Return where each remote of a repository is; nothing where there is no repository.

    Args:
        command: the program git, where it is to run and with what environment.
        sandbox: the thread's ordinary cage, in which git is asked.
    """
    try:
        names = (await _ask(("remote",), command, sandbox)).split()
        found = [await _ask(("remote", "get-url", name), command, sandbox) for name in names]
    except GitRefused:
        return {}
    return {name: said.strip() for name, said in zip(names, found, strict=True)}


async def _default(command: Command, sandbox: Sandbox) -> str:
    """Return the remote that git takes where none is named."""
    branch = (await _ask(("rev-parse", "--abbrev-ref", "HEAD"), command, sandbox)).strip()
    listing = await _listing(command, sandbox)
    settings = {key: value for _, key, value in settings_of(listing)}
    for key in (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote"):
        if value := settings.get(key):
            return value
    return "origin"


async def _check_settings(command: Command, sandbox: Sandbox) -> None:
    """Refuse where the repository itself says how its hosts are to be talked to."""
    for scope, key, _ in settings_of(await _listing(command, sandbox)):
        word = key.rpartition(".")[2]
        talks = key.startswith(("http.", "https.")) and word not in _HARMLESS_HTTP
        talks = talks or (key.startswith("remote.") and word in _OF_A_REMOTE)
        talks = talks or key in _OF_SSH
        if talks and scope in ("local", "worktree"):
            raise GitRefused(
                f"the repository's own setting {key} says how to talk to its remotes, so git does "
                "not do that in the sandbox. Nothing was run. Leave it to the user, and say so."
            )


async def _listing(command: Command, sandbox: Sandbox) -> bytes:
    asked = msgspec.structs.replace(
        command, argv=(*command.argv, *LISTING), env=hardened_env(command.env)
    )
    ended, said = await run_caged(
        sandbox, asked, timeout_s=_ASIDE_S, limit_bytes=_LISTING_LIMIT_BYTES
    )
    if ended.code != 0 or len(said) >= _LISTING_LIMIT_BYTES:
        raise GitRefused("the settings of the repository cannot be read. Nothing was run.")
    return said


async def _ask(arguments: tuple[str, ...], command: Command, sandbox: Sandbox) -> str:
    asked = msgspec.structs.replace(
        command, argv=(*command.argv, *arguments), env=hardened_env(command.env)
    )
    ended, said = await run_caged(
        sandbox, asked, timeout_s=_ASIDE_S, limit_bytes=_ANSWER_LIMIT_BYTES
    )
    text = said.decode("utf-8", "replace")
    if ended.code != 0:
        why = text.strip().rstrip(".") or "git does not know that remote"
        raise GitRefused(f"{why}. Nothing was run.")
    return text


async def _read(step: Step, url: str, outside: Outside) -> Remote:
    web = web_remote(step.subcommand, url)
    if web is not None:
        return web
    address = read_ssh(url)
    if address is None:
        raise GitRefused(
            f"`git {step.subcommand}` would go to {without_user(url)}; from the sandbox git "
            "reaches remotes at plain https and ssh addresses only. Nothing was run. Leave it to "
            'the user, or ask to run it with sandbox_permissions "require_escalated".'
        )
    found = await resolve(address, outside.own_env, outside.home)
    return Remote(step.subcommand, url, "ssh", found.host.lower(), found.port, found)


def without_user(url: str) -> str:
    """Return an address without the user, and the password, that it may have in it."""
    return re.sub(r"(?<=://)[^@/\s]*@", "", url)


async def _authorization(remote: Remote, env: Mapping[str, str], home: Path) -> str | None:
    """Ask the person's credential helper, outside of the cage; None if it knows nothing.

    Git is run where no repository of the model's is, so only the person's own settings count.
    """
    import base64
    import subprocess

    plain = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    plain |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}
    plain |= {"GIT_CEILING_DIRECTORIES": str(home.parent)}
    asks = f"protocol={remote.scheme}\nhost={remote.host}"
    asks += "" if remote.port == _PORTS[remote.scheme] else f":{remote.port}"
    git = shutil.which("git", path=plain["PATH"])
    if git is None:
        return None
    with anyio.move_on_after(_CREDENTIAL_S):
        done = await anyio.run_process(
            [git, "credential", "fill"],
            input=f"{asks}\n\n".encode(),
            check=False,
            cwd=home,
            env=plain,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        answer = dict(
            line.split("=", 1) for line in done.stdout.decode().splitlines() if "=" in line
        )
        if done.returncode == 0 and answer.get("username") and answer.get("password"):
            user = f"{answer['username']}:{answer['password']}"
            return f"Authorization: Basic {base64.b64encode(user.encode()).decode()}"
    return None
