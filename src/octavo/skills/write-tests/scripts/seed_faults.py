"""Seed small faults into a file, one at a time in a copy, and see which of them the tests notice.

    python3 seed_faults.py src/cart.py --lines 10-40 -- python -m pytest -q tests/test_cart.py

A test that cannot fail proves nothing. Each fault changes one operator, number, constant or
condition; a fault that no test notices is printed with its line: there a test is missing, or the
fault makes no difference. The files themselves are not touched. Knows the comments and strings of
most languages; a fault that does not even compile counts as noticed, so prefer it for languages
without a compiler.

Exit: 0 all were noticed · 1 some were not · 2 it could not start (the tests fail without a fault,
or do not run the copy's code)."""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILES_LIMIT = 50_000
SHOWN_CHARS = 2_000
HASH_COMMENTS = {".py", ".rb", ".sh", ".bash", ".pl", ".r", ".ex", ".exs", ".jl", ".nim", ".coffee"}
SWAPS = {
    "==": "!=", "!=": "==", "===": "!==", "!==": "===", "<=": "<", ">=": ">", "<": "<=", ">": ">=",
    "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "%": "*",
    "+=": "-=", "-=": "+=", "*=": "+=",
}  # fmt: skip
WORDS = {
    "and": "or", "or": "and", "not": "", "True": "False", "False": "True", "true": "false",
    "false": "true", "in": "not in", "is": "is not", "break": "continue", "continue": "break",
    "min": "max", "max": "min", "any": "all", "all": "any",
}  # fmt: skip
ONLY_PYTHON = {"and", "or", "not", "in", "is", "any", "all", "True", "False"}
TOKEN = re.compile(
    r"(?P<word>[A-Za-z_$][\w$]*)|(?P<number>(?<![\w.])\d+(?:\.\d+)?(?![\w.]))"
    r"|(?P<skip>->|=>|\*\*=?|<<=?|>>=?|:=|::|\+\+|--|//=|/=|%=|</|/>)|(?P<operator>===|!==|==|!=|<=|>=|&&|\|\||\+=|-=|\*=|//|[<>+\-*/%])"
)


class Fault(NamedTuple):
    """A piece of a file and what it becomes."""

    start: int
    end: int
    line: int
    new: str


class Stop(Exception):
    """It cannot be done; the message says why."""


def faults_of(text: str, ending: str, lines: tuple[int, int]) -> Iterator[Fault]:
    """Yield the faults that can be made in the code of these lines, in the order of the file."""
    is_python = ending in (".py", ".pyi")
    plain = without_strings(text, ending)
    number = 1
    position = 0
    for match in TOKEN.finditer(plain):
        number += text.count("\n", position, match.start())
        position = match.start()
        if not lines[0] <= number <= lines[1]:
            continue
        new = changed(match, plain, is_python=is_python)
        if new is not None:
            yield Fault(match.start(), match.end(), number, new)


def changed(match: re.Match[str], plain: str, *, is_python: bool) -> str | None:
    """Return what a token becomes; None if it is left alone."""
    token = match[0]
    line_start = plain.rfind("\n", 0, match.start()) + 1
    before = plain[line_start : match.start()].strip()
    if re.match(r"(?:from|import|#include|use|package|require|@)", before or token):
        return None
    if match.lastgroup == "word":
        if token in ONLY_PYTHON and not is_python:
            return None
        if token in ("min", "max", "any", "all") and not plain[match.end() :].startswith("("):
            return None
        if token in ("in", "is") and (
            re.match(r"(?:async )?for\b", before) or re.search(r"\bfor\b[^()]*$|\bnot$", before)
        ):
            return None
        if token == "is" and re.match(r"\s+not\b", plain[match.end() :]):
            return None
        if (token == "not" and re.search(r"\bis$", before)) or (
            token == "not" and re.match(r"\s+in\b", plain[match.end() :])
        ):
            return ""
        return WORDS.get(token)
    if match.lastgroup == "number":
        return str(int(token) + 1) if token.isdigit() else f"{float(token) + 1}"
    if match.lastgroup == "operator":
        if token in ("-", "+", "*", "/", "%", "<", ">") and not re.search(
            r"[\w)\]\"']\s*$", before
        ):
            return None  # a sign, a pointer, a generic
        if token == "//" and not is_python:
            return None
        return SWAPS.get(token)
    return None


def without_strings(text: str, ending: str) -> str:
    """Return `text` with blanks in place of strings and comments; same length, same lines."""
    if ending in (".py", ".pyi"):
        comment, strings = r"#[^\n]*", r"(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?''')|"
    elif ending in HASH_COMMENTS:
        comment, strings = r"#[^\n]*", ""
    else:
        comment, strings = r"//[^\n]*|/\*[\s\S]*?\*/", r"`(?:\\.|[^`\\])*`|"
    pattern = rf"{strings}\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|{comment}"

    def blank(match: re.Match[str]) -> str:
        quoted = '"' if match[0][:1] in "\"'`" else " "
        inner = "".join("\n" if char == "\n" else " " for char in match[0])
        return (
            quoted + inner[1:-1] + quoted
            if len(inner) > 1 and "\n" not in inner[:1] + inner[-1:]
            else inner
        )

    return re.sub(pattern, blank, text)


class Copy:
    """A copy of the project, in which the tests are run."""

    def __init__(self, root: Path, place: Path, options: argparse.Namespace) -> None:
        self.root = root
        self.top = place / "copy"
        self.log = place / "output"
        self.command = options.command
        self.timeout_s = options.timeout_s
        names = list_files(root)
        if len(names) > FILES_LIMIT:
            raise Stop(f"There are more than {FILES_LIMIT:,} files to copy.")
        for name in names:
            source, target = root / name, self.top / name
            if source.is_symlink() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        for name in options.link:
            target = self.top / name
            if not (root / name).exists():
                raise Stop(f"{name} is not there to be linked.")
            if not os.path.lexists(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(root / name)

    def run(self) -> tuple[bool, str]:
        """Return whether the tests pass, and the end of what they print."""
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log.open("wb") as out:
            try:
                process = subprocess.Popen(
                    self.command, cwd=self.top, env=env, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise Stop(f"{self.command[0]} cannot be started: {error.strerror}") from None
            try:
                passed = process.wait(timeout=self.timeout_s) == 0
            except subprocess.TimeoutExpired:
                passed = False
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
        return passed, self.log.read_bytes()[-SHOWN_CHARS:].decode("utf-8", "replace")


def list_files(root: Path) -> list[str]:
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    done = subprocess.run(asked, cwd=root, capture_output=True, check=False)
    if done.returncode != 0:
        raise Stop("This is no git repository, so it is not known what to copy.")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def seed(copy: Copy, name: str, faults: list[Fault], text: str) -> int:
    """Try the faults one by one; return how many were not noticed."""
    path = copy.top / name
    missed = 0
    for fault in faults:
        path.write_text(text[: fault.start] + fault.new + text[fault.end :])
        passed, _ = copy.run()
        if passed:
            missed += 1
            line = text.splitlines()[fault.line - 1].strip()
            what = f"{text[fault.start : fault.end]!r} → {fault.new!r}"
            print(f"not noticed  {name}:{fault.line}  {what}  in: {line[:100]}", flush=True)
    path.write_text(text)
    return missed


def check_ground(copy: Copy, name: str, text: str) -> float:
    """Make sure that the tests pass, and use the copy's file; return how long they take."""
    began = time.monotonic()
    passed, said = copy.run()
    took_s = time.monotonic() - began
    if not passed:
        raise Stop(f"The tests fail in the copy without any fault:\n{said}")
    (copy.top / name).write_text("]]] this file is broken on purpose [[[\n")
    passed, _ = copy.run()
    (copy.top / name).write_text(text)
    if passed:
        raise Stop(
            f"The tests pass also when {name} is rubbish: they do not use it, or not the copy's (a "
            "package that is installed from the working tree; set PYTHONPATH in the command)."
        )
    return took_s


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Seed faults, and see which the tests notice.")
    parser.add_argument("file", help="the file to seed, from the top of the repository")
    parser.add_argument("--lines", default="1-999999", metavar="FROM-TO")
    parser.add_argument(
        "--limit", type=int, default=40, help="how many faults; chosen evenly at random"
    )
    parser.add_argument(
        "--link", action="append", default=[], metavar="PATH", help="not in git, but needed"
    )
    parser.add_argument(
        "--timeout-s", type=float, default=120.0, help="for one run; longer is noticed"
    )
    parser.add_argument("command", nargs="+", help="after --: what runs the tests")
    options = parser.parse_args(argv)
    if options.command[0] != "sh":
        options.command = ["env", *options.command]  # also takes NAME=value in front
    place = Path(tempfile.mkdtemp(prefix="seed-"))
    try:
        first, _, last = options.lines.partition("-")
        lines = (int(first), int(last or first))
        name = os.path.normpath(options.file)
        if not Path(name).is_file() or name.startswith(("..", "/")):
            raise Stop(f"{name} is no file below the working directory.")
        text = Path(name).read_text()
        copy = Copy(Path.cwd(), place, options)
        took_s = check_ground(copy, name, text)
        copy.timeout_s = min(options.timeout_s, max(5.0, 5 * took_s))
        faults = list(faults_of(text, Path(name).suffix, lines))
        count = len(faults)
        if count > options.limit:
            faults = sorted(random.Random(0).sample(faults, options.limit))
        missed = seed(copy, name, faults, text)
    except (Stop, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(place, ignore_errors=True)
    tried = len(faults)
    print(
        f"{tried - missed} of {tried} faults were noticed"
        + (f" (of {count} possible)" if count > tried else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
