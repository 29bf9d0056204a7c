"""Compare what tests cover before and after, from reports of any language; list what is not
covered.

    python3 compare.py before.lcov after.lcov
    python3 compare.py after.json --only src/cart.py

Reads lcov (`.info`, `.lcov`: Jest, c8, cargo llvm-cov, gcov …), coverage.py's JSON (`coverage
json`), Cobertura XML, and Go's coverprofile; the two need not be of one kind. With one report it
lists the lines that did not run. Reports are data; nothing in them is run.

Exit: 0 compared · 1 a file is covered less than before · 2 a report cannot be read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections import defaultdict
from pathlib import Path

LIMIT_BYTES = 200_000_000
Coverage = dict[str, dict[int, bool]]
"""For each file, for each line that holds code, whether it ran."""


class Unreadable(Exception):
    """A report is none; the message says why."""


def read(path: Path) -> Coverage:
    """Return what a report says. Raises Unreadable."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise Unreadable(f"{path} is larger than {LIMIT_BYTES // 1_000_000} MB.")
        text = path.read_text(errors="replace")
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from None
    start = text[:2000].lstrip()
    try:
        if start.startswith("{"):
            return read_json(text)
        if start.startswith("<"):
            return read_cobertura(text)
        if start.startswith("mode:"):
            return read_go(text)
        if re.search(r"^(?:SF|TN):", text, re.MULTILINE):
            return read_lcov(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{path} is damaged: {error}") from None
    raise Unreadable(f"{path} is no report of coverage that is known.")


def read_lcov(text: str) -> Coverage:
    found: Coverage = defaultdict(dict)
    name = ""
    for line in text.splitlines():
        if line.startswith("SF:"):
            name = relative(line[3:])
            found.setdefault(name, {})  # a file without a line counts, too
        elif line.startswith("DA:") and name:
            number, count = line[3:].split(",")[:2]
            note(found, name, int(number), float(count) > 0)
        elif line == "end_of_record":
            name = ""
    return dict(found)


def read_json(text: str) -> Coverage:
    found: Coverage = defaultdict(dict)
    for name, entry in json.loads(text)["files"].items():
        for line in entry["executed_lines"]:
            note(found, relative(name), int(line), True)
        for line in entry["missing_lines"]:
            note(found, relative(name), int(line), False)
    return dict(found)


def read_cobertura(text: str) -> Coverage:
    if "<!ENTITY" in text:
        raise ValueError("it defines entities")
    import xml.etree.ElementTree as ET

    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(str(error)) from None
    found: Coverage = defaultdict(dict)
    for entry in root.iter("class"):
        for line in entry.iter("line"):
            note(
                found,
                relative(entry.attrib["filename"]),
                int(line.attrib["number"]),
                line.attrib["hits"] != "0",
            )
    return dict(found)


def read_go(text: str) -> Coverage:
    found: Coverage = defaultdict(dict)
    for line in text.splitlines()[1:]:
        if match := re.fullmatch(r"(.+):(\d+)\.\d+,(\d+)\.\d+ \d+ (\d+)", line):
            for number in range(int(match[2]), min(int(match[3]), int(match[2]) + 10_000) + 1):
                note(found, match[1], number, match[4] != "0")
    return dict(found)


def note(found: Coverage, name: str, line: int, ran: bool) -> None:
    found[name][line] = found[name].get(line, False) or ran


def relative(name: str) -> str:
    name = name.strip()
    return os.path.relpath(name) if os.path.isabs(name) else os.path.normpath(name)


def ranges(lines: list[int]) -> str:
    """Return numbers as `3-5, 9`."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts)


def counts(lines: dict[int, bool]) -> tuple[int, int]:
    return sum(lines.values()), len(lines)


def percent(hit: int, total: int) -> str:
    return f"{100 * hit / total:5.1f} %" if total else "    – "


def shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Compare two reports of coverage.")
    parser.add_argument(
        "reports", nargs="+", type=Path, metavar="REPORT", help="one, or before and after"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATH", help="this file or folder"
    )
    parser.add_argument("--all", action="store_true", help="also files in which nothing changed")
    options = parser.parse_args(argv)
    if len(options.reports) > 2:
        parser.error("there are at most two reports: before and after")
    try:
        before, after = (read(path) for path in (options.reports * 2)[:2])
    except Unreadable as unreadable:
        print(unreadable, file=sys.stderr)
        return 2
    wanted = {os.path.normpath(one) for one in options.only}
    inside = tuple(f"{one}{os.sep}" for one in wanted)
    names = [
        name
        for name in sorted(before.keys() | after.keys())
        if not wanted or name in wanted or name.startswith(inside)
    ]
    one_report = len(options.reports) == 1
    less = False
    sums = [0, 0, 0, 0]
    for name in names:
        was, now = counts(before.get(name, {})), counts(after.get(name, {}))
        for index, count in enumerate((*was, *now)):
            sums[index] += count
        missing = [line for line, ran in after.get(name, {}).items() if not ran]
        changed = before.get(name) != after.get(name)
        less |= was[0] * now[1] > now[0] * was[1]
        if one_report and (missing or options.all):
            print(
                f"{percent(*now)}  {shown(name)}\n           not run: {ranges(missing) or 'none'}"
            )
        elif not one_report and (changed or options.all):
            print(f"{percent(*was)} → {percent(*now)}  {shown(name)}")
            new = [
                line
                for line, ran in after.get(name, {}).items()
                if ran and not before.get(name, {}).get(line)
            ]
            print(f"           now run: {ranges(new) or 'none'}")
            print(f"           not run: {ranges(missing) or 'none'}")
    if one_report:
        print(f"{percent(*sums[2:])}  of {sums[3]} lines in {len(names)} files")
    else:
        print(
            f"{percent(*sums[:2])} → {percent(*sums[2:])}  of {sums[3]} lines in {len(names)} files"
        )
    return 1 if less else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
