"""Git for the model: its plain commands in a cage in which only git itself can write `.git`.

Every other command finds `.git` read-only. A script that is nothing but plain git
(`policy.porcelain`) is not given to a shell: its calls run one after the other in a cage of their
own, whose policy adds the repository's git directory to what may be written, keeps its hooks
read-only, and lets nothing be executed but git. What the repository would have git run is
switched off twice: by settings (`workspace.hardening`), and because the cage cannot start it.

Commands can make repositories of their own in the workspace, with any settings and links. So each
repository of a script has a cage in which no other's git directory is open, and git is told which
one it works on instead of looking for it.

The repository's configuration is compared before and after. Git writes there where a branch
comes from; anything else is taken back, and said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from octavo.agent.step_run import Answer, StepRun, follows
from octavo.policy.porcelain import GitScript, Step, plain_words
from octavo.policy.porcelain_options import REMOTE
from octavo.protocol.errors import SandboxError
from octavo.sandbox import (
    OFF,
    Command,
    Delete,
    Exit,
    FileState,
    Mode,
    Network,
    Policy,
    Process,
    Sandbox,
    Write,
)
from octavo.sandbox.run import run_caged
from octavo.workspace.git import Repository, find_repository
from octavo.workspace.hardening import (
    LISTING,
    Drivers,
    changed_keys,
    drivers,
    hardened_arguments,
    hardened_env,
)

_LISTING_LIMIT_BYTES = 4 << 20
_ASIDE_S = 20.0
"""For what octavo itself asks git."""
_FILE_LIMIT_BYTES = 4 << 20
_HELD = ("hooks", "info", "config.worktree", "modules", "commondir")
"""In a git directory: read-only also for git, because it would obey what is there later."""
_HELD_FOLDERS = ("hooks", "info")
"""Those of them that are made where they are missing, as only what is there can be held."""
_LEADING = ("commondir", "config.worktree")
"""Files that lead git elsewhere, and cannot be held where they are missing."""
_LOADERS = (
    "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1", "/lib64/ld-linux-aarch64.so.1",
)  # fmt: skip
"""What the kernel starts a dynamic program with."""


class GitRefused(SandboxError):
    """Git is not run, or not all of it; the message says why, for the model."""

    code = "sandbox.git"


class Reach(msgspec.Struct, frozen=True):
    """What the calls may have besides the repository, after a person allowed it.

    Attributes:
        network: the hosts of the remotes.
        settings: of git, such as the credentials' helper.
        env: variables, laid over all others.
        programs: what else may be executed.
        line: who answers on a line out of the cage, which git and what it starts have as 3.
    """

    network: Network = OFF
    settings: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    programs: tuple[Path, ...] = ()
    line: Answer | None = None


class GitCage:
    """Runs plain git for one thread.

    Args:
        policy: that of the thread's other commands.
        open_cage: returns a cage for a policy; the same one for an equal policy.
    """

    def __init__(self, policy: Policy, open_cage: Callable[[Policy], Awaitable[Sandbox]]) -> None:
        self._policy = policy
        self._open_cage = open_cage
        self._own = find_repository(policy.cwd)

    def can_run(self, script: GitScript, cwd: Path) -> bool:
        """Whether this script needs this cage, and can have it: where nothing confines commands or
        no file may be written, git is a command like any other."""
        writes_here = self._policy.mode is Mode.WORKSPACE_WRITE and self._policy.write_cwd
        if not writes_here or not script.writes:
            return False
        return all(self._is_ours(step, cwd) for step in script.steps)

    def _is_ours(self, step: Step, cwd: Path) -> bool:
        folder = _folder(step, cwd)
        if step.subcommand in ("init", "clone"):
            return _is_under(folder, self._roots())
        repository = find_repository(folder)
        return repository is not None and self._may_write(repository)

    def _may_write(self, repository: Repository) -> bool:
        """Whether git may write a repository: the thread's own, or one in a writable root.

        A work tree that names a git directory which does not know it could be pointing at
        somebody else's.
        """
        if not repository.vouched:
            return False
        own = self._own
        if own is not None and own.vouched and repository.common_dir == own.common_dir:
            return True
        roots = self._roots()
        places = (repository.top, repository.git_dir, repository.common_dir)
        return all(_is_under(place, roots) for place in places)

    def _roots(self) -> list[Path]:
        roots = (self._policy.cwd, *self._policy.writable_roots)
        return [Path(os.path.realpath(root)) for root in roots]

    async def spawn(
        self, script: GitScript, command: Command, reach: Reach | None = None
    ) -> Process:
        """Start the calls of `script` where and with what `command` would run.

        Raises:
            GitRefused: one of them cannot be run in this way.
            SandboxError: the cage could not be built.
        """
        reach = reach or Reach()
        calls: list[Call] = []
        begun: dict[Path, Repository] = {}
        for step in script.steps:
            call = self._call(step, command.cwd, begun)
            if step.subcommand == "init" and call.begins is not None:
                begun[call.begins.top] = call.begins
            calls.append(call)
        programs = await self.programs(command)
        sandboxes = [
            await self._open_cage(self._policy_for(call, programs, _lent(call, reach)))
            for call in calls
        ]
        return GitRun(calls, sandboxes, command, reach)

    def _call(self, step: Step, cwd: Path, begun: Mapping[Path, Repository]) -> Call:
        folder = Path(os.path.realpath(cwd / step.folder))
        if step.subcommand == "clone":
            return Call(step, folder, None)
        if step.subcommand == "init":
            return self._begin(step, folder, _folder(step, cwd))
        repository = begun.get(folder) or find_repository(folder)
        if repository is None:
            raise GitRefused(f"{folder} is not in a git repository.")
        self._check(repository)
        places = [folder]
        if step.subcommand == "worktree":
            places += [Path(os.path.realpath(folder / word)) for word in plain_words(step)[1:]]
        if any(_is_under(one, (repository.git_dir, repository.common_dir)) for one in places):
            raise GitRefused(f"a place inside of {repository.git_dir} is no place for git to run.")
        return Call(step, folder, repository)

    def _begin(self, step: Step, folder: Path, top: Path) -> Call:
        """Return the call of `git init`, which may find a repository there already."""
        git_dir = top / ".git"
        if not _is_under(top, self._roots()):
            raise GitRefused(f"{top} is not in the workspace.")
        found = find_repository(top)
        if found is not None and found.top == top:
            self._check(found)
        elif os.path.lexists(git_dir) and (git_dir.is_symlink() or not git_dir.is_dir()):
            raise GitRefused(f"{git_dir} leads elsewhere, so no repository can be begun there.")
        begins = Repository(top, git_dir, git_dir, vouched=True)
        return Call(step, folder, None, begins if found is None or found.top != top else found)

    def _check(self, repository: Repository) -> None:
        if not self._may_write(repository):
            raise GitRefused(
                f"The .git of {repository.top} leads to {repository.git_dir}, which does not "
                "belong to this workspace, so git may not write there."
            )

    def _policy_for(self, call: Call, programs: tuple[Path, ...], reach: Reach) -> Policy:
        """Return the policy of a call: nothing is open but the one repository it is about."""
        repository = call.repository or call.begins
        writable: dict[Path, None] = {}
        held: dict[Path, None] = {}
        if repository is not None:
            writable = dict.fromkeys((repository.git_dir, repository.common_dir))
            held = {folder / name: None for folder in writable for name in _HELD}
        if call.repository is not None and call.repository.common_dir.is_dir():
            _make_held(call.repository)
        return msgspec.structs.replace(
            self._policy,
            writable_roots=(*self._policy.writable_roots, *writable),
            read_only=(*self._policy.read_only, *held),
            programs=(*programs, *reach.programs),
            network=_not_denied(reach.network, self._policy.network),
        )

    async def programs(self, command: Command) -> tuple[Path, ...]:
        """Return what has to be executable: git, its parts, and what the kernel starts them by.

        Raises:
            GitRefused: there is no git, or commands could have written it.
        """
        sandbox = await self._open_cage(self._policy)
        return await executables(sandbox, command.env, self._roots())


class Call(msgspec.Struct, frozen=True):
    """One call of git, and the repository it is about; None where there is none yet.

    Attributes:
        folder: where git is started.
        begins: what `git init` begins, or finds.
    """

    step: Step
    folder: Path
    repository: Repository | None
    begins: Repository | None = None


class GitRun(StepRun):
    """The calls of a script, one after the other. Implements `sandbox.Process`."""

    def __init__(
        self, calls: Sequence[Call], sandboxes: Sequence[Sandbox], command: Command, reach: Reach
    ) -> None:
        super().__init__("git")
        self._calls = list(zip(calls, sandboxes, strict=True))
        self._command = command
        self._reach = reach
        self._git = str(program(command.env))

    async def _run(self) -> Exit:
        last = Exit(code=0)
        for call, sandbox in self._calls:
            if not follows(call.step.after, last):
                continue
            if self.ends_by is not None:
                return Exit(signal=self.ends_by)
            try:
                last = await self._one(call, sandbox)
            except GitRefused as refusal:
                await self.tell(f"octavo: {refusal}\n")
                last = Exit(code=128)
        return last

    async def _one(self, call: Call, sandbox: Sandbox) -> Exit:
        repository, config = call.repository, None
        kept, before = FileState("missing"), b""
        missing: list[Path] = []
        found = drivers(before)
        reach = _lent(call, self._reach)
        if repository is not None:
            config = repository.common_dir / "config"
            before = await self._listing(call, sandbox)
            found = drivers(before)
            attributes, kept = await sandbox.look(
                [repository.top / ".gitattributes", config], limit_bytes=_FILE_LIMIT_BYTES
            )
            if kept.kind != "file":
                raise GitRefused(f"{config} cannot be read, so it could not be put back either.")
            missing = await _missing(sandbox, repository)
            _check_filters(found, attributes.data)
        command = Command(
            argv=(self._git, *hardened_arguments(call.step.arguments)),
            cwd=call.folder,
            env=hardened_env(self._command.env, found, reach.settings)
            | dict(reach.env)
            | _told(repository),
        )
        ended = await self.run(command, sandbox, line=reach.line)
        await self._remove(missing, sandbox)
        if config is not None:
            await self._look_over(call, sandbox, before, config, kept)
        return ended

    async def _remove(self, missing: Sequence[Path], sandbox: Sandbox) -> None:
        """Remove what was not there before and would lead git elsewhere.

        Git makes no such file. A checkout does if a folder of the work tree became a link to the
        git directory while it was written.
        """
        states = await sandbox.look(missing, limit_bytes=_FILE_LIMIT_BYTES) if missing else []
        for path, state in zip(missing, states, strict=True):
            if state.kind != "missing":
                await sandbox.change([Delete(path)])
                await self.tell(f"octavo: {path} was removed: git has no use for it.\n")

    async def _look_over(
        self, call: Call, sandbox: Sandbox, before: bytes, config: Path, kept: FileState
    ) -> None:
        """Take back what git put into the configuration, unless it is about branches."""
        [now] = await sandbox.look([config], limit_bytes=_FILE_LIMIT_BYTES)
        is_in_place = (now.kind, now.real_path) == (kept.kind, kept.real_path)
        if is_in_place and now.data == kept.data:
            return
        strange = ["all"]
        if is_in_place:
            try:
                keys = changed_keys(before, await self._listing(call, sandbox))
            except GitRefused:  # it is no configuration any more
                keys = ("all",)
            strange = [key for key in keys if not key.startswith("branch.")]
        if not strange:
            return
        if now.real_path != kept.real_path:  # a link: what it leads to is not to be written
            await sandbox.change([Delete(config)])
        await sandbox.change([Write(config, kept.data, overwrite=True)])
        names = ", ".join(strange)
        await self.tell(f"octavo: the repository's settings were put back: {names} had changed.\n")

    async def _listing(self, call: Call, sandbox: Sandbox) -> bytes:
        env = hardened_env(self._command.env) | _told(call.repository)
        command = Command((self._git, *LISTING), call.folder, env)
        ended, listing = await run_caged(
            sandbox, command, timeout_s=_ASIDE_S, limit_bytes=_LISTING_LIMIT_BYTES
        )
        if ended.code != 0 or len(listing) >= _LISTING_LIMIT_BYTES:
            said = listing[-300:].decode("utf-8", "replace").strip()
            raise GitRefused(f"the configuration of the repository cannot be read: {said}")
        return listing


def _folder(step: Step, cwd: Path) -> Path:
    """Return the folder a call is about: where git starts, or what `git init` is given."""
    folder = cwd / step.folder
    words = plain_words(step) if step.subcommand == "init" else []
    return Path(os.path.realpath(folder / words[0] if words else folder))


def _lent(call: Call, reach: Reach) -> Reach:
    """Return what of `reach` one call gets: nothing, if it talks to nobody."""
    return reach if call.step.subcommand in REMOTE else Reach()


def _not_denied(wanted: Network, policy: Network) -> Network:
    """Return what a call may reach: what the person denies beats all else."""
    return msgspec.structs.replace(wanted, deny=(*wanted.deny, *policy.deny))


def _told(repository: Repository | None) -> dict[str, str]:
    """Return what tells git its repository: what is looked for could be another one."""
    if repository is None:
        return {}
    return {"GIT_DIR": str(repository.git_dir), "GIT_WORK_TREE": str(repository.top)}


def _make_held(repository: Repository) -> None:
    for name in _HELD_FOLDERS:
        try:
            os.mkdir(repository.common_dir / name)
        except FileExistsError:
            continue
        except OSError as error:
            raise GitRefused(
                f"{repository.common_dir / name} is missing and cannot be made ({error.strerror}), "
                "so it cannot be kept read-only. Nothing was run."
            ) from None


async def _missing(sandbox: Sandbox, repository: Repository) -> list[Path]:
    """Return which of the files that would lead git elsewhere are not there."""
    folders = dict.fromkeys((repository.git_dir, repository.common_dir))
    paths = [folder / name for folder in folders for name in _LEADING]
    states = await sandbox.look(paths, limit_bytes=_FILE_LIMIT_BYTES)
    return [path for path, one in zip(paths, states, strict=True) if one.kind == "missing"]


def _check_filters(found: Drivers, attributes: bytes) -> None:
    """Refuse where a person's filter would be left out: what is committed would be another."""
    for name in found.person:
        if f"filter={name}".encode() in attributes.split():
            raise GitRefused(
                f"this repository passes files through the filter {name!r}, a program that git "
                "may not start in the sandbox. Nothing was run. Leave this to the user, or ask to "
                'run it with sandbox_permissions "require_escalated".'
            )


def _real(paths: Sequence[Path]) -> list[Path]:
    return [Path(os.path.realpath(path)) for path in paths if path.exists()]


async def executables(
    sandbox: Sandbox, env: Mapping[str, str], writable: Sequence[Path]
) -> tuple[Path, ...]:
    """Return what has to be executable: git, its parts, and what the kernel starts them by.

    Raises:
        GitRefused: git does not say, or lies where commands can write.
    """
    git = program(env)
    asked = Command((str(git), "--exec-path"), Path("/"), hardened_env(env))
    ended, said = await run_caged(sandbox, asked, timeout_s=_ASIDE_S, limit_bytes=4096)
    parts = Path(os.fsdecode(said).strip())
    if ended.code != 0 or not parts.is_absolute():
        raise GitRefused("git does not say where its parts are, so it cannot be confined.")
    if any(_is_under(place, writable) for place in (git, parts)):
        raise GitRefused(f"{git} can be changed by commands, so it may not write .git.")
    return git, *_real([parts, *map(Path, _LOADERS)])


def program(env: Mapping[str, str]) -> Path:
    """Return git's real path. Raises GitRefused where there is none."""
    found = shutil.which("git", path=env.get("PATH"))
    if found is None:
        raise GitRefused("There is no git.")
    return Path(os.path.realpath(found))


def _is_under(path: Path, roots: Sequence[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)
