"""Where octavo keeps its own files.

Everything is below one directory, `$OCTAVO_HOME` or `~/.octavo`. Asking for a path makes nothing;
`make_private` makes a directory when something is about to be written there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from octavo.protocol.errors import ConfigError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def octavo_home(env: Mapping[str, str]) -> Path:
    """Return the absolute directory of octavo's files. It need not exist.

    Raises:
        ConfigError: neither `$OCTAVO_HOME` nor a home directory is known, or its name is no text.
    """
    chosen = env.get("OCTAVO_HOME")
    home = Path(os.path.abspath(expand(chosen, env))) if chosen else user_home(env) / ".octavo"
    try:
        str(home).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"The name of octavo's directory, {str(home)!r}, is not UTF-8.",
            hint="Set OCTAVO_HOME to another one.",
        ) from None
    return home


def user_home(env: Mapping[str, str]) -> Path:
    """Return the person's home directory: `$HOME`, else what the system has on record."""
    home = env.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        raise ConfigError("No home directory is known.", hint="Set OCTAVO_HOME to a directory.")
    return Path(home)


def expand(path: str, env: Mapping[str, str]) -> str:
    """Replace a leading `~` by the home directory."""
    if path == "~" or path.startswith("~/"):
        return str(user_home(env)) + path[1:]
    return path


def config_file(home: Path) -> Path:
    """The person's own settings."""
    return home / "config.toml"


def profile_file(home: Path, name: str) -> Path:
    """The settings that `-p name` lays over the person's own."""
    return home / f"{name}.config.toml"


def sessions_dir(home: Path) -> Path:
    """The threads' logs."""
    return home / "sessions"


def log_dir(home: Path) -> Path:
    """Diagnostic logs."""
    return home / "log"


def cache_dir(home: Path) -> Path:
    """What can be deleted at any time and comes back by itself."""
    return home / "cache"


def auth_file(home: Path) -> Path:
    """Stored keys; see `auth`."""
    return home / "auth.json"


def server_token_file(home: Path) -> Path:
    """What a client of `app-server --listen ws://…` must show."""
    return home / "app-server.token"


def trust_file(home: Path) -> Path:
    """Directories the person trusts; see `trust`."""
    return home / "trust.json"


def consents_file(home: Path) -> Path:
    """What of repositories the person agreed to; see `consent`."""
    return home / "consents.json"


def approvals_file(home: Path) -> Path:
    """What the person accepted for longer than once; see `approvals`."""
    return home / "approvals.json"


def make_private(directory: Path) -> Path:
    """Make `directory` and its parents, readable by their owner only, and return it.

    What exists already keeps its mode.

    Raises:
        ConfigError: it cannot be made, or it is not a directory that can be written to.
    """
    try:
        _make(directory)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be made: {error.strerror}.",
            hint="Make it writable, or set OCTAVO_HOME to a directory that is.",
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{directory} is not writable.",
            hint="Make it writable, or set OCTAVO_HOME to a directory that is.",
        )
    return directory


def _make(directory: Path) -> None:
    if directory.is_dir():
        return
    _make(directory.parent)
    try:
        directory.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        if not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{directory} is not a directory") from None


def read_private(path: Path, *, limit_bytes: int) -> bytes | None:
    """Return what is in a file of octavo's own, one byte over the limit at most; None: no file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by a file only its owner can read: whole, or not at all.

    Raises:
        ConfigError: it could not be written; what was there is unchanged.
    """
    make_private(path.parent)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write_through(aside, data)
        os.replace(aside, path)
    except OSError as error:
        with suppress(OSError):  # a disk that takes nothing may not even let go of it
            aside.unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _write_through(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(path, flags, FILE_MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
