"""What is true of a command at the moment it is asked about: its programs, its paths, its key.

The key stands for all of it: an approval of this exact command stops holding when one byte of the
command, its folder, or one of its programs is another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from octavo.policy import Reading
from octavo.policy.targets import named_programs, written_paths
from octavo.protocol.questions import Grant, Program
from octavo.sandbox import Command

try:
    from _blake2 import blake2b  # hashlib itself would load OpenSSL
except ImportError:
    from hashlib import blake2b

SHOWN = 20
"""How many programs, or paths, a question shows at most."""


def programs(reading: Reading, command: Command) -> tuple[Program, ...]:
    """Return what the names in a script stand for now."""
    found = [
        Program(name, _real(name, where, command.env))
        for name, where in named_programs(reading, os.fspath(command.cwd))
    ]
    return tuple(found)


def paths(reading: Reading, command: Command) -> tuple[str, ...]:
    """Return the real paths that a script's words say are written or deleted."""
    found = written_paths(reading, os.fspath(command.cwd))
    return tuple(dict.fromkeys(map(os.path.realpath, found)))


def key_of(
    command: Command, used: tuple[Program, ...], grant: Grant | None, goes_to: Sequence[str] = ()
) -> str:
    """Return what stands for exactly this command with the programs as they are now.

    Args:
        goes_to: the addresses that it leads to now, by whatever names it has them.
    """
    shell = _real(command.argv[0], os.fspath(command.cwd), command.env)
    files = [(path, _identity(path)) for path in [shell, *(one.path for one in used)]]
    what = (command.argv, os.fspath(command.cwd), command.tty is None, files, grant)
    data = repr((*what, tuple(goes_to)) if goes_to else what).encode("utf-8", "backslashreplace")
    return blake2b(data, digest_size=32).hexdigest()


def _real(name: str, where: str | None, env: Mapping[str, str]) -> str | None:
    """Return the file that a program's name stands for; None if it cannot be told."""
    if "/" in name:
        if where is None and not os.path.isabs(name):
            return None
        candidates = [os.path.join(where or "/", name)]
    else:
        folders = env.get("PATH", "").split(os.pathsep)
        candidates = [os.path.join(where or "/", folder, name) for folder in folders]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.realpath(path)
    return None


def _identity(path: str | None) -> tuple[int, ...] | None:
    if path is None:
        return None
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
