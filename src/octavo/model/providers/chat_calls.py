"""Tool calls out of the fragments that Chat Completions servers send.

OpenAI gives each call an index, and its id and name in its first fragment. Others do as they like,
and these are told apart all the same:

- no index (Gemini): https://github.com/openai/openai-python/issues/2806
- index 0 for every call (Ollama): https://github.com/ollama/ollama/issues/15457
- no id, an id that comes late, or another one in each fragment
- the name in pieces, repeated, or growing
- arguments as an object instead of its text
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from octavo.model.providers.spoken import text_of


class Function(msgspec.Struct):
    """What is called, or a piece of it."""

    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class Fragment(msgspec.Struct):
    """A piece of a call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: dict[str, Any] | None = None


class Growing:
    """A call being written."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.extra_content: dict[str, Any] | None = None
        self._pieces: list[str] = []

    def add(self, fragment: Fragment, names: Sequence[str]) -> None:
        """Add a piece."""
        self.id = self.id or fragment.id or ""
        self.extra_content = fragment.extra_content or self.extra_content
        function = fragment.function
        if function is None:
            return
        if function.name:
            self.name = _grown(self.name, function.name, names)
        piece = text_of(function.arguments) if bytes(function.arguments) else ""
        if piece:
            self._pieces.append(piece)

    def arguments(self) -> str:
        """Return the arguments so far."""
        return "".join(self._pieces)

    def is_whole(self) -> bool:
        """Say whether the arguments are a complete JSON value, so that nothing can follow."""
        try:
            msgspec.json.decode(self.arguments())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class Calls:
    """The calls of one answer."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with none; `names` are those of the tools that may be called."""
        self._names = names
        self._growing: dict[int, Growing] = {}
        self._number = 0
        self._last: int | None = None

    def add(self, fragments: Sequence[Fragment]) -> Iterator[tuple[int, Growing]]:
        """Add what one chunk brings; yield each call it belongs to, with its number."""
        for fragment in fragments:
            number = self._place(fragment)
            call = self._growing[number]
            call.add(fragment, self._names)
            self._last = number
            yield number, call

    def finish(self) -> Iterator[tuple[int, Growing]]:
        """Yield the calls so far, in the order in which they began, and forget them."""
        growing, self._growing, self._last = self._growing, {}, None
        yield from growing.items()

    def _place(self, fragment: Fragment) -> int:
        """Return the number of the call that `fragment` is a piece of."""
        found = self._known(fragment)
        if found is not None:
            return found
        self._number += 1
        self._growing[self._number] = Growing(fragment.index)
        return self._number

    def _known(self, fragment: Fragment) -> int | None:
        if fragment.id:
            for number, call in self._growing.items():
                if call.id == fragment.id:
                    return number
        named = bool(fragment.function and fragment.function.name)
        if fragment.index is None:
            last = self._last
            if last is None or (named and (fragment.id or self._growing[last].is_whole())):
                return None
            return last
        for number, call in reversed(self._growing.items()):
            if call.index == fragment.index:
                other = bool(fragment.id and call.id and named)
                anew = named and not fragment.id and call.is_whole() and call.id == ""
                return None if other or anew else number
        return None


def _grown(name: str, piece: str, names: Sequence[str]) -> str:
    """Return the name after `piece`: the next piece of it, or all of it said again."""
    for grown in (name + piece, piece):
        if any(known.startswith(grown) for known in names):
            return grown
    return name if piece == name else name + piece
