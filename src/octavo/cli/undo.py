"""`octavo undo`: take turns back, their files, what was said in them, or both."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, columns, working_directory
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.protocol import methods as m

PATHS_SHOWN = 20
TEXT_SHOWN = 40
TURN_SHOWN = 13
"""Characters of a turn's id that are shown, and name it: the millisecond it began in."""
EPILOG = """\
Without TURN the last turn of this directory's newest thread is meant; with one, that turn and all
after it. What you edited yourself stays, and a file that both of you changed is not overwritten.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("turn", nargs="?", metavar="TURN", help="as --list shows it, or its start")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--files", action="store_true", help="restore files only")
    which.add_argument("--conversation", action="store_true", help="leave the files alone")
    which.add_argument("--redo", action="store_true", help="take the last undo back")
    which.add_argument("--list", action="store_true", help="show the thread's turns")
    parser.add_argument(
        "--overwrite", action="store_true", help="restore files that were edited since, too"
    )
    parser.add_argument("-t", "--thread", metavar="ID", help="the thread, or how its id begins")
    add_config_options(parser)
    parser.epilog = EPILOG


def run(args: Namespace) -> int:
    """Do it, through a server as any client would."""
    from octavo.cli.asking import ask
    from octavo.server.server import Launch

    if args.turn and (args.redo or args.list):
        raise UsageError("TURN is for undoing; it does not go with --redo or --list.")
    cwd = str(working_directory(args.cd))
    launch = Launch(
        env=dict(os.environ),
        profile=args.profile,
        overrides=tuple(args.config),
        strict_config=args.strict_config,
        source="cli",
    )
    return ask(lambda client: _run(client, args, cwd), launch)


async def _run(client: Client, args: Namespace, cwd: str) -> int:
    from octavo.cli.thread import newest
    from octavo.protocol import methods as m

    thread_id = args.thread or await newest(client, cwd)
    params = m.ThreadResumeParams(thread_id, cwd=cwd, exclude_turns=True)
    thread_id = (await client.resume_thread(params)).thread.id
    if args.list:
        _print_turns((await client.call(m.UNDO_LIST, m.ThreadIdParams(thread_id))).data)
        return 0
    if args.redo:
        done = await client.call(m.REDO, m.RedoParams(thread_id, args.overwrite))
        print(f"{_turns(done)} there again.")
    else:
        undo = m.UndoParams(
            thread_id,
            args.turn,
            files=not args.conversation,
            conversation=not args.files,
            overwrite=args.overwrite,
        )
        done = await client.call(m.UNDO, undo)
        print(f"{_undone(done, args)} `octavo undo --redo` takes that back.")
    _print_paths(done.paths, cwd)
    for path in done.left:
        print(f"octavo: {_shown(path, cwd)} could not be restored.", file=sys.stderr)
    return 1 if done.left else 0


def _undone(done: m.UndoResult, args: Namespace) -> str:
    if args.files:
        return "Files are as they were before; the conversation stays."
    if args.conversation:
        return f"{_turns(done)} undone; files stay as they are."
    return f"{_turns(done)} undone."


def _turns(done: m.UndoResult) -> str:
    count = len(done.turn_ids)
    return "The last turn is" if count == 1 else f"{count} turns are"


def _print_paths(paths: tuple[str, ...], cwd: str) -> None:
    for path in paths[:PATHS_SHOWN]:
        print(f"  {_shown(path, cwd)}")
    if len(paths) > PATHS_SHOWN:
        print(f"  and {len(paths) - PATHS_SHOWN} more files")


def _shown(path: str, cwd: str) -> str:
    from octavo.protocol.visible import visible_command

    inside = path.startswith(cwd + os.sep)
    return visible_command(os.path.relpath(path, cwd) if inside else path)


def _print_turns(turns: tuple[m.UndoableTurn, ...]) -> None:
    import time

    from octavo.protocol.visible import visible_start

    if not turns:
        print("This thread has no turn.")
    for turn in turns:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.started_at))
        what = "undone" if turn.undone else "files" if turn.changes_files else ""
        facts = f"{turn.id[:TURN_SHOWN]}  {when}  {what:<6}  "
        room = max(TEXT_SHOWN, columns() - len(facts))
        print(f"{facts}{visible_start(turn.text, room)}".rstrip())
