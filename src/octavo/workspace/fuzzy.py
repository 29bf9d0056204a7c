"""Paths found by some letters of theirs, in order, ranked as a person means them.

A query is words; each has to be in the path, its letters in order, in either case. What is in the
name of a file counts before what is in its directories, letters in a row before letters apart, and
the beginning of a word before its middle; then the shorter path comes first.

All of it is cut into pieces of a millisecond or two (`search` yields between them), so a loop that
has other things to do goes on with them, and a query that nobody wants any more is dropped.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from typing import Protocol

import msgspec

LIMIT = 50
"""Paths of one answer."""
MAX_QUERY = 256
"""Letters."""
_PIECE = 500
"""Paths that are looked at in one go."""
_TIERS = (50_000, 40_000, 30_000, 20_000, 10_000)
"""The name begins with it; it is in the name in a row; in the path in a row; in the name; in the
path. What is added to a score never reaches the next one."""
_ROUGH = 4 * LIMIT
"""So many are ranked finely."""
_FINE_PIECE = 50
_BREAKS = frozenset("/_-. ")


class Match(Protocol):
    """Whether something is in a path, from a place on."""

    def __call__(self, path: str, start: int = 0, /) -> object: ...


class Found(msgspec.Struct, frozen=True):
    """A path that matches.

    Attributes:
        score: comparable within one answer, and above 0.
        indices: where its matching letters stand, counted in characters.
    """

    path: str
    is_directory: bool
    score: int
    indices: tuple[int, ...]


class Listing:
    """Files, and the directories they are in, ready to be searched.

    For each path it keeps the path, its lower case where that differs, and four bytes.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._lower: list[str] = []
        self._names = array("I")
        """Where each path's last name begins."""
        self._directories: set[str] = set()

    def add(self, paths: Sequence[str]) -> None:
        """Take some more in; one that ends in a slash is a directory."""
        for path in paths:
            if path.endswith("/"):
                self._add_directory(path[:-1])
                continue
            parent, slash, _ = path.rpartition("/")
            if slash and parent not in self._directories:
                self._add_directory(parent)
            self._add(path, len(parent) + len(slash))

    def _add_directory(self, path: str) -> None:
        while path and path not in self._directories:
            parent, slash, _ = path.rpartition("/")
            self._directories.add(path)
            self._add(path, len(parent) + len(slash))
            path = parent

    def _add(self, path: str, name: int) -> None:
        lower = path.lower()
        if len(lower) != len(path):  # as of "İ": places have to stay
            lower = "".join(c if len(c.lower()) != 1 else c.lower() for c in path)
        self.paths.append(path)
        self._lower.append(path if lower == path else lower)
        self._names.append(name)

    def search(self, query: str, search: Search) -> Iterator[None]:
        """Fill `search` with what matches, yielding between pieces of work.

        Args:
            query: if it goes on from the last one of `search`, only what matched that is looked at.
        """
        words = query.lower().split()
        before = search.survivors if search.goes_on(query) else range(len(self.paths))
        search.query, search.survivors, search.found = query, None, ()
        if not words or len(query) > MAX_QUERY or before is None:
            return
        matchers = [_matcher(word) for word in words]
        ranks = _Ranks(words, matchers)
        lower = self._lower
        survivors: list[int] = []
        for start in range(0, len(before), _PIECE):
            piece: Sequence[int] = before[start : start + _PIECE]
            for match in matchers:
                piece = [at for at in piece if match(lower[at])]
            survivors += piece
            ranks.sort_in(piece, lower, self._names)
            yield
        found: list[Found] = []
        for number, (tier, at) in enumerate(ranks.best(lower)):
            if number % _FINE_PIECE == 0:
                yield
            found.append(self._finely(at, tier, words))
        found.sort(key=lambda one: (-one.score, len(one.path), one.path))
        search.survivors, search.found = survivors, tuple(found[:LIMIT])

    def _finely(self, at: int, tier: int, words: Sequence[str]) -> Found:
        path = self.paths[at]
        score, indices = _TIERS[tier] - len(path), set[int]()
        for word in words:
            places = _places(self._lower[at], word, self._names[at])
            score += _bonus(path, places)
            indices.update(places)
        is_directory = path in self._directories
        return Found(path, is_directory, max(1, score), tuple(sorted(indices)))


class _Ranks:
    """The best of what matches, roughly: by how the words are in it, then by its length.

    What is worse than as many as are wanted is not looked at.
    """

    def __init__(self, words: Sequence[str], matchers: Sequence[Match]) -> None:
        first = words[0]
        self._tests: tuple[Callable[[str, int], object], ...] = (
            lambda path, name: path.startswith(first, name) and all(w in path for w in words),
            lambda path, name: all(path.find(word, name) >= 0 for word in words),
            lambda path, _: all(word in path for word in words),
            lambda path, name: all(match(path, name) for match in matchers),
            lambda _, __: True,
        )
        if len(words) == 1:
            match = matchers[0]
            self._tests = (
                lambda path, name: path.startswith(first, name),
                lambda path, name: path.find(first, name) >= 0,
                lambda path, _: first in path,
                match,
                lambda _, __: True,
            )
        self._tiers: list[list[int]] = [[] for _ in self._tests]

    def sort_in(self, piece: Sequence[int], lower: Sequence[str], names: array[int]) -> None:
        better = 0
        for number, test in enumerate(self._tests):
            if better >= _ROUGH or not piece:
                return
            hits = [at for at in piece if test(lower[at], names[at])]
            if hits:
                taken = set(hits)
                piece = [at for at in piece if at not in taken]
                hits += self._tiers[number]
                self._tiers[number] = hits if len(hits) <= 4 * _ROUGH else _shortest(hits, lower)
            better += len(self._tiers[number])

    def best(self, lower: Sequence[str]) -> list[tuple[int, int]]:
        """Return the tier and the place of each, the best first."""
        found: list[tuple[int, int]] = []
        for number, tier in enumerate(self._tiers):
            found += ((number, at) for at in _shortest(tier, lower))
        return found[:_ROUGH]


def _shortest(places: Sequence[int], lower: Sequence[str]) -> list[int]:
    return nsmallest(_ROUGH, places, key=lambda at: (len(lower[at]), at))


class Search:
    """A query, what came of it, and what the next one can go on from."""

    def __init__(self) -> None:
        self.query = ""
        self.survivors: list[int] | None = None
        """All that match; None where that is not known."""
        self.found: tuple[Found, ...] = ()

    def goes_on(self, query: str) -> bool:
        """Whether only what matched the last query can match this one."""
        return self.survivors is not None and query.startswith(self.query)


def _matcher(word: str) -> Match:
    """Return what tells whether the letters of `word` are in a path, in order, from a place on."""
    if len(word) == 1:
        return lambda path, start=0, /: path.find(word, start) >= 0
    return re.compile("".join(f"[^{_in_set(c)}]*+{re.escape(c)}" for c in word)).match


def _in_set(letter: str) -> str:
    return "\\" + letter if letter in "\\]^-[&|~" else letter


def _places(path: str, word: str, name: int) -> list[int]:
    """Return where the letters of `word` are best seen in `path`."""
    for begin in (name, 0):
        place = _in_a_row(path, word, begin)
        if place >= 0:
            return list(range(place, place + len(word)))
    for begin in (name, 0):
        end = begin - 1
        for letter in word:
            end = path.find(letter, end + 1)
            if end < 0:
                break
        else:
            return _tightened(path, word, end)
    raise AssertionError(f"{word!r} is not in {path!r}")


def _in_a_row(path: str, word: str, begin: int) -> int:
    """Return where `word` stands, at the beginning of another word if it does anywhere."""
    first = place = path.find(word, begin)
    while place > begin and path[place - 1] not in _BREAKS:
        place = path.find(word, place + 1)
    return first if place < 0 else place


def _tightened(path: str, word: str, end: int) -> list[int]:
    """Return the places, from the last letter backwards, each as late as it can be."""
    places: list[int] = []
    for letter in reversed(word):
        end = path.rfind(letter, 0, end + 1)
        places.append(end)
        end -= 1
    return places[::-1]


def _bonus(path: str, places: Sequence[int]) -> int:
    """Return how well places are seen: at beginnings of words, in a row, close together."""
    bonus, last = 0, -2
    for place in places:
        before = path[place - 1] if place else "/"
        if before in _BREAKS or (path[place].isupper() and not before.isupper()):
            bonus += 80
        if place == last + 1:
            bonus += 40
        elif last >= 0:
            bonus -= min(20, place - last)
        last = place
    return bonus
