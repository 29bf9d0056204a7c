"""Was it the sandbox? A guess from a failed command's last output, put to the model as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from octavo.tools import Hands

_LOOKED_AT_CHARS = 4_000
# Left as text: `re` compiles and keeps them when a command first fails, not at every start.
_READ_ONLY = r"(?i)Read-only file system|\bEROFS\b|No usable temporary directory"
_REFUSED_LINE = (
    r"(?im)^.*(?:Read-only file system|\bEROFS\b|Permission denied|Operation not permitted"
    r"|\bEACCES\b|\bEPERM\b).*$"
)
_NO_PERMISSION = r"(?im)^.*(?:Permission denied|Operation not permitted|\bEACCES\b|\bEPERM\b).*$"
_ONLY_GIT = (
    ".git is read-only to commands. Only a call that is nothing but plain git (git add, commit, "
    "switch, merge, ... joined by && or ;, without pipes, variables or other programs) may write "
    "it: run the git commands in a call of their own."
)
_NO_REMOTE = r"make sure you have the correct access rights|unable to access 'https?://"
_ONLY_GIT_REMOTES = (
    "git reaches a remote, and has a key, only in a call that is nothing but plain git and names a "
    "remote of the repository (git push origin main, ... without addresses, pipes, variables or "
    "other programs): run it in a call of its own."
)
_HIDDEN_GH = r"failed to read configuration:\s+open \S*/gh/\S+ permission denied"
"""What gh says where the person has logged in with it: its files are hidden from commands."""
_NO_GH = r"(?:please run:|authenticate,? run:?|run) +`?gh auth login|error connecting to [\w.-]+\n"
_ONLY_GH = (
    "gh has a token and reaches GitHub only in a call that is nothing but gh (gh pr view 1, ... "
    "joined by && or ;, without pipes, variables or other programs): run gh in a call of its own, "
    "with --json and --jq in the place of a pipe."
)
_ABSOLUTE_PATH = r"(?<![\w./:-])/[^\s'\"`:,;()<>]*"
_NO_NETWORK = (
    r"(?i)Network is unreachable|\bENETUNREACH\b|Could not resolve host|\bENOTFOUND\b|\bEAI_AGAIN\b"
    r"|Temporary failure in name resolution|Name or service not known|getaddrinfo failed"
    r"|failed to lookup address|unable to resolve host|No route to host"
)


def explain(output: str, hands: Hands, *, running: bool = False) -> str | None:
    """Return what a failed command's output says about the sandbox: one line, or None.

    Args:
        running: it has not failed yet; only what no trying again can mend counts.
    """
    end = output[-_LOOKED_AT_CHARS:]
    if not hands.network and re.search(_NO_NETWORK, end):
        return f"commands in the sandbox have no network.{_way_out(hands)}"
    if running:
        return None
    if hands.writable_roots and (name := _protected_in(end)):
        if name == ".git":
            return f"probably the sandbox: {_ONLY_GIT}"
        return f"probably the sandbox: {name} is kept read-only.{_way_out(hands)}"
    if re.search(_READ_ONLY, end):
        return f"probably the sandbox: {writable(hands)}{_way_out(hands)}"
    if _names_path_outside(end, hands.writable_roots):
        hidden = "stored keys and credentials are hidden, and "
        return f"probably the sandbox: {hidden}{writable(hands)}{_way_out(hands)}"
    return None


def about_remotes(output: str) -> str | None:
    """Return how git and gh are to be called where they had no key and no network; None if it was
    neither of them."""
    end = output[-_LOOKED_AT_CHARS:]
    if "access" in end and re.search(_NO_REMOTE, end):
        return _ONLY_GIT_REMOTES
    if re.search(_HIDDEN_GH, end):
        return _ONLY_GH
    if "gh auth login" not in end and "error connecting to" not in end:
        return None
    return _ONLY_GH if re.search(_NO_GH, end) else None


def writable(hands: Hands, path: PurePath | None = None) -> str:
    """Return a sentence on where files may be changed, or on why `path` may not be."""
    if path is not None and (name := protected_name(path, hands.writable_roots)):
        return f"{name} is kept read-only."
    return writable_places(hands.writable_roots)


def writable_places(roots: Sequence[Path]) -> str:
    """Return a sentence on where files may be changed."""
    if not roots:
        return "no files of the user may be changed here (read-only)."
    return f"files may be changed only in {', '.join(map(str, roots))}."


def protected_name(path: PurePath, roots: Sequence[Path]) -> str | None:
    """Return the name that keeps `path` read-only although it is below one of `roots`."""
    from octavo.sandbox.policy import PROTECTED_NAMES  # only needed once something is refused

    parts = (path.relative_to(root).parts for root in roots if path.is_relative_to(root))
    return next((below[0] for below in parts if below and below[0] in PROTECTED_NAMES), None)


def _protected_in(text: str) -> str | None:
    from octavo.sandbox.policy import PROTECTED_NAMES

    names = "|".join(map(re.escape, PROTECTED_NAMES))
    for line in re.findall(_REFUSED_LINE, text):
        if found := re.search(rf"(?<![\w.-])(?:{names})(?![\w.-])", line):
            return found[0]
    return None


def is_inside(path: PurePath, roots: Sequence[Path]) -> bool:
    """Return whether `path` is one of `roots` or below one."""
    return any(path.is_relative_to(root) for root in roots)


def _names_path_outside(text: str, roots: Sequence[Path]) -> bool:
    return any(
        not is_inside(PurePath(path), roots)
        for line in re.findall(_NO_PERMISSION, text)
        for path in re.findall(_ABSOLUTE_PATH, line)
    )


def _way_out(hands: Hands) -> str:
    if hands.asks:
        return (
            " If it has to be done, call again with sandbox_permissions "
            '"with_additional_permissions" (or "require_escalated" where that cannot do) and a '
            "justification; the user is asked."
        )
    return " Nobody can allow more here: go another way, or say in your answer what is needed."
