"""Which hooks there are, and which of them count.

The person's own stand in `$OCTAVO_HOME/hooks.json` and under `[hooks]` of their settings. A
project's stand in `.octavo/hooks.json` and `[hooks]` of `.octavo/config.toml`; they count only
where the project is trusted, and only as long as the file, and every file of the repository that
the hook's command names, is byte for byte what the person agreed to. Nothing of a project is read
before that is known, and what does not count is told.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from octavo.config.consent import Item, items, table_item
from octavo.config.hooks import Hook, parse
from octavo.config.load import Loaded, hook_files
from octavo.config.paths import consents_file
from octavo.config.trust import is_agreed, read_executable, repository_root
from octavo.protocol.errors import ConfigError

PROJECT_VARIABLES = ("CLAUDE_PROJECT_DIR", "OCTAVO_PROJECT_DIR")
"""In the environment of a hook, the directory of the project."""
_TOP_LEVEL = ("$(git rev-parse --show-toplevel)", "`git rev-parse --show-toplevel`")


Trust = Literal["trusted", "untrusted", "modified"]


class Found(msgspec.Struct, frozen=True):
    """One hook that a file names, and whether it counts.

    Attributes:
        trust: "trusted", or why it does not count.
        content: what was agreed to, or would be.
    """

    hook: Hook
    trust: Trust
    content: bytes

    @property
    def counts(self) -> bool:
        return self.trust == "trusted"


class HookFiles(msgspec.Struct, frozen=True):
    """What was found, in the order in which it counts.

    Attributes:
        skipped: what does not run, and why, one sentence each.
        errors: files that make no sense.
        settled: files of a project that are as the person agreed to, or that they do not trust.
    """

    found: tuple[Found, ...] = ()
    skipped: tuple[str, ...] = ()
    errors: tuple[tuple[Path, str], ...] = ()
    settled: frozenset[Path] = frozenset()

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """Those that count."""
        return tuple(one.hook for one in self.found if one.counts)


class _Reading:
    """Collects what is found."""

    def __init__(self, loaded: Loaded, cwd: Path, env: Mapping[str, str]) -> None:
        self.found: list[Found] = []
        self.skipped: list[str] = []
        self.errors: list[tuple[Path, str]] = []
        self.settled: set[Path] = set()
        self._loaded = loaded
        self._cwd = cwd
        self._env = env

    def own(self, table: object, path: Path) -> None:
        hooks, problems = parse(table, path=path, source="user")
        self.skipped += problems
        self.found += [Found(hook, "trusted", _written(hook)) for hook in hooks]

    def own_file(self, path: Path) -> None:
        if not os.path.lexists(path):
            return
        try:
            table = _decoded(read_executable(path), path)
        except ConfigError as error:
            self.errors.append((path, str(error)))
        else:
            self.own(table, path)

    def project_file(self, path: Path) -> None:
        if not os.path.lexists(path):
            return
        loaded = self._loaded
        projects = loaded.settings.projects
        if not is_agreed(path, home=loaded.home, projects=projects, env=self._env):
            self.settled.add(path)
            self.skipped.append(
                f"The hooks in {path} do not run: its directory is not trusted. "
                f"`octavo trust {path.parent.parent}` shows them and asks."
            )
            return
        try:
            [item] = items(loaded.home, [path])
            table = _decoded(item.content, path)
        except ConfigError as error:
            self.errors.append((path, str(error)))
        else:
            self.project(item, table)

    def project_table(self, path: Path, table: object) -> None:
        try:
            item = table_item(self._loaded.home, path, "hooks", table)
        except ConfigError as error:
            self.errors.append((path, str(error)))
        else:
            self.project(item, table)

    def project(self, item: Item, table: object) -> None:
        """Take in the hooks of one file of a trusted project."""
        path = item.path
        hooks, problems = parse(table, path=path, source="project")
        self.skipped += problems
        if item.state == "accepted":
            self.settled.add(path)
        for said in hooks:
            if said.outside:
                self.skipped.append(
                    f"The hook {said.name} runs in the sandbox: a project's file cannot let it out."
                )
            try:
                scripts = items(self._loaded.home, named_files(said.command, path, self._cwd))
            except ConfigError as error:
                self.errors.append((path, str(error)))
                continue
            bad = next((one for one in (item, *scripts) if one.state != "accepted"), None)
            files = scripts if "#" in item.name else [item, *scripts]
            vouched = tuple((one.path, one.content) for one in files)
            hook = replace(said, outside=False, vouched=vouched)
            content = b"\0".join([_written(hook), *(one.content for one in scripts)])
            self.found.append(Found(hook, _trust(bad), content))
            if bad is not None:
                self.skipped.append(_not_agreed(hook, bad))


def read_hooks(loaded: Loaded, cwd: Path, env: Mapping[str, str]) -> HookFiles:
    """Return the hooks for a thread in `cwd`. Never raises: what makes no sense is told."""
    reading = _Reading(loaded, cwd, env)
    if loaded.settings.hooks.get("enabled") is False:
        return HookFiles(skipped=("No hook runs: `hooks.enabled` is false.",))
    own, *theirs = hook_files(loaded, cwd)
    if loaded.settings.hooks:
        reading.own(loaded.settings.hooks, _own_settings(loaded))
    if loaded.has_own:
        reading.own_file(own)
    for file in theirs:
        reading.project_file(file)
    for path, table in loaded.project_hooks:
        reading.project_table(path, table)
    skipped = tuple(dict.fromkeys(reading.skipped))
    settled = frozenset(reading.settled)
    return HookFiles(tuple(reading.found), skipped, tuple(reading.errors), settled)


def hooks_stamp(loaded: Loaded, cwd: Path, hooks: Sequence[Hook]) -> tuple[object, ...]:
    """Return what changes when any of these files, or the trust in them, does."""
    scripts = [path for hook in hooks for path, _ in hook.vouched]
    kept = (loaded.home / "trust.json", consents_file(loaded.home))
    return tuple((str(p), *_stamp(p)) for p in (*hook_files(loaded, cwd), *scripts, *kept))


def project_items(loaded: Loaded, cwd: Path) -> list[Item]:
    """Return what a person agrees to of the hooks of the project in `cwd`, each once.

    Raises:
        ConfigError: one of the files cannot be read.
    """
    listed: list[Item] = []
    for path in hook_files(loaded, cwd)[1:]:
        if os.path.lexists(path):
            [item] = items(loaded.home, [path])
            listed += [item, *_scripts(loaded, path, _decoded(item.content, path), cwd)]
    for path, table in loaded.project_hooks:
        listed.append(table_item(loaded.home, path, "hooks", table))
        listed += _scripts(loaded, path, table, cwd)
    return list({(item.unit, item.name): item for item in listed}.values())


def is_as_agreed(hook: Hook) -> bool:
    """Whether the files that a project's hook names are still what the person agreed to."""
    try:
        return all(read_executable(path) == content for path, content in hook.vouched)
    except ConfigError:
        return False


def named_files(command: str, file: Path, cwd: Path) -> list[Path]:
    """Return the files of the repository that a hook's command names, in their order.

    What such a file itself starts is not looked for: the sandbox holds what no word tells.
    """
    root = _project_of(file)
    top = repository_root(root) or root
    for text in _TOP_LEVEL:
        command = command.replace(text, str(top))
    for name in PROJECT_VARIABLES:
        command = command.replace("${" + name + "}", str(root)).replace("$" + name, str(root))
    inside = os.path.realpath(top) + os.sep
    found: dict[Path, None] = {}
    for word in words_of(command):
        for base in (root, cwd):
            path = os.path.normpath(os.path.join(base, word))
            if os.path.isfile(path) and os.path.realpath(path).startswith(inside):
                found[Path(path)] = None
    return list(found)


def words_of(command: str) -> Iterator[str]:
    """Yield what in a shell command may name a file."""
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        words = command.split()
    for word in words:
        for text in dict.fromkeys((word, word.partition("=")[2], word.strip(";&|()<>"))):
            if text:
                yield text
        if any(char.isspace() for char in word):  # a script for another shell
            yield from (inner.strip("\"'`;&|()<>") for inner in word.split())


def _scripts(loaded: Loaded, path: Path, table: object, cwd: Path) -> list[Item]:
    hooks, _ = parse(table, path=path, source="project")
    named = dict.fromkeys(file for hook in hooks for file in named_files(hook.command, path, cwd))
    return items(loaded.home, named)


def _project_of(file: Path) -> Path:
    """Return the directory whose `.octavo` a file is in."""
    return file.parent.parent


def _own_settings(loaded: Loaded) -> Path:
    for key, source in loaded.sources.items():
        if key.startswith("hooks.") and source.file is not None:
            return source.file
    return loaded.home / "config.toml"


def _decoded(content: bytes, path: Path) -> object:
    try:
        table = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise ConfigError(f"{path} is not JSON: {why}. None of its hooks runs.") from None
    if not isinstance(table, dict) or "hooks" not in table:
        raise ConfigError(f'{path} has no "hooks". None of its hooks runs.')
    return table["hooks"]


def _written(hook: Hook) -> bytes:
    """Return what a hook says, for its checksum."""
    return msgspec.json.encode(
        [hook.event, hook.matcher, hook.command, hook.timeout_s, hook.outside, hook.blocks]
    )


def _trust(bad: Item | None) -> Trust:
    if bad is None:
        return "trusted"
    return "modified" if bad.state == "changed" else "untrusted"


def _not_agreed(hook: Hook, bad: Item) -> str:
    why = "has changed since you agreed to it" if bad.state == "changed" else "is new to you"
    return (
        f"The hook {hook.name} does not run: {bad.name} {why}. "
        f"`octavo trust {_project_of(hook.path)}` shows it and asks."
    )


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
