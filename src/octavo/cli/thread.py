"""`octavo thread`: what the model is shown of a thread. Sum it up, take that back, pin text."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, working_directory
from octavo.protocol.errors import OctavoError, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.protocol import methods as m
    from octavo.protocol import notifications as note

EPILOG = """\
Without --thread the newest thread of this directory is meant. Nothing here changes what is in a
thread: a compaction only changes what the model is shown of it, and can be undone.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="compact | pins | pin | unpin", title="actions"
    )
    parser.epilog = EPILOG
    for name, purpose in (
        ("compact", "have the thread summed up now, to make room for more"),
        ("pins", "show what is pinned"),
        ("pin", "pin a text: the model is told it word for word, whatever else is summed up"),
        ("unpin", "take a pin away"),
    ):
        action = actions.add_parser(name, help=purpose)
        if name == "pin":
            action.add_argument("text", metavar="TEXT", help="what to pin")
        elif name == "unpin":
            action.add_argument("pin", metavar="PIN", help="its id, as `pins` shows it")
        action.add_argument("-t", "--thread", metavar="ID", help="the thread, or how its id begins")
        if name == "compact":
            action.add_argument(
                "--undo", action="store_true", help="show the model the full thread again instead"
            )
            action.add_argument("-m", "--model", metavar="MODEL", help="the model to ask")
        add_config_options(action)


def run(args: Namespace) -> int:
    """Do it, through a server as any client would."""
    from octavo.cli.asking import ask
    from octavo.server.server import Launch

    cwd = working_directory(args.cd)
    launch = Launch(
        env=dict(os.environ),
        profile=args.profile,
        overrides=tuple(args.config),
        flags={"model": getattr(args, "model", None), "approval_policy": "never"},
        strict_config=args.strict_config,
        alone=args.action == "compact",
        source="cli",
    )
    return ask(lambda client: _run(client, args, str(cwd)), launch)


async def _run(client: Client, args: Namespace, cwd: str) -> int:
    from octavo.protocol import methods as m

    thread_id = args.thread or await newest(client, cwd)
    params = m.ThreadResumeParams(thread_id, cwd=cwd, exclude_turns=True)
    thread_id = (await client.resume_thread(params)).thread.id
    match args.action:
        case "compact" if not args.undo:
            return await _compact(client, thread_id)
        case "compact":
            done = await client.call(m.UNDO_COMPACTION, m.ThreadIdParams(thread_id))
            print(
                f"Undone. The model is shown about {done.tokens:,} tokens of the thread again, "
                f"where it was {done.tokens_before:,}."
            )
        case "pin":
            text = args.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            pinned = await client.call(m.PIN, m.PinParams(thread_id, text))
            print(f"Pinned: {pinned.id}")
        case "unpin":
            await client.call(m.UNPIN, m.UnpinParams(thread_id, args.pin))
            print("Unpinned.")
        case "pins":
            _print_pins((await client.call(m.PINS, m.ThreadIdParams(thread_id))).data)
    return 0


async def newest(client: Client, cwd: str) -> str:
    """Return the id of the newest thread that began in `cwd`."""
    from octavo.protocol import methods as m

    page = await client.call(m.THREAD_LIST, m.ThreadListParams(1, cwd, sort_key="updated_at"))
    if not page.data:
        raise StoreError(
            f"No thread has begun in {cwd}.", hint="Name one with --thread, or begin one here."
        )
    return page.data[0].id


async def _compact(client: Client, thread_id: str) -> int:
    from contextlib import aclosing

    from octavo.protocol import methods as m
    from octavo.protocol import notifications as note

    unchanged = False
    await client.call(m.COMPACT, m.ThreadIdParams(thread_id))
    async with aclosing(client.notifications()) as notifications:
        async for notification in notifications:
            if isinstance(notification, note.TurnCompleted):
                turn = notification.turn
                if turn.status != "completed":
                    reason = turn.error.message if turn.error else "It was interrupted."
                    raise OctavoError(f"The thread was not summed up. {reason}")
                return 0
            if isinstance(notification, note.Warned):
                unchanged = unchanged or notification.octavo_code == "compaction.nothing"
            _say(notification, unchanged=unchanged)
    raise StoreError("The server went away.", hint="Try again; the thread is as it was.")


def _say(notification: note.Notification, *, unchanged: bool) -> None:
    from octavo.protocol import items as it
    from octavo.protocol import notifications as note
    from octavo.protocol.visible import visible

    match notification:
        case note.ItemCompleted(item=it.ContextCompaction() as item) if not unchanged:
            how = "Shortened" if item.octavo_kind == "trimmed" else "Summed up"
            print(
                f"{how}: the model is shown about {item.octavo_tokens_after:,} tokens, where it "
                f"was {item.octavo_tokens_before:,}. `octavo thread compact --undo` takes it back."
            )
        case note.Warned():
            print(f"octavo: {visible(notification.message)}", file=sys.stderr)
        case note.ErrorHappened(will_retry=True):
            print(f"octavo: {visible(notification.error.message)} Trying again.", file=sys.stderr)
        case _:
            pass


def _print_pins(pins: tuple[m.Pin, ...]) -> None:
    from octavo.protocol.visible import visible_command

    if not pins:
        print("Nothing is pinned.")
    for pin in pins:
        print(f"{pin.id}  {visible_command(pin.text)}")
