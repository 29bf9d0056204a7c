"""Laws of layers, keys, overrides and edits, over generated settings."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from octavo.config.keys import dotted, parse_key
from octavo.config.layers import Source, lay
from octavo.config.overrides import parse_override, parse_value
from octavo.config.toml_text import line_and_column, scan
from octavo.config.write import encode_value, set_value

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.one_of(st.sampled_from(["a", "b", "c-d", "e.f", "", 'g"', "h'\\", "i\n"]), TEXT)
FLOATS = st.floats(allow_nan=False)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), FLOATS, TEXT)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
TABLES = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=3),
    lambda inner: st.dictionaries(NAMES, st.one_of(VALUES, inner), max_size=3),
    max_leaves=8,
)
KEYS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)


def leaves(table: dict[str, Any], at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= leaves(value, (*at, name))
        else:
            found[*at, name] = value
    return found


@given(st.lists(TABLES, max_size=4))
def test_the_later_layer_wins_leaf_by_leaf_and_sources_tell_the_truth(
    layers: list[dict[str, Any]],
) -> None:
    table: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for number, layer in enumerate(layers):
        lay(table, layer, number, sources)  # type: ignore[arg-type]  # numbers stand for sources

    wanted: dict[tuple[str, ...], tuple[Any, int]] = {}
    for number, layer in enumerate(layers):
        for key in every_key(layer):
            # A value replaces what was there, a table only a value, not what is in a table.
            inside = len(key) if not is_table(layer, key) else None
            wanted = {k: v for k, v in wanted.items() if k != key and k[:inside] != key}
            if not is_table(layer, key):
                wanted[key] = (leaves(layer)[key], number)

    assert leaves(table) == {key: value for key, (value, _) in wanted.items()}
    assert sources == {dotted(key): number for key, (_, number) in wanted.items()}


def every_key(table: dict[str, Any], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in table.items():
        found.append((*at, name))
        if isinstance(value, dict):
            found += every_key(value, (*at, name))
    return found


def is_table(table: dict[str, Any], key: tuple[str, ...]) -> bool:
    value: Any = table
    for name in key:
        value = value[name]
    return isinstance(value, dict)


@given(TABLES, TABLES)
def test_laying_changes_no_layer(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = repr((first, second))
    table: dict[str, object] = {}
    for layer in (first, second, first):
        lay(table, layer, Source("user"), {})
    assert repr((first, second)) == before


@given(KEYS)
def test_a_written_key_reads_back_and_is_toml(key: tuple[str, ...]) -> None:
    written = dotted(key)
    assert parse_key(written) == key
    value: Any = tomllib.loads(f"{written} = 1")
    for name in key:
        value = value[name]
    assert value == 1
    assert "\n" not in written


@given(KEYS, st.one_of(VALUES, TABLES))
def test_an_override_reads_what_toml_would(key: tuple[str, ...], value: object) -> None:
    assert parse_override(f"{dotted(key)}={encode_value(value)}") == (key, value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_override_is_toml_or_else_itself(text: str) -> None:
    try:
        table = tomllib.loads(f"v = {text}")
        wanted: object = table["v"] if len(table) == 1 else text
    except tomllib.TOMLDecodeError:
        wanted = text
    assert repr(parse_value(text.strip())) == repr(wanted) or "#" in text or text != text.strip()


PIECES = st.sampled_from(
    [
        "{",
        "}",
        ",",
        "=",
        " ",
        '"',
        "'",
        "\\",
        "-",
        "+",
        "a",
        "b_c-1",
        "0",
        "12",
        "true",
        "é",
        ".",
        "[",
        "]",
    ]
)


@given(st.lists(PIECES, max_size=12).map(lambda pieces: "{" + "".join(pieces) + "}"))
@example('{a="b", c-1 = 12,d=true}')
@example('{a="b,c",d="=}"}')
@example("{a=1,a=2}")
def test_an_inline_table_is_toml_or_else_itself(text: str) -> None:
    try:
        wanted: object = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        wanted = text
    assert repr(parse_value(text)) == repr(wanted)


@given(TABLES, KEYS, VALUES)
def test_an_edit_changes_one_value_and_no_comment(
    table: dict[str, Any], key: tuple[str, ...], value: object
) -> None:
    text = "# first\n"
    for place, leaf in leaves(table).items():
        text = set_value(text, place, leaf) + "# kept\n"
    before = tomllib.loads(text)
    if any(key[: len(k)] == k or k[: len(key)] == key for k in leaves(table) if k != key):
        return

    after = set_value(text, key, value)

    assert leaves(tomllib.loads(after)) == leaves(before) | {key: value}
    assert after.count("# kept\n") == text.count("# kept\n")
    assert "# first\n" in after


@given(TABLES, st.sampled_from(["\n", "\r\n"]))
def test_a_scan_finds_every_key_where_it_stands(table: dict[str, Any], newline: str) -> None:
    text = ""
    for key, value in leaves(table).items():
        text = set_value(text, key, value)
    text = text.replace("\n", newline)
    layout = scan(text)
    assert {entry.key for entry in layout.entries} == set(leaves(table))
    for entry in layout.entries:
        assert tomllib.loads(f"v = {text[entry.value_start : entry.value_end]}") == {
            "v": leaves(table)[entry.key]
        }
        line, column = line_and_column(text, entry.start)
        assert text.split("\n")[line - 1][column - 1 :].startswith(dotted(entry.key[-1:]))
