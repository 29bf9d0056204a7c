"""`octavo index`: the index of all threads, which keeps itself; make it anew."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="rebuild", title="actions"
    )
    actions.add_parser("rebuild", help="throw the index away and read every thread's log again")
    parser.epilog = (
        "The index is made from the logs alone and can be deleted at any time: one that is\n"
        "missing, damaged or behind is made good before it answers."
    )


def run(args: Namespace) -> int:
    """Rebuild it, through a server as any client would."""
    del args
    from octavo.cli.asking import ask
    from octavo.protocol import methods as m
    from octavo.protocol import sessions as s

    done = ask(lambda client: client.call(s.INDEX_REBUILD, m.Nothing()))
    where = "" if done.stored else " It could not be written, so it will be made each time."
    print(
        f"{done.threads:,} threads, {done.messages:,} messages,"
        f" in {done.duration_ms / 1000:.1f} s.{where}"
    )
    return 0
