"""`octavo acp`: octavo as the agent of an editor."""

from __future__ import annotations

from octavo.cli.shared import add_settings_options, client_env

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
An editor starts this, and talks to it over standard input and output. For Zed, in settings.json:

  "agent_servers": {
    "octavo": {"type": "custom", "command": "octavo", "args": ["acp"]}
  }

docs/guide/editors.md says more, also for JetBrains.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "octavo acp [OPTIONS]"
    parser.epilog = EPILOG
    group = add_settings_options(parser)
    group.add_argument(
        "--strict-config", action="store_true", help="refuse settings that octavo does not know"
    )


def run(args: Namespace) -> int:
    """Serve one editor until it ends its output."""
    from octavo.cli.extras import need
    from octavo.cli.standard import open_standard_files, say_who_talks_here

    open_standard_files()
    need("acp", "acp", "agent-client-protocol", "acp")
    say_who_talks_here("An editor", "ACP")
    import anyio

    anyio.run(_serve, args)
    return 0


async def _serve(args: Namespace) -> None:
    from octavo.cli.serving import serve_until_signal
    from octavo.cli.standard import take_standard_files
    from octavo.faces.acp.run import serve
    from octavo.rpc.stream import StreamLink
    from octavo.server.server import Launch

    launch = Launch(
        env=client_env(),
        profile=args.profile,
        overrides=tuple(args.config),
        strict_config=args.strict_config,
    )
    editor = StreamLink(*take_standard_files())
    await serve_until_signal(launch, lambda server: serve(server, editor))
