"""octavo exec: an in-process server, the exec face, and the flags between them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from octavo.cli.shared import HIDDEN, add_config_options, add_permissions_option, working_directory
from octavo.cli.standard import open_standard_files
from octavo.protocol.errors import ConfigError, OctavoError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from octavo.agent.allowed import Allowed
    from octavo.faces.exec.options import Options
    from octavo.faces.exec.transcript import Transcript
    from octavo.sandbox.keeper import Spare
    from octavo.server.server import Launch

INTERMIXED = True
"""Options may stand between the words; `quick` reads them without argparse."""

EPILOG = """\
The prompt is the argument, or standard input (also with `-`), or both. Nobody is asked anything.

Exit codes: 0 done · 1 failed, or goal not reached · 2 usage or settings · 3 budget · 128+n signal n
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `octavo exec`."""
    parser.usage = (
        "octavo exec [OPTIONS] [PROMPT]\n       octavo exec resume [ID | --last] [OPTIONS] [PROMPT]"
    )
    parser.epilog = EPILOG
    add = parser.add_argument
    add("words", nargs="*", metavar="PROMPT", help=HIDDEN)
    add("-m", "--model", metavar="MODEL", help="the model to ask")
    add("--oss", action="store_true", help="use a model server on this machine")
    add("--local-provider", metavar="NAME", help="which: ollama, lmstudio, vllm, llamacpp")
    add(
        "-s",
        "--sandbox",
        metavar="MODE",
        choices=("read-only", "workspace-write", "external", "danger-full-access"),
        help="read-only, workspace-write, external or danger-full-access",
    )
    add_permissions_option(parser)
    add("--add-dir", metavar="DIR", action="append", default=[], help="may be written as well")
    add(
        "--allow-command",
        metavar="PREFIX",
        action="append",
        default=[],
        help="commands that begin so are not refused: 'git reset --hard'",
    )
    add("--allow-host", metavar="HOST", action="append", default=[], help="commands may reach it")
    add(
        "--allow-mcp",
        metavar="NAME",
        action="append",
        default=[],
        help="of an MCP server, or SERVER.TOOL: not refused",
    )
    add(
        "--allow-push",
        action="store_true",
        help="git and gh may talk to the remotes of the repository",
    )
    add("--approve-for-me", action="store_true", help="a model reviews what would be refused")
    add("-i", "--image", metavar="FILE", action="append", default=[], help="show it to the model")
    add("--json", "--experimental-json", action="store_true", help="print events as JSON lines")
    add("-o", "--output-last-message", metavar="FILE", help="write the answer to FILE")
    add("--output-schema", metavar="FILE", help="JSON Schema that the answer must follow")
    add("--max-cost", metavar="USD", help="end the turn before it costs more")
    add("--max-tokens", metavar="N", help="end the turn before it takes more tokens, in and out")
    add("--max-time", metavar="TIME", help="end the turn after so long: 90s, 10m, 1h30m")
    add("--goal", metavar="TEXT", help="go on from turn to turn until this is reached")
    add("--goal-tokens", metavar="N", help="… or it took so many tokens (uncached input, output)")
    add("--ephemeral", action="store_true", help="keep no record of the thread")
    add("--skip-git-repo-check", action="store_true", help="work outside a git repository")
    add("--trust", action="store_true", help="trust this repository's settings from now on")
    add("--last", action="store_true", help="with resume: the newest thread of this directory")
    add("--all", action="store_true", help="with --last: of any directory")
    add("--color", choices=("auto", "always", "never"), default="auto", help=HIDDEN)
    add("--log-level", metavar="LEVEL", help="diagnostic log: error, warn, info, debug, trace")
    add("--ignore-user-config", action="store_true", help=HIDDEN)
    add("--yolo", "--dangerously-bypass-approvals-and-sandbox", action="store_true", help=HIDDEN)
    add("--thread-source", help=HIDDEN)
    add("--cyber-access-program", help=HIDDEN)
    add_config_options(parser)


def run(args: Namespace) -> int:
    """Run one turn and return how it ended."""
    open_standard_files()
    spare = _load()
    import anyio

    from octavo.faces.exec.transcript import Transcript, wants_color

    try:
        cwd = working_directory(args.cd)
        options = _options(args, cwd)
        if args.trust:
            _trust(cwd)
        elif not args.skip_git_repo_check:
            _check_workspace(args, cwd)
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        transcript = Transcript(color=wants_color(os.environ, args.color), terminal=terminal)
        return anyio.run(_serve, args, options, transcript, spare)
    except OctavoError as error:
        if args.json:
            _print_failed(str(error))
        raise


def _load() -> Spare:
    """Import what a run is made of, and start its sandbox beside that."""
    from octavo.late import import_late

    import_late("octavo.sandbox.keeper")
    from octavo.sandbox.keeper import Spare, start_keeper

    spare = Spare(start_keeper())
    import_late("anyio._backends._asyncio", "octavo.server.methods", "octavo.faces.exec.run")
    return spare


def _print_failed(message: str) -> None:
    """A program that reads events is told in their words, too, that there was no turn."""
    import msgspec

    event = {"type": "turn.failed", "error": {"message": message}}
    print(msgspec.json.encode(event).decode(), flush=True)


async def _serve(args: Namespace, options: Options, transcript: Transcript, spare: Spare) -> int:
    import anyio

    from octavo.faces.exec.run import Run
    from octavo.rpc.memory import memory_pair
    from octavo.server.server import serving

    launch = await _launch(args, spare)
    run = Run(options, transcript)
    status = 1
    try:
        async with serving(launch) as server, anyio.create_task_group() as group:
            ours, theirs = memory_pair()
            group.start_soon(server.connect, theirs)
            status = await run.over(ours)
            _see_it_out()
            if sys.stderr.isatty():
                _call(args)
    except Exception as bug:  # whatever it is, the run ends with a sentence
        if args.log_level in ("debug", "trace"):
            raise
        run.fail(_mistake(bug))
    if run.failure is not None:
        print(f"octavo: error: {run.failure}", file=sys.stderr)
    return status


def _see_it_out() -> None:
    """The run has said how it ended; a signal from now on changes nothing about that."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _call(args: Namespace) -> None:
    """Call the person, if they want to be called; whatever is wrong was said before."""
    from octavo.cli.shared import load_settings
    from octavo.faces.exec.call import call_person

    with suppress(OctavoError):
        call_person(load_settings(args).settings.tui)


def _mistake(bug: BaseException) -> OctavoError:
    while isinstance(bug, BaseExceptionGroup):
        bug = bug.exceptions[0]
    return OctavoError(
        f"octavo made a mistake ({type(bug).__name__}: {bug}); this is a bug.",
        hint="Run it again with --log-level debug to see where, and please report it.",
    )


async def _launch(args: Namespace, spare: Spare) -> Launch:
    from octavo.cli.shared import client_env, existing_directory
    from octavo.server.server import Launch

    flags: dict[str, object] = {
        "model": args.model,
        "sandbox_mode": "danger-full-access" if args.yolo else args.sandbox,
        "approval_policy": "never",
        "log_level": args.log_level,
        **_permissions(args),
    }
    if args.max_cost or args.max_tokens or args.max_time:
        from octavo.cli.limits import budget_flags

        limits = budget_flags(args.max_cost, args.max_tokens, args.max_time)
        flags |= limits if args.goal is None else _of_goal(args, limits)
    if args.oss or args.local_provider:
        flags |= await _local(args)
    return Launch(
        env=client_env(),
        profile=args.profile,
        overrides=tuple(word for word in args.config if not _is_about_asking(word)),
        flags=flags,
        add_dirs=tuple(existing_directory(path) for path in args.add_dir),
        strict_config=args.strict_config,
        ignore_user_config=args.ignore_user_config,
        alone=True,
        allowed=_allowed(args),
        spare=spare,
        source="exec",
    )


def _of_goal(args: Namespace, limits: dict[str, object]) -> dict[str, object]:
    from octavo.cli.limits import of_all_turns

    if args.words[:1] == ["resume"]:
        raise UsageError(
            "What the thread has spent before would count.",
            hint="Limit the goal with --goal-tokens, or the thread with -c budget.thread.…",
        )
    return of_all_turns(limits)


def _permissions(args: Namespace) -> Mapping[str, object]:
    from octavo.cli.shared import permissions_flag

    return permissions_flag(args, "--yolo" if args.yolo else "--sandbox" if args.sandbox else None)


def _allowed(args: Namespace) -> Allowed:
    """What the command line allows. Nothing of it lets a command out of the sandbox."""
    from octavo.agent.allowed import Allowed

    hosts: tuple[str, ...] = ()
    if args.allow_host:
        from octavo.agent.network import checked_hosts

        try:
            hosts = checked_hosts(args.allow_host)
        except ConfigError as error:
            raise UsageError(f"--allow-host: {error}") from None
    return Allowed(
        commands=tuple(map(_prefix, args.allow_command)),
        hosts=hosts,
        mcp=_servers(args),
        push=args.allow_push,
        approve_for_me=args.approve_for_me,
        unasked=args.yolo,
    )


def _servers(args: Namespace) -> tuple[str, ...]:
    """Return whose tools may be called; a server that there is not was misspelt."""
    if not args.allow_mcp or args.trust or args.ignore_user_config:
        return tuple(args.allow_mcp)  # what there will be is not known yet
    from octavo.cli.shared import load_settings

    servers = load_settings(args).settings.mcp_servers
    for name in args.allow_mcp:
        if name.partition(".")[0] not in servers:
            raise UsageError(
                f"--allow-mcp {name!r}: there is no such MCP server.",
                hint=f"There are: {', '.join(servers) or 'none'}.",
            )
    return tuple(args.allow_mcp)


def _prefix(text: str) -> tuple[str, ...]:
    """Read the first words of commands, as a shell would split them."""
    import shlex

    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--allow-command {text!r}: {error}.") from None
    if not words:
        raise UsageError(
            "--allow-command: there is no word in it.", hint="Name the first words of a command."
        )
    return words


def _is_about_asking(override: str) -> bool:
    """Nobody is asked here, and old clients still send policies that are no more."""
    return override.partition("=")[0].strip() == "approval_policy"


async def _local(args: Namespace) -> dict[str, object]:
    """Find the model server on this machine, and a model it has."""
    from octavo.model.registry import detect_local

    provider, models = await detect_local(args.local_provider, os.environ)
    model = args.model or (models[0] if models else None)
    if model is None:
        raise UsageError(
            f"{provider.name} is running and has no model.", hint="Load one, or name it with -m."
        )
    return {"model_provider": provider.id, "model": model}


def _options(args: Namespace, cwd: Path) -> Options:
    from octavo.faces.exec.options import Options

    words = list(args.words)
    resume, last = None, False
    if words[:1] == ["resume"]:
        del words[0]
        last = args.last
        if not last:
            if not words:
                raise UsageError(
                    "`resume` needs the id of a thread.", hint="Or --last for the newest one here."
                )
            resume = words.pop(0)
    elif args.last:
        raise UsageError("--last goes with `resume`.", hint="octavo exec resume --last PROMPT")
    if args.goal is not None and args.output_schema is not None:
        raise UsageError(
            "--output-schema is for the answer of one turn, and a goal takes many.",
            hint="Resume the thread with it when the goal is reached.",
        )
    goal_tokens = None
    if args.goal_tokens is not None:
        from octavo.cli.limits import read_tokens

        if args.goal is None:
            raise UsageError("--goal-tokens goes with --goal.", hint="octavo exec --goal TEXT")
        goal_tokens = read_tokens(args.goal_tokens, "--goal-tokens")
    if len(words) > 1:
        raise UsageError(
            f"There are {len(words)} prompts: {words[0]!r}, {words[1]!r}.",
            hint="Put the prompt in quotes.",
        )
    return Options(
        cwd=cwd,
        prompt=words[0] if words else None,
        images=tuple(Path(os.path.abspath(file)) for file in args.image),
        json=args.json,
        output_file=None if args.output_last_message is None else Path(args.output_last_message),
        output_schema=None if args.output_schema is None else Path(args.output_schema),
        ephemeral=args.ephemeral,
        goal=args.goal,
        goal_tokens=goal_tokens,
        resume=resume,
        resume_last=last,
        resume_all=args.all,
    )


def _trust(cwd: Path) -> None:
    from octavo.cli.trust import agree
    from octavo.config.load import load
    from octavo.config.paths import octavo_home
    from octavo.config.trust import set_trust

    set_trust(octavo_home(os.environ), cwd, "trusted")
    agree(load(cwd=cwd, env=os.environ), cwd, everything=True)


def _check_workspace(args: Namespace, cwd: Path) -> None:
    """Refuse to work where nothing could be had back, unless the person says so."""
    from octavo.config.trust import repository_root

    if repository_root(cwd) is not None or args.yolo or "resume" in args.words[:1]:
        return
    from octavo.cli.shared import load_settings

    if not load_settings(args).trusted:
        raise NotAWorkspace(
            f"{cwd} is not in a git repository and not trusted.",
            hint="Run `git init`, trust it with --trust, or add --skip-git-repo-check.",
        )


class NotAWorkspace(OctavoError):
    """The directory is neither under version control nor trusted."""
