"""What in a reading cannot be undone.

`judge` gives a finding for every command that the table in `dangers` means, for forced deletion
of anything but files plainly inside the workspace, and for moving or writing onto a disk. Where
words are known only when the command runs, what they may be counts. Paths are taken as they are
written; what is behind a symlink is the cage's business, or `resolve`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import msgspec

from octavo.policy import Command, Reading, Word
from octavo.policy.dangers import DANGERS, Danger
from octavo.policy.shell import Unreadable
from octavo.policy.wrappers import git_subcommand

DISKS = re.compile(
    r"/+dev/+(sd|hd|vd|xvd|nvme|mmcblk|disk|rdisk|loop|dm-|md|mapper/|mem|kmem|port).*"
)
KEPT = (".git", ".octavo", ".agents", ".codex", ".claude")
"""Folders of a workspace that forced deletion may not touch."""


class Finding(msgspec.Struct, frozen=True):
    """One command that a person would want to be asked about.

    Attributes:
        id: which danger.
        why: one sentence for a person.
        command: as decoded, its words joined by blanks.
        words: how many words of the command, from the first, it takes to say so: a rule that
            allows it has to name as many.
        certain: False when it depends on words known only when the command runs.
        index: which of the reading's commands it is.
    """

    id: str
    why: str
    command: str
    words: int
    certain: bool = True
    index: int = 0


def judge(
    reading: Reading,
    *,
    cwd: str,
    roots: Sequence[str],
    resolve: Callable[[str], str] = os.path.normpath,
) -> list[Finding]:
    """Return what a person would want to be asked about, in the order of the commands.

    Args:
        reading: the commands.
        cwd: where they start, absolute.
        roots: folders in whose inside forced deletion is fine, absolute.
        resolve: makes an absolute path the one that is meant.
    """
    places = _Places(cwd, roots, resolve)
    if any("loop" in command.inside and _changes_folder(command) for command in reading.commands):
        places.lose()
    findings: list[Finding] = []
    for index, command in enumerate(reading.commands):
        if _changes_folder(command):
            places.change(command.argv[1:])
        found = _of(command, places)
        findings += [msgspec.structs.replace(finding, index=index) for finding in found]
    return findings


def _of(command: Command, places: _Places) -> list[Finding]:
    found = [_path_danger(command, places), _onto_disk(command)]
    for danger in _by_program().get(command.program, ()):
        if (means := _means(danger, command)) is not None:
            certain, words = means
            if not certain and danger.plainly:
                continue
            why = danger.why if certain else f"{_MAYBE} {danger.why}"
            found.append(Finding(danger.id, why, str(command), words, certain))
            break
    return [finding for finding in found if finding is not None]


_MAYBE = "Words that are known only when it runs may give it another meaning."

# ---- The table -----------------------------------------------------------------------------


@cache
def _by_program() -> dict[str, list[Danger]]:
    table: dict[str, list[Danger]] = {}
    for danger in DANGERS:
        for program in danger.programs:
            table.setdefault(program, []).append(danger)
    return table


def _means(danger: Danger, command: Command) -> tuple[bool, int] | None:
    """Return whether a danger means a command for certain, and up to which word; else None."""
    words = command.argv[1:]
    start = 0
    if command.program == "git":
        try:
            start = git_subcommand(words)
        except Unreadable:
            return False, len(command.argv)
    words = words[start:]
    if any(_has_flag(words, flag) for flag in danger.unless):
        return None
    tests = [
        _verbs(danger, words),
        _some(words, danger.anywhere, options=False),
        _some(words, danger.word, options=True),
        _flag(words, danger.flags),
        _flag(words, danger.also),
    ]
    if any(test is None for test in tests):
        return None
    known = [test for test in tests if test is not None]
    certain = all(one for one, _ in known)
    return certain, 1 + start + max(at for _, at in known)


Test = tuple[bool, int] | None
"""Whether it is so for certain, and how many words it takes; None: it is not so."""


def _verbs(danger: Danger, words: tuple[Word, ...]) -> Test:
    if not danger.verbs:
        return True, 0
    wanted = list(danger.verbs)
    for index, word in enumerate(words):
        if word.literal and word.text.startswith("-"):
            continue
        if not word.literal:
            return (False, index + 1) if word.kind == "unknown" else None
        if not re.fullmatch(wanted[0], word.text):
            # An option's value may stand in between; git has none before its subcommand.
            if command_is_strict(danger) or index > 2:
                return None
            continue
        wanted.pop(0)
        if not wanted:
            return True, index + 1
    return None


def command_is_strict(danger: Danger) -> bool:
    """Return whether a verb stands first for certain, as git's options were walked over."""
    return danger.programs == ("git",)


def _some(words: tuple[Word, ...], pattern: str, *, options: bool) -> Test:
    if not pattern:
        return True, 0
    maybe: Test = None
    for index, word in enumerate(words):
        if word.kind == "unknown":
            maybe = maybe or (False, index + 1)
            if options or not word.text.startswith("-"):
                continue
        if not options and word.text.startswith("-"):
            continue
        if re.fullmatch(pattern, word.text):
            return True, index + 1
    return maybe


def _flag(words: tuple[Word, ...], flags: tuple[str, ...]) -> Test:
    if not flags:
        return True, 0
    maybe: Test = None
    for index, word in enumerate(words):
        if word.text == "--" and word.literal:
            return (True, index + 1) if "--" in flags else maybe
        if any(_is_flag(word.text, flag) for flag in flags):
            return True, index + 1
        if word.may_be_option:
            maybe = maybe or (False, index + 1)
    return maybe


def _has_flag(words: tuple[Word, ...], flag: str) -> bool:
    return any(word.literal and _is_flag(word.text, flag) for word in words)


def _is_flag(text: str, flag: str) -> bool:
    """Return whether a word gives an option: a letter may be one of several, a name cut short."""
    if flag.startswith("--"):
        name = text.partition("=")[0]
        return len(name) > 3 and flag.startswith(name)
    if len(flag) > 2:
        return text == flag
    return bool(re.match(r"-[^-]", text)) and flag[1] in text[1:]


# ---- Paths ---------------------------------------------------------------------------------


class _Places:
    """Where a command may be when it runs, and what may be deleted from there."""

    def __init__(self, cwd: str, roots: Sequence[str], resolve: Callable[[str], str]) -> None:
        self._cwds = {cwd}
        self._known = True
        self._roots = roots
        self._resolve = resolve

    def lose(self) -> None:
        """Nobody knows any more where commands run."""
        self._known = False

    def change(self, words: tuple[Word, ...]) -> None:
        """Follow a `cd`; it may also have failed, or been in a subshell."""
        places = [word for word in words if not re.fullmatch(r"-[LPe@qn]*", word.text)]
        if len(places) != 1 or not places[0].literal or places[0].text in ("-", ""):
            self.lose()
            return
        self._cwds |= {os.path.join(cwd, places[0].text) for cwd in self._cwds}
        if len(self._cwds) > 64:
            self.lose()

    def spares(self, word: Word) -> bool:
        """Return whether deleting this, with all in it, is plainly inside the workspace."""
        path = word.text
        if word.kind in ("home", "unknown") or not path:
            return False
        if word.kind == "glob":
            if _matches_kept(path):
                return False
            # What a pattern may match counts as one name in its folder.
            path = re.sub(r"[*?\[][^/]*", "x", path)
        if not os.path.isabs(path) and not self._known:
            return False
        return all(self._inside(os.path.join(cwd, path)) for cwd in self._cwds)

    def _inside(self, path: str) -> bool:
        real = self._resolve(path)
        for root in map(self._resolve, self._roots):  # most commands delete nothing
            if real.startswith(root.rstrip("/") + "/") and len(root) > 1:
                parts = real[len(root) :].lower().split("/")
                return not any(part in KEPT for part in parts)
        return False


def _matches_kept(pattern: str) -> bool:
    """Return whether a pattern may match a folder that is kept, or the one above."""
    for part in pattern.split("/"):
        # `?` and `*` never match a leading dot by themselves.
        if any(char in part for char in "*?[") and part.startswith((".", "[")):
            return True
    return False


def _changes_folder(command: Command) -> bool:
    return command.program in ("cd", "pushd", "popd", "chdir")


def _path_danger(command: Command, places: _Places) -> Finding | None:
    words = command.argv[1:]
    match command.program:
        case "rm" | "grm" | "trash" | "rimraf" | "del" | "unlink":
            return _of_rm(command, words, places)
        case "mv" | "cp" | "install" | "tee" | "gmv" | "gcp" | "ln":
            last = words[-1:] if command.program != "tee" else words
            if any(DISKS.fullmatch(word.text) for word in last):
                why = "It writes onto a disk or the memory of the machine."
                return Finding("onto-disk", why, str(command), len(command.argv))
            if command.program in ("mv", "gmv") and any(word.text == "/dev/null" for word in last):
                why = "It moves files to where they are gone."
                return Finding("mv-null", why, str(command), len(command.argv))
    return None


def _of_rm(command: Command, words: tuple[Word, ...], places: _Places) -> Finding | None:
    options = []
    targets = []
    dashes = False
    for word in words:
        if word.literal and word.text == "--" and not dashes:
            dashes = True
        elif not dashes and word.literal and word.text.startswith("-") and word.text != "-":
            options.append(word)
        else:
            targets.append(word)
    forced: bool | None = command.program == "rimraf" or any(_strong(word.text) for word in options)
    if not forced:
        hidden = [word for word in targets if word.may_be_option and not dashes]
        if not hidden or (len(targets) < 2 and all(word.one for word in hidden)):
            return None
        forced = None
    if not targets or (not command.elsewhere and all(map(places.spares, targets))):
        return None
    unknown = any(word.kind in ("unknown", "home") for word in targets)
    why = (
        "It deletes by force, and what it deletes is known only when it runs."
        if unknown
        else "It deletes by force what is not plainly inside the workspace."
    )
    return Finding("rm", why, str(command), len(command.argv), forced is True and not unknown)


def _strong(text: str) -> bool:
    """Return whether an option of rm forces, or goes into folders."""
    if text.startswith("--"):
        return len(text) > 2 and any(
            flag.startswith(text) for flag in ("--force", "--recursive", "--no-preserve-root")
        )
    return any(letter in text for letter in "frR")


def _onto_disk(command: Command) -> Finding | None:
    targets: Iterable[Word] = (one.target for one in command.redirects if one.writes)
    for word in targets:
        if DISKS.fullmatch(word.text):
            why = "It writes onto a disk or the memory of the machine."
            return Finding("onto-disk", why, str(command), len(command.argv) + 1)
    return None
