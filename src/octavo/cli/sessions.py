"""`octavo sessions`: all threads there are. List, show, search, name, put away, fork, export."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from typing import Any

from octavo.cli.shared import add_config_options, columns, working_directory
from octavo.protocol.errors import StoreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.protocol import items as it

EPILOG = """\
An ID may be cut short, as long as only one thread begins so. `octavo exec resume ID PROMPT` goes on
with a thread. A fork copies nothing: it goes on from the other thread's log.
"""

LISTED = 25
TURNS_SHOWN = 20
PAGE = 100
_ID_SHOWN = 13
_LEAST = 30
"""Characters that are shown of a name at least, however narrow the terminal is."""
"""The time an id was made, to the millisecond: enough to tell one thread from another."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    parser.epilog = EPILOG
    for name, purpose in (
        ("list", "the threads of this directory, the last used first"),
        ("show", "one thread and its turns"),
        ("search", "the threads in which one message holds all these words"),
        ("rename", "give a thread a name"),
        ("archive", "put threads away: they are kept, and listed with --archived only"),
        ("unarchive", "take them out again"),
        ("delete", "delete threads for good"),
        ("fork", "begin a new thread that goes on from a turn of another one"),
        ("export", "write a thread as Markdown, JSON or one page of HTML"),
    ):
        action = actions.add_parser(
            name, help=purpose, description=f"{purpose[:1].upper()}{purpose[1:]}."
        )
        if name in ("archive", "unarchive", "delete"):
            action.add_argument("ids", metavar="ID", nargs="+", help="which threads")
        elif name == "search":
            action.add_argument("words", metavar="WORD", nargs="+", help="what to look for")
        elif name != "list":
            action.add_argument("id", metavar="ID", help="which thread")
        if name in _ADD:
            _ADD[name](action)
        if name in ("list", "show", "search"):
            action.add_argument("--json", action="store_true", help="print JSON")


def _add_listing(action: ArgumentParser) -> None:
    action.add_argument("--all", action="store_true", help="of every directory")
    action.add_argument("--archived", action="store_true", help="the archived ones")
    action.add_argument("-n", "--limit", type=int, default=LISTED, metavar="N", help="at most N")
    action.add_argument("-C", "--cd", metavar="DIR", help="of DIR instead of this directory")


def _add_fork(action: ArgumentParser) -> None:
    action.add_argument(
        "--turn", metavar="TURN", help="the last turn to keep: its number or id (default: the last)"
    )
    add_config_options(action)


def _add_export(action: ArgumentParser) -> None:
    action.add_argument(
        "-f", "--format", choices=("md", "json", "html"), help="default: by the name of FILE, or md"
    )
    action.add_argument("-o", "--output", metavar="FILE", help="default: standard output")


_ADD: dict[str, Callable[[ArgumentParser], Any]] = {
    "list": _add_listing,
    "search": _add_listing,
    "show": lambda action: action.add_argument(
        "-n", "--limit", type=int, default=TURNS_SHOWN, metavar="N", help="the last N turns"
    ),
    "rename": lambda action: action.add_argument("name", metavar="NAME", help="its new name"),
    "delete": lambda action: action.add_argument(
        "-y", "--yes", action="store_true", help="do not ask"
    ),
    "fork": _add_fork,
    "export": _add_export,
}


def run(args: Namespace) -> int:
    """Do it, through a server as any client would."""
    from octavo.cli.asking import ask
    from octavo.server.server import Launch

    if getattr(args, "limit", 1) < 1:
        raise UsageError(f"-n {args.limit}: there is nothing to show.", hint="Give 1 or more.")
    launch = None
    if args.action == "fork":
        launch = Launch(
            env=dict(os.environ),
            profile=args.profile,
            overrides=tuple(args.config),
            flags={"approval_policy": "never"},
            strict_config=args.strict_config,
            source="cli",
        )
    ask(lambda client: _ACTIONS[args.action](client, args), launch)
    return 0


async def _list(client: Client, args: Namespace) -> None:
    from octavo.protocol import methods as m

    cwd = None if args.all else str(working_directory(args.cd))
    threads: list[it.Thread] = []
    cursor = None
    while len(threads) < args.limit:
        params = m.ThreadListParams(
            min(args.limit - len(threads), PAGE),
            cwd,
            cursor,
            archived=args.archived,
            sort_key="updated_at",
        )
        page = await client.call(m.THREAD_LIST, params)
        threads += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    if args.json:
        _print_json(threads)
        return
    for thread in threads:
        print(_line(thread, with_cwd=args.all))
    if not threads:
        what = "archived thread" if args.archived else "thread"
        where = "" if cwd is None else f" of {_plain(cwd)}; --all lists those of every directory"
        print(f"There is no {what}{where}.", file=sys.stderr)
    elif cursor is not None:
        print(f"There are more: -n {args.limit * 4} lists more of them.", file=sys.stderr)


async def _show(client: Client, args: Namespace) -> None:
    from octavo.protocol import sessions as s

    read = await client.call(s.THREAD_READ, s.ThreadReadParams(args.id))
    turns: list[it.Turn] = []
    cursor = None
    while len(turns) < args.limit:
        params = s.TurnsListParams(read.thread.id, cursor, min(args.limit - len(turns), PAGE))
        page = await client.call(s.TURNS_LIST, params)
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    if args.json:
        _print_json({"thread": read.thread, "turns": turns})
        return
    for name, value in _facts(read.thread):
        print(f"{name:<12}{_plain(value)}")
    total = read.thread.octavo_turns or len(turns)
    for number, turn in reversed(list(zip(range(total, 0, -1), turns, strict=False))):
        print()
        print(f"{number}. {turn.id}  {_time(turn.started_at or 0)}  {turn.status}")
        for who, text in _said(turn):
            print(f"   {who}: {_plain(_cut(text))}")


async def _search(client: Client, args: Namespace) -> None:
    from octavo.protocol import sessions as s

    params = s.SearchParams(
        " ".join(args.words),
        args.limit,
        cwd=None if args.all else str(working_directory(args.cd)),
        archived=args.archived,
    )
    found = await client.call(s.SEARCH, params)
    if args.json:
        _print_json(found.data)
        return
    for hit in found.data:
        print(_line(hit.thread, with_cwd=args.all))
        print(f"{'':<{_ID_SHOWN}}  {hit.role}: {_plain(hit.snippet)}")
    if not found.data:
        more = "" if args.all else " --all looks at those of every directory."
        print(f"No message of a thread holds all of that.{more}", file=sys.stderr)
    elif found.next_cursor is not None:
        print(f"There are more: -n {args.limit * 4} lists more of them.", file=sys.stderr)


async def _rename(client: Client, args: Namespace) -> None:
    from octavo.protocol import sessions as s

    await client.call(s.THREAD_SET_NAME, s.ThreadSetNameParams(args.id, args.name))
    print("Renamed.")


async def _archive(client: Client, args: Namespace) -> None:
    from octavo.protocol import methods as m
    from octavo.protocol import sessions as s

    for thread in await _named(client, args.ids):
        await client.call(s.THREAD_ARCHIVE, m.ThreadIdParams(thread.id))
        print(f"Archived: {thread.id}")


async def _unarchive(client: Client, args: Namespace) -> None:
    from octavo.protocol import methods as m
    from octavo.protocol import sessions as s

    for thread in await _named(client, args.ids):
        await client.call(s.THREAD_UNARCHIVE, m.ThreadIdParams(thread.id))
        print(f"Listed again: {thread.id}")


async def _delete(client: Client, args: Namespace) -> None:
    from octavo.protocol import methods as m
    from octavo.protocol import sessions as s

    threads = await _named(client, args.ids)
    if not args.yes:
        for thread in threads:
            print(_line(thread, with_cwd=True), file=sys.stderr)
        _confirm(len(threads))
    for thread in threads:
        await client.call(s.THREAD_DELETE, m.ThreadIdParams(thread.id))
        print(f"Deleted: {thread.id}")


def _confirm(number: int) -> None:
    """Ask on the terminal. Raises UsageError: there is none, or the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "Deleting cannot be undone, and there is nobody here to ask.",
            hint="Add --yes, or archive instead.",
        )
    what = "this thread" if number == 1 else f"these {number} threads"
    sys.stderr.write(f"Delete {what} for good? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("Nothing was deleted.")


async def _named(client: Client, ids: list[str]) -> list[it.Thread]:
    """The threads that are meant: all of them are looked up before anything is done to one."""
    from octavo.protocol import sessions as s

    found = [(await client.call(s.THREAD_READ, s.ThreadReadParams(one))).thread for one in ids]
    return list({thread.id: thread for thread in found}.values())


async def _fork(client: Client, args: Namespace) -> None:
    from octavo.protocol import sessions as s

    turn_id = args.turn
    if turn_id is not None and turn_id.isdecimal():
        turn_id = await _turn_id(client, args.id, int(turn_id))
    cwd = None if args.cd is None else str(working_directory(args.cd))
    forked = await client.call(s.THREAD_FORK, s.ThreadForkParams(args.id, turn_id, cwd=cwd))
    print(f"Forked: {forked.thread.id}")
    print(f"Go on with it: octavo exec resume {forked.thread.id} PROMPT", file=sys.stderr)


async def _turn_id(client: Client, thread_id: str, number: int) -> str:
    from octavo.protocol import sessions as s

    cursor, left = None, number
    while left > 0:
        params = s.TurnsListParams(thread_id, cursor, PAGE, "asc", "notLoaded")
        page = await client.call(s.TURNS_LIST, params)
        if left <= len(page.data):
            return page.data[left - 1].id
        left -= len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            break
    raise UsageError(
        f"There is no turn {number} in this thread.", hint="`octavo sessions show` lists them."
    )


async def _export(client: Client, args: Namespace) -> None:
    from octavo.protocol import sessions as s

    kind = args.format or _by_name(args.output)
    thread = (await client.call(s.THREAD_READ, s.ThreadReadParams(args.id, True))).thread
    if kind == "json":
        import msgspec

        data = msgspec.json.format(msgspec.json.encode(thread), indent=2) + b"\n"
    elif kind == "html":
        from octavo.faces.export.page import page

        data = page(thread).encode()
    else:
        from octavo.faces.export.markdown import markdown

        data = markdown(thread).encode()
    if args.output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        _write_new(args.output, data)


def _write_new(path: str, data: bytes) -> None:
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already.", hint="Name another file, or remove it first."
        ) from None
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror}.") from None


def _by_name(output: str | None) -> str:
    ending = os.path.splitext(output or "")[1].lower()
    return {".json": "json", ".html": "html", ".htm": "html"}.get(ending, "md")


_ACTIONS: dict[str, Callable[[Client, Namespace], Awaitable[None]]] = {
    "list": _list,
    "show": _show,
    "search": _search,
    "rename": _rename,
    "archive": _archive,
    "unarchive": _unarchive,
    "delete": _delete,
    "fork": _fork,
    "export": _export,
}


def _line(thread: it.Thread, *, with_cwd: bool) -> str:
    name = thread.name or thread.preview or "(nothing was said)"
    turns = thread.octavo_turns or 0
    count = f"{turns} turn{'' if turns == 1 else 's'}"
    where = f"  {_plain(thread.cwd)}" if with_cwd else ""
    facts = f"{thread.id[:_ID_SHOWN]}  {_time(thread.updated_at)}  {count:>9}{where}"
    return f"{facts}  {_plain(_cut(name, max(_LEAST, columns() - len(facts) - 2)))}"


def _facts(thread: it.Thread) -> list[tuple[str, str]]:
    found = [
        ("Thread", thread.id),
        ("Name", thread.name or ""),
        ("Begins", thread.preview),
        ("Directory", thread.cwd),
        ("Model", f"{thread.model} ({thread.model_provider})"),
        ("Began", _time(thread.created_at)),
        ("Last used", _time(thread.updated_at)),
        ("Turns", str(thread.octavo_turns or 0)),
        ("Tokens", f"{thread.octavo_tokens or 0:,}"),
        ("Forked from", thread.forked_from_id or ""),
        ("Archived", "yes" if thread.octavo_archived else ""),
        ("Log", thread.path or ""),
    ]
    return [(name, value) for name, value in found if value]


def _said(turn: it.Turn) -> list[tuple[str, str]]:
    from octavo.protocol import items as it
    from octavo.protocol.inputs import Text

    said: list[tuple[str, str]] = []
    for item in turn.items:
        if isinstance(item, it.UserMessage):
            said += [("user", part.text) for part in item.content if isinstance(part, Text)]
        elif isinstance(item, it.AgentMessage):
            said.append(("model", item.text))
    return said


def _cut(text: str, characters: int = 120) -> str:
    words = " ".join(text[: characters * 4].split())
    return words if len(words) <= characters else words[: characters - 1] + "…"


def _plain(text: str) -> str:
    """Text that can do nothing to a terminal."""
    from octavo.protocol.visible import visible_command

    return visible_command(text).replace("\n", " ")


def _time(at_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_s))


def _print_json(what: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
