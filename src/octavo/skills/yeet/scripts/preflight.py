"""Say what has to be known before the work tree is committed and pushed. Changes nothing.

    branch, base, remote, template     facts, a line each
    changed                            what would be committed, with the size of each file
    STOP                               what must not be committed as it is; exit 1
    look                               what may be meant, or not

Values that look like keys are named by place and kind only.

Exit: 0 nothing is in the way · 1 something is · 2 no repository.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BIG_BYTES = 5_000_000
READ_BYTES = 2_000_000
SHOWN_FILES = 60
TEMPLATES = (
    ".github/pull_request_template.md", ".github/PULL_REQUEST_TEMPLATE.md",
    "pull_request_template.md", "PULL_REQUEST_TEMPLATE.md", "docs/pull_request_template.md",
    ".gitlab/merge_request_templates/Default.md",
)  # fmt: skip
UNDER_WAY = {
    "MERGE_HEAD": "a merge", "rebase-merge": "a rebase", "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert", "BISECT_LOG": "a bisect",
}  # fmt: skip
CONFLICT = re.compile(rb"^(?:<{7}|>{7}) \S", re.MULTILINE)
KEYS = {
    "private key": re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    "GitHub token": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    "GitLab token": re.compile(rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    "AWS key": re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "Slack token": re.compile(rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "API key": re.compile(rb"\b(?:sk-|[rs]k_live_|AIza|hf_|npm_|pypi-)(?=\w*\d)[A-Za-z0-9_-]{20,}"),
    "password in an address": re.compile(rb"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]+:[^\s/@'\"<>${}]{4,}@"),
    "value that is named like a secret": re.compile(
        rb"(?im)^[ \t]*(?:export\s+)?['\"]?[\w.-]*"
        rb"(?:secret|token|password|passwd|api[_-]?key)['\"]?[ \t]*[=:][ \t]*['\"]?"
        rb"(?=[^\s'\"]*\d)(?![\w.]*[(\[])[^\s'\"$<{},;]{12,}"
    ),
}  # fmt: skip
SECRET_FILES = re.compile(
    r"(?:^|/)(?:\.env(?!\.(?:example|sample|template|dist)$)(?:\.[\w.-]+)?|id_(?:rsa|ed25519|ecdsa)"
    r"|[^/]+\.(?:pem|p12|pfx|keystore|jks)|credentials(?:\.json)?|\.netrc|\.pgpass)$"
)
LEFTOVERS = re.compile(
    r"(?:^|/)(?:node_modules|__pycache__|\.venv|dist|target|\.DS_Store)(?:/|$)|\.orig$|\.rej$|~$"
)


def git(*words: str) -> bytes | None:
    """Return what git says, None where it fails."""
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    done = subprocess.run(["git", *words], capture_output=True, check=False, env=env)
    return done.stdout if done.returncode == 0 else None


def said(*words: str) -> str:
    """Return one line of git's, empty where it fails."""
    return (git(*words) or b"").decode("utf-8", "replace").strip()


def changed_files() -> Iterator[tuple[str, str]]:
    """Yield what differs from the last commit: its state as git writes it, and its path."""
    entries = (git("status", "--porcelain", "-z", "--untracked-files=all") or b"").split(b"\0")
    words = iter(entries)
    for entry in words:
        if len(entry) > 3:
            state = entry[:2].decode()
            if state[0] in "RC":
                next(words, None)
            yield state, os.fsdecode(entry[3:])


def problems_of(path: Path, name: str, state: str) -> Iterator[tuple[str, str]]:
    """Yield ("STOP" or "look", what is wrong) for one file."""
    if "U" in state or state in ("AA", "DD"):
        yield "STOP", f"{name}: the merge of this file is not done"
    if SECRET_FILES.search(name):
        yield "STOP", f"{name}: a file of this name holds keys"
    if LEFTOVERS.search(name):
        yield "look", f"{name}: made by a program, rarely committed"
    if path.is_symlink() or not path.is_file():
        return
    size = path.stat().st_size
    if size > BIG_BYTES:
        yield "STOP", f"{name}: {size / 1e6:.1f} MB; it stays in the history for ever"
    with path.open("rb") as file:
        data = file.read(READ_BYTES)
    if CONFLICT.search(data):
        yield "STOP", f"{name}:{line_of(data, CONFLICT)}: a conflict's markers"
    for kind, pattern in KEYS.items():
        if pattern.search(data):
            yield "STOP", f"{name}:{line_of(data, pattern)}: looks like a {kind}"


def line_of(data: bytes, pattern: re.Pattern[bytes]) -> int:
    found = pattern.search(data)
    return 0 if found is None else data.count(b"\n", 0, found.start()) + 1


def base_branch(remote: str) -> str:
    """Return the branch to merge into, as the remote or the usual names say it."""
    head = said("rev-parse", "--abbrev-ref", f"{remote}/HEAD") if remote else ""
    if head.startswith(f"{remote}/") and head != f"{remote}/HEAD":
        return head.removeprefix(f"{remote}/")
    for name in ("main", "master", "trunk", "develop"):
        for ref in (f"refs/remotes/{remote}/{name}", f"refs/heads/{name}"):
            if git("rev-parse", "--verify", "--quiet", ref) is not None:
                return name
    return ""


def shown(name: str) -> str:
    """Return a file's name, told apart from what surrounds it where it has odd characters."""
    return name if name.isprintable() else ascii(name)


def main(argv: list[str]) -> int:
    about = "Say what has to be known before the work tree is committed and pushed."
    argparse.ArgumentParser(description=about).parse_args(argv)
    top = said("rev-parse", "--show-toplevel")
    if not top:
        print("This is no git repository with a work tree.", file=sys.stderr)
        return 2
    os.chdir(top)
    remotes = said("remote").split()
    remote = "origin" if "origin" in remotes else (remotes[0] if remotes else "")
    branch, base = said("symbolic-ref", "--short", "-q", "HEAD"), base_branch(remote)
    found: list[tuple[str, str]] = []
    git_dir = Path(said("rev-parse", "--absolute-git-dir"))
    for name, what in UNDER_WAY.items():
        if (git_dir / name).exists():
            found.append(("STOP", f"{what} is under way"))
    print(f"branch    {branch or '(none: HEAD is detached)'}")
    print(f"base      {base or '(not known: ask the user)'}")
    print(f"on base   {'yes: make a branch first' if not branch or branch == base else 'no'}")
    url = re.sub(r"(?<=://)[^@/\s]*@", "", said("remote", "get-url", "--push", remote))
    print(f"remote    {remote or '(none: commit, and stop there)'} {shown(url)}")
    upstream = said("rev-parse", "--abbrev-ref", "@{upstream}")
    print(f"upstream  {upstream or '(none yet)'}")
    ahead = ""
    if upstream:
        behind, _, ahead = said(
            "rev-list", "--left-right", "--count", "@{upstream}...HEAD"
        ).partition("\t")
        print(f"          {ahead} commits ahead, {behind} behind")
        if behind not in ("", "0"):
            found.append(("look", f"the remote's branch has {behind} commits that are not here"))
    print(f"template  {next((name for name in TEMPLATES if Path(name).is_file()), '(none)')}")
    files = sorted(changed_files(), key=lambda entry: entry[1])
    print(f"changed   {len(files)} files")
    for number, (state, name) in enumerate(files):
        path = Path(name)
        size = f"{path.lstat().st_size:>10,} B" if os.path.lexists(path) else f"{'gone':>12}"
        if number < SHOWN_FILES:
            print(f"          {state} {size}  {shown(name)}")
        found += problems_of(path, shown(name), state)
    if len(files) > SHOWN_FILES:
        print(f"          … and {len(files) - SHOWN_FILES} more (git status --short)")
    if not files and not (upstream and ahead not in ("", "0")):
        found.append(("look", "nothing is changed; are there commits to push?"))
    for word, text in sorted(found):
        print(f"{word:<9} {text}")
    return 1 if any(word == "STOP" for word, _ in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
