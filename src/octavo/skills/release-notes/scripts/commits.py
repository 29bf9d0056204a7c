"""List the commits since the last release, grouped for release notes.

    python3 commits.py [--since REF] [--until REF] [--path PATH]… [--json]

Prints the range, the tags, what a release would be numbered by semantic versioning, and the commits
by kind, each with its hash, its pull request and the folders it touches. A commit that was reverted
within the range is left out together with its revert, and said. The texts are the authors'.

Exit: 0 listed · 1 there is nothing since then · 2 no repository, or a ref that is none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field

SHOWN_PER_GROUP = 150
SUBJECT_CHARS = 160
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
CONVENTIONAL = re.compile(
    r"(?P<type>[a-z]{2,12})(?:\((?P<scope>[^)]{1,60})\))?(?P<bang>!)?: +(?P<rest>\S.*)"
)
BREAKING = re.compile(r"^BREAKING[ -]CHANGE: *(.*)", re.MULTILINE)
REFERENCE = re.compile(r"(?:\(|\b(?:[Cc]loses?|[Ff]ix(?:es|ed)?|[Rr]esolves?) )#(\d{1,7})\b")
MERGE = re.compile(r"Merge pull request #(\d+) from \S+")
REVERT = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
VERSION = re.compile(
    r"(?P<before>\D*)(?P<major>\d+)\.(?P<minor>\d+)(?:\.(?P<patch>\d+))?(?P<rest>[-+.\w]*)"
)
TYPES = {
    "feat": "features", "feature": "features", "fix": "fixes", "bugfix": "fixes", "perf": "speed",
    "docs": "docs", "doc": "docs", "security": "security", "deps": "dependencies",
    "test": "internal", "tests": "internal", "ci": "internal", "build": "internal",
    "chore": "internal", "refactor": "internal", "style": "internal", "revert": "other",
}  # fmt: skip
WORDS = {
    "security": r"secur\w*|CVE-\d+-\d+|vulnerab\w*|XSS|CSRF",
    "dependencies": r"bump\w*|upgrade \S+ (?:from|to)|update dependenc\w*|renovate",
    "fixes": r"fix\w*|mend\w*|correct\w*|repair\w*|prevent\w*|avoid\w*|handle\w*|no longer|crash",
    "features": r"add\w*|allow\w*|support\w*|introduc\w*|implement\w*|enabl\w*|new",
    "speed": r"speed\w*|faster|quicker|optimi[sz]\w*|cache\w*",
    "docs": r"doc|docs|document\w*|readme|typo\w*|changelog",
    "internal": r"test\w*|refactor\w*|lint\w*|ci|format\w*|clean\w*|renam\w*|moved?|release|merge",
}  # fmt: skip
ORDER = (
    "breaking",
    "security",
    "features",
    "fixes",
    "speed",
    "other",
    "dependencies",
    "docs",
    "internal",
)
MARK = "\x1e"


@dataclass
class Commit:
    """One commit; `group` is where its subject puts it, which is a guess unless it has a type."""

    hash: str
    author: str
    date: str
    subject: str
    group: str = "other"
    guessed: bool = True
    breaking: str = ""
    pulls: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    body: str = ""


class NotThere(Exception):
    """Git does not know what is asked; the message is its own."""


def git(*words: str) -> str:
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["git", *words], capture_output=True, check=False, env=env)
    if done.returncode != 0:
        raise NotThere(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout.decode("utf-8", "replace")


def last_tag(until: str) -> str:
    """Return the newest tag that `until` contains besides its own; empty if there is none."""
    for start in (f"{until}^", until):
        try:
            return git("describe", "--tags", "--abbrev=0", start).strip()
        except NotThere:
            continue
    return ""


def resolve(ref: str) -> str:
    return (
        git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        .strip()
        .splitlines()[-1]
    )


def read(span: str, paths: list[str]) -> list[Commit]:
    """Return the commits of a range, newest first.

    A merged pull request with a title stands for the commits it brought; other merges are left out.
    """
    form = f"--format={MARK}%H%x1f%h%x1f%an%x1f%as%x1f%s%x1f%b%x1f%P%x1f"
    said = git("log", form, "--name-only", "-m", "--first-parent", "--merges", span, "--", *paths)
    entries: dict[str, Commit] = {}
    brought: set[str] = set()
    for block in said.split(MARK)[1:]:
        commit, full, parents = _entry(block)
        merged = MERGE.fullmatch(commit.subject)
        title = next((line for line in commit.body.splitlines() if line.strip()), "")
        if merged and title:
            commit.subject = clean(title)
            commit.pulls.append(merged[1])
            entries[full] = commit
            brought.update(git("rev-list", *parents[1:], f"^{parents[0]}").split())
    plain = git("log", form, "--name-only", "--no-merges", span, "--", *paths)
    for block in plain.split(MARK)[1:]:
        commit, full, _ = _entry(block)
        if full not in brought:
            entries[full] = commit
    order = git("rev-list", span).split()
    found = [entries[full] for full in order if full in entries]
    for commit in found:
        classify(commit)
    return found


def _entry(block: str) -> tuple[Commit, str, list[str]]:
    """Return a commit, its whole hash, and its parents."""
    full, short, author, date, subject, body, parents, names = block.split("\x1f", 7)
    files = [name for name in names.strip().splitlines() if name]
    commit = Commit(short, clean(author), date, clean(subject), body=body)
    commit.folders = folders_of(files)
    return commit, full, parents.split()


def folders_of(files: list[str]) -> list[str]:
    tops = Counter(name.partition("/")[0] + ("/" if "/" in name else "") for name in files)
    return [clean(name) for name, _ in tops.most_common(4)]


def classify(commit: Commit) -> None:
    """Find a commit's group: by its type where it has one, else by its first words."""
    commit.pulls += [n for n in REFERENCE.findall(commit.subject) if n not in commit.pulls]
    commit.pulls += [n for n in REFERENCE.findall(commit.body) if n not in commit.pulls]
    said = CONVENTIONAL.fullmatch(commit.subject)
    broken = BREAKING.search(commit.body)
    if said and said["type"] in TYPES:
        commit.group, commit.guessed = TYPES[said["type"]], False
        is_update = re.match(WORDS["dependencies"], said["rest"], re.IGNORECASE) is not None
        if commit.group == "internal" and (is_update or said["scope"] in ("deps", "dependencies")):
            commit.group = "dependencies"
    else:
        text = re.sub(r"^[\w./-]{1,30}: ", "", commit.subject)
        for group, pattern in WORDS.items():
            where = r"\b" if group in ("security", "fixes") else r"^"
            if re.search(rf"{where}(?:{pattern})\b", text, re.IGNORECASE):
                commit.group = group
                break
    if broken or (said and said["bang"]):
        commit.breaking = clean(broken[1]) if broken else "marked with !"
        commit.group = "breaking"


def without_reverted(commits: list[Commit]) -> tuple[list[Commit], list[Commit]]:
    """Return what is left, and the commits that were taken back, with what took them back."""
    gone: set[int] = set()
    for index, commit in enumerate(commits):  # newest first: a reverted revert counts again
        if index in gone:
            continue
        for target in REVERT.findall(commit.body):
            for other in range(index + 1, len(commits)):
                if other not in gone and target.startswith(commits[other].hash):
                    gone |= {index, other}
    kept = [commit for index, commit in enumerate(commits) if index not in gone]
    return kept, [commits[index] for index in sorted(gone)]


def next_version(tag: str, groups: set[str]) -> str:
    """Return the tag after `tag` by semantic versioning; empty where it is no version."""
    found = VERSION.fullmatch(tag)
    if found is None:
        return ""
    major, minor, patch = (int(found[name] or 0) for name in ("major", "minor", "patch"))
    if found["rest"]:
        return f"{found['before']}{major}.{minor}.{patch}"
    if "breaking" in groups:
        major, minor, patch = (major + 1, 0, 0) if major else (0, minor + 1, 0)
    elif "features" in groups:
        minor, patch = minor + 1, 0
    else:
        patch += 1
    return f"{found['before']}{major}.{minor}.{patch}"


def clean(text: str) -> str:
    text = ODD.sub("\N{REPLACEMENT CHARACTER}", text).strip()
    return text if len(text) <= SUBJECT_CHARS else f"{text[:SUBJECT_CHARS]}…"


def show(commits: list[Commit], gone: list[Commit], since: str, until: str, tag: str) -> None:
    people = Counter(commit.author for commit in commits)
    start = since or "(the beginning)"
    print(f"Range: {start}..{until}, {len(commits)} commits, {len(people)} authors")
    if suggested := next_version(tag, {commit.group for commit in commits}):
        print(f"Next version, by what the commits say of themselves: {suggested} (after {tag})")
    for group in ORDER:
        members = [commit for commit in commits if commit.group == group]
        if not members:
            continue
        print(f"\n## {group} ({len(members)})")
        for commit in members[:SHOWN_PER_GROUP]:
            pulls = "".join(f" #{number}" for number in commit.pulls)
            guess = " ?" if commit.guessed else ""
            print(f"- {commit.hash}{guess} {commit.subject}{pulls}  [{', '.join(commit.folders)}]")
            if commit.breaking:
                print(f"    breaking: {commit.breaking}")
        if len(members) > SHOWN_PER_GROUP:
            print(f"- … and {len(members) - SHOWN_PER_GROUP} more")
    if gone:
        print(f"\nTaken back within the range, so no news: {', '.join(c.hash for c in gone)}")
    print(f"\nAuthors: {', '.join(f'{name} ({count})' for name, count in people.most_common(40))}")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Group the commits since the last release.")
    parser.add_argument("--since", help="tag or commit (default: the last tag)")
    parser.add_argument("--until", default="HEAD")
    parser.add_argument("--path", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        resolve(options.until)
        since = options.since or last_tag(options.until)
        span = f"{resolve(since)}..{resolve(options.until)}" if since else resolve(options.until)
        commits, gone = without_reverted(read(span, options.path))
    except NotThere as error:
        print(f"Git says: {str(error) or 'no such ref'}", file=sys.stderr)
        return 2
    if not commits:
        print(f"There is no commit since {since}.")
        return 1
    if options.json:
        fields = [{k: v for k, v in asdict(one).items() if k != "body"} for one in commits]
        print(json.dumps({"since": since, "until": options.until, "commits": fields}, indent=1))
    else:
        show(commits, gone, since, options.until, since)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
