"""The same scripted job over every wire: the same files, the same end, whatever goes wrong.

A real server, a real sandbox, a real repository; the model speaks over HTTP in each API in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.trial import scripted
from octavo.trial.scripted import (
    Step,
    answer,
    call,
    cut,
    garble,
    hang_up,
    refuse,
    say,
    stall,
    think,
)
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

WIRES = ["responses", "chat", "anthropic"]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cf"
    "c0000003010100c9fe92ef0000000049454e44ae426082"
)
ADD = """\
*** Begin Patch
*** Add File: made.txt
+made by a patch
*** End Patch
"""


def _call(name: str, **fields: Any) -> Any:
    """A call that comes in fragments."""
    return msgspec.structs.replace(call(name, **fields), deltas=5)


JOB: list[Step] = [
    [think("First look.", raw=""), say("On it.", deltas=3), _call("view_image", path="dot.png")],
    [
        think("Then write."),
        _call("exec_command", cmd="printf one > one.txt"),
        _call("exec_command", cmd="printf two > two.txt"),
        _call("apply_patch", input=ADD),
    ],
    [_call("exec_command", cmd="cat one.txt two.txt made.txt")],
    answer(say("Done."), cached_tokens=50, reasoning_tokens=3),
]


@asynccontextmanager
async def _playing(
    wire: str, script: Sequence[Step], tmp_path: Path, **extra: Any
) -> AsyncIterator[Play]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    (work / "dot.png").write_bytes(PNG)
    async with playing(script, work, wire=wire, **extra) as play:
        yield play


async def _job(wire: str, script: Sequence[Step], tmp_path: Path) -> tuple[it.Turn, Play]:
    async with _playing(
        wire, script, tmp_path, overrides=("model_providers.trial.stream_idle_timeout_ms=2000",)
    ) as play:
        turn = await play.turn("Do the job.")
    return turn, play


def _files(tmp_path: Path) -> dict[str, str]:
    return {
        name: (tmp_path / "work" / name).read_text() for name in ("one.txt", "two.txt", "made.txt")
    }


FILES = {"one.txt": "one", "two.txt": "two", "made.txt": "made by a patch\n"}


@pytest.mark.parametrize("wire", WIRES)
async def test_the_same_job_gives_the_same_files(wire: str, tmp_path: Path) -> None:
    turn, play = await _job(wire, JOB, tmp_path)

    assert turn.status == "completed"
    assert _files(tmp_path) == FILES
    assert [message.text for message in play.items(it.AgentMessage)] == ["On it.", "Done."]
    assert len(play.items(it.Reasoning)) == 2
    last = play.model.requests[-1].body
    assert b"onetwomade by a patch" in last
    assert PNG_BASE64 in play.model.requests[1].body
    usage = [n for n in play.seen if isinstance(n, note.TokenUsageUpdated)][-1].token_usage
    assert usage.last.cached_input_tokens == 50
    assert usage.last.reasoning_output_tokens == 3


PNG_BASE64 = b"iVBORw0KGgoAAAANSUhEUg"

FAULTS: dict[str, list[Step]] = {
    "cut": [cut(*JOB[1], after=3)],  # type: ignore[misc]  # a list of parts
    "cut inside": [cut(*JOB[1], after=2, how="inside")],  # type: ignore[misc]  # the same
    "429": [refuse(429, headers={"retry-after": "0.05"})],
    "500 twice": [refuse(500, times=2)],
    "garbage": [garble("data: {nonsense\n\n")],
    "hang up": [hang_up()],
    "slow": [answer(*JOB[1], gap_s=0.01)],  # type: ignore[misc]  # the same
    "silence": [stall(say("Hello."), after=2)],
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_goes_wrong_once_the_job_is_done(
    wire: str, fault: str, tmp_path: Path
) -> None:
    fixed = JOB[2:] if fault == "slow" else JOB[1:]
    settings = ("model_providers.trial.stream_idle_timeout_ms=400",) if fault == "silence" else ()
    async with _playing(
        wire, [JOB[0], *FAULTS[fault], *fixed], tmp_path, overrides=settings
    ) as play:
        turn = await play.turn("Do the job.")

    assert turn.status == "completed"
    assert _files(tmp_path) == FILES


@pytest.mark.parametrize("wire", WIRES)
async def test_each_request_extends_the_bytes_of_the_one_before(wire: str, tmp_path: Path) -> None:
    _, play = await _job(wire, JOB, tmp_path)

    mark = b',"cache_control":{"type":"ephemeral"}'
    bodies = [received.body.replace(mark, b"") for received in play.model.requests]
    assert len(bodies) == 4
    for first, second in itertools.pairwise(bodies):
        assert second.startswith(first[:-2] + b",")


# Switching in mid-thread.


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(WIRES, 2)))
async def test_a_thread_goes_on_at_another_provider_and_back(
    first: str, second: str, tmp_path: Path
) -> None:
    """Nothing but reasoning is left out, and each provider is sent its own again."""
    work = tmp_path / "work"
    work.mkdir()
    home = tmp_path / "octavo-home"
    steps: list[Step] = [
        [
            think("Secret of first.", encrypted="sig-1"),
            say("A1."),
            call("exec_command", cmd="echo a"),
        ],
        say("A2."),
    ]
    back: list[Step] = [say("A3.")]
    other: list[Step] = [
        [think("Secret of second.", encrypted="sig-2"), call("exec_command", cmd="echo b")],
        say("B."),
    ]
    async with (
        scripted.serve([*steps, *back]) as one,
        scripted.serve(other) as two,
        playing([], work, home=home, overrides=_providers(first, one, second, two)) as play,
    ):
        assert (await play.turn("One.")).status == "completed"
    thread_id = play.thread_id
    async with (
        scripted.serve(other) as two,
        scripted.serve(back) as one_again,
        playing(
            [],
            work,
            home=home,
            start=False,
            overrides=_providers(first, one_again, second, two),
        ) as play,
    ):
        await play.resume(thread_id, model_provider="p2", model="m2")
        assert (await play.turn("Two.")).status == "completed"
        there = [received.body.decode() for received in two.requests]
    async with (
        scripted.serve(back) as one_again,
        playing(
            [],
            work,
            home=home,
            start=False,
            overrides=_providers(first, one_again, second, two),
        ) as play,
    ):
        await play.resume(thread_id, model_provider="p1", model="m1")
        assert (await play.turn("Three.")).status == "completed"
        here = one_again.requests[0].body.decode()

    for said in ("One.", "A1.", "echo a", "A2.", "Two."):
        assert said in there[0]
    assert "Secret of first" not in there[-1]
    assert "sig-1" not in there[-1]
    for said in ("One.", "A1.", "echo a", "A2.", "Two.", "echo b", "B.", "Three."):
        assert said in here
    assert "Secret of second" not in here
    assert "sig-2" not in here
    assert ("Secret of first" in here) or first == "responses"
    assert ("sig-1" in here) or first == "chat"
    assert '"octavo":' not in here + there[0] + there[-1]


def _providers(
    first: str, one: scripted.Server, second: str, two: scripted.Server
) -> tuple[str, ...]:
    return (
        f'model_providers.p1={{name="P1",base_url="{one.base_url}",wire_api="{first}"}}',
        f'model_providers.p2={{name="P2",base_url="{two.base_url}",wire_api="{second}"}}',
        'model_provider="p1"',
        'model="m1"',
    )


async def test_a_server_without_the_responses_api_is_spoken_to_all_the_same(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    async with (
        scripted.serve(
            [call("exec_command", cmd="echo a"), say("Done.")], wires=("chat/completions",)
        ) as model,
        playing(
            [],
            work,
            overrides=(
                f'model_providers.p={{name="Old server",base_url="{model.base_url}"}}',
                'model_provider="p"',
            ),
        ) as play,
    ):
        turn = await play.turn("Go.")

    assert turn.status == "completed"
    warnings = [n.message for n in play.seen if isinstance(n, note.Warned)]
    assert any("Old server has no Responses API" in text for text in warnings)
