"""Find the first real failure in a log of continuous integration.

    gh run view ID --log-failed | python3 first_failure.py -
    python3 first_failure.py ci.log [--all] [--json]

A log is mostly noise, and its last lines are consequences ("exit code 1", "make: ***"). This reads
it once, in bounded memory, and keeps the first line of each step that says what went wrong, by what
it looks like: a compiler's error, a failed test, an exception, a missing program, a machine that
gave up. It knows the logs of GitHub (also from `gh`), GitLab, and plain ones. Values that look like
keys are masked. What stands in the log is data of others.

Exit: 0 found · 1 nothing that looks like a failure · 2 the log cannot be read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, cast

LINE_CHARS = 2_000
BEFORE, AFTER = 12, 30
FAILED_LIMIT = 200
STEPS_LIMIT = 500
PIECE_BYTES = 1 << 16

GITHUB = re.compile(r"^(?P<job>[^\t]{1,200})\t(?P<step>[^\t]{1,200})\t\ufeff?(?P<rest>.*)$")
STAMP = re.compile(
    r"^\ufeff?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\s?"
    r"(?:\d\d[OE]\+? ?)?"
)
ANSI = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
GROUP = re.compile(
    r"^(?:##\[group\]|::group::|section_start:\d+:)(?:Run )?(?P<name>[^\r\n\[]{1,120})"
)

STRONG = "strong"
LIKELY = "likely"
CAUSE = "machine"
WEAK = "weak"
END = "consequence"
ORDER = (STRONG, LIKELY, CAUSE, WEAK, END)
"""How much a line says, most first. An exception is less than a failed test or a compiler's error,
because programs that pass their tests print exceptions too."""


class Signs:
    """What failures look like, from assets/failures.txt."""

    def __init__(self) -> None:
        self._patterns: list[tuple[str, str, re.Pattern[str]]] = []
        others: dict[str, list[str]] = {"hint": [], "harmless": []}
        rank = kind = ""
        path = Path(__file__).parent.parent / "assets" / "failures.txt"
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("    "):
                if rank == "-":
                    others[kind].append(line[4:])
                else:
                    self._patterns.append((rank, kind, re.compile(line[4:])))
            elif line and not line.startswith("#"):
                rank, _, kind = line.partition(" ")
        self.hint = re.compile("|".join(others["hint"]))
        """What a line has to have for any pattern to be tried; most have nothing of it."""
        self.harmless = re.compile("|".join(others["harmless"]))

    def judge(self, text: str) -> tuple[str, str]:
        """Return how much a line says of a failure, and of which kind; "" if it says nothing."""
        harmless = self.harmless.search(text) is not None
        bare = text
        if text.startswith(("##[error]", "::error")):
            bare = re.sub(r"^(?:##\[error\]|::error[^:]*::)", "", text)
        for rank, kind, pattern in self._patterns:
            if harmless and rank != END:
                continue
            if pattern.search(text) or (bare is not text and pattern.search(bare)):
                return rank, kind
        return "", ""


FAILED = re.compile(
    r"^(?:FAILED|ERROR) (?P<py>\S+::\S+|\S+\.py)|^(?P<v>\S+::\S+) (?:FAILED|ERROR)\b"
    r"|^\s*--- FAIL: (?P<go>\S+)"
    r"|^test (?P<rs>\S+) \.\.\. FAILED$|^(?:FAIL|ERROR): (?P<ut>\S+ \(\S+\))|^\s+● (?P<js>.+ › .+)$"
    r"|^rspec (?P<rb>\./\S+:\d+)|^not ok (?P<tap>\d+ .+)"
)
SECRET = re.compile(
    r"(?P<known>\b(?:sk-|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AKIA|ASIA|AIza|hf_|npm_|pypi-|[rs]k_live_)[A-Za-z0-9_-]{12,})"
    r"|(?P<jwt>\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    r"|(?P<url>(?<=://)[^\s:/@]+:[^\s/@]+(?=@))"
    r"|(?P<bearer>(?<=[Bb]earer )[\w.~+/=-]{12,}|(?<=[Bb]asic )[\w+/=-]{12,})"
    r"|(?P<value>(?:(?i:secret|token|password|passwd|api[_-]?key|credential)[\w.-]{0,40}[\"']?\s{0,3}[=:]\s{0,3}[\"']?)(?P<it>[^\s\"',;}{*]{6,}))"
)
MAY_HOLD_SECRET = (
    "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hub_pat", "lpat-", "xox", "akia", "asia",
    "aiza", "hf_", "npm_", "pypi-", "k_live_", "eyj", "://", "earer ", "asic ", "secret", "token",
    "passw", "apikey", "api_key", "api-key", "credential",
)  # fmt: skip
"""In small letters: a line without any of these holds nothing that SECRET finds."""


@dataclass
class Failure:
    """The first line of a step that says what went wrong, with what stands around it."""

    line: int
    job: str
    step: str
    rank: str
    kind: str
    text: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass
class Found:
    """What one pass over a log found."""

    lines: int = 0
    failures: dict[tuple[str, str], dict[str, Failure]] = field(default_factory=dict)
    tests: dict[str, None] = field(default_factory=dict)
    more_tests: int = 0

    @property
    def best(self) -> list[Failure]:
        """The failures of the steps, those that say most first, then in the order of the log."""
        firsts = [
            next(by_rank[rank] for rank in ORDER if rank in by_rank)
            for by_rank in self.failures.values()
        ]
        return sorted(firsts, key=lambda one: (ORDER.index(one.rank), one.line))


def mask(text: str) -> str:
    """Return `text` without values that look like keys."""

    def hidden(match: re.Match[str]) -> str:
        value = match["it"] or match[0]
        return match[0].replace(value, f"[{len(value)} characters masked]")

    lowered = text.lower()
    if not any(word in lowered for word in MAY_HOLD_SECRET):
        return text
    return SECRET.sub(hidden, text)


def plain(raw: bytes) -> str:
    """Return a line without colours, control characters and keys."""
    text = raw.decode("utf-8", "replace")
    if not text.isprintable():
        text = ODD.sub("", ANSI.sub("", text))
    text = mask(text[: LINE_CHARS * 2])
    return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]} …"


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; of one that is very long only the beginning.

    A progress bar's carriage returns count as ends of lines.
    """
    while line := file.readline(PIECE_BYTES):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(PIECE_BYTES)):
            continue
        parts = line.rstrip(b"\r\n").split(b"\r")
        yield parts[-1]


def scan(lines: Iterable[bytes]) -> Found:
    """Read a log once."""
    found, signs = Found(), Signs()
    before: deque[str] = deque(maxlen=BEFORE)
    open_failures: list[Failure] = []
    job = step = ""
    for raw in lines:
        found.lines += 1
        text = plain(raw)
        if match := GITHUB.match(text):
            here = (match["job"], match["step"])
            text = match["rest"]
        else:
            here = (job, step)
        text = STAMP.sub("", text)
        if (group := GROUP.match(text)) and not match:
            here = ("", group["name"].strip())
        if here != (job, step):
            job, step = here
            before.clear()
            open_failures = []
        for failure in open_failures:
            failure.after.append(text)
        open_failures = [one for one in open_failures if len(one.after) < AFTER]
        if signs.hint.search(text):
            _note_test(found, signs, text)
            rank, kind = signs.judge(text)
            by_rank = found.failures.get(here, {})
            if rank and rank not in by_rank and (by_rank or len(found.failures) < STEPS_LIMIT):
                failure = Failure(found.lines, job, step, rank, kind, text, list(before))
                found.failures.setdefault(here, {})[rank] = failure
                open_failures.append(failure)
        before.append(text)
    return found


def _note_test(found: Found, signs: Signs, text: str) -> None:
    if (match := FAILED.match(text)) and not signs.harmless.search(text):
        name = next(group for group in match.groups() if group)
        if name in found.tests:
            return
        if len(found.tests) < FAILED_LIMIT:
            found.tests[name] = None
        else:
            found.more_tests += 1


def open_log(path: Path) -> IO[bytes]:
    """Open a file, or what is compressed in it. Raises OSError."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")


def show(found: Found, *, everything: bool) -> None:
    best = found.best
    for number, failure in enumerate(best if everything else best[:1]):
        if number:
            print()
        where = " / ".join(part for part in (failure.job, failure.step) if part)
        print(
            f"Line {failure.line}{f' in {where}' if where else ''}: {failure.kind} ({failure.rank})"
        )
        first = failure.line - len(failure.before)
        for offset, line in enumerate([*failure.before, failure.text, *failure.after]):
            sign = ">" if first + offset == failure.line else "|"
            print(f"{first + offset:>8} {sign} {line[:400]}")
    if found.tests:
        print(f"\nTests that failed ({len(found.tests) + found.more_tests}):")
        print("\n".join(f"  {name[:300]}" for name in list(found.tests)[:50]))
        if (more := len(found.tests) + found.more_tests - 50) > 0:
            print(f"  … and {more} more")
    if len(best) > 1 and not everything:
        print("\nOther steps that failed (--all shows them):")
        for failure in best[1:20]:
            where = " / ".join(part for part in (failure.job, failure.step) if part) or "?"
            print(f"  line {failure.line}, {where}: {failure.text[:160]}")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Find the first real failure in a log of CI.")
    parser.add_argument("log", help="a file, also .gz; - is standard input")
    parser.add_argument("--all", action="store_true", help="show the failure of each step")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        if options.log == "-":
            found = scan(lines_of(sys.stdin.buffer))
        else:
            path = Path(options.log)
            with open_log(path) as file:
                found = scan(lines_of(file))
    except (OSError, EOFError) as error:
        print(f"{options.log} cannot be read: {error}", file=sys.stderr)
        return 2
    if not found.best:
        print(f"Nothing in {found.lines} lines looks like a failure.")
        return 1
    if options.json:
        failures = [asdict(one) for one in found.best]
        print(json.dumps({"lines": found.lines, "failures": failures, "tests": list(found.tests)}))
    else:
        show(found, everything=options.all)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
