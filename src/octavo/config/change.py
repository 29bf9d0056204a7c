"""The person's own settings file, changed on their word: whole, or not at all.

Who may ask is not decided here. A repository, a model and a command have no way to: the file is
outside of every workspace and read-only to commands. What is written would load: every key is one
that octavo or Codex has, every value fits, and what comes out is checked before it is put there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from octavo.config.check import Check
from octavo.config.edit import Edit, edited, rewritten
from octavo.config.explain import unknown_key
from octavo.config.keys import CODEX_ONLY_INSIDE, NAMED_TABLES, TABLES, Key, dotted
from octavo.config.masks import MASK, masked
from octavo.config.overrides import as_table
from octavo.config.paths import FILE_MODE, make_private, read_private, write_private
from octavo.config.settings import Settings
from octavo.config.tables import LIMIT_BYTES, Table, parse
from octavo.protocol.errors import ConfigError

MAX_EDITS = 256
"""Each is looked for in the whole text."""


class ChangeRefused(ConfigError):
    """The file is as it was.

    Attributes:
        kind: why, in Codex's words.
    """

    code = "config.write"

    def __init__(self, message: str, kind: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


def version_of(data: bytes) -> str:
    """Return what stands for the content of a settings file; of one that is not there, b""."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def change(
    file: Path,
    edits: Sequence[Edit],
    *,
    env: Mapping[str, str],
    expected_version: str | None = None,
) -> str:
    """Make `edits`, in order, in a settings file of the person's; return its new version.

    Comments and layout stay. Where the file is a link, what it leads to is written. One that says
    all of it already is not written.

    Args:
        file: need not exist.
        env: for the home directory, which `~` in paths means.
        expected_version: what the file must still be.

    Raises:
        ChangeRefused: it would not be right, or is not what was expected.
        ConfigError: it cannot be read or written, or is no TOML.
    """
    if len(edits) > MAX_EDITS:
        raise _invalid(f"These are {len(edits)} edits, and at most {MAX_EDITS} are made at once.")
    with _held(file):
        data = read_private(file, limit_bytes=LIMIT_BYTES) or b""
        if expected_version is not None and expected_version != version_of(data):
            raise ChangeRefused(
                f"{file} has changed since it was read.",
                "configVersionConflict",
                hint="Read it again, and decide anew.",
            )
        before = parse(data, file)
        text = data.decode("utf-8-sig")
        wanted: Table = dict(before)
        for edit in edits:
            _check_known(edit)
            wanted = edited(wanted, _unmasked(edit, before))
        _check(wanted, file, env)
        try:
            changed = rewritten(text, wanted).encode()
        except TypeError as error:
            raise _invalid(f"A settings file has no such value: {error}.") from None
        if changed == text.encode():
            return version_of(data)
        if len(changed) > LIMIT_BYTES:
            raise _invalid(f"{file} would become larger than {LIMIT_BYTES >> 20} MiB.")
        write_private(Path(os.path.realpath(file)), changed)
    return version_of(changed)


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """Only one process at a time reads the file to write it."""
    make_private(file.parent)
    path = file.with_name(f".{file.name}.lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(path, flags, FILE_MODE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for milliseconds
        yield
    finally:
        os.close(lock)


def _invalid(text: str) -> ChangeRefused:
    return ChangeRefused(text, "configValidationError")


def _check_known(edit: Edit) -> None:
    """Refuse a key that nobody has; those that are only Codex's may be there, as in a file."""
    if edit.value is None:
        return
    for key, struct in _unknown(as_table([(edit.key, edit.value)]), Settings, ()):
        raise ChangeRefused(_sentence(unknown_key(key, struct)), "configSchemaUnknownKey")


def _unknown(
    table: Mapping[str, object], struct: type[msgspec.Struct], at: Key
) -> Iterator[tuple[Key, type[msgspec.Struct]]]:
    """Yield the keys that are no settings, with the table of settings they would belong to."""
    for name, value in table.items():
        key, inner = (*at, name), TABLES.get(struct, {}).get(name)
        if name not in struct.__struct_fields__:
            if name not in CODEX_ONLY_INSIDE.get(struct, ()):
                yield key, struct
        elif isinstance(value, Mapping) and inner is not None:
            yield from _unknown(value, inner, key)
        elif isinstance(value, Mapping) and not at and name in NAMED_TABLES:
            for each, one in value.items():
                if isinstance(one, Mapping):
                    yield from _unknown(one, NAMED_TABLES[name], (*key, each))


def _unmasked(edit: Edit, before: Mapping[str, object]) -> Edit:
    """Return the edit with secrets that the client was not shown as they are.

    Raises:
        ChangeRefused: what was shown in a secret's place would be written in another's.
    """
    old: object = before
    for name in edit.key:
        _check_text(name)
        old = old.get(name) if isinstance(old, Mapping) else None
    return msgspec.structs.replace(edit, value=_unmask(edit.key, edit.value, old))


def _unmask(key: Key, value: object, old: object) -> object:
    if isinstance(value, Mapping):
        below = old if isinstance(old, Mapping) else {}
        for name in value:
            _check_text(name)
        return {n: _unmask((*key, n), inner, below.get(n)) for n, inner in value.items()}
    if isinstance(value, list):
        return [_unmask(key, inner, None) for inner in value]
    if not isinstance(value, str):
        return value
    _check_text(value)
    if MASK not in value:
        return value
    if old is not None and masked(key, old) == value:
        return old
    raise _invalid(f"{dotted(key)}: {MASK} stands for a secret, and is none.")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid(f"{text!a:.80} is not UTF-8, as a settings file is.") from None


def _check(wanted: Table, file: Path, env: Mapping[str, str]) -> None:
    """Refuse what would not load."""
    check = Check(file.parent, file.parent, env, strict=False)
    try:
        check.given("user", (((name,), value) for name, value in wanted.items()))
    except ConfigError as error:
        raise _invalid(_sentence(str(error))) from None


def _sentence(text: str) -> str:
    """Leave out the place: what is wrong stands in no file yet."""
    return text.removeprefix("flags: ")
