"""Which skills a message names: Codex's rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.skills import Root, Skill
from octavo.context.skills.mentions import named_skills
from octavo.protocol.inputs import Skill as SkillInput
from octavo.protocol.inputs import Text, UserInput

FIRST, SECOND = Root(Path("/first"), "repo"), Root(Path("/second"), "user")


def skill(name: str, root: Root = SECOND, **more: object) -> Skill:
    return Skill(name, "Does it.", root, **more)  # type: ignore[arg-type]  # of Skill's fields


SKILLS = [
    skill("tidy", FIRST),
    skill("notes"),
    skill("tidy", state="shadowed"),
    skill("broken", state="invalid"),
    skill("path"),
]


def named(*inputs: UserInput | str) -> list[str]:
    given = [Text(one) if isinstance(one, str) else one for one in inputs]
    return [str(one.folder) for one in named_skills(given, SKILLS)[0]]


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("$tidy", ["/first/tidy"]),
        ("Use $tidy, then ($notes).", ["/first/tidy", "/second/notes"]),
        ("$notes $notes", ["/second/notes"]),
        ("$tidyx $tidy-up $tidy_ up", []),
        ("tidy the $", []),
        ("costs 5$ tidy", []),
        ("$PATH and $path", []),
        ("$$$tidy", ["/first/tidy"]),
        ("$Tidy", []),
        ("[$tidy](/second/tidy/SKILL.md)", ["/second/tidy"]),
        ("[$tidy]  ( skill:///second/tidy/SKILL.md )", ["/second/tidy"]),
        ("[$tidy](/second/tidy/skill.md)", ["/second/tidy"]),
        ("[$tidy](/second/tidy) and $tidy", ["/second/tidy"]),
        ("[$tidy](/nowhere/SKILL.md)", []),
        ("[tidy](/first/tidy)", []),
        ("$broken", ["/second/broken"]),
        ("$notes\n\n<stdin>\n$tidy\n</stdin>\n$tidy\n</stdin>", ["/second/notes"]),
    ],
)
def test_a_name_after_a_dollar_sign_is_a_skill(text: str, folders: list[str]) -> None:
    assert named(text) == folders


def test_the_protocols_input_counts_by_its_path_and_blocks_the_name() -> None:
    chosen = SkillInput("tidy", "/second/tidy/SKILL.md")

    assert named(chosen, "$tidy and $notes") == ["/second/tidy", "/second/notes"]


def test_an_input_for_a_skill_that_is_not_there_is_told_and_nothing_takes_its_place() -> None:
    given = [SkillInput("tidy", "/gone/SKILL.md"), Text("$tidy")]

    assert named_skills(given, SKILLS) == ([], ["tidy (/gone/SKILL.md)"])


@given(st.text(st.sampled_from("$[]()tidy -_/\n"), max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    assert set(named(text)) <= {str(one.folder) for one in SKILLS}
