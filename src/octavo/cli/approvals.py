"""`octavo approvals`: what you accepted for longer than once, and how to take it back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from octavo.cli.asking import ask
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.protocol import methods as m


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list | revoke", title="actions"
    )
    listing = actions.add_parser("list", help="show what is remembered")
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoke = actions.add_parser("revoke", help="forget approvals")
    revoke.add_argument("ids", nargs="*", metavar="ID", help="as `list` shows them")
    revoke.add_argument("--all", action="store_true", help="all of them")
    parser.epilog = (
        "An approval spares a question; it lets no command out of the sandbox. What only one\n"
        "thread remembers is not shown: it ends with the thread."
    )


def run(args: Namespace) -> int:
    """List or revoke, through a server as any client would."""
    from octavo.protocol import methods as m

    if args.action == "list":
        found = ask(lambda client: client.call(m.APPROVALS_LIST, m.Nothing()))
        _print(found.data, as_json=args.json)
        return 0
    if bool(args.ids) == args.all:
        raise UsageError(
            "Name what to forget: ids, or --all.", hint="`octavo approvals list` shows the ids."
        )
    params = m.ApprovalsRevokeParams(tuple(args.ids), args.all)
    done = ask(lambda client: client.call(m.APPROVALS_REVOKE, params))
    print(f"Revoked: {done.revoked}")
    return 0


def _print(approvals: tuple[m.Approval, ...], *, as_json: bool) -> None:
    import msgspec

    from octavo.protocol.visible import visible_command

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(approvals), indent=2).decode())
        return
    if not approvals:
        print("Nothing is remembered.")
    for one in approvals:
        where = "everywhere" if one.project is None else f"in {one.project}"
        print(f"{one.id}  {visible_command(_what(one))}  ({visible_command(where)})")


def _what(one: m.Approval) -> str:
    match one.covers:
        case "host":
            return f"reach {one.host}"
        case "prefix":
            import shlex

            return f"run what begins with `{shlex.join(one.words)}`"
        case "exact":
            return f"run exactly `{one.command}`"
