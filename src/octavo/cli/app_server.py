"""`octavo app-server`: octavo for programs, in the words of Codex's app-server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from octavo.cli.shared import add_settings_options, client_env
from octavo.cli.standard import take_standard_files as _take_standard_files
from octavo.protocol.errors import OctavoError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from octavo.server.connection import Handler

EPILOG = """\
One JSON-RPC message a line. At stdio:// there is one client, and the server ends with it; at a
socket, which only you can connect to, as many as come, also several on one thread. A socket without
a path is $OCTAVO_HOME/app-server.sock.

`octavo app-server schema` prints the whole protocol, --out writes it into a directory.
"""

STDIO = "stdio://"
UNIX = "unix://"
SOCKET_NAME = "app-server.sock"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "octavo app-server [OPTIONS] [schema [--out DIR]]"
    parser.epilog = EPILOG
    parser.add_argument("words", nargs="*", metavar="schema", help="print the protocol")
    parser.add_argument(
        "--listen",
        metavar="URL",
        default=STDIO,
        help="stdio:// (the default), or unix://PATH",
    )
    parser.add_argument("--out", metavar="DIR", help="schema: write the files that describe it")
    group = add_settings_options(parser)
    group.add_argument(
        "--strict-config", action="store_true", help="refuse settings that octavo does not know"
    )


def run(args: Namespace) -> int:
    """Serve until the client, or a signal, ends it."""
    if args.words not in ([], ["schema"]):
        raise UsageError(f"There is no `app-server {args.words[0]}`.", hint="There is `schema`.")
    if args.words:
        return _schema(args)
    if args.out is not None:
        raise UsageError("--out goes with `schema`.", hint="octavo app-server schema --out DIR")
    path = _socket_path(args.listen)
    from importlib import import_module

    from octavo.cli.late import loading_late
    from octavo.cli.standard import open_standard_files

    open_standard_files()
    with loading_late():
        import anyio

        for name in ("anyio._backends._asyncio", "octavo.server.listen"):
            import_module(name)
    return anyio.run(_serve, args, path)


def _load() -> Mapping[str, Handler]:
    from octavo.cli.late import loading_late
    from octavo.server.server import load_handlers

    with loading_late():
        return load_handlers()


async def _serve(args: Namespace, path: Path | None) -> int:
    from octavo.server.listen import serve_stdio, serve_unix
    from octavo.server.server import Launch, serving

    launch = Launch(
        env=client_env(),
        profile=args.profile,
        overrides=tuple(args.config),
        strict_config=args.strict_config,
    )
    failure: OctavoError | None = None
    dropped: str | None = None
    async with serving(launch, _load) as server:
        try:
            if path is not None:
                await serve_unix(server, path, _say)
            else:
                dropped = await serve_stdio(server, *_take_standard_files())
        except OctavoError as error:  # out of the group, which would wrap it
            failure = error
    if failure is not None:
        raise failure
    if dropped is not None:
        raise OctavoError(dropped, hint="Its threads can be resumed.")
    return 0


def _say(text: str) -> None:
    print(f"octavo: {text}", file=sys.stderr, flush=True)


def _socket_path(listen: str) -> Path | None:
    """Return where to make a socket; None for standard input and output."""
    if listen == STDIO:
        return None
    if not listen.startswith(UNIX):
        raise UsageError(
            f"--listen {listen!r}: this cannot be listened at.",
            hint="Name stdio:// or unix://PATH.",
        )
    named = listen.removeprefix(UNIX)
    if "\0" in named:
        raise UsageError("--listen: there is a null character in the path.")
    if named:
        return Path(os.path.abspath(named))
    from octavo.config.paths import octavo_home

    return octavo_home(os.environ) / SOCKET_NAME


def _schema(args: Namespace) -> int:
    """Print the JSON Schema, or write it and the TypeScript into a directory."""
    from octavo.protocol import schema

    if args.out is None:
        print(schema.json_schema(), end="")
        return 0
    folder = Path(args.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / schema.JSON_FILE).write_text(schema.json_schema(), encoding="utf-8")
        (folder / schema.TYPESCRIPT_FILE).write_text(schema.typescript(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {args.out}: {error.strerror}.", hint="Name a directory.") from None
    return 0
