"""Whatever a model calls, one outcome comes back, and it says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tools.plain_hands import hands_in

from octavo.model import Call
from octavo.protocol.errors import SandboxError, StoreError
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.builtin import TOOLS
from octavo.tools.builtin.update_plan import TOOL as UPDATE_PLAN
from octavo.tools.declare import choose
from octavo.tools.redact import redactor
from octavo.tools.schema import number, obj, text
from octavo.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a tool."""

    name: str
    count: float = 1


async def _echo(args: Any, hands: Hands) -> Outcome:
    return Outcome(content=str(args))


def _tool(run: Any = _echo, **options: Any) -> Tool:
    schema = obj({"name": text("A name."), "count": number("How many.")}, required=("name",))
    given = {"params": Pair, "schema": schema, **options}
    return Tool(name="pair", description="A tool.", run=run, effect=Effect.NONE, **given)


async def run(tool: Tool, arguments: str, *, freeform: bool = False, **options: Any) -> Outcome:
    box = Toolbox([tool], redact=redactor(["hunter2hunter2"]), **options)
    async with hands_in(Path("/tmp")) as hands:
        return await box.run(Call("call_1", tool.name, arguments, freeform), hands)


_EXPECTED = (
    " It takes one JSON object with: name (string, required), count (number). Nothing was run."
)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("{}", "The arguments of pair do not fit: Object missing required field `name`."),
        ("", "The arguments of pair do not fit: Object missing required field `name`."),
        ("[1]", "The arguments of pair do not fit: Expected `object`, got `array`."),
        (
            '{"name": 1}',
            "The arguments of pair do not fit: Expected `str`, got `int` - at `$.name`.",
        ),
        (
            '{"name": "a", "size": 2}',
            "The arguments of pair do not fit: Object contains unknown field `size`.",
        ),
        (
            '{"name": "a", "count": }',
            "The arguments of pair are not valid JSON: JSON is malformed: invalid character "
            '(byte 23), right after \'{"name": "a", "count": \'.',
        ),
        (
            '{"name": "a',
            "The arguments of pair are not valid JSON: Input data was truncated.",
        ),
    ],
)
async def test_arguments_that_do_not_fit_are_explained(arguments: str, answer: str) -> None:
    outcome = await run(_tool(), arguments)
    assert outcome == Outcome(content=answer + _EXPECTED, ok=False)


@pytest.mark.parametrize(
    "arguments", ['{"name": "a", "count": "2"}', '"{\\"name\\": \\"a\\", \\"count\\": 2}"']
)
async def test_arguments_that_can_only_mean_one_thing_are_taken(arguments: str) -> None:
    assert await run(_tool(), arguments) == Outcome(content="Pair(name='a', count=2.0)")


async def test_what_a_list_is_to_hold_is_explained_too() -> None:
    outcome = await run(UPDATE_PLAN, '{"plan": [{"step": "look", "status": "done"}]}')
    assert str(outcome.content).endswith(
        " It takes one JSON object with: plan (array of objects with step (string, required), "
        "status (pending or in_progress or completed, required), required), explanation (string). "
        "Nothing was run."
    )


async def test_an_unknown_tool_is_answered_with_those_there_are() -> None:
    box = Toolbox([_tool()], redact=str)
    async with hands_in(Path("/tmp")) as hands:
        outcome = await box.run(Call("call_1", "edit_file", "{}"), hands)
    assert outcome == Outcome(
        content="There is no tool 'edit_file'. The tools are: pair.", ok=False
    )
    assert box.may_run_beside(Call("call_1", "edit_file", "{}"))


async def test_a_freeform_tool_gets_the_text_in_whatever_wrapping() -> None:
    tool = _tool(params=None, schema=None, grammar="start: /.+/")
    assert await run(tool, "{ raw }", freeform=True) == Outcome(content="{ raw }")
    assert await run(tool, '{"input": "raw"}') == Outcome(content="raw")
    assert await run(tool, "raw") == Outcome(content="raw")


async def test_a_tool_without_a_struct_gets_the_object() -> None:
    assert await run(_tool(params=None), '{"a": [1]}') == Outcome(content="{'a': [1]}")


async def test_a_failing_tool_is_an_answer() -> None:
    async def fail(args: Pair, hands: Hands) -> Outcome:
        raise ToolFailed("notes.txt: no such file")

    assert await run(_tool(fail), '{"name": "a"}') == Outcome(
        content="notes.txt: no such file", ok=False
    )


async def test_a_refusal_of_the_sandbox_is_an_answer() -> None:
    async def refuse(args: Pair, hands: Hands) -> Outcome:
        raise SandboxError("No mechanism works here.", hint="Install bubblewrap.")

    outcome = await run(_tool(refuse), '{"name": "a"}')
    assert not outcome.ok
    assert "No mechanism works here. Install bubblewrap." in outcome.content


async def test_a_bug_is_an_answer_without_its_insides_and_is_reported() -> None:
    bugs: list[Exception] = []

    async def break_down(args: Pair, hands: Hands) -> Outcome:
        raise KeyError("/home/ada/private")

    outcome = await run(_tool(break_down), '{"name": "a"}', on_bug=bugs.append)
    assert not outcome.ok
    assert "Octavo itself failed while running pair (KeyError)" in outcome.content
    assert "private" not in outcome.content
    assert [type(bug) for bug in bugs] == [KeyError]


async def test_an_error_that_ends_the_turn_and_cancellation_pass() -> None:
    async def no_log(args: Pair, hands: Hands) -> Outcome:
        raise StoreError("The log cannot be written.")

    with pytest.raises(StoreError):
        await run(_tool(no_log), '{"name": "a"}')

    async def forever(args: Pair, hands: Hands) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0.05) as scope:
        await run(_tool(forever), '{"name": "a"}')
    assert scope.cancelled_caught


@pytest.mark.parametrize("nothing", ["", " \n\t"])
async def test_an_empty_output_says_that_it_is(nothing: str) -> None:
    async def silent(args: Pair, hands: Hands) -> Outcome:
        return Outcome(content=nothing)

    assert await run(_tool(silent), '{"name": "a"}') == Outcome(content="(no output)")


async def test_every_text_is_bounded_and_has_its_secrets_taken_out() -> None:
    async def talk(args: Pair, hands: Hands) -> Outcome:
        return Outcome(content="hunter2hunter2\n" + "x" * 1_000_000)

    outcome = await run(_tool(talk), '{"name": "a"}')
    assert isinstance(outcome.content, str)
    assert outcome.content.startswith("[redacted]\n")
    assert len(outcome.content) < 50_000

    async def show(args: Pair, hands: Hands) -> Outcome:
        return Outcome(
            content=[
                {"type": "input_text", "text": "hunter2hunter2"},
                {"type": "input_image", "image_url": "data:,x"},
            ]
        )

    outcome = await run(_tool(show), '{"name": "a"}')
    assert outcome.content == [
        {"type": "input_text", "text": "[redacted]"},
        {"type": "input_image", "image_url": "data:,x"},
    ]


async def test_only_tools_that_say_so_run_alone() -> None:
    box = Toolbox(choose(TOOLS, freeform=True), redact=str)
    alone = {tool.name for tool in TOOLS if not box.may_run_beside(Call("c", tool.name, ""))}
    assert alone == {"apply_patch", "request_user_input"}


_json = st.recursive(
    st.sampled_from(["nan", "inf", "-1", "1e999"])
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sampled_from([t.name for t in TOOLS if t.name != "exec_command"]),
    st.text(max_size=30)
    | st.dictionaries(
        st.sampled_from(["session_id", "input", "plan", "path", "questions", "chars"]), _json
    ).map(lambda value: msgspec.json.encode(value).decode()),
    st.booleans(),
)
async def test_no_arguments_at_all_make_a_tool_crash(
    tmp_path: Path, name: str, arguments: str, freeform: bool
) -> None:
    bugs: list[Exception] = []
    box = Toolbox(choose(TOOLS, freeform=True), redact=str, on_bug=bugs.append)
    async with hands_in(tmp_path, alone=True) as hands:
        outcome = await box.run(Call("call_1", name, arguments, freeform), hands)
    assert bugs == []
    assert outcome.content
