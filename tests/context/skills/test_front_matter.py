"""Front matter from anybody: read as strings, or refused with a sentence; never anything else."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.skills import HEAD_LIMIT_BYTES, SkillError
from octavo.context.skills.front_matter import (
    fields,
    front_matter,
    plain_fields,
    yaml_fields,
)
from octavo.context.skills.header import Header, read_header

VALID = b"---\nname: tidy\ndescription: Tidies up. Use when it is a mess.\n---\n\nDo it.\n"


def refusal(head: bytes, folder: str = "tidy") -> str:
    with pytest.raises(SkillError) as caught:
        read_header(head, folder)
    return str(caught.value)


def test_the_front_matter_ends_at_the_second_line_of_dashes() -> None:
    text, rest = front_matter(VALID)

    assert text == "name: tidy\ndescription: Tidies up. Use when it is a mess.\n"
    assert VALID[rest:] == b"\nDo it.\n"


@pytest.mark.parametrize("change", [b"\xef\xbb\xbf%s", b"%s"], ids=["byte order mark", "plain"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(change: bytes, end: bytes) -> None:
    head = change % VALID.replace(b"\n", end)

    assert read_header(head, "tidy") == Header("tidy", "Tidies up. Use when it is a mess.")
    assert head[front_matter(head)[1] :] == end + b"Do it." + end


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "has no front matter"),
        (b"# Tidy\n", "has no front matter: its first line must be ---"),
        (b"---\nname: tidy\n", "a second line --- is missing"),
        (b"---\n---\n", "holds no fields"),
        (b"---\n- a\n- b\n---\n", "holds no fields"),
        (b"---\n" + b"a" * (2 * HEAD_LIMIT_BYTES), "does not end within 16 KiB"),
        (b"\x7fELF\0\0\0\0", "is a binary file"),
        (b"---\nname: t\0dy\n---\n", "is a binary file"),
        (b"---\nname: tidy\ndescription: caf\xe9\n---\n", "not UTF-8 text (line 3)"),
        (b"---\nname: tidy\ndescription: Use: when\n---\n", "Put the text after the field's name"),
        (b"---\nname: &n tidy\ndescription: *n\n---\n", "anchors and aliases"),
        (b"---\nname: tidy\ndescription: !!python/object:os.system x\n---\n", "tags (!)"),
        (b"---\nname: tidy\nname: tidy\ndescription: x\n---\n", "`name`" and "stands twice"),
        (b"---\n? [a]\n: b\n---\n", "must be a word"),
        (b"---\na: [[[[[[1]]]]]]\n---\n", "nested too deeply"),
        (b"---\nname: 'tidy\n---\n", "line"),
        (b"---\nname: tidy\n...\nname: other\n---\n", "not usable YAML"),
    ],
)
def test_what_is_no_front_matter_is_refused_with_a_reason(head: bytes, why: str) -> None:
    assert why in refusal(head)


def test_a_small_text_that_expands_to_a_large_one_is_refused_at_once() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    head = f"---\nname: tidy\ndescription: x\nl0: &l0 [x, x]\n{levels}---\n".encode()

    assert "anchors and aliases" in refusal(head)


def test_every_value_is_the_text_it_is_written_as() -> None:
    written = b"---\nname: tidy\ndescription: x y\nlicense: 1.10\ncompatibility: no\n---\n"

    header = read_header(written, "tidy")

    assert (header.license, header.compatibility) == ("1.10", "no")


def test_all_fields_of_the_specification_are_read() -> None:
    head = b"""---
name: pdf-work
description: >
  Fills forms.
  Use with PDF files: they are many.
license: Apache-2.0
compatibility: "Needs: python3"
metadata:
  author: example-org
  version: "1.0"
allowed-tools: Bash(git:*) Read
x-other: 1
---
"""
    assert read_header(head, "pdf-work") == Header(
        name="pdf-work",
        description="Fills forms. Use with PDF files: they are many.",
        license="Apache-2.0",
        compatibility="Needs: python3",
        metadata={"author": "example-org", "version": "1.0"},
        allowed_tools=("Bash(git:*)", "Read"),
        other=("x-other",),
    )


def test_tools_may_be_a_list() -> None:
    head = VALID.replace(b"---\n\n", b"allowed-tools:\n  - Bash(git:*)\n  - Read\n---\n\n")

    assert read_header(head, "tidy").allowed_tools == ("Bash(git:*)", "Read")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Tidy", "only have a to z"),
        ("tidy up", "only have a to z"),
        ("tidy_up", "only have a to z"),
        ("-tidy", "hyphen at its start"),
        ("tidy-", "hyphen at its start, its end"),
        ("tidy--up", "hyphen"),
        ("été", "only have a to z"),
        ("a" * 65, "has 65 characters; at most 64"),
        ("../up", "only have a to z"),
        ('""', "The name is empty"),
        ("[tidy]", "must be a word"),
    ],
)
def test_a_name_that_the_specification_refuses_is_refused(name: str, why: str) -> None:
    assert why in refusal(f"---\nname: {name}\ndescription: x\n---\n".encode(), name)


def test_the_name_is_that_of_the_folder() -> None:
    assert refusal(VALID, "other") == "The name `tidy` must be that of its folder, `other`."


def test_everything_that_is_wrong_is_said_at_once() -> None:
    head = (
        "---\nname: tidy\ndescription: ''\nlicense: [a]\ncompatibility: "
        f"{'x' * 501}\nmetadata: {{a: {{b: c}}}}\nallowed-tools: {{a: b}}\n---\n"
    ).encode()

    said = refusal(head)

    for field in ("description", "license", "compatibility", "metadata", "allowed-tools"):
        assert f"`{field}`" in said


def test_missing_fields_are_named() -> None:
    said = refusal(b"---\nlicense: MIT\n---\n")

    assert said == "The field `name` is missing. The field `description` is missing."


@pytest.mark.parametrize("chars", [1024, 1025])
def test_a_description_has_its_limit(chars: int) -> None:
    head = f"---\nname: tidy\ndescription: {'é' * chars}\n---\n".encode()

    if chars == 1024:
        assert read_header(head, "tidy").description == "é" * 1024
    else:
        assert refusal(head) == "The description has 1025 characters; at most 1024 are allowed."


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_they_are_read_or_refused(data: bytes) -> None:
    for head in (data, b"---\n" + data + b"\n---\n"):
        with suppress(SkillError):
            assert read_header(head, "tidy").name == "tidy"


_yamlish = st.lists(
    st.sampled_from(
        [*"\n: -[]{}&*!|>'\"#%@`,?", "a", "name", "\n  ", ": ", "---\n", "...\n", "<<", "é", "\x85"]
    ),
    max_size=40,
).map("".join)


@given(_yamlish)
def test_whatever_the_yaml_is_it_is_strings_or_refused(text: str) -> None:
    try:
        found = fields(text)
    except SkillError:
        return
    assert only_strings(found)


def only_strings(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and only_strings(value[key]) for key in value)
    if isinstance(value, list):
        return all(map(only_strings, value))
    return isinstance(value, str)


@pytest.mark.parametrize(
    "value",
    [
        "a #b",
        "a: b",
        "a:",
        "a ",
        "[a",
        "'a",
        "- a",
        "*a",
        "a\rb",
        "a\u2028b",
        "a\x85b",
        "a\x0bb",
        "",
    ],
)
def test_what_yaml_might_read_otherwise_is_left_to_it(value: str) -> None:
    assert plain_fields(f"name: tidy\nkey: {value}\n") is None


@pytest.mark.parametrize(
    "value", ["a#b", "a:b", "a, [b] {c} 'd' \"e\" & * ! | > % @", "0x10", "a é"]
)
def test_what_is_certain_is_read_without_it(value: str) -> None:
    assert plain_fields(f"name: tidy\nkey: {value}\n") == {"name": "tidy", "key": value}


_line = st.tuples(
    st.from_regex(r"[a-z-]{1,6}", fullmatch=True),
    st.lists(
        st.sampled_from(
            [*"aZ0: #-'\"[]{}&*!|>%@`,?.\t\r\u00e9\u00a0\u2028\x0b", "a #", "a: ", "a:"]
        ),
        max_size=6,
    ).map("".join),
)


@given(st.lists(_line, min_size=1, max_size=3))
def test_what_is_read_without_yaml_is_what_yaml_reads(lines: list[tuple[str, str]]) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in lines)

    plain = plain_fields(text)

    if plain is not None:
        assert plain == yaml_fields(text)
        assert plain == yaml.load(text, Loader=yaml.BaseLoader)


@given(
    st.dictionaries(
        st.sampled_from(
            ["name", "description", "license", "compatibility", "metadata", "allowed-tools", "x"]
        ),
        st.one_of(
            st.text(max_size=80),
            st.from_regex(r"[a-z0-9-]{0,70}", fullmatch=True),
            st.integers(1020, 1030).map(lambda n: "d" * n),
            st.integers(498, 502).map(lambda n: "c" * n),
            st.lists(st.text(max_size=5), max_size=3),
            st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
            st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=3)), max_size=2),
        ),
    ),
    st.one_of(st.none(), st.from_regex(r"[a-z0-9-]{1,66}", fullmatch=True)),
)
def test_what_is_accepted_keeps_every_rule(written: dict[str, Any], folder: str | None) -> None:
    head = f"---\n{yaml.safe_dump(written, allow_unicode=True)}---\n".encode("utf-8", "replace")
    folder = folder or str(written.get("name", ""))

    try:
        header = read_header(head, folder)
    except SkillError:
        return

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", header.name)
    assert header.name == folder
    assert 1 <= len(header.name) <= 64
    assert 1 <= len(header.description) <= 1024
    assert header.compatibility is None or 1 <= len(header.compatibility) <= 500
    assert all(isinstance(value, str) for value in header.metadata.values())
    assert header.metadata == (written.get("metadata") or {})
