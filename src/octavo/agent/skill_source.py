"""Where a skill is added from: a folder, or a place in a git repository.

The person typed the address, but what is there is anybody's. So git is hardened as for a model, and
runs in a cage of its own that can execute nothing but git, write nowhere but in a new folder, and
reach that one host. Files are then read from there, never run.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from octavo.agent.git_cage import GitRefused, Reach, executables, program
from octavo.agent.git_remote import Outside, reach, web_remote, without_user
from octavo.context.skills import FILE, SkillError
from octavo.context.skills.folder import Contents, read_folder
from octavo.protocol.errors import UsageError
from octavo.protocol.visible import visible, visible_line
from octavo.sandbox import Command, Limits, Mode, Policy, Sandbox, open_sandbox
from octavo.sandbox.run import run_caged
from octavo.workspace.hardening import Drivers, hardened_env

FETCH_S = 300.0
CLONE_PREFIX = "octavo-skill-"
"""How the temporary folders begin into which skills are fetched."""
_ASIDE_S = 30.0
_FETCHED_LIMIT_BYTES = 1 << 30
_SAID_LIMIT_BYTES = 64 << 10
_LISTING_LIMIT_BYTES = 4 << 20
_NAMED = 12

_GITHUB_TREE = re.compile(r"(https://github\.com/[^/\s]+/[^/\s]+)/tree/([^/\s]+)/?(.*)")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Source(msgspec.Struct, frozen=True):
    """What a person typed, taken apart.

    Attributes:
        address: of a git repository; None for a folder.
        folder: on this machine.
        path: in the repository or the folder; "" is the top.
        ref: a branch, a tag or a commit.
    """

    address: str | None
    folder: Path | None = None
    path: str = ""
    ref: str | None = None


class Fetched(msgspec.Struct, frozen=True):
    """A skill's folder as it was read there."""

    contents: Contents
    source: str
    path: str
    ref: str | None = None
    commit: str | None = None


def read_source(text: str, *, path: str | None, ref: str | None, cwd: Path) -> Source:
    """Take apart what was typed: PATH, GIT_URL or GIT_URL#SUBFOLDER.

    Raises:
        UsageError: it is neither, or its parts do not fit.
    """
    if "://" not in text and not re.match(r"[\w.-]+@[\w.-]+:", text):
        folder = Path(os.path.abspath(cwd / os.path.expanduser(text)))
        if ref is not None:
            raise UsageError("--ref is for git addresses.", hint=f"Write file://{folder} for one.")
        if not folder.is_dir():
            raise UsageError(f"{visible_line(text)} is not a folder, and not a git address.")
        return Source(None, folder, _inside(path or ""))
    address, _, fragment = text.partition("#")
    tree = _GITHUB_TREE.fullmatch(address)
    if tree is not None:
        address, ref, fragment = tree[1], ref or tree[2], fragment or tree[3]
    if fragment and path:
        raise UsageError("The subfolder is given twice: after # and with --path.")
    if re.match(r"(?i)(ssh://|[\w.-]+@)", address):
        raise UsageError(
            f"Skills are not fetched over ssh: {visible_line(address)}.",
            hint="Give its https address, or clone it and add the folder.",
        )
    if not re.match(r"(?i)(https?|file)://\S+$", address):
        raise UsageError(f"{visible_line(address)} is not an address of a git repository.")
    if ref is not None and not re.fullmatch(r"[\w.@+][\w./@+-]*", ref):
        raise UsageError(f"{visible_line(ref)} is not a branch, tag or commit.")
    return Source(address, None, _inside(path or fragment), ref)


def _inside(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or ".git" in parts or os.path.isabs(path) or not path.isprintable():
        raise UsageError(f"{visible_line(path)} is not a folder in the source.")
    return "/".join(parts)


async def fetch(source: Source, env: Mapping[str, str], home: Path) -> Fetched:
    """Return the skill that is there.

    Args:
        env: octavo's own environment.
        home: `$OCTAVO_HOME`.

    Raises:
        SkillError: there is none, or it cannot be reached.
        SandboxError: git cannot be confined here; nothing was run.
    """
    if source.folder is not None:
        folder = source.folder / source.path
        return Fetched(_read(folder), str(source.folder), source.path)
    assert source.address is not None
    with tempfile.TemporaryDirectory(prefix=CLONE_PREFIX) as place:
        try:
            return await _from_git(source, source.address, env, home, _real(place))
        except GitRefused as refusal:
            raise SkillError(str(refusal)) from None


def _real(place: str) -> Path:
    return Path(os.path.realpath(place))


def _read(folder: Path) -> Contents:
    """Read a skill's folder, without what git keeps in it."""
    if not folder.is_dir():
        raise SkillError(f"{visible_line(str(folder))} is not a folder.")
    if not (folder / FILE).exists():
        raise SkillError(
            f"{visible_line(str(folder))} has no {FILE}.{_elsewhere(_skills_below(folder))}"
        )
    return read_folder(folder, keep=True, leave_out=".git")


async def _from_git(
    source: Source, address: str, env: Mapping[str, str], home: Path, top: Path
) -> Fetched:
    plain = {name: env[name] for name in _PASSED_ON if name in env}
    lent = await _lent(address, env, home, top)
    policy = Policy(
        mode=Mode.WORKSPACE_WRITE,
        cwd=top,
        write_tmp=False,
        write_tmpdir=False,
        limits=Limits(file_size_bytes=_FETCHED_LIMIT_BYTES),
    )
    async with open_sandbox(policy) as sandbox:
        programs = await executables(sandbox, plain, [top])
    policy = msgspec.structs.replace(
        policy, network=lent.network, programs=(*programs, *lent.programs)
    )
    async with open_sandbox(policy) as sandbox:
        tier = (await sandbox.ready()).tier
        if lent.network.access == "hosts" and tier != "namespaces":
            raise SkillError(
                f"Git reaches hosts only from the full sandbox, and the one here is of {tier}.",
                hint="Clone it yourself, and add the folder.",
            )
        git = _Git(sandbox, plain, lent, top)
        await git("init", "-q", "--template=", "clone")
        git.folder = top / "clone"
        what = (address, source.ref or "HEAD")
        try:
            await git("fetch", "-q", "--depth=1", "--no-tags", *what, timeout_s=FETCH_S)
        except SkillError as error:
            if "shallow" not in str(error):  # a server of plain files can only give all of it
                raise
            await git("fetch", "-q", "--no-tags", *what, timeout_s=FETCH_S)
        commit = (await git("rev-parse", "--verify", "FETCH_HEAD^{commit}")).decode().strip()
        listing = await git("ls-tree", "-r", "-z", "--name-only", commit)
        folders = _folders_of_skills(listing)
        if source.path not in folders:
            where = visible_line(source.path) if source.path else "the top folder"
            raise SkillError(
                f"There is no skill in {where} of {visible_line(without_user(address))}."
                f"{_elsewhere(folders)}"
            )
        below = f"{source.path}/" if source.path else "."
        await git("checkout", "-q", commit, "--", f":(top,literal){below}" if below != "." else ".")
        contents = _read(git.folder / source.path)
    return Fetched(contents, without_user(address), source.path, source.ref, commit)


async def _lent(address: str, env: Mapping[str, str], home: Path, top: Path) -> Reach:
    """Return what git is lent to reach `address`."""
    if address.lower().startswith("file://"):
        shell = _real("/bin/sh")  # git starts its other end through it
        return Reach(settings={"protocol.file.allow": "always"}, programs=(shell,))
    remote = web_remote("fetch", address)
    if remote is None:
        raise SkillError(
            f"Skills are fetched over https, and {visible_line(address)} is another kind of "
            "address.",
            hint="Clone it yourself, and add the folder.",
        )
    return await reach([remote], Outside(env, home, [top]))


class _Git:
    """Runs git in the cage."""

    def __init__(self, sandbox: Sandbox, env: Mapping[str, str], lent: Reach, folder: Path) -> None:
        self._sandbox = sandbox
        self._git = str(program(env))
        settings = {**lent.settings, "core.autocrlf": "false", "core.attributesFile": "/dev/null"}
        off = Drivers(("lfs",), ())  # a pointer is taken as it is, and what it points to is not
        self._env = hardened_env(env, off, settings)
        self.folder = folder

    async def __call__(self, *arguments: str, timeout_s: float = _ASIDE_S) -> bytes:
        """Return what git says. Raises SkillError where it fails."""
        command = Command((self._git, *arguments), self.folder, self._env)
        limit_bytes = _LISTING_LIMIT_BYTES if arguments[0] == "ls-tree" else _SAID_LIMIT_BYTES
        ended, said = await run_caged(
            self._sandbox, command, timeout_s=timeout_s, limit_bytes=limit_bytes
        )
        if ended.code != 0:
            why = visible(said.decode("utf-8", "replace")).strip()[-1000:]
            raise SkillError(f"git {arguments[0]} failed: {why or 'it says nothing'}")
        return said


def _folders_of_skills(listing: bytes) -> list[str]:
    """Return the folders with a SKILL.md, from what `git ls-tree -z` lists."""
    paths = listing.decode("utf-8", "surrogateescape").split("\0")
    return [os.path.dirname(path) for path in paths if os.path.basename(path) == FILE]


def _skills_below(folder: Path) -> list[str]:
    found = [*folder.glob(f"*/{FILE}"), *folder.glob(f"*/*/{FILE}")]
    return sorted(str(path.parent.relative_to(folder)) for path in found)


def _elsewhere(folders: list[str]) -> str:
    if not folders:
        return ""
    named = ", ".join(visible_line(folder or "the top folder") for folder in folders[:_NAMED])
    more = f" and {len(folders) - _NAMED} more" if len(folders) > _NAMED else ""
    return f" There are skills in: {named}{more}. Choose one with --path."
