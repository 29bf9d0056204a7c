"""The tools that run no command: patches, plans, images, questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.tools.plain_hands import PlainHands, hands_in

from octavo.model import Call
from octavo.protocol.events import CallFacts, EditIntent
from octavo.protocol.questions import Answer, Ask, FileChangeQuestion, InputQuestion, Option
from octavo.sandbox import FileChangeRefused
from octavo.tools import Outcome
from octavo.tools.builtin import TOOLS
from octavo.tools.declare import choose
from octavo.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio

_PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452")


async def call(hands: PlainHands, name: str, arguments: Any, *, freeform: bool = False) -> Outcome:
    box = Toolbox(choose(TOOLS, freeform=freeform), redact=str)
    text = arguments if freeform else msgspec.json.encode(arguments).decode()
    return await box.run(Call("call_1", name, text, freeform), hands)


def _patch(path: object) -> str:
    return f"*** Begin Patch\n*** Add File: {path}\n+hello\n*** End Patch\n"


@pytest.mark.parametrize("freeform", [True, False])
async def test_a_patch_is_recorded_before_it_is_made(tmp_path: Path, freeform: bool) -> None:
    patch = _patch("a.txt")
    async with hands_in(tmp_path) as hands:
        arguments = patch if freeform else {"input": patch}
        outcome = await call(hands, "apply_patch", arguments, freeform=freeform)
    assert outcome.ok
    assert "A a.txt" in outcome.content
    assert (tmp_path / "a.txt").read_text() == "hello\n"
    [began] = hands.began
    assert isinstance(began, EditIntent)
    assert [(edit.path, edit.kind) for edit in began.changes] == [(f"{tmp_path}/a.txt", "add")]


async def test_a_patch_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    patch = (
        "*** Begin Patch\n*** Add File: new\n+x\n*** Update File: gone\n@@\n-a\n+b\n*** End Patch\n"
    )
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, "apply_patch", {"input": patch})
    assert not outcome.ok
    assert "gone" in outcome.content
    assert hands.began == []
    assert list(tmp_path.iterdir()) == []


async def test_a_patch_outside_the_writable_roots_needs_a_person(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.txt"
    inside.mkdir()
    arguments = {"input": _patch(outside)}
    async with hands_in(inside) as hands:
        refused = await call(hands, "apply_patch", arguments)
    assert not refused.ok
    assert f"{outside} may not be changed: files may be changed only in {inside}." in (
        refused.content
    )
    assert not outside.exists()

    answers = [Answer("decline"), Answer("accept")]
    async with hands_in(inside, answers=answers) as hands:
        declined = await call(hands, "apply_patch", arguments)
        assert (declined.ok, declined.facts) == (False, CallFacts(declined=True))
        assert not outside.exists()
        accepted = await call(hands, "apply_patch", arguments)
    assert accepted.ok
    assert outside.read_text() == "hello\n"
    asked = hands.asked[-1]
    assert isinstance(asked, FileChangeQuestion)
    assert asked.paths == (str(outside),)
    assert hands.granted[-1] == (outside,)


async def test_a_person_is_shown_where_links_lead(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    patch = {"input": _patch(f"{tmp_path}/in/../out/../in/link/a.txt")}
    async with hands_in(inside / "none", answers=[Answer("decline")]) as hands:
        await call(hands, "apply_patch", patch)
    [asked] = hands.asked
    assert isinstance(asked, FileChangeQuestion)
    assert asked.paths == (f"{outside}/a.txt",)


async def test_a_person_is_shown_every_file_of_a_change_that_leaves_the_roots(
    tmp_path: Path,
) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    patch = (
        f"*** Begin Patch\n*** Add File: mine\n+x\n*** Add File: {tmp_path}/out\n+y\n"
        "*** End Patch\n"
    )
    async with hands_in(inside, answers=[Answer("decline")]) as hands:
        await call(hands, "apply_patch", {"input": patch})
    [asked] = hands.asked
    assert isinstance(asked, FileChangeQuestion)
    assert set(asked.paths) == {f"{inside}/mine", f"{tmp_path}/out"}


async def test_a_file_that_changed_meanwhile_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*changes: Any, **options: Any) -> None:
        raise FileChangeRefused("It changed.", path=tmp_path / "a.txt", reason="changed")

    async with hands_in(tmp_path) as hands:
        monkeypatch.setattr(hands, "change", refuse)
        outcome = await call(hands, "apply_patch", {"input": _patch("a.txt")})
    assert outcome.content == (
        f"{tmp_path}/a.txt changed between reading it and writing it. Read it again and send a "
        "patch for what it is now. No file was changed."
    )


async def test_a_plan_is_taken_with_at_most_one_step_in_progress(tmp_path: Path) -> None:
    def plan(*states: str) -> dict[str, Any]:
        return {"plan": [{"step": f"Step {n}", "status": s} for n, s in enumerate(states)]}

    async with hands_in(tmp_path) as hands:
        good = await call(hands, "update_plan", plan("completed", "in_progress", "pending"))
        two = await call(hands, "update_plan", plan("in_progress", "in_progress"))
        none = await call(hands, "update_plan", plan())
    assert good == Outcome(content="Plan updated")
    assert two.content == (
        "2 steps are in_progress (Step 0; Step 1); at most one can be. The plan was not changed."
    )
    assert not none.ok


async def test_an_image_is_shown_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "picture.txt").write_bytes(_PNG)
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, "view_image", {"path": "picture.txt"})
    assert outcome.content == [
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==",
        }
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"<svg xmlns='x'></svg>", "it is SVG, which is text"),
        (b"plain words", "it looks like text"),
        (b"\0\1\2\3\4\5\6\7\x08", "it begins with the bytes 00 01 02 03 04 05 06 07"),
    ],
)
async def test_what_is_no_image_is_refused_with_what_it_is(
    tmp_path: Path, data: bytes, why: str
) -> None:
    (tmp_path / "x.png").write_bytes(data)
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, "view_image", {"path": "x.png"})
        missing = await call(hands, "view_image", {"path": "y.png"})
        folder = await call(hands, "view_image", {"path": "."})
    assert f"{tmp_path}/x.png is not an image that can be shown ({why})." in outcome.content
    assert missing.content == f"There is no file {tmp_path}/y.png."
    assert folder.content == f"{tmp_path} is a directory, not an image file."


async def test_an_image_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octavo.tools.builtin.view_image.LIMIT_BYTES", 1 << 20)
    (tmp_path / "x.png").write_bytes(_PNG + bytes(2 << 20))
    async with hands_in(tmp_path) as hands:
        outcome = await call(hands, "view_image", {"path": "x.png"})
    assert "has 2.0 MiB; at most 1 MiB can be shown" in outcome.content


def _questions(count: int = 1, header: str = "Store") -> dict[str, Any]:
    options = [{"label": "Red", "description": "Warm."}]
    return {
        "questions": [
            {"id": f"q{n}", "header": header, "question": "Which?", "options": options}
            for n in range(count)
        ]
    }


async def test_a_question_is_asked_and_its_answer_comes_back(tmp_path: Path) -> None:
    answer = Answer("accept", answers={"q0": ("Red", "really")})
    async with hands_in(tmp_path, answers=[answer]) as hands:
        outcome = await call(hands, "request_user_input", _questions())
    assert outcome.content == '{"answers":{"q0":{"answers":["Red","really"]}}}'
    asked = Ask("q0", "Store", "Which?", (Option("Red", "Warm."),))
    assert hands.asked == [InputQuestion((asked,))]


async def test_where_nobody_is_the_model_decides_and_says_so(tmp_path: Path) -> None:
    async with hands_in(tmp_path, alone=True) as hands:
        outcome = await call(hands, "request_user_input", _questions())
    assert outcome == Outcome(
        content="Nobody is there to answer. Decide yourself what fits the task best, go on, and "
        "say in your answer what you assumed.",
        ok=False,
    )
    assert hands.asked == []


async def test_questions_that_cannot_be_asked_are_refused(tmp_path: Path) -> None:
    async with hands_in(tmp_path) as hands:
        many = await call(hands, "request_user_input", _questions(4))
        none = await call(hands, "request_user_input", _questions(0))
        long = await call(hands, "request_user_input", _questions(header="Much too long"))
    assert many.content == "One to 3 questions can be asked at once, not 4."
    assert none.content == "One to 3 questions can be asked at once, not 0."
    assert long.content == "The header 'Much too long' is longer than 12 characters."
