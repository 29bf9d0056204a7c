"""The skills octavo ships: each is valid, and each has a test of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from octavo.context.skills import FILE
from octavo.context.skills.folder import read_folder
from octavo.context.skills.front_matter import front_matter, plain_fields
from octavo.context.skills.header import advice, read_header
from octavo.context.skills.roots import BUNDLED

SKILLS = sorted(path.name for path in BUNDLED.iterdir() if path.name[0] not in "._")


def test_there_are_some() -> None:
    assert "skill-creator" in SKILLS


@pytest.mark.parametrize("name", SKILLS)
def test_a_bundled_skill_keeps_the_format_and_leaves_nothing_to_advise(name: str) -> None:
    data = (BUNDLED / name / FILE).read_bytes()

    header = read_header(data, name)
    text, end = front_matter(data)

    assert advice(header, data[end:]) == []
    assert plain_fields(text) is not None  # a start is not to import YAML for it
    assert "Use when" in header.description
    assert read_folder(BUNDLED / name).entries[FILE]


@pytest.mark.parametrize("name", SKILLS)
def test_every_file_that_a_bundled_skill_points_to_is_there(name: str) -> None:
    text = (BUNDLED / name / FILE).read_text()

    for path in re.findall(r"\b(?:scripts|references|assets)/[\w./-]*\w", text):
        if not (BUNDLED / name / path).exists():
            assert name == "skill-creator", path  # its examples are of other skills


@pytest.mark.parametrize("name", SKILLS)
def test_a_bundled_skill_has_a_test_of_its_own(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name.replace('-', '_')}.py").is_file()
