"""`octavo mcp-server`: octavo as tools of another program."""

from __future__ import annotations

from octavo.cli.shared import add_config_options, client_env, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

EPILOG = """\
A program that speaks MCP starts this, and talks to it over standard input and output; its model
then has the tools octavo, octavo-reply and octavo-read. They work in this directory (or -C DIR),
with octavo's settings; a call can ask for less, never for more.

docs/guide/mcp-server.md says more.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "octavo mcp-server [OPTIONS]"
    parser.epilog = EPILOG
    add_config_options(parser)


def run(args: Namespace) -> int:
    """Serve one client until it ends its output."""
    from octavo.cli.extras import need
    from octavo.cli.standard import open_standard_files, say_who_talks_here

    open_standard_files()
    need("mcp-server", "mcp", "mcp", "mcp")
    say_who_talks_here("A program", "MCP")
    place = working_directory(args.cd)
    import anyio

    anyio.run(_serve, args, place)
    return 0


async def _serve(args: Namespace, place: Path) -> None:
    from octavo.cli.serving import serve_until_signal
    from octavo.cli.standard import take_standard_files
    from octavo.faces.mcp_server.run import serve
    from octavo.rpc.stream import StreamLink
    from octavo.server.server import Launch

    launch = Launch(
        env=client_env(),
        profile=args.profile,
        overrides=tuple(args.config),
        strict_config=args.strict_config,
    )
    client = StreamLink(*take_standard_files())
    await serve_until_signal(launch, lambda link: serve(link, client, place))
