"""Why nothing could be confined, or a command not be started: told so that it can be mended."""

from __future__ import annotations

import errno
import os

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, NotStarted
from octavo.sandbox.cage import words

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_MAX_NAMESPACES = "/proc/sys/user/max_user_namespaces"
_CLONE_SWITCH = "/proc/sys/kernel/unprivileged_userns_clone"
_WAYS_OUT = (
    "Allow unprivileged user namespaces, run the container with a profile that allows unshare and "
    "mount, or, if this machine is itself your sandbox, choose `--sandbox danger-full-access`."
)
_TIER_NAMES = {"namespaces": "namespaces", "landlock": "Landlock"}


def explain(told: bytes) -> SandboxError:
    """Return the error for a cage that could not be built, from what its keeper said."""
    steps: list[str] = []
    causes: list[str] = []
    for line in told.decode("utf-8", "replace").splitlines():
        tier, _, rest = line.partition("\t")
        code, _, text = rest.partition("\t")
        if not text:
            tier, code, text = "", tier, rest
        name = errno.errorcode.get(int(code), code) if code.isdigit() else ""
        prefix = f"{_TIER_NAMES[tier]}: " if tier in _TIER_NAMES else ""
        steps.append(f"{prefix}{text}" + (f" [{name}]" if name not in ("", "0") else ""))
        cause = _cause(text)
        if cause and cause not in causes:
            causes.append(cause)
    if not steps:
        steps = ["the process that builds it ended without a word"]
    message = "Commands cannot be confined on this machine, so none is run. " + "; ".join(steps)
    return SandboxError(". ".join([message, *causes]) + ".", hint=_WAYS_OUT)


def _cause(text: str) -> str:
    if "namespace" in text or "mount" in text:
        if _read(_APPARMOR) == "1":
            return "The cause is AppArmor (kernel.apparmor_restrict_unprivileged_userns = 1)"
        if _read(_CLONE_SWITCH) == "0":
            return "The cause is kernel.unprivileged_userns_clone = 0"
        if _read(_MAX_NAMESPACES) == "0":
            return "The cause is user.max_user_namespaces = 0"
        if _in_container():
            return "The likely cause is the seccomp profile of the container"
    if "landlock" in text.lower():
        return "The kernel is built or started without Landlock, or it is too old"
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
