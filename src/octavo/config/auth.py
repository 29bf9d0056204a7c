"""Stored API keys.

A key is in the system's keyring where there is a real one, else in `$OCTAVO_HOME/auth.json`, which
only its owner can read. That file also says which keys the keyring holds, so that finding a key, or
finding that there is none, opens one small file and loads a keyring only when it has the answer.
Keys in the environment are not this module's business.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from octavo.config.paths import auth_file, write_private
from octavo.protocol.errors import ConfigError, UsageError

Store = Literal["auto", "keyring", "file"]
Place = Literal["keyring", "file"]

LIMIT_CHARACTERS = 8192
_SERVICE = "octavo"


class _File(msgspec.Struct, frozen=True):
    keys: dict[str, str] = {}
    keyring: tuple[str, ...] = ()
    """Providers whose key the keyring holds."""


def read_key(provider: str, *, home: Path) -> str | None:
    """Return the stored key of `provider`, or None.

    Raises:
        ConfigError: a key is stored but cannot be read.
    """
    file = _read(home)
    if provider in file.keys:
        return file.keys[provider]
    if provider not in file.keyring:
        return None
    keyring = _keyring()
    if keyring is None:
        raise ConfigError(
            f"The key of {provider} is in the system's keyring, which cannot be opened.",
            hint=f"Run `octavo login --provider {provider}` to store it again.",
        )
    try:
        key: str | None = keyring.get_password(_SERVICE, provider)
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"The system's keyring refused: {error}.") from None
    return key


def write_key(provider: str, key: str, *, home: Path, store: Store = "auto") -> Place:
    """Store the key of `provider` and return where it went. A former one is replaced.

    Raises:
        UsageError: `key` cannot be a key.
        ConfigError: it could not be stored; a former key is still there.
    """
    key = key.strip()
    if not key:
        raise UsageError("The key is empty.")
    if len(key) > LIMIT_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("This is not a key: it has spaces or unprintable characters in it.")
    place = "file" if store == "file" else _to_keyring(provider, key, must=store == "keyring")
    file = _read(home)
    keys = {name: kept for name, kept in file.keys.items() if name != provider}
    held = [name for name in file.keyring if name != provider]
    if place == "file":
        keys[provider] = key
        if provider in file.keyring:
            _forget(provider)
    else:
        held.append(provider)
    _write(home, _File(keys, tuple(sorted(held))))
    return place


def delete_key(provider: str, *, home: Path) -> bool:
    """Remove the stored key of `provider`; False if there was none.

    Raises:
        ConfigError: it could not be removed.
    """
    file = _read(home)
    if provider not in file.keys and provider not in file.keyring:
        return False
    if provider in file.keyring:
        _forget(provider)
    keys = {name: kept for name, kept in file.keys.items() if name != provider}
    _write(home, _File(keys, tuple(name for name in file.keyring if name != provider)))
    return True


def stored_keys(home: Path) -> dict[str, Place]:
    """Return which providers have a stored key, and where it is. No key is read."""
    file = _read(home)
    places: dict[str, Place] = dict.fromkeys(file.keyring, "keyring")
    places.update(dict.fromkeys(file.keys, "file"))
    return dict(sorted(places.items()))


def _read(home: Path) -> _File:
    path = auth_file(home)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return _File()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return msgspec.json.decode(data, type=_File)
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is damaged.", hint="Delete it and run `octavo login` again."
        ) from None


def _write(home: Path, file: _File) -> None:
    write_private(auth_file(home), msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")


def _to_keyring(provider: str, key: str, *, must: bool) -> Place:
    keyring = _keyring()
    if keyring is not None:
        try:
            keyring.set_password(_SERVICE, provider, key)
        except keyring.errors.KeyringError as error:
            if must:
                raise ConfigError(f"The system's keyring refused: {error}.") from None
        else:
            return "keyring"
    if must:
        raise ConfigError(
            "There is no keyring that octavo can use.",
            hint='Install the Python package keyring, or set cli_auth_credentials_store = "file".',
        )
    return "file"


def _forget(provider: str) -> None:
    keyring = _keyring()
    if keyring is None:
        return
    try:
        keyring.delete_password(_SERVICE, provider)
    except keyring.errors.PasswordDeleteError:
        return
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"The system's keyring refused: {error}.") from None


def _keyring() -> Any:
    """Return the `keyring` package if it is installed and has a backend that keeps anything.

    It is optional and carries no types for a checker that has not got it.
    """
    try:
        keyring = importlib.import_module("keyring")
        importlib.import_module("keyring.errors")
        usable = keyring.get_keyring().priority > 0
    except (ImportError, RuntimeError, AttributeError):
        return None
    return keyring if usable else None
