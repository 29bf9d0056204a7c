"""Find log files, newest first, with their size, when they were last written, and how they begin.

    python3 find_logs.py [FOLDER…] [--name RE] [--all]

Without folders: the working directory and the usual places of this system and user that can be
read. Prints no contents besides the start of the first line, in which values that look like keys
are masked.

Runs on Python 3.8 and newer, so that it can be sent to another machine's Python.

Exit: 0 found some · 1 none.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

UTC = timezone.utc  # noqa: UP017  # the Pythons of other machines are older
USUAL = (
    ".", "/var/log", "~/.local/state", "~/.cache/log", "~/.pm2/logs", "~/.npm/_logs",
    "~/Library/Logs", "/usr/local/var/log", "/opt/homebrew/var/log", "/tmp",
)  # fmt: skip
SKIPPED = {
    "node_modules",
    ".git",
    "__pycache__",
    ".venv",
    "venv",
    "site-packages",
    ".tox",
    "target",
}
LOG = re.compile(
    r"\.(?:log|out|err)(?:[.-]?\d+|[.-]\d{4}-?\d\d-?\d\d)?(?:\.gz)?$|^(?:syslog|messages|dmesg|kern|auth|daemon"
    r"|catalina|access|error|stdout|stderr|console|nohup)(?:[._-].*)?$|-json\.log$",
    re.IGNORECASE,
)
FILES_LIMIT = 200_000
SHOWN = 60
SECRET = re.compile(
    r"\b(?:sk-|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AKIA|ASIA|AIza|hf_|npm_|pypi-)[A-Za-z0-9_-]{12,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+|(?<=://)[^\s:/@]+:[^\s/@]+(?=@)"
    r"|(?<=[Bb]earer )[\w.~+/=-]{12,}|(?<=[Bb]asic )[\w+/=-]{12,}"
    r"|(?:secret|token|password|passwd|api[_-]?key|credential)[\w.-]{0,40}[\"']?\s{0,3}[=:].*",
    re.IGNORECASE,
)


def walk(folders: list[Path], pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield the logs below `folders`; links are not followed."""
    seen: set[str] = set()
    count = 0
    for top in folders:
        for folder, inner, names in os.walk(top):
            inner[:] = sorted(one for one in inner if one not in SKIPPED)
            in_logs = Path(folder).name.lower() in ("log", "logs", "_logs")
            for name in names:
                count += 1
                if count > FILES_LIMIT:
                    return
                path = os.path.realpath(os.path.join(folder, name))
                if path in seen:
                    continue
                if pattern.search(name) or (in_logs and name.endswith((".txt", ".json", ".jsonl"))):
                    seen.add(path)
                    yield Path(folder, name)


def beginning(path: Path) -> str:
    if path.suffix == ".gz":
        return "(compressed)"
    try:
        with path.open("rb") as file:
            start = file.read(400)
    except OSError as error:
        return f"({error.strerror})"
    if b"\0" in start:
        return "(binary)"
    line = start.decode("utf-8", "replace").partition("\n")[0]
    line = SECRET.sub("[masked]", line)
    return "".join(char for char in line if char.isprintable())[:80]


def size(count: int) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count} {unit}"
        count //= 1000
    return f"{count} GB"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Find log files, newest first.")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--name", default="", help="only names that match this pattern")
    parser.add_argument(
        "--all", action="store_true", help="empty ones, and more than the newest, too"
    )
    options = parser.parse_args(argv)
    try:
        wanted = re.compile(options.name, re.IGNORECASE) if options.name else LOG
    except re.error as error:
        parser.error(f"--name: {error}")
    folders = options.folders or [Path(name).expanduser() for name in USUAL]
    found: list[tuple[float, int, Path]] = []
    for path in walk([one for one in folders if one.is_dir()], wanted):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.is_file() and (status.st_size or options.all):
            found.append((status.st_mtime, status.st_size, path))
    found.sort(reverse=True)
    for changed, length, path in found if options.all else found[:SHOWN]:
        at = datetime.fromtimestamp(changed, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        name = str(path) if str(path).isprintable() else ascii(str(path))
        print(f"{at}  {size(length):>8}  {name}\n    {beginning(path)}")
    if len(found) > SHOWN and not options.all:
        print(f"… and {len(found) - SHOWN} older ones (--all)")
    if not found:
        print(f"No log was found in {', '.join(map(str, folders))}.")
    return 0 if found else 1


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
