"""`octavo gc`: what octavo keeps and could let go; and, when told to, let it go."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_settings_options
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.protocol import gc as g

EPILOG = """\
Without --yes nothing is changed. Work is never lost: what exists nowhere else is written to an
archive first (`archive` in octavo's directory, for `tar`), which octavo never removes; and threads
that are open, were cut off, or can still take an undo back are left alone.
"""
SHOWN = 20
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("-y", "--yes", action="store_true", help="do it, instead of showing it")
    parser.add_argument(
        "--days", metavar="N", help="let go of what no turn used for N days (gc.max_age_days)"
    )
    parser.add_argument(
        "--snapshots",
        metavar="SIZE",
        help="keep at most SIZE of snapshots: 10G (gc.snapshots_bytes)",
    )
    parser.add_argument(
        "--outputs", metavar="SIZE", help="keep at most SIZE of outputs: 500M (gc.outputs_bytes)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings_options(parser)
    parser.epilog = EPILOG


def run(args: Namespace) -> int:
    """Ask a server, as any client would, and print what it says."""
    from octavo.cli.asking import ask
    from octavo.protocol import gc as g
    from octavo.server.server import Launch

    params = g.GcParams(
        args.yes,
        _days(args.days),
        read_size("--snapshots", args.snapshots),
        read_size("--outputs", args.outputs),
    )
    launch = Launch(
        env=dict(os.environ),
        profile=args.profile,
        overrides=tuple(args.config),
        source="cli",
    )
    result = ask(lambda client: client.call(g.GC, params), launch)
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _print(result, _again(args))
    return 1 if any(step.failed for step in result.steps) else 0


def _again(args: Namespace) -> str:
    """The command that does what was shown."""
    import shlex

    words = ["octavo", "gc", "--yes"]
    for name in ("days", "snapshots", "outputs"):
        value = getattr(args, name)
        words += [] if value is None else [f"--{name}", value]
    for setting in args.config:
        words += ["-c", setting]
    words += [] if args.profile is None else ["-p", args.profile]
    return shlex.join(words)


def _print(result: g.GcResult, again: str) -> None:
    from octavo.protocol.visible import visible_name

    done = [step for step in result.steps if step.failed is None]
    word = "Let go" if result.applied else "Would go"
    for kind in dict.fromkeys(step.kind for step in done):
        steps = [step for step in done if step.kind == kind]
        for step in steps[:SHOWN]:
            more = ", what exists nowhere else archived" if step.archives else ""
            print(f"{word}: {visible_name(step.detail)} ({_size(step.bytes)}{more})")
            print(f"  {visible_name(step.path)}")
        if len(steps) > SHOWN:
            rest = sum(step.bytes for step in steps[SHOWN:])
            print(f"{word}: {len(steps) - SHOWN} more of these ({_size(rest)})")
    for one in result.kept[:SHOWN]:
        print(f"Stays: {visible_name(one.what)}: {visible_name(one.why)}.")
    if len(result.kept) > SHOWN:
        print(f"Stays: {len(result.kept) - SHOWN} more.")
    for path in result.archives:
        print(f"Archived: {visible_name(path)}")
    for step in result.steps:
        if step.failed is not None:
            what, why = visible_name(step.detail), visible_name(step.failed)
            print(f"octavo: {what} stays: {why}", file=sys.stderr)
    if not result.steps:
        print("There is nothing to let go.")
    elif not done:
        return
    elif result.applied:
        print(f"About {_size(result.freed_bytes)} freed.")
    else:
        print(f"About {_size(result.freed_bytes)} in all. `{again}` does it.")


def read_size(option: str, text: str | None) -> int | None:
    """Read a size in bytes: `1000`, `500M`, `1.5G`.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    plain = text.strip().lower().removesuffix("b").removesuffix("i")
    number = plain.rstrip("kmgt")
    try:
        size = float(number) * _UNITS[plain[len(number) :]]
    except (ValueError, KeyError):
        size = -1.0
    if not 0 <= size <= 1 << 60:
        raise UsageError(f"{option} {text!r} is no size.", hint="Write it as 500M or 10G.")
    return int(size)


def _days(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"--days {text!r} is no number of days.", hint="Write it as 30.")
    return int(text)


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), "bytes"
    for name in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, name
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
