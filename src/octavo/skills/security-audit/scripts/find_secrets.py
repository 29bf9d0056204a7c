"""Find keys and passwords in a repository: in its files, and in all of its history.

    python3 find_secrets.py [FOLDER] [--no-history] [--since 2.years] [--limit N]

Prints place and kind, never the value: `src/app.py:12  AWS key (20 characters)`. Values that are
plainly examples are left out. Files: what git tracks or would add, and those that git ignores but
that are named like secrets. History: every line that any commit of any branch or tag added; of each
value the oldest commit is named, and whether it is still in the files. Reads in bounded memory.

Exit: 0 nothing found · 1 something found · 2 no such folder.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE_BYTES = 4_000_000
LINE_BYTES = 20_000
PIECE_BYTES = 1 << 16
VALUES_LIMIT = 20_000

KINDS: tuple[tuple[str, str], ...] = (
    ("private key", r"-----BEGIN (?P<v>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"),
    ("AWS key", r"\b(?P<v>(?:AKIA|ASIA)[A-Z0-9]{16})\b"),
    ("GitHub token", r"\b(?P<v>gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("GitLab token", r"\b(?P<v>gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,})"),
    ("Slack token", r"\b(?P<v>xox[abeoprs]-[A-Za-z0-9-]{10,})"),
    ("Slack webhook", r"hooks\.slack\.com/services/(?P<v>T\w+/B\w+/\w{16,})"),
    ("Google API key", r"\b(?P<v>AIza[A-Za-z0-9_-]{35})"),
    ("Stripe key", r"\b(?P<v>[rs]k_live_[A-Za-z0-9]{20,})"),
    ("OpenAI or Anthropic key", r"\b(?P<v>sk-(?=[\w-]*\d)[A-Za-z0-9_-]{20,})"),
    ("Hugging Face token", r"\b(?P<v>hf_[A-Za-z0-9]{30,})"),
    ("npm token", r"\b(?P<v>npm_[A-Za-z0-9]{36,})"),
    ("package index token", r"\b(?P<v>pypi-[A-Za-z0-9_-]{50,})"),
    ("SendGrid key", r"\b(?P<v>SG\.[\w-]{16,}\.[\w-]{16,})"),
    ("Twilio key", r"\b(?P<v>SK[0-9a-f]{32})\b"),
    ("Azure storage key", r"AccountKey=(?P<v>[A-Za-z0-9+/]{60,}={0,2})"),
    ("JSON web token", r"\b(?P<v>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"),
    ("password in an address",
     r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"<>]{1,80}:(?P<v>[^\s/@'\"<>]{3,200})@"),
    ("authorization header",
     r"(?i:authorization)['\"]?\s*[:=,]\s*['\"]?(?i:bearer|basic|token) (?P<v>[\w.~+/=-]{16,})"),
    ("value named like a secret",
     r"(?i:(?:secret|passw(?:or)?d|passwd|api[_-]?key|access[_-]?key|auth[_-]?key|token|credential|private_?key)"
     r"[\w.-]{0,30}['\"]?\s{0,4}(?::=|=>|[=:])\s{0,4})(?P<q>['\"]?)(?P<v>[^\s'\"`,;<>(){}\[\]]{8,300})(?P=q)"),
)  # fmt: skip
COMPILED = [(kind, re.compile(pattern)) for kind, pattern in KINDS]
HINT = re.compile(
    r"PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat_|gl(?:pat|dt|rt|ptt)-|xox|hooks\.slack|AIza"
    r"|k_live_|sk-|hf_|npm_|pypi-|SG\.|SK[0-9a-f]|AccountKey|eyJ|://[^\s/]*@|(?i:authorization|secret|passw"
    r"|api[_-]?key|access[_-]?key|auth[_-]?key|token|credential|private_?key)"
)
EXAMPLE = re.compile(
    r"(?i:example|sample|dummy|placeholder|change.?me|replace|your[-_]|xxxx|\*\*\*|\.\.\.|todo|insert|redacted|fake"
    r"|123456|abcdef|^(?:null|none|undefined|true|false|required|optional|default|test|password|secret)$)"
    r"|^[$%]|^(.)\1+$|process\.env|os\.environ|getenv|\$\{|\{\{|^<"
)
CODE = re.compile(
    r"^[A-Za-z_][\w]*(?:[.:]+[A-Za-z_]\w*)+$|^[A-Za-z_]+$|^[a-z]+(?:[-_/][a-z]+)+$|^[A-Z_]+$|^/|^\d+$|^https?:"
)
"""What a name of something looks like, not a value: `settings.token`, `read-only`, `/etc/key`."""
SECRET_FILE = re.compile(
    r"(?:^|/)(?:\.env(?!\.(?:example|sample|template|dist)$)(?:\.[\w.-]+)?|id_(?:rsa|dsa|ed25519|ecdsa)|[^/]+\.(?:pem|p12|pfx"
    r"|keystore|jks|kdbx)|credentials(?:\.\w+)?|\.netrc|\.pgpass|\.npmrc|\.pypirc|\.htpasswd|service.account.*\.json)$"
)
TEST_PLACE = re.compile(
    r"(?:^|/)(?:tests?|testdata|fixtures?|examples?|docs?|spec)/", re.IGNORECASE
)
LOCK = re.compile(
    r"(?:^|/)(?:[^/]+\.lock|package-lock\.json|go\.sum|pnpm-lock\.yaml|[^/]+\.min\.js|[^/]+\.map)$"
)
FOREIGN = re.compile(r"(?:^|/)(?:node_modules|site-packages|vendor)/")
HUNK = re.compile(rb"^@@ -\S+ \+(\d+)")


class Finding(NamedTuple):
    """A value that looks like a secret. `value_id` tells equal values, and is never shown."""

    place: str
    line: int
    kind: str
    length: int
    value_id: bytes


SALT = os.urandom(16)


def findings_of(place: str, line: int, text: str) -> Iterator[Finding]:
    """Yield what looks like a secret in a line; a value once, as the first kind that fits."""
    if not HINT.search(text):
        return
    seen: list[tuple[int, int]] = []
    for kind, pattern in COMPILED:
        for match in pattern.finditer(text):
            start, end = match.span("v")
            if any(start < other_end and other_start < end for other_start, other_end in seen):
                continue
            value = match["v"]
            if is_secret(kind, value):
                seen.append((start, end))
                value_id = hashlib.blake2b(
                    value.encode("utf-8", "replace"), key=SALT, digest_size=12
                ).digest()
                if kind == "private key":  # the line is the same in all of them
                    value_id = hashlib.blake2b(
                        place.encode("utf-8", "replace"), key=SALT, digest_size=12
                    ).digest()
                yield Finding(place, line, kind, len(value), value_id)


def is_secret(kind: str, value: str) -> bool:
    """Whether a value is no example and no name of something."""
    if kind == "private key":
        return True
    if EXAMPLE.search(value):
        return False
    if kind == "password in an address":
        return value.lower() not in (
            "password",
            "pass",
            "secret",
            "user",
            "postgres",
            "root",
            "admin",
            "guest",
            "pw",
            "pwd",
        )
    if kind == "value named like a secret":
        if CODE.search(value) or value.count("=") > 3:
            return False
        return entropy(value) >= 2.8 and bool(re.search(r"\d|[^\w.:/-]", value))
    return True


def entropy(value: str) -> float:
    """Return bits for each character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


# ---- Files ---------------------------------------------------------------------------------


def list_files(root: Path) -> tuple[list[str], list[str]]:
    """Return the files that are or would be in git, and ignored ones named like secrets."""
    kept = ask(
        root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"
    )
    if kept is None:
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [
                one
                for one in folders
                if one not in (".git", "node_modules", ".venv", "__pycache__")
            ]
            names += [Path(folder, name).relative_to(root).as_posix() for name in files]
        return sorted(names), []
    ignored = ask(root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard") or ""
    secret = [
        name
        for name in ignored.split("\0")
        if SECRET_FILE.search(name) and not FOREIGN.search(name)
    ]
    return sorted(name for name in kept.split("\0") if name), secret


def in_file(root: Path, name: str) -> Iterator[Finding]:
    path = root / name
    if path.is_symlink() or not path.is_file() or LOCK.search(name):
        return
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES)
    except OSError:
        return
    if b"\0" in data[:8000]:
        return
    for number, raw in enumerate(data.split(b"\n"), 1):
        yield from findings_of(name, number, raw[:LINE_BYTES].decode("utf-8", "replace"))


# ---- History -------------------------------------------------------------------------------


def in_history(root: Path, since: str) -> Iterator[tuple[str, Finding]]:
    """Yield each finding with its commit and day, newest commit first."""
    words = [
        "git", "-c", "core.quotePath=false", "log", "--all", "--no-textconv", "--no-ext-diff",
        "--no-color", "--unified=0", "--no-renames", "--format=%x1e%h %as", "-p",
        "--diff-filter=AM",
    ]  # fmt: skip
    if since:
        words.append(f"--since={since}")
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    process = subprocess.Popen(
        words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    )
    assert process.stdout is not None
    commit, place, number = "", "", 0
    in_header = True
    try:
        while line := process.stdout.readline(PIECE_BYTES):
            rest = line
            while not rest.endswith(b"\n") and (rest := process.stdout.readline(PIECE_BYTES)):
                continue
            if line.startswith(b"\x1e"):
                commit, in_header = line[1:].decode("utf-8", "replace").strip(), True
            elif line.startswith(b"diff --git "):
                in_header = True
            elif in_header and line.startswith(b"+++ "):
                place = line[4:].decode("utf-8", "replace").strip().strip('"').removeprefix("b/")
            elif match := HUNK.match(line):
                number, in_header = int(match[1]), False
            elif line.startswith(b"+") and not in_header:
                if not LOCK.search(place):
                    text = line[1:LINE_BYTES].decode("utf-8", "replace").rstrip("\r\n")
                    for finding in findings_of(place, number, text):
                        yield commit, finding
                number += 1
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def ask(root: Path, *words: str) -> str | None:
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False, env=env)
    except OSError:
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


def shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def line_of(finding: Finding) -> str:
    note = "  (test or example?)" if TEST_PLACE.search(finding.place) else ""
    return (
        f"{shown(finding.place)}:{finding.line}  {finding.kind} ({finding.length} characters){note}"
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Find secrets in files and history.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument("--no-history", action="store_true")
    parser.add_argument("--since", default="", help="how far back in the history, as git says it")
    parser.add_argument("--limit", type=int, default=200, help="how many to print of each part")
    options = parser.parse_args(argv)
    root: Path = options.folder
    if not root.is_dir():
        print(f"{root} is no folder.", file=sys.stderr)
        return 2
    names, secret_files = list_files(root)
    found: list[Finding] = []
    for name in names:
        found += in_file(root, name)
        if len(found) > VALUES_LIMIT:
            break
    print(f"# In the files ({len(found)} in {len(names):,} files)")
    report([line_of(one) for one in found], options.limit)
    named = [name for name in names if SECRET_FILE.search(name)]
    if named:
        print("\n# In git by name: files that usually hold keys")
        report([shown(name) for name in named], options.limit)
    if secret_files:
        print("\n# Ignored by git, named like secrets: right if they were never committed")
        report([shown(name) for name in secret_files], options.limit)
    past: dict[bytes, tuple[str, Finding]] = {}
    if not options.no_history and ask(root, "rev-parse", "--git-dir") is not None:
        now = {one.value_id for one in found}
        for commit, finding in in_history(root, options.since):
            if finding.value_id in past or len(past) < VALUES_LIMIT:
                past[finding.value_id] = (commit, finding)  # the oldest is the last
        gone = [(commit, one) for value_id, (commit, one) in past.items() if value_id not in now]
        old = [(commit, one) for value_id, (commit, one) in past.items() if value_id in now]
        print(f"\n# Only in the history: whoever has a clone has them ({len(gone)})")
        report([f"{commit}  {line_of(one)}" for commit, one in gone], options.limit)
        if old:
            print("\n# In the files and committed first in")
            report([f"{commit}  {line_of(one)}" for commit, one in old], options.limit)
    return 1 if found or named or past else 0


def report(lines: list[str], limit: int) -> None:
    print("\n".join(lines[:limit]) or "(none)")
    if len(lines) > limit:
        print(f"… and {len(lines) - limit} more (--limit)")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
