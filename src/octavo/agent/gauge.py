"""How many tokens a request will be, before it is made.

A guess from above for text as models usually get it: three bytes a token, where four are usual. It
learns: what the provider counted for one request is the exact beginning of the next one's.
"""

from __future__ import annotations

from octavo.model import Prompt

BYTES_PER_TOKEN = 3
IMAGE_TOKENS = 3_000
"""More than the largest image costs at the usual providers."""
_IMAGE_FROM_BYTES = 8_000
_DATA = b'"data:'


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
            count, self._tokens = 0, _tokens_of(len(prompt.tools))
        self._tokens += sum(item_tokens(items[n]) for n in range(count, len(items)))
        self._count = len(items)
        self._last = items[-1] if items else b""
        self._tools = prompt.tools
        return self._tokens

    def learn(self, input_tokens: int) -> None:
        """Take what the provider counted for the request that was measured last."""
        if input_tokens > 0:
            self._tokens = input_tokens


def item_tokens(raw: bytes) -> int:
    """Return about how many tokens a model item is; images count by number, not by bytes."""
    size_bytes, images = len(raw), 0
    at = raw.find(_DATA) if size_bytes >= _IMAGE_FROM_BYTES else -1
    while at >= 0:
        end = raw.find(b'"', at + 1)
        if end < 0:
            break
        size_bytes -= end - at
        images += 1
        at = raw.find(_DATA, end)
    return _tokens_of(size_bytes) + images * IMAGE_TOKENS


def _tokens_of(size_bytes: int) -> int:
    return -(-size_bytes // BYTES_PER_TOKEN)
