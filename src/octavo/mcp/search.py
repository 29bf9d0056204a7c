"""Finds tools by words, with BM25: what is rare in the others counts most.

See Robertson and Zaragoza, “The Probabilistic Relevance Framework: BM25 and Beyond”, 2009. A tool's
name counts more than its description, because that is what a model looks for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from octavo.mcp.remote import Remote

K1 = 1.2
"""How soon more of the same word counts no more."""
B = 0.75
"""How much a long text is held against it."""
NAME_WEIGHT = 4
TEXT_CHARACTERS = 4_000
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Index:
    """An index of tools, made once for a list of them."""

    def __init__(self, tools: Sequence[Remote]) -> None:
        self._tools = tools
        self._counts = [Counter(_terms_of(tool)) for tool in tools]
        self._lengths = [count.total() for count in self._counts]
        self._mean_length = sum(self._lengths) / max(1, len(tools)) or 1.0
        self._holders = Counter(word for count in self._counts for word in count)

    def search(self, query: str, limit: int) -> list[Remote]:
        """Return the tools that fit best, best first; none that has no word of the query."""
        words = dict.fromkeys(terms(query))
        scores = [sum(self._score(word, at) for word in words) for at in range(len(self._tools))]
        best = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
        return [self._tools[at] for at in best[: max(0, limit)] if scores[at] > 0]

    def _score(self, word: str, at: int) -> float:
        count = self._counts[at][word]
        if not count:
            return 0.0
        holders = self._holders[word]
        rarity = math.log(1 + (len(self._tools) - holders + 0.5) / (holders + 0.5))
        length = 1 - B + B * self._lengths[at] / self._mean_length
        return rarity * count * (K1 + 1) / (count + K1 * length)


def terms(text: str) -> list[str]:
    """Return the words of a text as they are compared: in lower case, without a plural's s."""
    words = _WORD.findall(_HUMP.sub(" ", text).lower())
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words]


def _terms_of(tool: Remote) -> list[str]:
    named = terms(f"{tool.server} {tool.tool}") * NAME_WEIGHT
    return named + terms(" ".join([tool.description, *_parameters(tool.schema)])[:TEXT_CHARACTERS])


def _parameters(schema: Mapping[str, Any]) -> list[str]:
    parts = schema.get("properties")
    if not isinstance(parts, dict):
        return []
    described = [
        str(part.get("description", "")) if isinstance(part, dict) else ""
        for part in parts.values()
    ]
    return [*map(str, parts), *described]
