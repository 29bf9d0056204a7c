"""Why nothing could be confined, or a command not be started: told so that it can be mended."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, NotStarted
from octavo.sandbox.cage import words

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_MAX_NAMESPACES = "/proc/sys/user/max_user_namespaces"
_CLONE_SWITCH = "/proc/sys/kernel/unprivileged_userns_clone"
_BY_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns = 1"
_BY_SWITCH = "kernel.unprivileged_userns_clone = 0"
_BY_LIMIT = "user.max_user_namespaces = 0"
_BY_CONTAINER = "the seccomp profile of the container"
_BY_KERNEL = "without Landlock"
_TIER_NAMES = {"namespaces": "namespaces", "bubblewrap": "bubblewrap", "landlock": "Landlock"}

_ALLOW_BWRAP = (
    "printf 'abi <abi/4.0>,\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }\\n' "
    "| sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap"
)
"""What lets bubblewrap, and no other program, make user namespaces under AppArmor."""


class Unconfinable(SandboxError):
    """No mechanism works on this machine, so no command can run in this session."""

    code = "sandbox.none"


def explain(told: bytes) -> SandboxError:
    """Return the error for a cage that could not be built, from what its keeper said."""
    found = steps(told) or ("the process that builds it ended without a word",)
    message = "Commands cannot be confined on this machine, so none is run. " + "; ".join(found)
    return Unconfinable(". ".join([message, *causes(found)]) + ".", hint=_ways_out(found))


def steps(told: bytes) -> tuple[str, ...]:
    """Return for each mechanism that failed its name, the step and the errno."""
    found: list[str] = []
    for line in told.decode("utf-8", "replace").splitlines():
        tier, _, rest = line.partition("\t")
        code, _, text = rest.partition("\t")
        if not text:
            tier, code, text = "", tier, rest
        name = errno.errorcode.get(int(code), code) if code.isdigit() else ""
        prefix = f"{_TIER_NAMES[tier]}: " if tier in _TIER_NAMES else ""
        found.append(f"{prefix}{text}" + (f" [{name}]" if name not in ("", "0") else ""))
    return tuple(dict.fromkeys(found))


def causes(found: Iterable[str]) -> list[str]:
    """Return why these steps failed, one sentence each without its full stop, where known."""
    known: list[str] = []
    for step in found:
        cause = _cause(step)
        if cause and cause not in known:
            known.append(cause)
    return known


def advice(found: Iterable[str]) -> str:
    """Return what a person can do to get a better mechanism than those that failed."""
    found = tuple(found)
    known = " ".join(causes(found))
    no_bubblewrap = any("there is no /usr/bin/bwrap" in step for step in found)
    if _BY_APPARMOR in known:
        install = "install bubblewrap (`apt install bubblewrap`), then " if no_bubblewrap else ""
        return f"To let bubblewrap confine commands, {install}run: {_ALLOW_BWRAP}"
    if _BY_SWITCH in known:
        return "Run: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _BY_LIMIT in known:
        return "Run: sudo sysctl user.max_user_namespaces=15000"
    if _BY_CONTAINER in known:
        return (
            "Start the container with a profile that allows unshare and mount, such as "
            "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined`."
        )
    install = ", or install bubblewrap (`apt install bubblewrap`)" if no_bubblewrap else ""
    return f"Allow unprivileged user namespaces{install}."


def _ways_out(found: Iterable[str]) -> str:
    return (
        f"{advice(found)} If this machine is itself your sandbox, choose `--sandbox external`; "
        "to run commands with no sandbox at all, `--sandbox danger-full-access`."
    )


def _cause(step: str) -> str:
    if "namespace" in step or "mount" in step:
        if _read(_APPARMOR) == "1":
            return f"The cause is AppArmor ({_BY_APPARMOR})"
        if _read(_CLONE_SWITCH) == "0":
            return f"The cause is {_BY_SWITCH}"
        if _read(_MAX_NAMESPACES) == "0":
            return f"The cause is {_BY_LIMIT}"
        if _in_container():
            return f"The likely cause is {_BY_CONTAINER}"
    if step.startswith("Landlock: Landlock version"):
        return f"The kernel is built or started {_BY_KERNEL}, or it is too old"
    return ""


def _in_container() -> bool:
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return True
    status = _read("/proc/self/status")
    return "Seccomp:\t2" in status


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def not_started(command: Command, message: bytes) -> SandboxError:
    """Return the error for a command its init could not start."""
    if not message.startswith(words.NOT_STARTED) or len(message) < 4:
        return SandboxError("The command could not be started: the process that holds it ended.")
    step, code = message[1], int.from_bytes(message[2:4], "little")
    return failed_step(command, step, code)


def failed_step(command: Command, step: int, code: int) -> SandboxError:
    """Return the error for one step of starting a command."""
    why = os.strerror(code).lower()
    hint = None
    if step == words.STEP_CWD:
        said = f"The working directory {command.cwd} cannot be used: {why}."
    elif step == words.STEP_TERMINAL:
        said = f"No terminal could be made for the command: {why}."
    elif code == errno.ENOENT:
        said, hint = f"There is no program {command.argv[0]}.", "Check its name and PATH."
    else:
        said = f"{command.argv[0]} cannot be run: {why}."
    return NotStarted(said, hint=hint, errno=code, is_program=step == words.STEP_PROGRAM)
