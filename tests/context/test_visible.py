"""What a model reads is what an editor would show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.visible import visible, visible_line

PLAIN = "Grüezi\tΑθήνα\nשלום العربية\nनमस्ते 👩\u200d💻 ❤\ufe0f क\u094d\u200cष"


def test_words_of_any_script_stay_as_they_are() -> None:
    assert visible(PLAIN) == PLAIN


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\u202e", "⟨U+202E⟩"),
        ("\u2066", "⟨U+2066⟩"),
        ("\u200b", "⟨U+200B⟩"),
        ("\x1b", "⟨U+001B⟩"),
        ("\x00", "⟨U+0000⟩"),
        ("\x9b", "⟨U+009B⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("\U000e0100", "⟨U+E0100⟩"),
        ("\udc80", "⟨U+DC80⟩"),
    ],
)
def test_what_hides_is_named(hidden: str, shown: str) -> None:
    assert visible(f"a{hidden}b") == f"a{shown}b"


def test_windows_line_ends_are_line_ends_and_a_lone_return_is_not() -> None:
    assert visible("a\r\nb\rc") == "a\nb⟨U+000D⟩c"


@given(st.text(st.characters()))
def test_nothing_hidden_is_left_and_it_changes_nothing_twice(text: str) -> None:
    shown = visible(text)

    kept = {"\n", "\t", "\u200c", "\u200d"}
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in kept]
    assert not [c for c in shown if unicodedata.bidirectional(c) in BIDI]
    assert visible(shown) == shown


BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(st.text())
def test_a_name_stays_on_one_line_and_outside_tags(text: str) -> None:
    assert not set("\n\r<>") & set(visible_line(text))
