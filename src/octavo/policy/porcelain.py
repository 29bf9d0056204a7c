"""A script that is nothing but plain git, taken apart into the calls of git it makes.

    git add -A && git commit -m "Fix it"   →  git add -A · git commit -m "Fix it"

Such a script needs no shell: the calls are run one by one in a cage in which only git itself can
write `.git`. So what counts here is not what a shell would do with the text, but that each call
that comes out is harmless: a subcommand of the list, and of its options only those of the list,
spelled in full. Everything that would run a program, write where it is told, or lead git to
another repository is not in it. What cannot be undone is judged elsewhere (`destructive`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Literal

import msgspec

from octavo.policy.porcelain_options import READING, REMOTE, WRITING, Options

Connector = Literal["&&", "||", ";"]

SCRIPT_LIMIT_CHARS = 100_000
STEP_LIMIT = 100

# "$(cat <<'EOF' … EOF)", the way models write a message of many lines.
_MESSAGE = re.compile(
    r"\"\$\(cat <<-?\s*(?P<quote>['\"])(?P<end>\w+)(?P=quote)\n(?P<text>(?:.*\n)*?)(?P=end)\s*\)\""
)
_PLAIN = re.compile(r"[\w@%+=:,./^{}~-]", re.ASCII)
"""What may stand outside quotes; `{}` and `~` where git, not the shell, has a use for them."""
_CONNECTORS: tuple[Literal["&&", "||", ";", "\n"], ...] = ("&&", "||", ";", "\n")
_NOTHING = re.compile(r"2>&1(?=[\s;&|]|$)")
"""A redirection that changes nothing: both outputs go to one place anyway."""
_SECOND_WORDS = {
    "stash": {"push", "pop", "apply", "list", "show", "drop", "clear", "branch", "save"},
    "worktree": {"add", "list", "remove", "prune"},
    "remote": {"get-url"},
    "reflog": {"show", "HEAD"},
}
"""What may follow a subcommand that has subcommands of its own."""
_INTO_GIT = re.compile(r"(?:^|[^\w-])(?:\.git|git~1)(?:$|[/\\:])", re.IGNORECASE)
_STRATEGIES = ("ours", "theirs", "patience", "ignore-space-change", "ignore-all-space")
_REMOTE_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)
_URL = re.compile(
    r"(?:https://|ssh://(?:[\w.-]+@)?|[\w.-]+@)[\w.-]+(?::\d+)?[:/][\w./~+-]+", re.ASCII
)


class Step(msgspec.Struct, frozen=True):
    """One call of git.

    Attributes:
        after: how it hangs on the call before it.
        arguments: what follows `git`.
        subcommand: the first of them that is not `-C` and its folder.
        folder: where it runs, relative to the script's own; from `cd` and `-C`.
    """

    after: Connector
    arguments: tuple[str, ...]
    subcommand: str
    folder: str = ""

    @property
    def text(self) -> str:
        """The call as a shell would be given it."""
        where = ("-C", self.folder) if self.folder else ()
        return shlex.join(("git", *where, *self.arguments))


class GitScript(msgspec.Struct, frozen=True):
    """A script of plain git."""

    steps: tuple[Step, ...]

    @property
    def writes(self) -> bool:
        """Whether it is to write `.git`."""
        return any(step.subcommand not in READING for step in self.steps)

    @property
    def remote(self) -> tuple[Step, ...]:
        """The calls that talk to another machine."""
        return tuple(step for step in self.steps if step.subcommand in REMOTE)

    def __str__(self) -> str:
        """The calls as one script, in which nothing is left to a shell but to run them.

        It says where: a remote's name is another one's in another folder.
        """
        parts: list[str] = []
        for number, step in enumerate(self.steps):
            if number:
                parts.append("; " if step.after == ";" else f" {step.after} ")
            parts.append(step.text)
        return "".join(parts)


class NotPlain(Exception):
    """The script is not one of plain git; the message says what is not, for a model."""


def read_git(script: str) -> GitScript:
    """Take a script apart.

    Raises:
        NotPlain: it holds anything else than calls of git as described above.
    """
    if len(script) > SCRIPT_LIMIT_CHARS or "\0" in script:
        raise NotPlain("the script is too long, or no text")
    steps: list[Step] = []
    folder = ""
    for after, words in calls_of(script):
        if words[0] == "cd":
            folder = changed(folder, words, is_first=not steps)
            continue
        steps.append(_step(after, words, folder))
        if len(steps) > STEP_LIMIT:
            raise NotPlain(f"it has more than {STEP_LIMIT} calls of git")
    if not steps:
        raise NotPlain("it calls no git")
    return GitScript(tuple(steps))


def _as_literal(match: re.Match[str]) -> str:
    return shlex.quote(match["text"].rstrip("\n"))


def changed(folder: str, words: list[str], *, is_first: bool) -> str:
    """Return the folder after a `cd`, which may only stand before the first call of git."""
    if not is_first or len(words) != 2 or words[1].startswith("-") or words[1] in ("", "~"):
        raise NotPlain("`cd DIR` can stand only at the start, with one plain folder")
    if words[1].startswith("~"):
        raise NotPlain("a folder that starts with ~ has to be written out")
    return words[1] if words[1].startswith("/") or not folder else f"{folder}/{words[1]}"


def plain_words(step: Step) -> list[str]:
    """Return the words of a call that are neither options nor their values."""
    options = {**WRITING, **READING, **REMOTE}[step.subcommand]
    return _check(step.subcommand, list(step.arguments[1:]), options)


# ---- The text into words -------------------------------------------------------------------


def calls_of(script: str) -> list[tuple[Connector, list[str]]]:
    """Return the commands of a script as words, each with what connects it to the one before.

    Raises:
        NotPlain: not all of it is literal words.
    """
    script = _MESSAGE.sub(_as_literal, script)
    calls: list[tuple[Connector, list[str]]] = []
    words: list[str] = []
    after: Connector = ";"
    reader = _Words(script)
    while (token := reader.next()) is not None:
        if isinstance(token, _Word):
            words.append(token.text)
        elif words:
            calls.append((after, words))
            words = []
            after = ";" if token == "\n" else token
        elif token != "\n":
            raise NotPlain(f"nothing stands before {token}")
    if words:
        calls.append((after, words))
    elif calls and after != ";":
        raise NotPlain(f"nothing follows {after}")
    return calls


class _Word(msgspec.Struct, frozen=True):
    text: str


class _Words:
    """Reads a script word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def next(self) -> _Word | Literal["&&", "||", ";", "\n"] | None:
        """Return a word or a connector; None at the end."""
        self._skip()
        if self._at >= len(self._text):
            return None
        for connector in _CONNECTORS:
            if self._text.startswith(connector, self._at):
                self._at += len(connector)
                return connector
        return _Word(self._word())

    def _skip(self) -> None:
        """Pass over blanks, comments, and redirections that change nothing here."""
        while self._at < len(self._text):
            rest = self._text[self._at :]
            if rest[0] in " \t":
                self._at += 1
            elif rest.startswith("\\\n"):
                self._at += 2
            elif rest[0] == "#":
                end = rest.find("\n")
                self._at = len(self._text) if end < 0 else self._at + end
            elif found := _NOTHING.match(rest):
                self._at += found.end()
            else:
                return

    def _word(self) -> str:
        out: list[str] = []
        start = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "'":
                out.append(self._quoted("'"))
            elif char == '"':
                out.append(self._double())
            elif _PLAIN.match(char) or (ord(char) > 127 and char.isprintable()):
                if char == "~" and self._at == start:
                    raise NotPlain("a word that starts with ~ has to be written out")
                if char == "{" and re.match(r"\{[^}\s]*(?:,|\.\.)", self._text[self._at :]):
                    raise NotPlain("braces have to be in quotes")
                out.append(char)
                self._at += 1
            elif char in " \t\n;" or self._text.startswith(("&&", "||"), self._at):
                break
            else:
                raise NotPlain(f"it has {char!r} outside of quotes")
        return "".join(out)

    def _quoted(self, quote: str) -> str:
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise NotPlain("a quote has no end")
        text = self._text[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double(self) -> str:
        out: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            if char == '"':
                return "".join(out)
            following = self._text[self._at : self._at + 1]
            if char == "\\" and following in ('"', "\\", "$", "`"):
                out.append(following)
                self._at += 1
            elif char == "\\" and following == "\n":
                self._at += 1
            elif char == "`" or (
                char == "$" and (following.isalnum() or following in "_({@*#?!$-'")
            ):
                raise NotPlain("it has a variable or a substitution in it")
            else:
                out.append(char)
        raise NotPlain("a quote has no end")


# ---- One call ------------------------------------------------------------------------------


def _step(after: Connector, words: list[str], folder: str) -> Step:
    if words[0] != "git":
        raise NotPlain(f"`{words[0]}` is not git")
    rest = words[1:]
    while rest[:1] == ["-C"] and len(rest) > 1:
        folder = rest[1] if rest[1].startswith("/") or not folder else f"{folder}/{rest[1]}"
        rest = rest[2:]
    if rest[:1] == ["--no-pager"]:
        rest = rest[1:]
    if not rest:
        raise NotPlain("git is called without a subcommand")
    subcommand, *arguments = rest
    if subcommand.startswith("-"):
        raise NotPlain(f"git's own option {subcommand} is not possible here")
    options = WRITING.get(subcommand) or READING.get(subcommand) or REMOTE.get(subcommand)
    if options is None:
        raise NotPlain(f"`git {subcommand}` is not one of the plain git commands")
    plain = _check(subcommand, arguments, options)
    second = _SECOND_WORDS.get(subcommand)
    if second is not None and plain and plain[0] not in second:
        raise NotPlain(f"`git {subcommand} {plain[0]}` is not one of the plain git commands")
    if subcommand in REMOTE:
        _check_remote(subcommand, plain)
    return Step(after, (subcommand, *arguments), subcommand, folder)


def _check(subcommand: str, arguments: list[str], options: Options) -> list[str]:
    """Return the words that are no options. Raises NotPlain at the first option not in the list."""
    plain: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            plain += list(words)
            break
        if word == "-" or not word.startswith("-"):
            plain.append(word)
        elif word.startswith("--"):
            name, has_value, value = word.partition("=")
            if has_value:
                if not (options.takes_value(name) or options.may_take_value(name)):
                    raise _not_listed(subcommand, name)
            elif options.takes_value(name):
                value = next(words, "")
            elif not options.is_flag(name):
                raise _not_listed(subcommand, name)
            _check_value(subcommand, name, value)
        else:
            _check_short(subcommand, word, words, options)
    for word in plain:
        if _INTO_GIT.search(word):
            raise NotPlain(f"{word!r} is a path into .git")
    return plain


def _check_short(subcommand: str, word: str, words: Iterator[str], options: Options) -> None:
    """Check a word such as `-am`; the value of its last letter is the rest, or the next word."""
    if word[1:].isdigit() and options.is_flag("-1"):
        return
    for index, letter in enumerate(word[1:], 1):
        name = f"-{letter}"
        if options.takes_value(name):
            value = word[index + 1 :] or next(words, "")
            _check_value(subcommand, name, value)
            return
        if options.may_take_value(name) and word[index + 1 :]:
            return
        if not (options.is_flag(name) or options.may_take_value(name)):
            raise _not_listed(subcommand, name)


def _check_value(subcommand: str, name: str, value: str) -> None:
    is_strategy = subcommand == "merge" and name in ("-X", "--strategy-option")
    if is_strategy and value not in _STRATEGIES:
        raise NotPlain(f"`git merge {name} {value}` is not one of the plain git commands")


def _check_remote(subcommand: str, plain: list[str]) -> None:
    """Check where it leads: to a remote by its name, or for a clone to a plain address."""
    if subcommand in ("clone", "ls-remote") and plain and _URL.fullmatch(plain[0]):
        return
    if subcommand == "clone" or (plain and not _REMOTE_NAME.fullmatch(plain[0])):
        raise NotPlain(
            f"`git {subcommand}` has to name a remote of the repository, such as origin"
            + (", or an https or ssh address" if subcommand in ("clone", "ls-remote") else "")
        )


def _not_listed(subcommand: str, name: str) -> NotPlain:
    return NotPlain(f"the option {name} of `git {subcommand}` is not possible here")
