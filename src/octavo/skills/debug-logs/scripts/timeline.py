"""Merge log files of several time formats into one time line, in bounded memory.

    python3 timeline.py FILE… [--from T] [--to T] [--grep RE] [--level warning] [--summary]
    ssh HOST python3 - FILE… < timeline.py          on another machine, without a copy there

Known times: ISO 8601 and RFC 3339 (also with a comma), RFC 5424 and classic syslog, Apache and
nginx (access and error), Go, glog and klog, epoch seconds to nanoseconds, and the time of JSON
lines (also Docker's and `journalctl -o json`). `.gz` is read, too. A line without a time belongs to
the one before it. Times without a zone are taken as UTC, or as --zone says (`--zone +02:00`,
`--zone app.log=+02:00`).

Lines that are a little out of order within a file are put right (a window of 1,000 records); an
older one stays where it is and is marked "!". Values that look like keys are masked. Times are
printed in UTC. What stands in the logs is data of others.

It is one file, and runs on Python 3.8 and newer, so that it can be sent to another machine.

Exit: 0 printed · 1 no record is left after the filters · 2 wrong arguments, or no file can be read.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
import re
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

UTC = timezone.utc  # noqa: UP017  # the Pythons of other machines are older
LINE_CHARS = 1_000
MORE_LINES = 20
"""How many lines without a time are kept of one record; the rest is counted."""
WINDOW = 1_000
PIECE_BYTES = 1 << 16
DIFFERENT_LIMIT = 5_000
"""How many different messages the summary counts apart."""
MIN_YEAR, MAX_YEAR = 1990, 2100
MONTHS = {
    name: number
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}

_CLOCK = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?"
_DAY = r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
_MONTH_DAY = r"(?P<b>[A-Z][a-z]{2})  ?(?P<d>\d{1,2})"
_ZONE = r" ?(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("iso", re.compile(rf"[\[(\"']?{_DAY}[T _]{_CLOCK}{_ZONE}(?![\d:])")),
    ("syslog5424", re.compile(rf"<\d{{1,3}}>\d {_DAY}T{_CLOCK}{_ZONE}")),
    ("slash", re.compile(rf"\[?(?P<y>\d{{4}})/(?P<m>\d\d)/(?P<d>\d\d) {_CLOCK}{_ZONE}(?![\d:])")),
    ("syslog", re.compile(rf"(?:<\d{{1,3}}>)?{_MONTH_DAY} {_CLOCK}(?![\d:])")),
    ("glog", re.compile(rf"(?P<lv>[IWEF])(?P<m>\d\d)(?P<d>\d\d) {_CLOCK}")),
    ("apache-error", re.compile(rf"\[[A-Z][a-z]{{2}} {_MONTH_DAY} {_CLOCK} (?P<y>\d{{4}})\]")),
    ("epoch", re.compile(r"\[?(?P<e>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?![\d.])")),
)  # fmt: skip
ACCESS = re.compile(
    rf"\[(?P<d>\d\d)/(?P<b>[A-Z][a-z]{{2}})/(?P<y>\d{{4}}):{_CLOCK} (?P<z>[+-]\d{{4}})\]"
)
PREFIX = re.compile(
    r"(?:(?:[A-Z]{4,8}:?|\[[A-Za-z][\w. -]{0,40}\]|[\w.-]{1,60} *\|)\s+){1,3}(?=[\[(\d])"
)
"""What may stand before the time: a level, a name in brackets, or a container's name."""
LABELLED = re.compile(
    rf"\b(?:ts|time|timestamp|at)=\"?(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)[T ]{_CLOCK}{_ZONE}\"?"
)
JSON_TIMES = (
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "t",
    "datetime",
    "date",
    "__REALTIME_TIMESTAMP",
)
JSON_TEXTS = ("message", "msg", "log", "MESSAGE", "event", "text")
JSON_LEVELS = ("level", "severity", "lvl", "levelname", "PRIORITY")

ANSI = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
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
LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")
LEVEL = re.compile(
    r"\b(?:(?P<critical>CRITICAL|FATAL|PANIC|EMERG|ALERT|crit(?:ical)?|fatal|panic|emerg|alert)"
    r"|(?P<error>ERROR|ERR|SEVERE|error|err)|(?P<warning>WARN(?:ING)?|warn(?:ing)?)"
    r"|(?P<notice>NOTICE|notice)|(?P<info>INFO|info)|(?P<debug>DEBUG|debug)|(?P<trace>TRACE|trace))\b"
)
GUESS_CHARS = 120
"""A level is looked for so far into a line; later the word is part of what is told."""


class Record(NamedTuple):
    """A line with its time, in microseconds since 1970, and the lines that belong to it."""

    at_us: int
    source: int
    number: int
    level: str
    text: str
    more: tuple[str, ...] = ()
    left_out: int = 0
    is_late: bool = False


class NoTime(ValueError):
    """A text is no time."""


def mask(text: str) -> str:
    """Return `text` without values that look like keys."""

    def hidden(match: re.Match[str]) -> str:
        value = match["it"] or match[0]
        return match[0].replace(value, f"[{len(value)} characters masked]")

    lowered = text.lower()
    if not any(word in lowered for word in MAY_HOLD_SECRET):
        return text
    return SECRET.sub(hidden, text)


class Reader:
    """Reads one log. Counts what it read, also of what filters leave out.

    Args:
        source: which file this is.
        zone: of times that say none.
        latest: no time without a year is after this one, but for a day.
    """

    def __init__(self, source: int, zone: timezone, latest: datetime) -> None:
        self.source = source
        self.zone = zone
        self.latest = latest
        self.lines = 0
        self.records = 0
        self.late = 0
        self.formats: Counter[str] = Counter()
        self._format = 0

    def records_of(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yield the records in the order of the file."""
        current: Record | None = None
        more: list[str] = []
        left_out = 0
        for raw in lines:
            self.lines += 1
            text = clean(raw)
            read = self.read(text)
            if read is None:
                if current is None:
                    continue
                if len(more) < MORE_LINES:
                    more.append(cut(text))
                elif text:
                    left_out += 1
                continue
            if current is not None:
                yield current._replace(more=tuple(more), left_out=left_out)
            at_us, level, said = read
            self.records += 1
            current, more, left_out = Record(at_us, self.source, self.lines, level, said), [], 0
        if current is not None:
            yield current._replace(more=tuple(more), left_out=left_out)

    def ordered(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records by time, as far as a window of them can put them right."""
        heap: list[Record] = []
        last = -(1 << 63)
        for record in records:
            if len(heap) < WINDOW:
                heapq.heappush(heap, record)
                continue
            first = heapq.heappushpop(heap, record)
            last, first = self._placed(last, first)
            yield first
        while heap:
            last, first = self._placed(last, heapq.heappop(heap))
            yield first

    def _placed(self, last: int, record: Record) -> tuple[int, Record]:
        if record.at_us >= last:
            return record.at_us, record
        self.late += 1
        return last, record._replace(at_us=last, is_late=True)

    def read(self, text: str) -> tuple[int, str, str] | None:
        """Return time, level and text of a line; None if it has no time."""
        if text.startswith("{"):
            if (found := self._json(text)) is not None:
                return found
            text = cut(text)
        if (found := self._dated(text)) is not None:
            return found
        prefix = PREFIX.match(text)
        if prefix and (found := self._dated(text[prefix.end() :])) is not None:
            at_us, level, said = found
            return at_us, level_of(prefix[0]) or level, f"{prefix[0].strip()} {said}"
        return self._inner(text)

    def _dated(self, text: str) -> tuple[int, str, str] | None:
        """Read a line that begins with its time."""
        for name, pattern in (FORMATS[self._format], *FORMATS):
            if match := pattern.match(text):
                try:
                    at_us = self._time(match)
                except NoTime:
                    continue
                self._note(name)
                said = (
                    text[match.end() :].lstrip("])\"' :-")
                    if name != "epoch"
                    else text[match.end() :].strip("] ")
                )
                level = {"I": "info", "W": "warning", "E": "error", "F": "critical"}.get(
                    match["lv"] if name == "glog" else "", ""
                )
                return at_us, level or level_of(said), said
        return None

    def _inner(self, text: str) -> tuple[int, str, str] | None:
        """Read a line that has its time further on, in a shape that is plainly one."""
        for name, pattern in (("access", ACCESS), ("labelled", LABELLED)):
            if match := pattern.search(text, 0, 400):
                try:
                    at_us = self._time(match)
                except NoTime:
                    continue
                self._note(name)
                said = f"{text[: match.start()].rstrip()} {text[match.end() :].lstrip()}".strip()
                return at_us, level_of_access(said) if name == "access" else level_of(said), said
        return None

    def told(self, name: str) -> str:
        """Return in a line what was read."""
        known = ", ".join(format for format, _ in self.formats.most_common(3))
        late = f", {self.late:,} out of order (marked !)" if self.late else ""
        counts = f"{self.lines:,} lines, {self.records:,} records"
        return f"{name}: {counts} ({known or 'no time is known in it'}){late}"

    def _note(self, name: str) -> None:
        self.formats[name] += 1
        for index, (known, _) in enumerate(FORMATS):
            if known == name:
                self._format = index

    def _time(self, match: re.Match[str]) -> int:
        """Return microseconds since 1970. Raises NoTime where there is no such day or hour."""
        parts = match.groupdict()
        if parts.get("e"):
            return epoch(parts["e"])
        month = MONTHS.get(parts["b"], 0) if parts.get("b") else int(parts["m"])
        fraction_us = int(parts["f"][:6].ljust(6, "0")) if parts.get("f") else 0
        second = int(parts["S"])
        fields = (month, int(parts["d"]), int(parts["H"]), int(parts["M"]), min(second, 59))
        zone = zone_of(parts["z"]) if parts.get("z") else self.zone
        try:
            if parts.get("y"):
                found = datetime(int(parts["y"]), *fields, tzinfo=zone)
            else:
                found = self._with_year(fields, zone)
        except (ValueError, OverflowError):
            raise NoTime(match[0]) from None
        if not MIN_YEAR <= found.year <= MAX_YEAR or second > 60:
            raise NoTime(match[0])
        whole_s = (found - EPOCH) // timedelta(seconds=1) + (second - min(second, 59))
        return whole_s * SECOND_US + fraction_us

    def _with_year(self, fields: tuple[int, ...], zone: timezone) -> datetime:
        """Return the last such moment that is not after the file's own time."""
        month, day, hour, minute, second = fields
        for year in range(self.latest.year + 1, self.latest.year - 9, -1):
            try:
                found = datetime(year, month, day, hour, minute, second, tzinfo=zone)
            except ValueError:
                continue  # the 29th of February
            if found <= self.latest + timedelta(days=1):
                return found
        raise NoTime("no such day")

    def _json(self, text: str) -> tuple[int, str, str] | None:
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(entry, dict):
            return None
        at = next(
            (
                t
                for key in JSON_TIMES
                if key in entry and (t := self._json_time(entry[key])) is not None
            ),
            None,
        )
        if at is None:
            return None
        self.formats["json"] += 1
        said = next((str(entry[key]).strip() for key in JSON_TEXTS if entry.get(key)), "")
        level = next((json_level(entry[key]) for key in JSON_LEVELS if key in entry), "")
        rest = {
            k: v
            for k, v in entry.items()
            if k not in (*JSON_TIMES, *JSON_TEXTS, *JSON_LEVELS) and not k.startswith("_")
        }
        if "log" in entry and "stream" in rest:
            rest = {}
        shown = " ".join(
            f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in list(rest.items())[:12]
        )
        return at, level or level_of(said), cut(f"{said} {shown}".strip())

    def _json_time(self, value: Any) -> int | None:
        try:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return epoch(str(value) if isinstance(value, int) else f"{value:.6f}")
            if isinstance(value, str):
                if re.fullmatch(r"\d{10,19}(?:\.\d{1,9})?", value):
                    return epoch(value)
                if match := FORMATS[0][1].match(value):
                    return self._time(match)
        except NoTime:
            return None
        return None


SECOND_US = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch(text: str) -> int:
    """Return microseconds since 1970 from seconds, milli-, micro- or nanoseconds since then.

    Raises:
        NoTime: it is not between 1990 and 2100 in any of these.
    """
    match = re.fullmatch(r"(\d{1,19})(?:\.(\d+))?", text)
    if match is None:
        raise NoTime(text)
    whole, fraction = match[1], (match[2] or "")[:6].ljust(6, "0")
    for digits in (0, 3, 6, 9):
        seconds = int(whole) // 10**digits
        if 631_152_000 <= seconds < 4_102_444_800:
            exact = int(whole + fraction)
            return exact // 10**digits
    raise NoTime(text)


def zone_of(text: str) -> timezone:
    """Return the zone of "Z" or "+02:00". Raises NoTime for anything else."""
    if text in ("Z", "UTC", "GMT"):
        return UTC
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise NoTime(text)
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def level_of(text: str) -> str:
    match = LEVEL.search(text, 0, GUESS_CHARS)
    return match.lastgroup or "" if match else ""


def level_of_access(text: str) -> str:
    match = re.search(r"\" ([1-5])\d\d(?: |$)", text)
    return {"4": "warning", "5": "error"}.get(match[1], "info") if match else ""


def json_level(value: Any) -> str:
    text = str(value)
    if text.isdigit():
        number = int(text)
        if number < 8:  # syslog
            return (
                "critical",
                "critical",
                "critical",
                "error",
                "warning",
                "notice",
                "info",
                "debug",
            )[number]
        return LEVELS[
            min({10: 0, 20: 1, 30: 2, 40: 4, 50: 5, 60: 6}.get(number, 2), 6)
        ]  # bunyan, pino
    return level_of(text)


def clean(raw: bytes) -> str:
    """Return a line without colours, control characters and keys, cut to LINE_CHARS."""
    text = raw.decode("utf-8", "replace")
    if not text.isprintable():
        text = ODD.sub("", ANSI.sub("", text))
    if text.startswith("{"):
        return text  # cut once it is taken apart
    return cut(text)


def cut(text: str) -> str:
    """Return the beginning of a text, without keys; a key that is cut is still hidden."""
    text = mask(text[: LINE_CHARS * 2])
    return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]} …"


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; of one that is very long only the beginning."""
    while line := file.readline(PIECE_BYTES):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(PIECE_BYTES)):
            continue
        yield line.rstrip(b"\r\n")


# ---- Filters and what is printed -----------------------------------------------------------


class Summary:
    """Counts a time line, in bounded memory."""

    def __init__(self, names: list[str], gap_s: float) -> None:
        self.names = names
        self.gap_s = gap_s
        self.first = self.last = 0
        self.total = 0
        self.by_source: dict[int, list[Any]] = {}
        self.levels: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self.examples: dict[str, Record] = {}
        self.gaps: list[tuple[int, int]] = []
        self.minutes: Counter[int] = Counter()
        self.first_errors: list[Record] = []

    def add(self, record: Record) -> None:
        at = record.at_us
        if self.total and at - self.last >= self.gap_s * SECOND_US:
            heapq.heappush(self.gaps, (at - self.last, self.last))
            if len(self.gaps) > 10:
                heapq.heappop(self.gaps)
        self.first = self.first if self.total else at
        self.last = at
        self.total += 1
        entry = self.by_source.setdefault(record.source, [0, at, at])
        entry[0] += 1
        entry[2] = at
        self.levels[record.level or "(none)"] += 1
        if record.level in ("error", "critical"):
            if len(self.first_errors) < 5:
                self.first_errors.append(record)
            if len(self.minutes) < 100_000:
                self.minutes[at // (60 * SECOND_US)] += 1
        shape = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", "#", record.text, flags=re.IGNORECASE)[
            :160
        ]
        if shape in self.shapes or len(self.shapes) < DIFFERENT_LIMIT:
            self.shapes[shape] += 1
            self.examples.setdefault(shape, record)

    def print(self) -> None:
        print(f"{self.total:,} records, {when(self.first)} to {when(self.last)} UTC")
        for source, (count, first, last) in sorted(self.by_source.items()):
            print(f"  {self.names[source]}: {count:,}, {when(first)} to {when(last)}")
        print(
            "levels: " + ", ".join(f"{name} {count:,}" for name, count in self.levels.most_common())
        )
        if self.first_errors:
            print("\nfirst errors:")
            print("\n".join(line_of(record, self.names) for record in self.first_errors))
        if self.minutes:
            print("\nminutes with most errors:")
            for minute, count in self.minutes.most_common(5):
                print(f"  {when(minute * 60 * SECOND_US)[:16]}  {count:,}")
        if self.gaps:
            print(f"\nsilence of {self.gap_s:g} s and more:")
            for length, start in sorted(self.gaps, key=lambda gap: gap[1]):
                print(f"  {when(start)}  {length // SECOND_US:,} s")
        print("\nmost frequent (numbers as #; when first seen):")
        for shape, count in self.shapes.most_common(15):
            print(f"  {count:>8,}  {when(self.examples[shape].at_us)}  {shape}")


def when(at_us: int) -> str:
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(" ", "milliseconds")[:23]


def line_of(record: Record, names: list[str]) -> str:
    late = "!" if record.is_late else " "
    level = record.level.upper()[:8]
    place = f"{names[record.source]}:{record.number}"
    return f"{when(record.at_us)}{late} {place} {level:<8} {record.text}"


def moment(text: str) -> int:
    """Return the time an argument means. Raises NoTime."""
    reader = Reader(0, zone_of("Z"), datetime.now(UTC))
    for candidate in (text, f"{text} 00:00:00", f"{text}:00"):
        if (found := reader.read(candidate)) is not None:
            return found[0]
    raise NoTime(text)


def short_names(paths: list[Path]) -> list[str]:
    """Return names that tell the files apart."""
    counts = Counter(path.name for path in paths)
    return [path.name if counts[path.name] == 1 else str(path) for path in paths]


def filters_of(options: argparse.Namespace) -> Callable[[Record], bool]:
    start = moment(options.start) if options.start else None
    end = moment(options.end) if options.end else None
    pattern = re.compile(options.grep, re.IGNORECASE) if options.grep else None
    least = LEVELS.index(options.level) if options.level else -1

    def keeps(record: Record) -> bool:
        if (start is not None and record.at_us < start) or (end is not None and record.at_us > end):
            return False
        if least >= 0 and (not record.level or LEVELS.index(record.level) < least):
            return False
        return pattern is None or any(pattern.search(text) for text in (record.text, *record.more))

    return keeps


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Merge logs into one time line.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--from", dest="start", metavar="TIME", help="2026-01-31T10:00 (UTC)")
    parser.add_argument("--to", dest="end", metavar="TIME")
    parser.add_argument("--grep", metavar="RE", help="without regard to case")
    parser.add_argument("--level", choices=LEVELS, help="this one and worse")
    parser.add_argument(
        "--limit", type=int, default=200, help="records to print; the rest is counted"
    )
    parser.add_argument("--tail", action="store_true", help="print the last ones, not the first")
    parser.add_argument("--zone", action="append", default=[], metavar="[FILE=]+02:00")
    parser.add_argument("--summary", action="store_true", help="counts instead of the records")
    parser.add_argument("--gap-s", type=float, default=60.0, help="what the summary calls silence")
    options = parser.parse_args(argv)
    try:
        keeps = filters_of(options)
        zones = {
            name: zone_of(text) for name, _, text in (one.rpartition("=") for one in options.zone)
        }
    except NoTime as error:
        parser.error(f"{error} is no time or zone")
    except re.error as error:
        parser.error(f"--grep: {error}")
    names = short_names(options.files)
    readers: list[Reader] = []
    streams: list[Iterator[Record]] = []
    with ExitStack() as files:
        for source, path in enumerate(options.files):
            try:
                file = files.enter_context(open_log(path))
                latest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except OSError as error:
                print(f"{path} cannot be read: {error.strerror or error}", file=sys.stderr)
                continue
            zone = zones.get(path.name) or zones.get(str(path)) or zones.get("") or UTC
            reader = Reader(source, zone, latest)
            readers.append(reader)
            streams.append(reader.ordered(reader.records_of(safely(file, names[source]))))
        if not readers:
            return 2
        merged = heapq.merge(*streams, key=lambda record: record.at_us)
        printed = show(filter(keeps, merged), options, names)
    for reader in readers:
        print(reader.told(names[reader.source]), file=sys.stderr)
    return 0 if printed else 1


def open_log(path: Path) -> IO[bytes]:
    """Open a file, or what is compressed in it. Raises OSError."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")


def safely(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the lines up to where a file can no longer be read."""
    try:
        yield from lines_of(file)
    except (OSError, EOFError) as error:
        print(f"{name} ends early: {error}", file=sys.stderr)


def show(records: Iterator[Record], options: argparse.Namespace, names: list[str]) -> int:
    """Print the records, or their summary; return how many there were."""
    if options.summary:
        summary = Summary(names, options.gap_s)
        for record in records:
            summary.add(record)
        if summary.total:
            summary.print()
        return summary.total
    count = 0
    last: deque[Record] = deque(maxlen=max(options.limit, 0))
    for record in records:
        count += 1
        if options.tail:
            last.append(record)
        elif count <= options.limit:
            print_record(record, names)
    for record in last:
        print_record(record, names)
    if count > options.limit:
        where = "earlier" if options.tail else "later"
        print(f"… and {count - options.limit:,} {where} records (--limit, --from, --grep, --level)")
    return count


def print_record(record: Record, names: list[str]) -> None:
    print(line_of(record, names))
    for line in record.more:
        print(f"    {line}")
    if record.left_out:
        print(f"    … {record.left_out} more lines")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main(sys.argv[1:]))
