"""`octavo sandbox`: one command in the sandbox that the model's commands get."""

from __future__ import annotations

import errno
import os
import sys

from octavo.cli.quick import REMAINDER
from octavo.cli.shared import (
    add_config_options,
    add_permissions_option,
    existing_directory,
    load_settings,
    permissions_flag,
    working_directory,
)
from octavo.protocol.errors import ConfigError, SandboxError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from octavo.config.load import Loaded
    from octavo.sandbox import Command, Policy
    from octavo.sandbox.net import Blocked

EXIT_REFUSED = 125
EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL = 128

EPILOG = """\
`octavo sandbox explain -- CMD` runs nothing and says what CMD could touch, and what not.

-P NAME, or --permissions NAME, chooses the permission profile. -p NAME does so too if there is one
of that name, and is otherwise the settings profile NAME.config.toml.

The command has this one's stdin, stdout, stderr and terminal. The exit status is the command's;
128+n when signal n ended it, 125 when the sandbox refuses, 126 and 127 when the program cannot be
run or is not there. Hosts that it wanted and did not get are named on stderr when it has ended.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "octavo sandbox [OPTIONS] [explain] -- CMD…"
    parser.epilog = EPILOG
    add = parser.add_argument
    add("command", nargs=REMAINDER, metavar="CMD", help="the program and its arguments")
    add(
        "-s",
        "--mode",
        choices=("read-only", "workspace-write"),
        help="what it may write; else what the settings say",
    )
    add("--network", metavar="HOSTS|on|off", help="whom it reaches: a,*.b,…; everybody; nobody")
    add("--tmp", choices=("host", "private"), help="private: a /tmp of its own, gone with it")
    add("--add-dir", metavar="DIR", action="append", default=[], help="may be written as well")
    add_permissions_option(parser)
    add_config_options(parser)


def run(args: Namespace) -> int:
    """Run the command and return its exit status."""
    explains = args.command[:1] == ["explain"]
    if explains:
        args = _more(args)
    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        raise UsageError("There is no command to run.", hint="Put it after `--`.")
    try:
        return _explain(args, argv) if explains else _run(args, argv)
    except SandboxError as error:
        print(f"octavo: error: {error}", file=sys.stderr)
        return _status_of(error)


def _more(args: Namespace) -> Namespace:
    """Return the arguments with those that come after `explain`."""
    from octavo.cli.parser import Parser

    parser = Parser(prog="octavo sandbox")
    add_arguments(parser)
    words, args.command = args.command[1:], []
    return parser.parse_args(words, args)


def _run(args: Namespace, argv: list[str]) -> int:
    from octavo.late import import_late

    import_late("msgspec")
    from octavo.sandbox.keeper import start_keeper, started

    ends = getattr(args, "keeper", None)
    keeper = start_keeper() if ends is None else started(ends)
    loaded = _load(args)
    command, policy = _command(args, argv, loaded), _policy(args, loaded)
    from octavo.sandbox.single import run_single

    blocked: list[Blocked] = []
    ended = run_single(policy, command, keeper, on_blocked=blocked.append)
    for line in dict.fromkeys(map(str, blocked)):
        print(f"octavo: blocked: {line}", file=sys.stderr)
    return ended.code if ended.code is not None else EXIT_SIGNAL + (ended.signal or 0)


def _explain(args: Namespace, argv: list[str]) -> int:
    from octavo.cli.sandbox_explained import explain

    loaded = _load(args)
    command, policy = _command(args, argv, loaded), _policy(args, loaded)
    for line in explain(command, policy, loaded, network_is_asked=args.network is not None):
        print(line)
    for warning in loaded.warnings:
        print(f"octavo: warning: {warning}", file=sys.stderr)
    return 0


def _status_of(error: SandboxError) -> int:
    from octavo.sandbox import NotStarted

    if not isinstance(error, NotStarted) or not error.is_program:
        return EXIT_REFUSED
    return EXIT_NOT_FOUND if error.errno == errno.ENOENT else EXIT_CANNOT_RUN


def _load(args: Namespace) -> Loaded:
    """Load the settings; `--profile` is a permission profile where there is one of that name."""
    if args.profile is not None and args.permissions is None and _is_permissions(args):
        given = vars(args) | {"permissions": args.profile, "profile": None}
        args = type(args)(**given)
    flags: dict[str, object] = {
        "sandbox_mode": args.mode,
        "sandbox_workspace_write.tmp": args.tmp,
        **permissions_flag(args, "--mode" if args.mode else None),
    }
    return load_settings(args, flags)


def _is_permissions(args: Namespace) -> bool:
    from octavo.config.paths import octavo_home, profile_file

    name = args.profile
    plain = load_settings(type(args)(**vars(args) | {"profile": None}))
    if name.startswith(":") or name in plain.settings.permissions:
        return True
    home = octavo_home(os.environ)
    if name and "/" not in name and profile_file(home, name).exists():
        return False
    there = ", ".join([*sorted(plain.settings.permissions), ":read-only", ":workspace"])
    raise UsageError(
        f"There is no permission profile {name!r}, and no settings profile of that name.",
        hint=f"Permission profiles: {there}.",
    )


def _policy(args: Namespace, loaded: Loaded) -> Policy:
    import msgspec

    from octavo.sandbox import OFF, OPEN, Network
    from octavo.sandbox.from_settings import sandbox_policy

    cwd = working_directory(args.cd)
    policy = sandbox_policy(loaded, cwd, [*map(existing_directory, args.add_dir)])
    if not policy.mode.is_confined:
        raise SandboxError(
            f"There is no sandbox to run it in, because sandbox_mode is {policy.mode.value}.",
            hint="Choose another with --mode.",
        )
    if args.network is None:
        return policy
    named = {"on": OPEN, "off": OFF}
    listed = tuple(host.strip() for host in args.network.split(","))
    network = named.get(args.network)
    if network is None:
        network = Network("hosts", allow=_hosts(listed), deny=policy.network.deny)
    return msgspec.structs.replace(policy, network=network)


def _hosts(listed: tuple[str, ...]) -> tuple[str, ...]:
    from octavo.sandbox.net.rules import HostRules

    alone = next((word for word in listed if word in ("on", "off")), None)
    if alone is not None:
        raise UsageError(
            f"--network: {alone!r} stands alone, and here it is in a list of hosts.",
            hint="Write on, off, or hosts with commas between them.",
        )
    try:
        HostRules(listed)
    except ConfigError as error:
        raise UsageError(f"--network: {error}") from None
    return listed


def _command(args: Namespace, argv: list[str], loaded: Loaded) -> Command:
    from octavo.config.shell_env import env_for
    from octavo.sandbox import Command

    env = env_for(os.environ, loaded.settings.shell_environment_policy)
    return Command(argv=tuple(argv), cwd=working_directory(args.cd), env=env)
