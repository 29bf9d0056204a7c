"""What the user's login shell adds to the environment.

Profiles are run once, in the cage, and what they set is kept on disk until one of them changes.
So commands find the programs that the user's own terminal finds, without a login shell for each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

import anyio
import msgspec

from octavo.config.shell_env import is_excluded_by_default
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Exit, Sandbox

_TIMEOUT_S = 10.0
_OUTPUT_LIMIT_BYTES = 1 << 20
_MARK = "octavo-env-follows"
_SYSTEM_FILES = ("/etc/environment", "/etc/profile", "/etc/profile.d", "/etc/bash.bashrc")
_SYSTEM_ZSH_FILES = ("/etc/zshenv", "/etc/zprofile", "/etc/zsh/zshenv", "/etc/zsh/zprofile")
_HOME_FILES = (
    *(".profile", ".bash_profile", ".bash_login", ".bashrc"),
    *(".zshenv", ".zprofile", ".zshrc", ".zlogin"),
)
_OF_THE_SHELL = frozenset(("_", "PWD", "OLDPWD", "SHLVL", "TERM", "COLUMNS", "LINES", "HOME"))
_SHELLS = frozenset(("bash", "zsh", "sh", "dash", "ksh"))
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class _Cache(msgspec.Struct, frozen=True):
    shell: str
    stamps: tuple[tuple[str, int, int], ...]
    variables: dict[str, str]
    trouble: str | None = None


async def capture_login_env(
    sandbox: Sandbox,
    env: Mapping[str, str],
    cache_folder: Path,
    *,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Return what a login shell of the user in `env` sets; keys are left out.

    It comes from `cache_folder` as long as no profile changed. A profile that fails, hangs or says
    nothing gives an empty environment, and `on_note` is told a sentence for the user.
    """
    home, shell = Path(env.get("HOME") or "/"), _shell(env)
    cache_file = cache_folder / "login-env.json"
    stamps = _stamps(home)
    known = _read(cache_file)
    if known is None or (known.shell, known.stamps) != (shell, stamps):
        try:
            variables = await _capture(sandbox, shell, home, env)
        except SandboxError as error:
            known = _Cache(shell, stamps, {}, str(error))  # may be mended without a new profile
        else:
            trouble = None if variables is not None else "a profile ended it, or takes too long"
            known = _Cache(shell, stamps, variables or {}, trouble)
            _write(cache_file, known)
    if known.trouble is not None and on_note is not None:
        on_note(
            f"The environment of your login shell ({shell}) could not be read: {known.trouble}. "
            "Commands run without what your profile sets."
        )
    return known.variables


def lay_over(login: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` over `login`, with the search paths of both.

    What octavo was started with is the nearer truth (an activated virtual environment), so its
    own directories come first; what it shares with the profile keeps the profile's order.
    """
    merged = {**login, **env}
    ours, profiles = env.get("PATH"), login.get("PATH")
    if ours and profiles:
        known = profiles.split(":")
        merged["PATH"] = ":".join(
            [*(part for part in ours.split(":") if part not in known), *known]
        )
    return merged


def _shell(env: Mapping[str, str]) -> str:
    shell = env.get("SHELL", "")
    return shell if PurePath(shell).name in _SHELLS else "bash"


async def _capture(
    sandbox: Sandbox, shell: str, home: Path, env: Mapping[str, str]
) -> dict[str, str] | None:
    base = {"HOME": str(home), "PATH": _SEARCH_PATH, "SHELL": shell, "TERM": "dumb"}
    base |= {name: env[name] for name in ("USER", "LOGNAME", "LANG") if name in env}
    script = f"printf '\\0{_MARK}\\0'; exec env -0"
    process = await sandbox.spawn(Command((shell, "-l", "-c", script), home, base))
    output = bytearray()
    ended: Exit | None = None

    async def read() -> None:
        while data := await process.read():
            output.extend(data[: _OUTPUT_LIMIT_BYTES - len(output)])

    try:
        with anyio.move_on_after(_TIMEOUT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                ended = await process.wait()
    finally:
        if ended is None:
            with anyio.CancelScope(shield=True):
                await process.kill()
    return None if ended is None else _parse(bytes(output), base)


def _parse(output: bytes, base: Mapping[str, str]) -> dict[str, str] | None:
    """Return what differs from `base`; None when there is no environment in the output."""
    _, mark, listed = output.partition(f"\0{_MARK}\0".encode())
    if not mark:
        return None
    variables: dict[str, str] = {}
    for entry in listed.decode("utf-8", "replace").split("\0"):
        name, equals, value = entry.partition("=")
        if not equals or name in _OF_THE_SHELL or is_excluded_by_default(name):
            continue
        if base.get(name) != value:
            variables[name] = value
    return variables


def _stamps(home: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what tells that a profile changed: time and size of each that is there."""
    stamps = []
    for path in (
        *_SYSTEM_FILES,
        *_SYSTEM_ZSH_FILES,
        *(os.path.join(home, name) for name in _HOME_FILES),
    ):
        try:
            found = os.stat(path)
        except OSError:
            continue
        stamps.append((path, found.st_mtime_ns, found.st_size))
    return tuple(stamps)


def _read(path: Path) -> _Cache | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Cache)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, cache: _Cache) -> None:
    """Keep `cache`, readable for its owner only; where that fails it is captured again."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, msgspec.json.encode(cache))
        finally:
            os.close(fd)
        os.replace(beside, path)
    except OSError:
        return
