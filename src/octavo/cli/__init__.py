"""The command line: one file a command, and this dispatcher.

`COMMANDS` is the only list of them. A command's module has `add_arguments(parser)` and
`run(args) -> int`, and `INTERMIXED` where options may stand between its words. It is imported only
when that command runs, so that what one command needs costs the others nothing. Errors meant for a
person become one line on stderr here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from typing import NoReturn, Protocol

    class Command(Protocol):
        """What a command's module offers."""

        def add_arguments(self, parser: ArgumentParser) -> None: ...

        def run(self, args: Namespace) -> int: ...


COMMANDS = {
    "Work": {
        "exec": "Do a task from a prompt, without asking, and print the answer",
        "sessions": "List, show, search, name, archive, fork and export your threads",
        "thread": "Sum a thread up for the model, undo that, pin what must stay",
        "undo": "Take a turn back: its files, what was said in it, or both",
        "demo": "See it work on a small bug: no key, no network",
    },
    "Connect": {
        "app-server": "Serve programs over JSON-RPC, as Codex's app-server does",
        "mcp-server": "Be tools of another program (MCP): start threads, go on, read",
        "acp": "Be the agent of an editor: Zed, JetBrains and others (ACP)",
    },
    "Check": {
        "sandbox": "Run a command in the sandbox, or see what it could touch",
        "attack": "Try what a hostile model would try, on your own settings",
    },
    "Set up": {
        "login": "Store an API key, or see whether one is there",
        "logout": "Remove a stored API key",
        "config": "Show and change settings, and where they come from",
        "trust": "Trust a repository's own settings",
        "untrust": "Stop trusting a repository's own settings",
        "skills": "List, show, make, check, add, remove and accept skills",
        "mcp": "List, show, add and remove MCP servers, and agree to their tools",
        "hooks": "Show which hooks run here, and which do not",
        "approvals": "Show or take back what you accepted for longer than once",
        "doctor": "Check what works here and how to mend what does not",
        "gc": "Show what octavo keeps and could let go, and let it go",
        "index": "Make the index of all threads anew",
        "execpolicy": "Say what rule files decide about a command",
        "completion": "Print a completion script for bash, zsh or fish",
    },
}

QUICK = ("app-server", "exec", "sandbox")
"""Commands whose plain arguments are read without argparse."""
CAGED = ("sandbox",)
"""Commands that do nothing without a cage: what holds it is started before they are loaded."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

COLLECT_AFTER = 50_000
"""Objects made and not freed before cycles are looked for; a start makes fewer. Python's 700 would
have it look sixty times before the first request."""


def program() -> NoReturn:
    """Be the program: run the command that was typed, and end the process with its status.

    The process ends at once. Taking the interpreter down frees one by one what the system frees in
    one go, and a thread of the HTTP client could still be waking it.
    """
    import gc
    import os

    from octavo.finder import find_octavo

    gc.set_threshold(COLLECT_AFTER)
    find_octavo()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError):  # closed from the start, or by now
            pass
    os._exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if sys.platform == "win32":
        return _error("octavo needs Linux: on Windows, run it in WSL.", EXIT_FAILED)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _dispatch(words: list[str]) -> int:
    words = _settings_behind(words)
    first = words[0] if words else "help"
    if first in ("--version", "-V"):
        from octavo import __version__

        print(f"octavo {__version__}")
        return 0
    if first in ("--help", "-h", "help"):
        return _help(words[1:])
    if first not in commands():
        return _unknown(first)
    return _run(first, words[1:])


def _settings_behind(words: list[str]) -> list[str]:
    """Return `words` with the settings before the command behind it: SDKs put them there."""
    before = 0
    while words[before : before + 1] in (["-c"], ["--config"]) and len(words) > before + 2:
        before += 2
    return [*words[before : before + 1], *words[:before], *words[before + 1 :]]


def commands() -> dict[str, str]:
    """Return every command with what it is for."""
    return {name: purpose for group in COMMANDS.values() for name, purpose in group.items()}


def load_command(name: str) -> Command:
    """Import the module of a command."""
    from importlib import import_module

    module: Command = import_module(f"octavo.cli.{name.replace('-', '_')}")
    return module


def _run(name: str, words: list[str]) -> int:
    keeper = _start_keeper() if name in CAGED and words[:1] != ["explain"] else None
    from octavo.late import call_late
    from octavo.protocol.errors import ConfigError, OctavoError, UsageError

    try:
        command = call_late(lambda: load_command(name))
        args = _arguments(name, command, words)
        if keeper is not None:
            args.keeper = keeper
        return command.run(args)
    except (ConfigError, UsageError) as error:
        return _error(str(error), EXIT_USAGE)
    except OctavoError as error:
        return _error(str(error), EXIT_FAILED)


def _start_keeper() -> tuple[int, int] | None:
    """Start what holds a cage, beside all that has to be loaded; None where that fails."""
    from octavo.cli.standard import open_standard_files
    from octavo.keeper import start

    open_standard_files()
    try:
        return start()
    except OSError:
        return None  # whoever needs one tries again, and says why it cannot


def _arguments(name: str, command: Command, words: list[str]) -> Namespace:
    if name in QUICK:
        from typing import cast

        from octavo.cli.quick import Quick

        quick = Quick()
        command.add_arguments(cast("ArgumentParser", quick))  # has what a declaration uses
        found = quick.parse(words)
        if found is not None:
            return cast("Namespace", found)
    from octavo.cli.parser import Parser

    parser = Parser(prog=f"octavo {name}", description=f"{commands()[name]}.")
    command.add_arguments(parser)
    if getattr(command, "INTERMIXED", False):
        return parser.parse_intermixed_args(words)
    return parser.parse_args(words)


def _help(words: list[str]) -> int:
    if words and words[0] in commands():
        return _run(words[0], ["--help"])
    if words and not words[0].startswith("-"):
        return _unknown(words[0])
    print("octavo: an open coding assistant that works with any model")
    print("Usage: octavo COMMAND [OPTIONS]")
    for title, group in COMMANDS.items():
        print(f"{title}:")
        for name, purpose in group.items():
            print(f"  {name:<12}{purpose}")
    print()
    print("`octavo COMMAND --help` tells about one of them. To start: `octavo demo`, or")
    print('`octavo login`, and then `octavo exec "fix the failing test"` in a repository.')
    return 0


def _unknown(word: str) -> int:
    import difflib

    if word.startswith("-"):
        return _error(
            f"There is no option {word} before a command. See `octavo --help`.", EXIT_USAGE
        )
    near = difflib.get_close_matches(word, commands(), n=1)
    advice = f"Did you mean `octavo {near[0]}`?" if near else "See `octavo --help`."
    return _error(f"There is no command {word!r}. {advice}", EXIT_USAGE)


def _error(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"octavo: error: {message}", file=sys.stderr)
    return status


def _pipe_closed() -> int:
    """Whoever read the output has seen enough; keep Python from complaining at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return EXIT_PIPE_CLOSED
