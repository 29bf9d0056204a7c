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
    from octavo.server.listen_ws import Address
    from octavo.server.server import Server

EPILOG = """\
One JSON-RPC message a line. At stdio:// there is one client, and the server ends with it; at a
socket, which only you can connect to, as many as come, also several on one thread. A socket without
a path is $OCTAVO_HOME/app-server.sock. At ws:// each message is a text message of a websocket, and
a client must show a token: --ws-token-file, or one that octavo makes and says the place of.

`octavo app-server schema` prints the whole protocol, --out writes it into a directory.
"""

STDIO = "stdio://"
UNIX = "unix://"
WS = "ws://"
MODES = ("capability-token", "signed-bearer-token")
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
        help="stdio:// (the default), unix://PATH, or ws://IP:PORT",
    )
    parser.add_argument("--ws-auth", metavar="MODE", choices=MODES, help=" or ".join(MODES))
    parser.add_argument("--ws-token-file", metavar="PATH", help="a file that holds the token")
    parser.add_argument("--ws-token-sha256", metavar="HEX", help="the token's SHA-256 instead")
    parser.add_argument(
        "--ws-shared-secret-file", metavar="PATH", help="what tokens are signed with (JWT, HS256)"
    )
    parser.add_argument("--ws-issuer", metavar="NAME", help="who must have signed them")
    parser.add_argument("--ws-audience", metavar="NAME", help="whom they must be for")
    parser.add_argument(
        "--ws-max-clock-skew-seconds",
        metavar="N",
        type=int,
        help="how far clocks may differ (default: 30)",
    )
    parser.add_argument(
        "--ws-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name that requests may have as their Host; addresses and localhost always may",
    )
    parser.add_argument(
        "--ws-allow-remote",
        action="store_true",
        help="listen where other machines can connect, though nothing is encrypted",
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
    path = address = None
    if not args.listen.startswith(WS) and any(
        value for name, value in vars(args).items() if name.startswith("ws_")
    ):
        raise UsageError("The options --ws-… go with --listen ws://IP:PORT.")
    if args.listen.startswith(WS):
        from octavo.cli.ws_options import read_address

        address = read_address(args.listen, remote=args.ws_allow_remote)
    else:
        path = _socket_path(args.listen)
    from octavo.cli.standard import open_standard_files, say_who_talks_here
    from octavo.late import import_late

    open_standard_files()
    if path is None and address is None:
        say_who_talks_here("A program", "JSON-RPC")
    import_late("anyio._backends._asyncio", "octavo.server.listen")
    import anyio

    return anyio.run(_serve, args, path, address)


def _load() -> Mapping[str, Handler]:
    from octavo.late import call_late
    from octavo.server.server import load_handlers

    return call_late(load_handlers)


async def _serve(args: Namespace, path: Path | None, address: Address | None) -> int:
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
            if address is not None:
                await _serve_websockets(args, server, address)
            elif path is not None:
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


async def _serve_websockets(args: Namespace, server: Server, address: Address) -> None:
    from octavo.cli.extras import need
    from octavo.cli.ws_options import open_gate
    from octavo.server.listen_ws import serve_websockets

    need("app-server --listen ws://…", "websockets", "websockets", "ws")
    await serve_websockets(server, address, open_gate(args, os.environ, _say), _say)


def _say(text: str) -> None:
    print(f"octavo: {text}", file=sys.stderr, flush=True)


def _socket_path(listen: str) -> Path | None:
    """Return where to make a socket; None for standard input and output."""
    if listen == STDIO:
        return None
    if not listen.startswith(UNIX):
        raise UsageError(
            f"--listen {listen!r}: this cannot be listened at.",
            hint="Name stdio://, unix://PATH or ws://IP:PORT.",
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
