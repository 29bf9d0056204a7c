"""Runs the model's calls.

Whatever a call asks for, exactly one `Outcome` comes back, with a text the model can work from:
an unknown name, arguments that do not fit, a refusal of the sandbox and a bug of ours are outputs
like any other. Only cancellation and the errors that end a turn (a log that cannot be written)
pass. Every text is bounded and has its secrets taken out here, once, for all tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from octavo.model import Call
from octavo.protocol.errors import OctavoError, SandboxError
from octavo.protocol.events import CallFacts
from octavo.tools import Declined, Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.redact import names_secret
from octavo.tools.truncate import truncate

_HEADER_TOKENS = 1_000
"""What a tool may say around an output that it bounded itself."""


class Toolbox:
    """The tools of one thread, by name.

    Args:
        tools: each name once, as `declare.choose` gives them.
        redact: takes secrets out of a text.
        on_bug: told of every exception that a tool did not raise on purpose.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        redact: Callable[[str], str],
        on_bug: Callable[[Exception], None] | None = None,
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._redact = redact
        self._on_bug = on_bug

    def may_run_beside(self, call: Call) -> bool:
        """Return whether other calls of the same response may run while `call` does."""
        tool = self._tools.get(call.name)
        return tool is None or not tool.alone

    async def run(self, call: Call, hands: Hands) -> Outcome:
        """Run `call` and return what it gave; a failure is an outcome that is not `ok`."""
        outcome = await self._run(call, hands)
        shown = self._for_model(outcome.content, hands)
        labels = self._labels(call, outcome.content)
        return msgspec.structs.replace(outcome, content=shown, labels=outcome.labels | labels)

    def _labels(self, call: Call, content: str | Sequence[Mapping[str, str]]) -> frozenset[str]:
        """Return where an output comes from; what octavo says itself is nobody else's."""
        tool = self._tools.get(call.name)
        if tool is None or tool.effect is Effect.NONE:
            return frozenset()
        parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
        private = any(self._redact(text) != text or names_secret(text) for text in parts)
        return frozenset(("untrusted", "private") if private else ("untrusted",))

    async def _run(self, call: Call, hands: Hands) -> Outcome:
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools)
            return _failed(f"There is no tool {call.name!r}. The tools are: {names}.")
        try:
            return await tool.run(_arguments(tool, call), hands)
        except Declined as refusal:
            return _failed(str(refusal), CallFacts(declined=True))
        except ToolFailed as failure:
            return _failed(str(failure))
        except SandboxError as refusal:
            return _failed(f"The sandbox refused this; nothing was done. {refusal}")
        except OctavoError:
            raise
        except Exception as bug:  # noqa: BLE001 - every call must have an output
            if self._on_bug is not None:
                self._on_bug(bug)
            return _failed(
                f"Octavo itself failed while running {call.name} ({type(bug).__name__}); the call "
                "may or may not have had its effect. Check before you repeat it, or go another way."
            )

    def _for_model(
        self, content: str | Sequence[Mapping[str, str]], hands: Hands
    ) -> str | Sequence[Mapping[str, str]]:
        if isinstance(content, str):
            text = self._redact(content)
            text = truncate(text, hands.output_limit_tokens + _HEADER_TOKENS)
            return text if text.strip() else "(no output)"
        return [
            {**part, "text": truncate(self._redact(part["text"]), hands.output_limit_tokens)}
            if "text" in part
            else part
            for part in content
        ]


def _failed(text: str, facts: CallFacts | None = None) -> Outcome:
    return Outcome(content=text, ok=False, facts=facts)


def _arguments(tool: Tool, call: Call) -> Any:
    """Return what the tool's function takes.

    A form the tool does not have is taken for what it means: the bare input of a function that
    has one parameter, or that input as the one member of an object.

    Raises:
        ToolFailed: the arguments do not fit; says what is wrong and what would.
    """
    if tool.grammar is not None:
        return call.arguments if call.freeform else _only_text(call.arguments)
    text = call.arguments.strip() or "{}"
    kind: Any = tool.params or dict[str, Any]
    try:
        if text.startswith('"'):  # an object that was encoded twice
            text = msgspec.json.decode(text, type=str)
        elif (name := _only_string(tool)) and not text.startswith(("{", "[")):
            text = msgspec.json.encode({name: call.arguments}).decode()
        return msgspec.json.decode(text, type=kind, strict=False)
    except msgspec.ValidationError as error:
        problem = f"The arguments of {tool.name} do not fit: {error}."
    except msgspec.DecodeError as error:
        problem = f"The arguments of {tool.name} are not valid JSON: {error}{_near(text, error)}."
    except RecursionError:
        problem = f"The arguments of {tool.name} are nested too deeply."
    except UnicodeEncodeError:
        problem = f"The arguments of {tool.name} hold half of a surrogate pair."
    raise ToolFailed(f"{problem} {_expected(tool)} Nothing was run.")


def _only_string(tool: Tool) -> str | None:
    """Return the name of the parameter, if there is one only and it is a string."""
    properties = (tool.schema or {}).get("properties", {})
    names = [name for name, part in properties.items() if part.get("type") == "string"]
    return names[0] if len(names) == len(properties) == 1 else None


def _only_text(arguments: str) -> str:
    try:
        [text] = msgspec.json.decode(arguments, type=dict[str, str]).values()
    except (msgspec.DecodeError, UnicodeEncodeError, ValueError):
        return arguments
    return text


def _near(text: str, error: msgspec.DecodeError) -> str:
    """Quote what comes before the byte that the error names."""
    _, _, position = str(error).rpartition("(byte ")
    if not position.rstrip(")").isdigit():
        return ""
    at_bytes = int(position.rstrip(")"))
    before = text.encode()[max(0, at_bytes - 40) : at_bytes].decode("utf-8", "ignore")
    return f", right after {before!r}" if before else ""


def _expected(tool: Tool) -> str:
    schema = tool.schema or {}
    if not schema.get("properties"):
        return "It takes an empty object: {}."
    return f"It takes one JSON object with: {_fields(schema)}."


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(
        f"{name} ({_kind(part)}{', required' if name in required else ''})"
        for name, part in schema.get("properties", {}).items()
    )


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " or ".join(part["enum"])
    inner = part.get("items", {})
    if inner.get("properties"):
        return f"array of objects with {_fields(inner)}"
    return str(part.get("type", "any"))
