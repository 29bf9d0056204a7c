"""Run a shell command: in the cage, in a wider one, or outside, as `Hands.permit` decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from octavo.protocol.errors import SandboxError
from octavo.protocol.events import RunIntent
from octavo.sandbox import Command
from octavo.tools import Effect, Extra, Hands, Outcome, Tool, ToolFailed, WantedCommand
from octavo.tools.builtin.apply_patch import apply
from octavo.tools.command_result import clamp_wait_s, wait_and_report
from octavo.tools.login_env import lay_over
from octavo.tools.schema import flag, many, number, obj, one_of, text

_DEFAULT_WAIT_MS = 10_000
_MOST_WAIT_MS = 30_000
_TTY_SIZE = (24, 80)
_DEFAULT_SHELLS = frozenset(("bash", "zsh", "sh"))
_SYSTEM_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")
_SHELLS = _DEFAULT_SHELLS | {"dash", "ksh", "fish"}

_QUIET_ENV = {"NO_COLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat", "GH_PAGER": "cat"}


class FileSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths, absolute or relative to the command's directory."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class NetworkAccess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Named hosts, or all of it."""

    enabled: bool | None = None
    hosts: tuple[str, ...] = ()


class AdditionalPermissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cage of one call is to have besides."""

    file_system: FileSystem | None = None
    network: NetworkAccess | None = None


class ExecCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    cmd: str
    workdir: str | None = None
    shell: str | None = None
    login: bool | None = None
    tty: bool | None = None
    yield_time_ms: float | None = None
    max_output_tokens: float | None = None
    sandbox_permissions: (
        Literal["use_default", "with_additional_permissions", "require_escalated"] | None
    ) = None
    additional_permissions: AdditionalPermissions | None = None
    justification: str | None = None
    prefix_rule: tuple[str, ...] | None = None


SCHEMA = obj(
    {
        "cmd": text("The command, as a script for the shell."),
        "workdir": text("Directory to run it in; the thread's working directory by default."),
        "shell": text("Shell to run it with, such as bash; the user's by default."),
        "login": flag("Use the environment of the user's login shell. Default true."),
        "tty": flag(
            "Give it a terminal, so that write_stdin can type into it; without one its stdin is "
            "empty. Default false."
        ),
        "yield_time_ms": number(
            "How long to wait before a command that is still running is left running and gets a "
            "session ID. Default 10000; 250 to 30000."
        ),
        "max_output_tokens": number(
            "Show at most this many tokens of the output, half from each end. Default 10000, which "
            "is also the most."
        ),
        "sandbox_permissions": one_of(
            "use_default",
            "with_additional_permissions",
            "require_escalated",
            description='"with_additional_permissions" asks the user to let this one command have '
            'what additional_permissions names; "require_escalated" to let it run outside of the '
            "sandbox.",
        ),
        "additional_permissions": obj(
            {
                "file_system": obj(
                    {
                        "read": many({"type": "string"}, "Paths to read."),
                        "write": many({"type": "string"}, "Directories to write in."),
                    },
                    description="Files.",
                ),
                "network": obj(
                    {
                        "enabled": flag("The whole network; rather name hosts."),
                        "hosts": many(
                            {"type": "string"}, "Hosts to reach, such as docs.example.com."
                        ),
                    },
                    description="The network.",
                ),
            },
            description='With "with_additional_permissions": what this one command needs besides.',
        ),
        "justification": text(
            "When the user is asked: one question that says what the command is for."
        ),
        "prefix_rule": many(
            {"type": "string"},
            "When the user may be asked: first words of such commands, which the user may choose "
            "to be asked about only once. As long as says what they do.",
        ),
    },
    required=("cmd",),
)


async def exec_command(args: ExecCommand, hands: Hands) -> Outcome:
    """Run `args.cmd` and wait for it, up to the yield time."""
    if not args.cmd.strip():
        raise ToolFailed("cmd is empty, so nothing was run. Give the command to run.")
    if "\0" in args.cmd:
        raise ToolFailed("cmd holds a NUL character, which no shell takes. Nothing was run.")
    cwd = _workdir(args.workdir, hands)
    patched = await _apply_heredoc(args.cmd, cwd, hands)
    if patched is not None:
        return patched
    shell = _shell(args.shell, hands)
    command = Command(
        argv=(shell, "-c", args.cmd),
        cwd=cwd,
        env=await _env(args, hands),
        tty=_TTY_SIZE if args.tty else None,
    )
    permit = await hands.permit(_wanted(args, command, hands))
    intent = RunIntent(args.cmd, str(cwd), tty=bool(args.tty), outside=permit.outside)
    await hands.begin(intent)
    try:
        session = await hands.sessions.start(permit, args.cmd, hands)
    except SandboxError as error:
        await _check_exists(cwd, hands)
        raise ToolFailed(f"The command could not be started with {shell}. {error}") from None
    report = await wait_and_report(
        session,
        hands,
        wait_s=clamp_wait_s(args.yield_time_ms, default_ms=_DEFAULT_WAIT_MS, most_ms=_MOST_WAIT_MS),
        max_output_tokens=args.max_output_tokens,
    )
    return Outcome(content=report, facts=session.facts())


async def _apply_heredoc(cmd: str, cwd: Path, hands: Hands) -> Outcome | None:
    """Apply the patch that is all `cmd` holds, if that is so."""
    if "patch" not in cmd:
        return None
    from octavo.tools.patch.heredoc import extract_heredoc  # few commands need it

    found = extract_heredoc(cmd)
    if found is None:
        return None
    patch, directory = found
    return await apply(patch, hands, cwd=cwd / directory if directory else cwd)


def _workdir(workdir: str | None, hands: Hands, *, at: Path | None = None) -> Path:
    if not workdir:
        return at or hands.cwd
    if "\0" in workdir:
        raise ToolFailed("A path holds a NUL character. Nothing was run.")
    home = hands.env.get("HOME")
    if home and (workdir == "~" or workdir.startswith("~/")):
        return Path(home + workdir[1:])
    return (at or hands.cwd) / workdir


async def _check_exists(cwd: Path, hands: Hands) -> None:
    """Raise ToolFailed, with what there is instead, unless `cwd` is a directory."""
    places = [cwd, *cwd.parents]
    states = await hands.look(places)
    if states[0].kind == "directory":
        return
    found = (place for place, state in zip(places, states, strict=True) if _is_there(state.kind))
    nearest = next(found, Path("/"))
    what = "is not a directory" if nearest == cwd else f"does not exist; {nearest} does"
    raise ToolFailed(f"The working directory {cwd} {what}. Nothing was run.")


def _is_there(kind: str) -> bool:
    return kind not in ("missing", "unreadable")


def _shell(asked: str | None, hands: Hands) -> str:
    if asked:
        if PurePath(asked).name not in _SHELLS:
            raise ToolFailed(
                f"{asked!r} is no shell that can be used here. Leave `shell` out, or name one of "
                f"{', '.join(sorted(_SHELLS))}; run other programs from `cmd`. Nothing was run."
            )
        return asked
    users = hands.env.get("SHELL", "")
    if PurePath(users).name in _DEFAULT_SHELLS:
        return users
    # Not by PATH: a folder of the repository may come first there, as a virtual environment's does.
    return next((shell for shell in _SYSTEM_SHELLS if os.access(shell, os.X_OK)), "sh")


async def _env(args: ExecCommand, hands: Hands) -> Mapping[str, str]:
    env = dict(hands.env)
    if args.login is not False:
        env = lay_over(await hands.login_env(), env)
    if not (env.get("LC_ALL") or env.get("LANG")):
        env["LANG"] = "C.UTF-8"
    return env | _QUIET_ENV | {"TERM": "xterm-256color" if args.tty else "dumb"}


def _wanted(args: ExecCommand, command: Command, hands: Hands) -> WantedCommand:
    """Return what the call asks for, with paths made absolute as the command would see them."""
    extra = None
    if args.sandbox_permissions == "with_additional_permissions":
        more = args.additional_permissions or AdditionalPermissions()
        files, network = more.file_system or FileSystem(), more.network or NetworkAccess()
        extra = Extra(
            read=tuple(_workdir(path, hands, at=command.cwd) for path in files.read),
            write=tuple(_workdir(path, hands, at=command.cwd) for path in files.write),
            hosts=network.hosts,
            network=bool(network.enabled) and not network.hosts,
        )
    return WantedCommand(
        args.cmd,
        command,
        outside=args.sandbox_permissions == "require_escalated",
        extra=extra,
        justification=args.justification,
        prefix_rule=args.prefix_rule or (),
    )


TOOL = Tool(
    name="exec_command",
    description=(
        "Run a shell command. Returns its output, stdout and stderr together, and its exit code; "
        "or, when it takes longer than yield_time_ms, a session ID: the command goes on, and "
        "write_stdin waits for it, reads more or ends it. Start a server or a watcher in the "
        "foreground, not with &: what a command leaves behind is killed when it ends. Of a long "
        "output you get both ends, and the path of a file that has all of it."
    ),
    params=ExecCommand,
    run=exec_command,
    effect=Effect.RUN,
    schema=SCHEMA,
)
