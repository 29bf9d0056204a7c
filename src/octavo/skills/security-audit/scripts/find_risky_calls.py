"""List the places of a code base where security faults usually are, as file:line with a question.

    python3 find_risky_calls.py [FOLDER] [--only ID,…] [--limit N] [--list]

A place is no fault: each has a question that the code around it answers. Knows Python, JavaScript
and TypeScript, Go, Java, Kotlin, C#, Ruby, PHP, C and C++, Rust, shell, Dockerfiles, CI workflows
and Terraform. Comments and tests are left out (`--tests` takes tests in). Quotes no line, as a line
may hold a key; runs nothing but `git ls-files`.

Exit: 0 listed (also if there are none) · 2 no such folder, or no such id.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

FILE_BYTES = 2_000_000
LINE_CHARS = 2_000


class Risk(NamedTuple):
    """What is looked for: where, how, and what has to be asked about each place."""

    id: str
    weight: str
    endings: str
    pattern: str
    question: str


def read_risks() -> list[Risk]:
    path = Path(__file__).parent.parent / "assets" / "risks.txt"
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    risks = []
    for first in range(0, len(lines), 4):
        id_, weight = lines[first].split()
        question, endings, pattern = (line[4:] for line in lines[first + 1 : first + 4])
        risks.append(Risk(id_, weight, endings, pattern, question))
    return risks


COMMENT = re.compile(r"^\s*(?:#(?!\{)|//|\*|/\*|<!--|--\s|;)")
TEST = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__|e2e|fixtures?|testdata)/|(?:^|/)(?:test_[^/]+|[^/]+[_.](?:test|spec)\.[a-z]+)$",
    re.IGNORECASE,
)
SKIPPED = re.compile(r"(?:^|/)(?:node_modules|vendor|third_party|dist|\.venv)/|\.min\.js$")
WEIGHTS = ("high", "medium", "low")


def list_files(root: Path) -> list[str]:
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(asked, cwd=root, capture_output=True, check=False, env=env)
        if done.returncode == 0:
            return sorted(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    except OSError:
        pass
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [one for one in folders if one != ".git"]
        found += [Path(folder, name).relative_to(root).as_posix() for name in names]
    return sorted(found)


def by_ending(risks: list[Risk]) -> dict[str, list[tuple[Risk, re.Pattern[str]]]]:
    table: dict[str, list[tuple[Risk, re.Pattern[str]]]] = defaultdict(list)
    for risk in risks:
        pattern = re.compile(risk.pattern)
        for ending in risk.endings.split():
            table[ending].append((risk, pattern))
    return table


def ending_of(name: str) -> str:
    base = PurePosixPath(name).name.lower()
    if base.startswith(("dockerfile", "containerfile")):
        return "dockerfile"
    return "env" if base.startswith(".env") else base.rpartition(".")[2]


def places(
    root: Path, name: str, patterns: list[tuple[Risk, re.Pattern[str]]]
) -> Iterator[tuple[Risk, int]]:
    path = root / name
    if path.is_symlink() or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES)
    except OSError:
        return
    if b"\0" in data[:8000]:
        return
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.decode("utf-8", "replace")[:LINE_CHARS]
        if COMMENT.match(line):
            continue
        ids = set()
        for risk, pattern in patterns:
            if risk.id not in ids and pattern.search(line):
                ids.add(risk.id)
                yield risk, number


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="List where security faults usually are.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument("--only", default="", help="ids, with commas between them")
    parser.add_argument("--limit", type=int, default=40, help="how many places to print of each id")
    parser.add_argument("--tests", action="store_true", help="in tests, too")
    parser.add_argument("--list", action="store_true", help="print the ids and their questions")
    options = parser.parse_args(argv)
    risks = read_risks()
    known = {risk.id for risk in risks}
    wanted = set(filter(None, options.only.split(","))) or known
    if strange := wanted - known:
        parser.error(f"no such id: {', '.join(sorted(strange))} (--list prints them)")
    if options.list:
        for line in sorted({f"{one.id}  {one.weight}  {one.question}" for one in risks}):
            print(line)
        return 0
    if not options.folder.is_dir():
        print(f"{options.folder} is no folder.", file=sys.stderr)
        return 2
    table = by_ending([risk for risk in risks if risk.id in wanted])
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    files = 0
    for name in list_files(options.folder):
        patterns = table.get(ending_of(name))
        if not patterns or SKIPPED.search(name) or (TEST.search(name) and not options.tests):
            continue
        files += 1
        for risk, number in places(options.folder, name, patterns):
            shown = name if name.isprintable() else ascii(name)
            found[risk.weight, risk.id, risk.question].append(f"{shown}:{number}")
    total = sum(map(len, found.values()))
    print(f"{total} places in {files:,} files. A place is a question, not a fault.")
    for weight, id_, question in sorted(found, key=lambda key: (WEIGHTS.index(key[0]), key[1])):
        lines = found[weight, id_, question]
        print(f"\n## {id_} ({weight}, {len(lines)}): {question}")
        print("\n".join(f"  {line}" for line in lines[: options.limit]))
        if len(lines) > options.limit:
            print(f"  … and {len(lines) - options.limit} more (--only {id_} --limit N)")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
