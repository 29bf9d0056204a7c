"""Calls of gh, one after the other, each in a cage of its own in which gh and git can be started.

Such a cage has no network and no token; what leads out of it is one unix socket, behind which
`gh_door` is. It is opened for one call and closed with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
from msgspec.structs import replace

from octavo.agent.gh_door import GhDoor
from octavo.agent.gh_place import GhPlace, GhRefused, gh_program, token_for
from octavo.agent.git_remote import Outside
from octavo.agent.step_run import StepRun, follows
from octavo.policy.gh import GhScript, GhStep
from octavo.protocol.errors import SandboxError
from octavo.sandbox import OFF, Command, Exit, Policy, open_sandbox
from octavo.workspace.hardening import hardened_env

_BACKLOG = 64
_LONGEST_PATH_BYTES = 107
_STALE_S = 24 * 3600.0
_MADE_UP = "gho_0000000000000000000000000000000000octavo"
"""What gh takes for its token; it is in no request that leaves the machine."""
_CONFIG = """\
version: "1"
git_protocol: https
prompt: disabled
pager: cat
browser: "true"
editor: "true"
http_unix_socket: {socket}
"""
_FIXED = {
    "GH_TOKEN": _MADE_UP,
    "GH_ENTERPRISE_TOKEN": _MADE_UP,
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GH_NO_EXTENSION_UPDATE_NOTIFIER": "1",
    "GH_SPINNER_DISABLED": "1",
    "GH_PAGER": "cat",
    "PAGER": "cat",
    "GH_EDITOR": "true",
    "GH_BROWSER": "true",
    "NO_COLOR": "1",
    "XDG_CACHE_HOME": "/dev/shm/gh",
    "XDG_STATE_HOME": "/dev/shm/gh",
    "XDG_DATA_HOME": "/dev/shm/gh",
}


class GhRun(StepRun):
    """What the calls of a script do, after a person allowed it. Implements `sandbox.Process`.

    Args:
        script: the calls.
        places: what each talks about.
        command: where and with what environment they run.
        policy: of the thread's other commands.
        programs: git's, as gh asks it for the branch.
        outside: where the person's gh is.
    """

    def __init__(
        self,
        script: GhScript,
        places: Sequence[GhPlace],
        command: Command,
        policy: Policy,
        programs: Sequence[Path],
        outside: Outside,
    ) -> None:
        super().__init__("gh")
        self._calls = list(zip(script.steps, places, strict=True))
        self._command = command
        self._policy = policy
        self._programs = programs
        self._outside = outside

    async def _run(self) -> Exit:
        last = Exit(code=0)
        for step, place in self._calls:
            if not follows(step.after, last):
                continue
            if self.ends_by is not None:
                return Exit(signal=self.ends_by)
            try:
                last = await self._one(step, place)
            except SandboxError as refusal:
                await self.tell(f"octavo: {refusal}\n")
                last = Exit(code=1)
        return last

    async def _one(self, step: GhStep, place: GhPlace) -> Exit:
        token = "" if step.subcommand == "version" else await token_for(place.host, self._outside)
        door = GhDoor(
            place,
            token,
            reads=step.reads,
            deny=self._policy.network.deny,
            env=self._outside.env,
        )
        try:
            folder = _folder(self._outside.home)
        except OSError as error:
            raise GhRefused(
                f"gh needs a folder in {self._outside.home}, which cannot be made: "
                f"{error.strerror}. Nothing was run. Leave it to the user, and say so."
            ) from None
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "s"))
                listener.listen(_BACKLOG)
                _configure(folder)
                ended = await self._through(door, listener, step, place, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for reason in dict.fromkeys(door.refused):
            await self.tell(f"octavo: {reason}\n")
        return ended

    async def _through(
        self, door: GhDoor, listener: socket.socket, step: GhStep, place: GhPlace, folder: Path
    ) -> Exit:
        failure: SandboxError | None = None
        ended = Exit(code=1)
        async with anyio.create_task_group() as group:
            group.start_soon(door.serve, listener)
            try:
                ended = await self._in_cage(step, place, folder)
            except SandboxError as error:  # not the group's to wrap
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return ended

    async def _in_cage(self, step: GhStep, place: GhPlace, folder: Path) -> Exit:
        gh = gh_program(self._outside.own_env)
        where = self._command.cwd / step.folder
        env = _environment(self._command.env, place, folder)
        command = Command((str(gh), *step.arguments), where, env)
        policy = replace(
            self._policy,
            network=OFF,
            sockets=(folder / "s",),
            programs=(gh, *self._programs),
        )
        async with open_sandbox(policy) as sandbox:
            report = await sandbox.ready()
            if report.tier in ("namespaces", "bubblewrap"):
                return await self.run(command, sandbox)
        raise GhRefused(
            "gh reaches its API only from a sandbox with namespaces, and there is none on this "
            "machine. Nothing was run. Leave it to the user, and say so."
        )


def _environment(env: Mapping[str, str], place: GhPlace, folder: Path) -> dict[str, str]:
    """Return what gh is told: nothing of the command's own about gh plays a part."""
    kept = {
        name: value
        for name, value in hardened_env(env).items()
        if not name.startswith(("GH_", "GITHUB_", "CLICOLOR", "DEBUG"))
    }
    told = {"GH_CONFIG_DIR": str(folder), "GH_HOST": place.host}
    if place.repository:
        told["GH_REPO"] = place.repository
    return kept | _FIXED | told


def _configure(folder: Path) -> None:
    """Write gh's settings. Raises GhRefused."""
    try:
        (folder / "config.yml").write_text(_CONFIG.format(socket=folder / "s"))
    except OSError as error:
        raise GhRefused(
            f"gh's settings cannot be written to {folder}: {error.strerror}. Nothing was run."
        ) from None


def _folder(home: Path) -> Path:
    """Make a folder for one call, where no command can write; those of crashes are removed.

    Raises:
        GhRefused: no socket can be there.
    """
    top = home / "gh"
    top.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in top.iterdir():
        with suppress(FileNotFoundError):  # of a call that has just ended
            if time.time() - left.lstat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
    folder = top / secrets.token_hex(4)
    if len(os.fsencode(folder / "s")) > _LONGEST_PATH_BYTES:
        raise GhRefused(
            f"the name {folder} is too long for a socket. Nothing was run. The user can set "
            "OCTAVO_HOME to a shorter path."
        )
    folder.mkdir(mode=0o700)
    return folder
