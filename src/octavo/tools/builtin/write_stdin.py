"""Type into a running command, interrupt it, or wait for more of it."""

from __future__ import annotations

import msgspec

from octavo.protocol.errors import SandboxError
from octavo.protocol.events import CallFacts
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.command_result import clamp_wait_s, wait_and_report, whole
from octavo.tools.schema import number, obj, text
from octavo.tools.sessions import Session

_TYPED_WAIT_MS = 250
_TYPED_MOST_WAIT_MS = 30_000
_POLL_WAIT_MS = 5_000
_POLL_MOST_WAIT_MS = 300_000
_CTRL_C = "\x03"
_CTRL_C_SPELLED = frozenset(("\\u0003", "\\x03", "^C"))


class WriteStdin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    session_id: float
    chars: str | None = None
    yield_time_ms: float | None = None
    max_output_tokens: float | None = None


SCHEMA = obj(
    {
        "session_id": number("The session ID that exec_command gave."),
        "chars": text(
            "What to type; end a line with \\n. \\u0003 is Ctrl-C. Leave it out to only wait for "
            "more output."
        ),
        "yield_time_ms": number(
            "How long to wait for the command to end before returning its output so far. After "
            "typing: default 250, at most 30000. Without: default 5000, at most 300000."
        ),
        "max_output_tokens": number(
            "Show at most this many tokens of the new output, half from each end."
        ),
    },
    required=("session_id",),
)


async def write_stdin(args: WriteStdin, hands: Hands) -> Outcome:
    """Type `args.chars`, then wait for the command."""
    session = hands.sessions.find(whole(args.session_id))
    note = await _type(args.chars, session) if args.chars else None
    wait_s = (
        clamp_wait_s(args.yield_time_ms, default_ms=_TYPED_WAIT_MS, most_ms=_TYPED_MOST_WAIT_MS)
        if args.chars
        else clamp_wait_s(args.yield_time_ms, default_ms=_POLL_WAIT_MS, most_ms=_POLL_MOST_WAIT_MS)
    )
    report = await wait_and_report(
        session, hands, wait_s=wait_s, max_output_tokens=args.max_output_tokens, note=note
    )
    facts = session.facts()
    return Outcome(
        content=report,
        facts=CallFacts(exit_code=facts.exit_code, session_id=session.number),
    )


async def _type(chars: str, session: Session) -> str | None:
    """Type `chars`; return what to say when they did not arrive."""
    if not session.running:
        return "the command had already ended, so nothing was typed."
    if chars in _CTRL_C_SPELLED:
        chars = _CTRL_C
    if not session.tty:
        if chars.strip(_CTRL_C):
            raise ToolFailed(
                f"Session {session.number} has no terminal, so nothing can be typed into it. "
                'Interrupt it with chars "\\u0003" and run the command again with tty=true.'
            )
        session.process.interrupt()
        return None
    try:
        await session.process.write(chars.encode("utf-8", "replace"))
    except SandboxError as error:
        return f"nothing could be typed: {error}"
    return None


TOOL = Tool(
    name="write_stdin",
    description=(
        "Go on with a command that exec_command left running: type into it (only with tty=true), "
        "interrupt it with Ctrl-C, or, with no chars, wait for it. Returns the output since the "
        "last look, and the exit code once it has ended. To wait long, wait once with a large "
        "yield_time_ms: it returns at once when the command ends."
    ),
    params=WriteStdin,
    run=write_stdin,
    effect=Effect.RUN,
    schema=SCHEMA,
)
