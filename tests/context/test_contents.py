"""What a model is told of what it is not shown any more."""

from __future__ import annotations

from octavo.context.contents import TURNS_SHOWN, contents
from octavo.context.readable import Readable


def history(turns: int) -> list[tuple[int, Readable]]:
    items: list[tuple[int, Readable]] = [(0, Readable("octavo", "Be octavo."))]
    for number in range(turns):
        items += [
            (len(items), Readable("user", f"do thing {number}\nand <b>more</b>")),
            (len(items) + 1, Readable("call", "{}", "a", "exec_command")),
            (len(items) + 2, Readable("output", "hi", "a")),
            (len(items) + 3, Readable("assistant", "Done.")),
        ]
    return items


def test_each_turn_is_a_line_with_its_numbers_and_what_it_did() -> None:
    said = {1, 5}

    lines = contents(history(2), said=said, shown={0, 1, 5})

    assert lines == [
        "items 2 to 4, after “do thing 0 and &lt;b&gt;more&lt;/b&gt;”: "
        "1× exec_command, 1 message of yours",
        "items 6 to 8, after “do thing 1 and &lt;b&gt;more&lt;/b&gt;”: "
        "1× exec_command, 1 message of yours",
    ]


def test_a_message_of_the_user_that_is_not_shown_is_among_the_numbers() -> None:
    [line] = contents(history(1), said={1}, shown={0})

    assert line.startswith("items 1 to 4, after")


def test_what_is_shown_is_not_listed() -> None:
    assert contents(history(1), said={1}, shown={0, 1, 2, 3, 4}) == []


def test_of_many_turns_the_oldest_are_one_line() -> None:
    turns = TURNS_SHOWN + 10
    said = {1 + 4 * n for n in range(turns)}

    lines = contents(history(turns), said=said, shown={0, *said})

    assert len(lines) == TURNS_SHOWN + 1
    assert lines[0] == "items 2 to 40, 10 older turns: 10 calls"
