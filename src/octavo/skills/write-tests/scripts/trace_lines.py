"""Run a Python program or test suite and write which lines ran, where `coverage` is not installed.

    python3 trace_lines.py --source src -o before.lcov -- -m unittest -q
    python3 trace_lines.py --source src -o before.lcov -- -m pytest -q tests/test_cart.py

What stands after `--` is what would follow `python`. Writes lcov, which `compare.py` and many
viewers read. Counts the lines of files below --source that hold code; threads count, child
processes do not. A traced run takes several times as long. Run it with the project's own Python.

Exit: that of the program · 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import dis
import os
import runpy
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

SKIPPED = {".venv", "venv", "node_modules", "__pycache__", ".git", ".tox", "build"}


class Lines:
    """Which lines of which files ran."""

    def __init__(self, sources: list[str]) -> None:
        self.sources = tuple(os.path.join(os.path.realpath(one), "") for one in sources)
        self.ran: dict[str, set[int]] = {}
        self._real: dict[str, str | None] = {}

    def trace(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        """Called for every function that is entered; follows those below the sources."""
        name = frame.f_code.co_filename
        if name not in self._real:
            real = os.path.realpath(name)
            self._real[name] = real if real.startswith(self.sources) else None
        real_name = self._real[name]
        if real_name is None:
            return None
        seen = self.ran.setdefault(real_name, set())
        seen.add(frame.f_lineno)

        def each_line(frame: FrameType, event: str, _arg: Any) -> Any:
            if event == "line":
                seen.add(frame.f_lineno)
            return each_line

        return each_line


def code_lines(path: str) -> set[int]:
    """Return the lines that hold code, as the compiler sees it; none where it sees a mistake."""
    try:
        source = Path(path).read_bytes()
        todo = [compile(source, path, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError):
        return set()
    found: set[int] = set()
    while todo:
        code = todo.pop()
        found.update(line for _, line in dis.findlinestarts(code) if line)
        todo += [const for const in code.co_consts if isinstance(const, CodeType)]
    return found - docstrings(source)


def docstrings(source: bytes) -> set[int]:
    import ast

    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = body[0] if body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                found.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def files_below(sources: list[str]) -> list[str]:
    found = []
    for source in sources:
        if os.path.isfile(source):
            found.append(os.path.realpath(source))
        for folder, folders, names in os.walk(source):
            folders[:] = [one for one in folders if one not in SKIPPED and not one.startswith(".")]
            found += [
                os.path.realpath(os.path.join(folder, name))
                for name in names
                if name.endswith(".py")
            ]
    return sorted(set(found))


def write(path: Path, ran: dict[str, set[int]], sources: list[str]) -> tuple[int, int]:
    """Write lcov; return how many lines ran, of how many."""
    top = os.getcwd()
    hit = total = 0
    with path.open("w") as out:
        for name in files_below(sources):
            lines = code_lines(name)
            seen = ran.get(name, set())
            out.write(f"SF:{os.path.relpath(name, top)}\n")
            for line in sorted(lines):
                out.write(f"DA:{line},{int(line in seen)}\n")
            out.write("end_of_record\n")
            hit += len(lines & seen)
            total += len(lines)
    return hit, total


def run(words: list[str]) -> int:
    """Run what `python` would with these words; return its exit code."""
    sys.path[0] = os.getcwd()
    try:
        if words[0] == "-m" and len(words) > 1:
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Run Python, and write which lines ran.")
    parser.add_argument(
        "--source", action="append", required=True, help="a folder or file to count"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the lcov file to write")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="after --")
    options = parser.parse_args(argv)
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        parser.error("nothing to run stands after --")
    output = options.output.absolute()
    sources = [os.path.abspath(one) for one in options.source]
    lines = Lines(sources)
    code = 1
    threading.settrace(lines.trace)
    sys.settrace(lines.trace)
    try:
        code = run(words)
    finally:
        sys.settrace(None)
        threading.settrace(None)
        hit, total = write(output, lines.ran, sources)
        share = f"{100 * hit / total:.1f} %" if total else "nothing to count"
        print(f"{hit} of {total} lines ran ({share}); written to {output}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
