"""Paths found by letters: all that match and no others, the best first, step by step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.workspace.fuzzy import LIMIT, Listing, Search
from tests.sampling import sample

NAMES = st.text(st.sampled_from("abAB_.-/İß^]\\ "), min_size=1, max_size=8)
QUERIES = st.text(st.sampled_from("abAB_./^]\\- "), max_size=6)


def listing(*paths: str) -> Listing:
    made = Listing()
    made.add(paths)
    return made


def find(within: Listing, query: str, search: Search | None = None) -> list[str]:
    search = search or Search()
    for _ in within.search(query, search):
        pass
    return [found.path for found in search.found]


def lower(text: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def has(path: str, word: str) -> bool:
    letters = iter(lower(path))
    return all(letter in letters for letter in word)


@settings(max_examples=sample(2000, 150))
@given(st.lists(NAMES, max_size=20), QUERIES)
def test_what_matches_is_found_and_its_letters_are_where_they_are_said_to_be(
    paths: list[str], query: str
) -> None:
    within, search = listing(*paths), Search()
    find(within, query, search)

    words = query.lower().split()
    matching = [path for path in within.paths if words and all(has(path, w) for w in words)]
    assert len(search.found) == min(len(matching), LIMIT)
    for found in search.found:
        assert found.path in matching
        assert found.score > 0
        assert sorted(set(found.indices)) == list(found.indices)
        letters = "".join(lower(found.path)[index] for index in found.indices)
        assert all(has(letters, word) for word in words)
    scores = [found.score for found in search.found]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=sample(500, 50))
@given(st.lists(NAMES, max_size=20), st.text(st.sampled_from("ab/ "), max_size=5))
def test_typing_on_finds_what_asking_at_once_does(paths: list[str], query: str) -> None:
    within, search = listing(*paths), Search()
    for end in range(len(query) + 1):
        find(within, query[:end], search)
    assert [found.path for found in search.found] == find(within, query)


def test_what_is_deleted_again_finds_what_it_did_before() -> None:
    within, search = listing("abc", "abd"), Search()
    found = [find(within, query, search) for query in ("ab", "abc", "ab", "b d", "", "d")]

    assert found == [["abc", "abd"], ["abc"], ["abc", "abd"], ["abd"], [], ["abd"]]


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("main", ["main.py", "src/main.py", "src/domain.py", "main/b.py", "m_a/i_n/x"]),
        ("sa", ["src/app.py", "usage.py"][::-1]),
        ("fb", ["src/foo_bar.py", "src/offbase.py"][::-1]),
        ("src/a", ["src/a.py", "src/b/a.py"]),
        ("MAIN", ["a/main.c"]),
        ("thread test", ["tests/test_thread.py", "tests/threads/test_a.py"]),
    ],
)
def test_what_is_meant_comes_first(query: str, paths: list[str]) -> None:
    files = [path for path in find(listing(*reversed(paths)), query) if path in paths]
    assert files == paths


def test_directories_are_found_once() -> None:
    within, search = listing("a/b/one", "a/b/two", "empty/"), Search()
    find(within, "b", search)

    assert [(f.path, f.is_directory) for f in search.found][:1] == [("a/b", True)]
    assert find(within, "empty") == ["empty"]
    assert sorted(within.paths) == ["a", "a/b", "a/b/one", "a/b/two", "empty"]


def test_many_of_them_come_in_pieces_and_only_the_best_are_kept() -> None:
    within, search = listing(*(f"dir/file_{n}.py" for n in range(5000))), Search()
    pieces = sum(1 for _ in within.search("f", search))

    assert pieces > 10
    assert len(search.found) == LIMIT
    assert {len(found.path) for found in search.found} == {13, 14}


def test_a_search_that_was_left_half_way_does_not_spoil_the_next() -> None:
    within, search = listing(*(f"dir/file_{n}.py" for n in range(5000))), Search()
    next(iter(within.search("file", search)))

    assert find(within, "file_4999", search) == ["dir/file_4999.py"]
