"""A model in a person's place: the reviewer of `--approve-for-me`.

It is asked about single commands that run in the cage as it is, and about nothing else. It reads
the user's own words apart from everything that others wrote, has no tools, and answers in one form.
Whatever else comes (an error, silence, another form) is a refusal; so is a yes that contradicts
its own judgement of risk. Three refusals in a row end the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import anyio
import msgspec

from octavo.agent.judge import Context, Verdict
from octavo.context.encode import message, text_part
from octavo.model import Completed, ItemDone, Model, Prompt
from octavo.protocol.errors import BudgetSpent, ModelError
from octavo.protocol.fold import Spoken, Thread
from octavo.protocol.questions import CommandQuestion
from octavo.protocol.usage import Usage
from octavo.sandbox import Policy

REFUSALS_LIMIT = 3
ANSWER_S = 60.0
USER_LIMIT_CHARS = 24_000
TRANSCRIPT_ENTRIES = 24
ENTRY_LIMIT_CHARS = 800

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "outcome": {"type": "string", "enum": ["allow", "deny"]},
        "risk_level": {"type": "string", "enum": ["low", "medium", "high", "critical"]},
        "user_authorization": {"type": "string", "enum": ["unknown", "low", "medium", "high"]},
        "rationale": {"type": "string"},
    },
    "required": ["outcome", "risk_level", "user_authorization", "rationale"],
    "additionalProperties": False,
}
_NEEDED = {"low": ("low", "medium", "high"), "medium": ("medium", "high"), "high": ("high",)}
"""For each risk the authorizations that are enough; for "critical" none is."""


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcome: Literal["allow", "deny"]
    risk_level: Literal["low", "medium", "high", "critical"]
    user_authorization: Literal["unknown", "low", "medium", "high"]
    rationale: str


class TooManyDenials(ModelError):
    """The reviewer refused too often in a row, so the turn ends.

    Attributes:
        usage: what the last refusal cost.
    """

    code = "reviewer.denials"
    usage: Usage | None = None


class Reviewer:
    """Implements `judge.Judge`.

    Args:
        model: what is asked.
        prompt: the thread's, for the model's name and the cache.
        redact: takes keys out of a text.
    """

    def __init__(self, model: Model, prompt: Prompt, *, redact: Callable[[str], str] = str) -> None:
        self._model = model
        self._prompt = prompt
        self._redact = redact
        self._refusals = 0

    async def judge(self, question: CommandQuestion, context: Context) -> Verdict:
        """Return whether the command may run.

        Raises:
            TooManyDenials: this is one refusal too many in a row.
            BudgetSpent: the reviewer cannot be paid for.
        """
        verdict = await self._ask(question, context)
        if verdict.outcome == "allow":
            self._refusals = 0
            return verdict
        self._refusals += 1
        if self._refusals >= REFUSALS_LIMIT:
            self._refusals = 0
            end = TooManyDenials(
                f"The reviewer refused {REFUSALS_LIMIT} times in a row, so the turn was ended. "
                f"Last: {verdict.reason}",
                hint="Say yourself what may be done, or run without --approve-for-me.",
                info="tooManyDenials",
            )
            end.usage = verdict.usage
            raise end
        return verdict

    async def _ask(self, question: CommandQuestion, context: Context) -> Verdict:
        prompt = self._prompt_for(question, context)
        text = ""
        usage: Usage | None = None
        try:
            with anyio.fail_after(ANSWER_S):
                async with aclosing(self._model.stream(prompt)) as chunks:
                    async for chunk in chunks:
                        if isinstance(chunk, ItemDone) and chunk.kind == "message":
                            text = chunk.text
                        elif isinstance(chunk, Completed):
                            usage = chunk.usage
        except BudgetSpent:
            raise  # nothing more can be asked, so there is no use in a refusal
        except TimeoutError:
            return Verdict("deny", f"The reviewer did not answer within {ANSWER_S:g} s.", usage)
        except ModelError as failure:
            return Verdict("deny", f"The reviewer could not be asked: {failure}", usage)
        try:
            said = msgspec.json.decode(text, type=_Said)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return Verdict("deny", "The reviewer gave no answer that can be read.", usage)
        return _weighed(said, usage)

    def _prompt_for(self, question: CommandQuestion, context: Context) -> Prompt:
        rubric = (Path(__file__).parents[1] / "context" / "prompts" / "reviewer.md").read_text()
        case = {
            "user_said": user_said(context.thread),
            "transcript": transcript(context.thread),
            "action": _action(question, context.policy),
        }
        told = self._redact(msgspec.json.encode(case).decode())
        return msgspec.structs.replace(
            self._prompt,
            input=(
                message("developer", [text_part(rubric)]),
                message("user", [text_part(told)]),
            ),
            tools=b"[]",
            effort="low",
            summary=None,
            output_schema=msgspec.json.encode(_SCHEMA),
            parallel_calls=False,
        )


def _weighed(said: _Said, usage: Usage | None) -> Verdict:
    """Return the verdict; a yes has to fit what was said of risk and authorization."""
    reason = f"{said.rationale} (risk {said.risk_level}, authorization {said.user_authorization})"
    enough = said.user_authorization in _NEEDED.get(said.risk_level, ())
    return Verdict("allow" if said.outcome == "allow" and enough else "deny", reason, usage)


def user_said(thread: Thread) -> list[str]:
    """Return what the user wrote, newest last, as much as fits; the newest always does."""
    kept: list[str] = []
    left = USER_LIMIT_CHARS
    for raw in reversed(thread.said):
        text = _text(msgspec.json.decode(raw))
        if len(text) > left and kept:
            break
        kept.append(text[:USER_LIMIT_CHARS])
        left -= len(text)
    return kept[::-1]


def transcript(thread: Thread) -> list[dict[str, str]]:
    """Return what the assistant and its tools said lately, cut short."""
    found: list[dict[str, str]] = []
    users = {id(raw) for raw in thread.said}
    for entry in reversed(thread.history):
        if len(found) == TRANSCRIPT_ENTRIES:
            break
        if not isinstance(entry, Spoken) or id(entry.raw) in users:
            continue
        item = msgspec.json.decode(entry.raw)
        if item.get("role") in ("developer", "user", "system"):
            continue  # what octavo itself says of the surroundings
        shown = _shown(item)
        if shown is not None:
            found.append(shown)
    return found[::-1]


def _shown(item: dict[str, Any]) -> dict[str, str] | None:
    kind = item.get("type")
    if kind == "message":
        return {"assistant": _text(item)[:ENTRY_LIMIT_CHARS]}
    if kind in ("function_call", "custom_tool_call"):
        asked = item.get("arguments") or item.get("input") or ""
        return {"call": f"{item.get('name')} {asked}"[:ENTRY_LIMIT_CHARS]}
    if kind in ("function_call_output", "custom_tool_call_output"):
        output = item.get("output")
        text = output if isinstance(output, str) else "(not text)"
        return {"output": text[:ENTRY_LIMIT_CHARS]}
    return None


def _text(item: dict[str, Any]) -> str:
    content: Sequence[Any] = item.get("content") or ()
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _action(question: CommandQuestion, policy: Policy) -> dict[str, object]:
    return {
        "command": question.command,
        "cwd": question.cwd,
        "programs": question.programs,
        "paths": question.paths,
        "why": question.why,
        "rules": question.rules,
        "justification": question.reason,
        "sandbox": {
            "mode": policy.mode.value,
            "writable": [str(policy.cwd), *map(str, policy.writable_roots)],
            "network": policy.network.access,
            "hosts": policy.network.allow,
        },
    }
