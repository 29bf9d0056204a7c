"""`octavo mcp`: the servers of the settings: list, show, add and remove them, agree to tools."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER, SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from octavo.cli import mcp_prompts
from octavo.cli.shared import working_directory
from octavo.protocol.errors import UsageError
from octavo.protocol.visible import visible_command, visible_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.config.load import Loaded
    from octavo.config.settings import McpServer
    from octavo.mcp.pins import Pin

EXIT_FAILED = 1
LOG_LINES = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    listing = actions.add_parser("list", help="show the servers of your settings")
    get = actions.add_parser("get", help="show a server, and what is known of its tools")
    add = actions.add_parser("add", help="put a server into your settings")
    remove = actions.add_parser("remove", help="take a server out of your settings")
    accept = actions.add_parser(
        "accept", help="look at what a server says of its tools, and agree to it"
    )
    login = actions.add_parser("login", help="log in at a server over HTTP, with your browser")
    logout = actions.add_parser(
        "logout", help="forget the login at a server, and have its tokens revoked"
    )
    for each in (listing, get):
        each.add_argument("--json", action="store_true", help="print JSON")
    for each in (get, add, remove, accept, login, logout):
        each.add_argument("name", metavar="NAME")
    add.usage = (
        "octavo mcp add NAME [OPTIONS] -- COMMAND [ARG ...]\n"
        "       octavo mcp add NAME [OPTIONS] --url URL"
    )
    _add_options(add)
    add.add_argument("rest", nargs=REMAINDER, metavar="COMMAND", help=SUPPRESS)
    accept.add_argument("-y", "--yes", action="store_true", help="agree without being asked")
    login.add_argument("--scopes", metavar="A,B", help="ask for these, not for what it suggests")
    login.add_argument(
        "--no-browser", action="store_true", help="only print the page's address, open nothing"
    )
    for each in (listing, get, accept, login, logout):
        each.add_argument("-C", "--cd", metavar="DIR", help="look from DIR instead of here")
    mcp_prompts.add_arguments(actions)
    parser.epilog = (
        "A server runs in a cage of its own: it writes in the workspace where commands may, and\n"
        "reaches only the hosts that its settings name. What it says of its tools (“only reads”)\n"
        "counts once you agreed to it with `octavo mcp accept`, and as long as it stays the same."
    )


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--url", metavar="URL", help="a service that speaks streamable HTTP")
    parser.add_argument(
        "--bearer-token-env-var", metavar="VAR", help="variable that holds the token for it"
    )
    parser.add_argument(
        "--env",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set this variable for the program",
    )
    parser.add_argument(
        "--env-var",
        metavar="VAR",
        action="append",
        default=[],
        help="pass this variable of yours on to the program",
    )
    parser.add_argument(
        "--network",
        metavar="HOST",
        action="append",
        default=[],
        help="the program may reach this host; by default it reaches none",
    )


def run(args: Namespace) -> int:
    """Do one of them."""
    match args.action:
        case "prompts" | "prompt":
            return mcp_prompts.run(args)
        case "list":
            return _list(_load(args.cd), as_json=args.json)
        case "get":
            return _get(args.name, _load(args.cd), as_json=args.json)
        case "add":
            return _add(args)
        case "remove":
            return _remove(args.name)
        case "login" | "logout":
            from octavo.cli import mcp_login

            return mcp_login.log_in(args) if args.action == "login" else mcp_login.log_out(args)
        case _:
            return _accept(args)


def _load(directory: str | None) -> Loaded:
    from octavo.config.load import load

    return load(cwd=working_directory(directory), env=os.environ)


def _list(loaded: Loaded, *, as_json: bool) -> int:
    servers = loaded.settings.mcp_servers
    known = _pins(loaded)
    if as_json:
        _print_json([_as_json(name, servers[name], known.get(name)) for name in servers])
        return 0
    if not servers:
        print("There are no MCP servers. `octavo mcp add NAME -- COMMAND` adds one.")
    else:
        _say_what_is_missing()
    width = max((len(visible_name(name)) for name in servers), default=0)
    for name, config in servers.items():
        agreement = _agreement(config, known.get(name))
        print(f"{visible_name(name):<{width}}  {agreement:<10}  {_what(config)}")
    return 0


def _get(name: str, loaded: Loaded, *, as_json: bool) -> int:
    from octavo.config.keys import dotted

    config = _configured(name, loaded)
    pin = _pins(loaded).get(name)
    if as_json:
        _print_json({**_as_json(name, config, pin), "log": _log(name, loaded)[1]})
        return 0
    mine = ("mcp_servers", name, "command" if config.url is None else "url")
    source = loaded.sources.get(dotted(mine))
    facts = [
        ("runs", _what(config)),
        ("from", "" if source is None else str(source.file or "the command line")),
        ("variables", ", ".join([*config.env_vars, *config.env])),
        ("reaches", ", ".join(config.network) or ("its own host" if config.url else "no host")),
        ("logged in", "yes" if _is_logged_in(name, config, loaded) else ""),
        ("state", _agreement(config, pin)),
        ("tools", ", ".join(str(one.get("name")) for one in pin.tools) if pin else "not seen yet"),
    ]
    print(visible_name(name))
    for title, fact in facts:
        if fact:
            print(f"  {title:<11}{visible_name(fact)}")
    log, said = _log(name, loaded)
    if said:
        print(f"  {'its log':<11}{visible_name(str(log))}, which ends:")
        print("\n".join(f"    {visible_command(line)}" for line in said))
    return 0


def _log(name: str, loaded: Loaded) -> tuple[Path, list[str]]:
    """Return where the log of a server is, and its last lines."""
    from octavo.mcp.log import log_file, tail
    from octavo.sandbox.policy import SERVER_HOMES

    file = log_file(loaded.home / SERVER_HOMES / name)
    return file, tail(file, LOG_LINES)


def _add(args: Namespace) -> int:
    from octavo.config.paths import config_file, octavo_home, write_private
    from octavo.config.write import set_value

    args, words = _split(args)
    if (args.url is None) == (not words):
        raise UsageError(
            "Give either a command after `--`, or --url.",
            hint="For example: octavo mcp add docs -- docs-server --stdio",
        )
    values: dict[str, object] = {}
    if args.url is not None:
        values["url"] = args.url
        if args.bearer_token_env_var:
            values["bearer_token_env_var"] = args.bearer_token_env_var
        if args.env or args.env_var:
            raise UsageError("--env and --env-var are for programs, not for --url.")
    else:
        values |= {"command": words[0], "args": words[1:]}
        if args.bearer_token_env_var:
            raise UsageError("--bearer-token-env-var goes with --url.")
    if args.env:
        values["env"] = dict(map(_pair, args.env))
    if args.env_var:
        values["env_vars"] = args.env_var
    if args.network:
        values["network"] = args.network
    home = octavo_home(os.environ)
    _check(args.name, values, home)
    file = config_file(home)
    text = _text(file)
    if _has(text, args.name):
        raise UsageError(
            f"There is an MCP server {args.name!r} already.",
            hint=f"Take it out first: octavo mcp remove {args.name}",
        )
    for key, value in values.items():
        text = set_value(text, ("mcp_servers", args.name, key), value)
    write_private(file, text.encode())
    print(f"Added {args.name} to {visible_name(str(file))}.")
    _say_what_is_missing()
    print(f"Look at what its tools say, and agree to it: octavo mcp accept {args.name}")
    return 0


def _say_what_is_missing() -> None:
    """Say how to get the package that speaks with servers, where it is not there."""
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        from octavo.protocol.extras import missing

        print(f"octavo: {missing('Speaking with MCP servers', 'mcp', 'mcp')}", file=sys.stderr)


def _split(args: Namespace) -> tuple[Namespace, list[str]]:
    """Return the options, wherever they stood before `--`, and the words after it.

    argparse drops a `--` that comes right after the name, so a word there begins the command.
    """
    if args.rest and not args.rest[0].startswith("-"):
        return args, args.rest
    at = args.rest.index("--") if "--" in args.rest else len(args.rest)
    behind = ArgumentParser(prog="octavo mcp add NAME")
    _add_options(behind)
    more = behind.parse_args(args.rest[:at])
    for key, value in vars(more).items():
        before = getattr(args, key)
        setattr(args, key, [*before, *value] if isinstance(value, list) else value or before)
    return args, args.rest[at + 1 :]


def _check(name: str, values: dict[str, object], home: Path) -> None:
    """Refuse what no thread could use, before it is written."""
    import msgspec

    from octavo.agent.network import checked_hosts
    from octavo.config.settings import McpServer
    from octavo.mcp.spec import make_spec
    from octavo.sandbox import Mode, Policy

    config = msgspec.convert(values, McpServer)
    checked_hosts(config.network)
    environ = dict(os.environ)
    if config.bearer_token_env_var:
        environ.setdefault(config.bearer_token_env_var, "not set here")
    policy = Policy(Mode.READ_ONLY, Path.cwd())
    make_spec(name, config, policy=policy, octavo_home=home, environ=environ)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"--env {text!r} is not KEY=VALUE.")
    return name, value


def _remove(name: str) -> int:
    from octavo.cli import mcp_login
    from octavo.config.paths import config_file, octavo_home, write_private
    from octavo.config.remove import remove_table
    from octavo.mcp.log import log_file
    from octavo.mcp.pins import Pins
    from octavo.sandbox.policy import SERVER_HOMES

    home = octavo_home(os.environ)
    file = config_file(home)
    text = _text(file)
    if not _has(text, name):
        raise UsageError(
            f"There is no MCP server {name!r} in {file}.", hint="`octavo mcp list` shows them."
        )
    write_private(file, remove_table(text, ("mcp_servers", name)).encode())
    log_file(home / SERVER_HOMES / name).unlink(missing_ok=True)
    Pins(home).forget(name)
    mcp_login.forget(name, home)
    print(f"Removed {name} from {visible_name(str(file))}.")
    kept = home / SERVER_HOMES / name
    if kept.is_dir():
        print(f"What it kept for itself stays in {visible_name(str(kept))}.")
    return 0


def _accept(args: Namespace) -> int:
    from octavo.cli.asking import ask
    from octavo.protocol import mcp as p

    cwd = str(working_directory(args.cd))
    _configured(args.name, _load(args.cd))
    wanted = p.McpChangesParams(args.name, cwd)
    found = ask(lambda client: client.call(p.MCP_CHANGES, wanted))
    if found.agreement == "agreed":
        print(f"{args.name} says what was agreed to: {_tools(found.tools)}.")
        return 0
    for line in found.lines:
        print(visible_command(line), file=sys.stderr)
    if not args.yes and not _is_agreed(args.name):
        print(f"Not accepted: {args.name}. Nothing was changed.", file=sys.stderr)
        return EXIT_FAILED
    params = p.McpAcceptParams(args.name, found.digest, cwd)
    accepted = ask(lambda client: client.call(p.MCP_ACCEPT, params))
    print(f"Accepted: {args.name}, {_tools(accepted.tools)}.")
    return 0


def _tools(count: int) -> str:
    return "1 tool" if count == 1 else f"{count} tools"


def _is_agreed(name: str) -> bool:
    if not sys.stdin.isatty():
        print("Run this on a terminal, or with -y to agree.", file=sys.stderr)
        return False
    print(f"Let what {name} says of its tools count? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _configured(name: str, loaded: Loaded) -> McpServer:
    config = loaded.settings.mcp_servers.get(name)
    if config is None:
        names = ", ".join(loaded.settings.mcp_servers) or "none"
        raise UsageError(f"There is no MCP server {name!r}.", hint=f"There are: {names}.")
    return config


def _pins(loaded: Loaded) -> dict[str, Pin]:
    from octavo.mcp.pins import Pins
    from octavo.mcp.spec import digest_of

    kept = Pins(loaded.home).read()
    servers = loaded.settings.mcp_servers
    return {
        name: pin
        for name, pin in kept.items()
        if name in servers and pin.digest == digest_of(servers[name])
    }


def _is_logged_in(name: str, config: McpServer, loaded: Loaded) -> bool:
    from octavo.mcp.oauth.store import Logins

    return config.url is not None and Logins(loaded.home).find(name, config.url) is not None


def _agreement(config: McpServer, pin: Pin | None) -> str:
    if not config.enabled:
        return "disabled"
    return "agreed" if pin is not None and pin.agreed else "not agreed"


def _what(config: McpServer) -> str:
    if config.url is not None:
        return visible_name(config.url)
    import shlex

    return visible_name(shlex.join([config.command or "", *config.args]))


def _as_json(name: str, config: McpServer, pin: Pin | None) -> dict[str, object]:
    return {
        "name": name,
        "enabled": config.enabled,
        "transport": "stdio" if config.url is None else "streamable_http",
        "command": config.command,
        "args": config.args,
        "url": config.url,
        "env_vars": config.env_vars,
        "env": sorted(config.env),
        "network": config.network,
        "agreed": pin is not None and pin.agreed,
        "tools": [] if pin is None else [str(one.get("name")) for one in pin.tools],
    }


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None


def _has(text: str, name: str) -> bool:
    import tomllib

    try:
        servers = tomllib.loads(text).get("mcp_servers", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"config.toml is no valid TOML: {error}.") from None
    return isinstance(servers, dict) and name in servers


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
