"""How many tokens a request will be, before it is made.

A guess from above for text as models usually get it: three bytes a token, where four are usual. It
learns: what the provider counted for one request is the exact beginning of the next one's.
"""

from __future__ import annotations

from octavo.context.tokens import HIGH, estimate_tokens, item_tokens
from octavo.model import Prompt


class Gauge:
    """Of the requests of one model in one thread. Looks only at what was added since the last."""

    def __init__(self) -> None:
        self._count = 0
        """So many items of the last request's input are in `_tokens`."""
        self._last = b""
        """The last of them; if it is not there any more, the history was replaced."""
        self._tools = b""
        self._tokens = 0

    def measure(self, prompt: Prompt) -> int:
        """Return about how many input tokens `prompt` has, rather too many than too few."""
        items = prompt.input
        count = self._count
        grown = 0 < count <= len(items) and items[count - 1] is self._last
        if not grown or prompt.tools is not self._tools:
            count, self._tokens = 0, estimate_tokens(len(prompt.tools), HIGH)
        self._tokens += sum(item_tokens(items[n], HIGH) for n in range(count, len(items)))
        self._count = len(items)
        self._last = items[-1] if items else b""
        self._tools = prompt.tools
        return self._tokens

    def learn(self, input_tokens: int) -> None:
        """Take what the provider counted for the request that was measured last."""
        if input_tokens > 0:
            self._tokens = input_tokens
