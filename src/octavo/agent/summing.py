"""Getting a summary out of a model that may be busy, refuse, ramble or talk nonsense.

What comes back is a summary that passed its checks, or the reason why there is none. The request
extends the last one's bytes: same tools, same history, and at its end the item that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing

import anyio
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.context.encode import encode
from octavo.context.summary import MOST_TOKENS, ask_for_summary, fault_of_summary
from octavo.context.tokens import item_tokens
from octavo.model import Completed, ItemDone, Model, Prompt, TextDelta
from octavo.model.retry import Patience
from octavo.protocol.errors import ModelBusy, ModelError
from octavo.protocol.events import Retrying
from octavo.protocol.usage import Usage

TRIES = 2
"""How often a model is asked for a summary that will do."""
BUSY_TRIES = 3
"""How often a busy one is asked again, all in all."""
ANSWER_S = 600.0
TRIGGER = encode({"type": "compaction_trigger"})
"""What asks a provider that keeps the summary itself; it answers with one item `compaction`."""
_MOST_CHARS = MOST_TOKENS * 8
_HOPELESS = frozenset(
    {"unauthorized", "usageLimitExceeded", "modelNotFound", "sessionBudgetExceeded"}
)


class Summary(msgspec.Struct, frozen=True):
    """A summary: text of the model, or an item that only its provider can read."""

    text: str | None = None
    item: bytes | None = None


class NoSummary(Exception):
    """There is none; the text says why, as the end of a sentence."""


class Summing:
    """One attempt to have a thread summed up.

    Attributes:
        usage: what it has cost so far.
    """

    def __init__(
        self,
        journal: Journal,
        turn_id: str,
        model: Model,
        patience: Patience,
        *,
        own_prompt: str | None,
        redact: Callable[[str], str],
    ) -> None:
        self.usage: Usage | None = None
        self._journal = journal
        self._turn_id = turn_id
        self._model = model
        self._patience = patience
        self._own_prompt = own_prompt
        self._redact = redact
        self._busy_left = BUSY_TRIES

    async def remote(self, prompt: Prompt) -> Summary:
        """Have the provider sum `prompt` up.

        Raises:
            NoSummary: it did not.
            ModelError: nothing else can be asked of it either.
        """
        items = await self._ask(prompt, TRIGGER)
        found = [item.raw for item in items if item.kind == "compaction"]
        if not found:
            raise NoSummary("the provider sent no summary")
        return Summary(item=found[-1])

    async def local(self, prompt: Prompt) -> Summary:
        """Have the model write a summary of `prompt`.

        Raises:
            NoSummary: what came will not do, or nothing came.
            ModelError: nothing else can be asked of it either.
        """
        asking = ask_for_summary(self._own_prompt)
        replaced_tokens = sum(map(item_tokens, prompt.input))
        fault: str | None = None
        for _ in range(TRIES):
            items = await self._ask(prompt, asking)
            text = "\n\n".join(item.text for item in items if item.kind == "message" and item.text)
            fault = fault_of_summary(text, replaced_tokens, own_prompt=self._own_prompt is not None)
            if fault is None:
                return Summary(self._redact(text))
        raise NoSummary(f"the model's would not do ({fault})")

    async def _ask(self, prompt: Prompt, asking: bytes) -> Sequence[ItemDone]:
        """Return the items of one whole answer; a busy provider is asked again."""
        asked = msgspec.structs.replace(prompt, input=[*prompt.input, asking], output_schema=None)
        while True:
            try:
                with anyio.fail_after(ANSWER_S):
                    return await self._listen(asked)
            except TimeoutError:
                raise NoSummary(f"the summary took longer than {ANSWER_S:g} s") from None
            except ModelBusy as failure:
                wait_s = self._patience.next_wait_s(failure) if self._busy_left else None
                if wait_s is None:
                    if failure.status is None and failure.info == "httpConnectionFailed":
                        raise self._patience.give_up(failure) from failure
                    raise NoSummary(f"the provider did not give one: {failure}") from failure
                self._busy_left -= 1
                self._say_retrying(failure)
                await anyio.sleep(wait_s)
            except ModelError as failure:
                if failure.info in _HOPELESS:
                    raise
                raise NoSummary(f"the provider refused: {failure}") from failure

    async def _listen(self, prompt: Prompt) -> Sequence[ItemDone]:
        items: list[ItemDone] = []
        chars = 0
        async with aclosing(self._model.stream(prompt)) as chunks:
            async for chunk in chunks:
                match chunk:
                    case TextDelta():
                        chars += len(chunk.text)
                        if chars > _MOST_CHARS:
                            raise NoSummary("the model did not stop writing")
                    case ItemDone():
                        items.append(chunk)
                    case Completed():
                        self._patience.reset()
                        if chunk.usage is not None:
                            self.usage = (self.usage or Usage()).plus(chunk.usage)
                    case _:
                        pass
        return items

    def _say_retrying(self, failure: ModelBusy) -> None:
        patience = self._patience
        self._journal.emit(
            Retrying(
                self._turn_id,
                now_ms(),
                str(failure),
                patience.failures,
                BUSY_TRIES,
                failure.info,
                failure.status,
            )
        )
