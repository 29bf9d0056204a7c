"""A script that is nothing but calls of gh, GitHub's command line, taken apart.

    gh pr view 12 --comments && gh pr checks 12   →  gh pr view 12 --comments · gh pr checks 12

Such calls are run one by one in a cage in which gh can be started and the API be reached, so each
is one of the list: those that read, and those that change something there. What shows or keeps a
token, adds programs to gh or writes `.git` is refused, with what to do instead.
"""

from __future__ import annotations

import re
import shlex

import msgspec

from octavo.policy.porcelain import (
    SCRIPT_LIMIT_CHARS,
    STEP_LIMIT,
    Connector,
    NotPlain,
    calls_of,
    changed,
)


def _table(text: str) -> dict[str, frozenset[str]]:
    rows = (line.split(":") for line in text.strip().splitlines())
    return {group.strip(): frozenset(words.split()) for group, words in rows}


_READING = _table("""
    pr: list view status diff checks
    issue: list view status
    repo: list view
    run: list view watch download
    release: list view download
    workflow: list view
    label: list
    search: code commits issues prs repos
    cache: list
    ruleset: list view check
""")
_CHANGING = _table("""
    pr: create new edit comment review merge close reopen ready lock unlock update-branch
    issue: create new edit comment close reopen lock unlock pin unpin delete transfer
    run: rerun cancel delete
    release: create new edit upload delete delete-asset
    workflow: run enable disable
    label: create edit delete
    cache: delete
""")
_INSTEAD = {
    "auth": "it is about tokens, which are the user's",
    "config": "its settings are the user's",
    "alias": "aliases are the user's",
    "extension": "extensions are programs, and the user's to choose",
    "extensions": "extensions are programs, and the user's to choose",
    "ext": "extensions are programs, and the user's to choose",
    "secret": "secrets are the user's",
    "variable": "what runs of workflows are given is the user's to say",
    "ssh-key": "keys are the user's",
    "gpg-key": "keys are the user's",
    "gist": "what is put there leaves the repository",
    "codespace": "it starts machines",
    "cs": "it starts machines",
    "browse": "there is no browser here",
    "pr checkout": "run `git fetch origin pull/NUMBER/head:BRANCH` and `git switch BRANCH` instead",
    "pr co": "run `git fetch origin pull/NUMBER/head:BRANCH` and `git switch BRANCH` instead",
    "issue develop": "make the branch with git instead",
    "repo clone": "run `git clone URL` instead",
    "repo sync": "run `git pull` instead",
}
_PLAIN = re.compile(r"[a-z][a-z-]*")
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?/)?[\w.-]+/[\w.-]+", re.ASCII)
_IS_FIELD = re.compile(r"-[fF]|--(?:raw-field|field|input)(?:=|$)")
_MUTATES = re.compile(r"(?i)\b(?:mutation|subscription)\b")


class GhStep(msgspec.Struct, frozen=True):
    """One call of gh.

    Attributes:
        after: how it hangs on the call before it.
        arguments: what follows `gh`, without the repository.
        subcommand: what it does, such as "pr view".
        folder: where it runs, relative to the script's own.
        repository: the one it names, as [HOST/]OWNER/NAME; "" for the one it runs in.
        reads: it changes nothing there.
    """

    after: Connector
    arguments: tuple[str, ...]
    subcommand: str
    folder: str
    repository: str
    reads: bool

    @property
    def text(self) -> str:
        """The call as a shell would be given it."""
        named = ("-R", self.repository) if self.repository else ()
        return shlex.join(("gh", *self.arguments, *named))

    @property
    def stays(self) -> bool:
        """Whether its words name nothing but what is in the repository it runs in."""
        named = any("/" in word or ":" in word for word in _plain_words(self.arguments))
        return not self.repository and self.subcommand.split()[0] in _OF_A_REPOSITORY and not named


_OF_A_REPOSITORY = ("pr", "issue", "run", "release", "workflow", "label")


class GhScript(msgspec.Struct, frozen=True):
    """A script of calls of gh."""

    steps: tuple[GhStep, ...]

    def __str__(self) -> str:
        """The calls as one script."""
        parts: list[str] = []
        for number, step in enumerate(self.steps):
            if number:
                parts.append("; " if step.after == ";" else f" {step.after} ")
            parts.append(
                f"cd {shlex.quote(step.folder)} && {step.text}"
                if step.folder and not number
                else step.text
            )
        return "".join(parts)


class NotPossible(Exception):
    """One of the calls is none for a model; the message says which, why, and what to do."""


def read_gh(script: str) -> GhScript:
    """Take a script apart.

    Raises:
        NotPlain: it holds anything else than literal calls of gh.
        NotPossible: one of them is refused.
    """
    if len(script) > SCRIPT_LIMIT_CHARS or "\0" in script:
        raise NotPlain("the script is too long, or no text")
    calls: list[tuple[Connector, list[str], str]] = []
    folder = ""
    for after, words in calls_of(script):
        if words[0] == "cd":
            folder = changed(folder, words, is_first=not calls)
            continue
        if words[0] != "gh":
            raise NotPlain(f"`{words[0]}` is not gh")
        calls.append((after, words[1:], folder))
    if not calls or len(calls) > STEP_LIMIT:
        raise NotPlain("it calls no gh, or calls it too often")
    return GhScript(tuple(_step(after, words, folder) for after, words, folder in calls))


def _step(after: Connector, words: list[str], folder: str) -> GhStep:
    repository, rest = _without_repository(words)
    group = rest[0] if rest else ""
    if group in _INSTEAD:
        raise NotPossible(f"`gh {group}` is not possible here: {_INSTEAD[group]}.")
    if group == "api":
        return GhStep(after, tuple(rest), "api", folder, repository, _api_reads(rest[1:]))
    if group == "status" or rest == ["--version"] or group == "version":
        return GhStep(after, tuple(rest), group or "version", folder, repository, reads=True)
    second = rest[1] if len(rest) > 1 else ""
    subcommand = f"{group} {second}"
    if subcommand in _INSTEAD:
        raise NotPossible(f"`gh {subcommand}` is not possible here: {_INSTEAD[subcommand]}.")
    reads = second in _READING.get(group, ())
    if not reads and second not in _CHANGING.get(group, ()):
        shown = subcommand.strip() if _PLAIN.fullmatch(group) else "this"
        raise NotPossible(
            f"`gh {shown}` is not one of the calls of gh that are possible here: "
            f"{'; '.join(_possible())}; gh api; gh status."
        )
    return GhStep(after, tuple(rest), subcommand, folder, repository, reads)


def _possible() -> list[str]:
    groups = dict.fromkeys((*_READING, *_CHANGING))
    return [
        f"gh {group} {'|'.join(sorted({*_READING.get(group, ()), *_CHANGING.get(group, ())}))}"
        for group in groups
    ]


def _without_repository(words: list[str]) -> tuple[str, list[str]]:
    """Return the repository that is named, and the other words.

    Gh is told the repository by octavo alone, so that the one a person is asked about is the one
    it talks about.
    """
    named: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word in ("-R", "--repo"):
            named.append(next(left, ""))
        elif word.startswith(("--repo=", "-R")):
            named.append(word.removeprefix("--repo=").removeprefix("-R").removeprefix("="))
        elif re.match(r"-[A-Za-z]*R", word):
            raise NotPossible(f"`{word}`: write `-R OWNER/NAME` as words of its own.")
        elif word.startswith(("--hostname", "--web")) or word == "-w":
            raise NotPossible(f"`{word.partition('=')[0]}` is not possible here; leave it out.")
        else:
            rest.append(word)
    if len(set(named)) > 1 or any(not _NAME.fullmatch(name) for name in named):
        raise NotPossible("a repository is named with `-R OWNER/NAME`, once.")
    return named[0] if named else "", rest


def _api_reads(words: list[str]) -> bool:
    """Whether a request to the API, of these words, changes nothing; a guess is no."""
    method, has_fields = "", False
    left = iter(words)
    for word in left:
        if word in ("-X", "--method"):
            method = next(left, "")
        elif word.startswith("--method="):
            method = word.partition("=")[2]
        elif word.startswith("-X"):
            method = word[2:].removeprefix("=")
        elif _IS_FIELD.match(word):
            has_fields = True
    if "graphql" in words:
        said = " ".join(words)
        if any(word.partition("=")[0] == "--input" for word in words):
            return False  # what is asked stands in a file
        return "query=" in said and "query=@" not in said and not _MUTATES.search(said)
    return method.upper() in ("GET", "HEAD") or (not method and not has_fields)


def _plain_words(words: tuple[str, ...]) -> list[str]:
    return [word for word in words if not word.startswith("-")]
