"""Which repository gh is to talk about, at which host, and with whose token.

The repository is one that a call names, or the one whose remote git says; a person is asked about
it, and gh is told it. The token is the person's, asked for outside of the cage, and stays there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from octavo.agent.git_cage import program
from octavo.agent.git_remote import Outside, is_in_own, remote_urls
from octavo.agent.ssh_remote import read_ssh, resolve
from octavo.policy.gh import GhScript, GhStep
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Sandbox

_ASIDE_S = 60.0
_ON_THE_WEB = re.compile(
    r"https?://(?:[^@/\s]*@)?(?P<host>[A-Za-z0-9.-]+(?::\d{1,5})?)/(?P<path>\S+)", re.ASCII
)
_REPOSITORY = re.compile(r"/?(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?", re.ASCII)
_PREFERRED = ("upstream", "github", "origin")
"""Remotes, in the order in which gh itself takes them."""
_TOKEN = re.compile(r"[\x21-\x7e]{8,4096}")
_OF_GITHUB = ("GH_TOKEN", "GITHUB_TOKEN")
_OF_OTHERS = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")


class GhRefused(SandboxError):
    """Gh is not run; the message says why, for the model."""

    code = "sandbox.gh"


class GhPlace(msgspec.Struct, frozen=True):
    """A repository at a host that gh knows how to talk to.

    Attributes:
        host: as gh names it, with a port if it has one.
        path: OWNER/NAME; "" where it is about none.
        is_own: it is a remote of the repository that the call runs in.
    """

    host: str
    path: str
    is_own: bool

    @property
    def api(self) -> str:
        """The host of the API, with its port."""
        name, _, port = self.host.partition(":")
        is_hosted = name == "github.com" or name.endswith(".ghe.com")
        return f"api.{name}:443" if is_hosted else f"{name}:{port or 443}"

    @property
    def uploads(self) -> str:
        """The host that takes files."""
        name = self.host.partition(":")[0]
        is_hosted = name == "github.com" or name.endswith(".ghe.com")
        return f"uploads.{name}:443" if is_hosted else self.api

    @property
    def repository(self) -> str:
        """As gh is told it."""
        return f"{self.host}/{self.path}" if self.path else ""


async def places(
    script: GhScript, command: Command, sandbox: Sandbox, outside: Outside
) -> tuple[GhPlace, ...]:
    """Return what the calls of a script talk about, one for each.

    Raises:
        SandboxError: it cannot be known; the text is for the model.
    """
    return tuple([await _place(step, command, sandbox, outside) for step in script.steps])


def are_of_the_person(script: GhScript, found: Sequence[GhPlace], cwd: Path, own: Path) -> bool:
    """Whether all calls are about the repository that the thread runs in, as its remotes say.

    Requests of the model's own making (`gh api`) never are.

    Args:
        script: the calls.
        found: what they talk about.
        cwd: where the script runs.
        own: where the thread runs.
    """
    return all(
        step.stays and place.is_own and is_in_own(cwd / step.folder, own)
        for step, place in zip(script.steps, found, strict=True)
    )


def said(script: GhScript, found: Sequence[GhPlace]) -> tuple[str, ...]:
    """Return what the calls do where, for the person who is asked."""
    sentences: dict[str, None] = {}
    for step, place in zip(script.steps, found, strict=True):
        about = f" about {place.path}" if place.path else ""
        does = "only reads there" if step.reads else "may change things there"
        sentences[
            f"Gh talks to {place.api}{about} with your token, which stays outside of the sandbox; "
            f"`gh {step.subcommand}` {does}."
        ] = None
    return tuple(sentences)


async def _place(step: GhStep, command: Command, sandbox: Sandbox, outside: Outside) -> GhPlace:
    own_host = outside.env.get("GH_HOST") or "github.com"
    if step.repository:
        *host, owner, name = step.repository.split("/")
        return GhPlace((host[0] if host else own_host).lower(), f"{owner}/{name}", is_own=False)
    where = Command((str(program(command.env)),), command.cwd / step.folder, command.env)
    urls = await remote_urls(where, sandbox)
    for name in sorted(urls, key=_rank):
        found = await _read(urls[name], outside)
        if found is not None:
            return found
    if step.subcommand in ("api", "status", "version") or step.subcommand.startswith("search"):
        return GhPlace(own_host, "", is_own=False)
    raise GhRefused(
        "no remote of this repository is at a host that gh knows, so it is not clear what "
        f"`gh {step.subcommand}` is about. Nothing was run. Name it with `-R OWNER/NAME`."
    )


def _rank(name: str) -> tuple[int, str]:
    at = _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    return at, name


async def _read(url: str, outside: Outside) -> GhPlace | None:
    web = _ON_THE_WEB.fullmatch(url)
    if web is not None:
        host, path = web["host"].lower(), web["path"]
    else:
        address = read_ssh(url)
        if address is None:
            return None
        found = await resolve(address, outside.own_env, outside.home)
        host, path = found.host.lower(), address.path
        host = "github.com" if host == "ssh.github.com" else host
    repository = _REPOSITORY.fullmatch(path)
    if repository is None:
        return None
    return GhPlace(host, f"{repository['owner']}/{repository['name']}", is_own=True)


async def token_for(host: str, outside: Outside) -> str:
    """Return the person's token for a host.

    Raises:
        GhRefused: they have none, or gh does not say.
    """
    env = outside.own_env
    name = host.partition(":")[0]
    if name == "github.com" or name.endswith(".ghe.com"):
        found = next(filter(None, (env.get(word) for word in _OF_GITHUB)), "")
    else:  # one of the environment is for the host that the environment names
        is_meant = (env.get("GH_HOST") or "").lower() == host
        found = next(filter(None, (env.get(word) for word in _OF_OTHERS)), "") if is_meant else ""
    token = found or await _stored_token(host, env, outside.home)
    if not _TOKEN.fullmatch(token):
        raise GhRefused(
            f"the user has no token for {host}: nobody is signed in there. Nothing was run. The "
            f"user can run `gh auth login --hostname {host}` outside of octavo, or start octavo "
            "with GH_TOKEN."
        )
    return token


async def _stored_token(host: str, env: Mapping[str, str], home: Path) -> str:
    import subprocess

    kept = {word: value for word, value in env.items() if word not in (*_OF_GITHUB, *_OF_OTHERS)}
    with anyio.move_on_after(_ASIDE_S):
        done = await anyio.run_process(
            [str(gh_program(env)), "auth", "token", "--hostname", host],
            check=False,
            cwd=home,
            env=kept | {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace").strip()
    return ""


def gh_program(env: Mapping[str, str]) -> Path:
    """Return gh's real path. Raises GhRefused where there is none."""
    found = shutil.which("gh", path=env.get("PATH", ""))
    if found is None:
        raise GhRefused("There is no gh. Nothing was run.")
    return Path(found).resolve()
