"""Prints how large the parts are and how many checks are waived, where everyone sees it.

A file grows one reasonable change at a time; what is printed at every check is noticed. A waiver
(`noqa`, `type: ignore`) without a reason beside it fails.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHOWN = 6
LONG_LINES = 400

WAIVER = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma: no|mypy:|pyright:)\S*(?:\s*\[[^]]*\])?")
CODES = re.compile(r"[\s,:]*(?:[A-Z]+[0-9]+[\s,]*)*")


def waivers(path: Path) -> list[tuple[int, str, bool]]:
    """Return line, text and "has a reason" of each waiver in the comments of a file."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type != tokenize.COMMENT or not (match := WAIVER.search(token.string)):
            continue
        rest = CODES.sub("", token.string[match.end() :], count=1)
        found.append((token.start[0], token.string, len(rest.strip(" #-–:")) >= 8))
    return found


def main() -> int:
    """Print the figures; exit 1 on a waiver that gives no reason."""
    lines: dict[Path, int] = {}
    packages: Counter[str] = Counter()
    bare: list[str] = []
    waived = 0
    for top in ("src", "tests", "tools", "bench"):
        for path in sorted((ROOT / top).rglob("*.py")):
            found = waivers(path)
            waived += len(found)
            bare += [f"{path.relative_to(ROOT)}:{n}: {text}" for n, text, why in found if not why]
            if top == "src":
                lines[path] = len(path.read_text().splitlines())
                package = path.relative_to(ROOT / "src/octavo").parts[0].removesuffix(".py")
                packages[package] += lines[path]
    longest = sorted(lines.items(), key=lambda entry: -entry[1])[:SHOWN]
    print(f"sizes: {sum(lines.values())} lines in {len(lines)} files; waived checks: {waived}")
    print("  packages: " + ", ".join(f"{name} {n}" for name, n in packages.most_common()))
    print(
        "  longest: " + ", ".join(f"{p.relative_to(ROOT / 'src/octavo')} {n}" for p, n in longest)
    )
    for path, count in longest:
        if count > LONG_LINES:
            print(f"  {path.relative_to(ROOT)} is over {LONG_LINES} lines: can it be two?")
    for line in bare:
        print(f"  a waiver needs its reason beside it: {line}", file=sys.stderr)
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main())
