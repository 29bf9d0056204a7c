"""Run a shell command, in the cage unless a person lets it out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from octavo.protocol.errors import SandboxError
from octavo.protocol.events import CallFacts, RunIntent
from octavo.protocol.questions import CommandQuestion
from octavo.sandbox import Command
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.builtin.apply_patch import apply
from octavo.tools.command_result import clamp_wait_s, wait_and_report
from octavo.tools.denials import writable
from octavo.tools.login_env import lay_over
from octavo.tools.schema import flag, many, number, obj, one_of, text

_DEFAULT_WAIT_MS = 10_000
_MOST_WAIT_MS = 30_000
_TTY_SIZE = (24, 80)
_DEFAULT_SHELLS = frozenset(("bash", "zsh", "sh"))
_SHELLS = _DEFAULT_SHELLS | {"dash", "ksh", "fish"}

_QUIET_ENV = {"NO_COLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat", "GH_PAGER": "cat"}


class ExecCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    cmd: str
    workdir: str | None = None
    shell: str | None = None
    login: bool | None = None
    tty: bool | None = None
    yield_time_ms: float | None = None
    max_output_tokens: float | None = None
    sandbox_permissions: Literal["use_default", "require_escalated"] | None = None
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
            "require_escalated",
            description='"require_escalated" asks the user to let this command run outside of the '
            "sandbox.",
        ),
        "justification": text(
            'With "require_escalated": one question to the user that says what the command is for.'
        ),
        "prefix_rule": many({"type": "string"}, "Has no effect here; leave it out."),
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
    outside = _wants_outside(args, hands)
    if outside:
        declined = await _ask(args, cwd, hands)
        if declined is not None:
            return declined
    command = Command(
        argv=(shell, "-c", args.cmd),
        cwd=cwd,
        env=await _env(args, hands),
        tty=_TTY_SIZE if args.tty else None,
    )
    await hands.begin(RunIntent(args.cmd, str(cwd), tty=bool(args.tty), outside=outside))
    try:
        session = await hands.sessions.start(command, args.cmd, hands, outside=outside)
    except SandboxError as error:
        await _check_exists(cwd, hands)
        raise ToolFailed(f"The command could not be started with {shell}. {error}") from None
    report = await wait_and_report(
        session,
        hands,
        wait_s=clamp_wait_s(args.yield_time_ms, default_ms=_DEFAULT_WAIT_MS, most_ms=_MOST_WAIT_MS),
        max_output_tokens=args.max_output_tokens,
        confined=not outside,
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


def _workdir(workdir: str | None, hands: Hands) -> Path:
    if not workdir:
        return hands.cwd
    if "\0" in workdir:
        raise ToolFailed("workdir holds a NUL character. Nothing was run.")
    home = hands.env.get("HOME")
    if home and (workdir == "~" or workdir.startswith("~/")):
        return Path(home + workdir[1:])
    return hands.cwd / workdir


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
    return users if PurePath(users).name in _DEFAULT_SHELLS else "bash"


async def _env(args: ExecCommand, hands: Hands) -> Mapping[str, str]:
    env = dict(hands.env)
    if args.login is not False:
        env = lay_over(await hands.login_env(), env)
    if not (env.get("LC_ALL") or env.get("LANG")):
        env["LANG"] = "C.UTF-8"
    return env | _QUIET_ENV | {"TERM": "xterm-256color" if args.tty else "dumb"}


def _wants_outside(args: ExecCommand, hands: Hands) -> bool:
    if args.sandbox_permissions != "require_escalated":
        return False
    if hands.network and Path("/") in hands.writable_roots:
        return False  # nothing confines it anyway
    if not hands.asks:
        raise ToolFailed(
            "Commands cannot leave the sandbox here, as nobody can be asked. In it "
            f"{writable(hands)} The network is {'open' if hands.network else 'closed'}. Run it "
            "without sandbox_permissions if that is enough; otherwise go another way, or say in "
            "your answer what you could not do. Nothing was run."
        )
    return True


async def _ask(args: ExecCommand, cwd: Path, hands: Hands) -> Outcome | None:
    """Ask to run outside; return what to say when the answer is no."""
    answer = await hands.ask(CommandQuestion(args.cmd, str(cwd), args.justification))
    if answer.decision in ("accept", "acceptForSession"):
        return None
    who = "The user" if answer.by == "person" else "The policy"
    return Outcome(
        content=f"{who} declined to run this outside of the sandbox. Nothing was run. Do not try "
        "to get the same done in another way; go on without it, or ask what to do instead.",
        ok=False,
        facts=CallFacts(declined=True),
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
