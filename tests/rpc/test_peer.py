"""Two peers over a link in memory: requests, refusals, notifications, and what is no frame."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.rpc import BAD_PARAMS, INTERNAL, OVERLOADED, LinkClosed, RpcError
from octavo.rpc.memory import MAX_FRAMES_BEHIND, MemoryLink, memory_pair
from octavo.rpc.peer import MAX_AT_ONCE, Peer, decode_params

pytestmark = pytest.mark.anyio


class Number(msgspec.Struct):
    value: int


class Side:
    """A peer that answers a few methods and keeps what it is told."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link
        self.heard: list[tuple[str, Any]] = []
        self.release = anyio.Event()
        self.peer = Peer(link, self.answer, self.hear)

    async def answer(self, method: str, params: bytes) -> Any:
        match method:
            case "double":
                return Number(decode_params(params, Number).value * 2)
            case "wait":
                await self.release.wait()
                return Number(0)
            case "odd":
                return "a\udcff"
            case "bug":
                raise ZeroDivisionError("by zero")
            case _:
                raise RpcError(-32601, f"no {method}")

    async def hear(self, method: str, params: bytes) -> None:
        self.heard.append((method, msgspec.json.decode(params)))


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Side, Side]]:
    one, other = (Side(link) for link in memory_pair())
    async with anyio.create_task_group() as group:
        group.start_soon(one.peer.run)
        group.start_soon(other.peer.run)
        yield one, other
        group.cancel_scope.cancel()


async def test_a_request_is_answered_while_another_still_waits() -> None:
    async with pair() as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.peer.request, "wait", {}, Number)
        assert await one.peer.request("double", Number(21), Number) == Number(42)
        other.release.set()


async def test_both_sides_may_ask() -> None:
    async with pair() as (one, other):
        assert await other.peer.request("double", Number(1), Number) == Number(2)
        assert await one.peer.request("double", Number(2), Number) == Number(4)


async def test_bad_parameters_name_the_field() -> None:
    async with pair() as (one, _):
        with pytest.raises(RpcError) as refused:
            await one.peer.request("double", {"value": "x"}, Number)
    assert refused.value.code == BAD_PARAMS
    assert "$.value" in refused.value.message


async def test_an_answer_that_is_no_text_is_refused_and_the_next_request_is_served() -> None:
    async with pair() as (one, _):
        with pytest.raises(RpcError, match="no text") as refused:
            await one.peer.request("odd", {}, str)
        assert await one.peer.request("double", Number(21), Number) == Number(42)
    assert refused.value.code == INTERNAL


async def test_a_bug_in_a_handler_is_an_answer_and_the_next_request_is_served() -> None:
    async with pair() as (one, _):
        with pytest.raises(RpcError) as refused:
            await one.peer.request("bug", {}, Number)
        assert refused.value.code == INTERNAL
        assert await one.peer.request("double", Number(3), Number) == Number(6)


async def test_notifications_arrive_in_order() -> None:
    async with pair() as (one, other):
        for n in range(3 * MAX_FRAMES_BEHIND):
            await one.peer.notify("count", n)
        await one.peer.request("double", Number(0), Number)
    assert other.heard == [("count", n) for n in range(3 * MAX_FRAMES_BEHIND)]


async def test_a_sender_waits_for_a_receiver_that_is_behind() -> None:
    one, other = memory_pair()
    for _ in range(MAX_FRAMES_BEHIND):
        await one.send(b"x")
    with anyio.move_on_after(0.05) as scope:
        await one.send(b"one too many")
    assert scope.cancelled_caught
    await other.receive()
    await one.send(b"now it fits")


async def test_with_too_much_at_once_one_is_told_to_ask_again_and_then_may() -> None:
    rough, link = memory_pair()
    side = Side(link)
    async with anyio.create_task_group() as group:
        group.start_soon(side.peer.run)
        for n in range(MAX_AT_ONCE + 1):
            await rough.send(b'{"id":%d,"method":"wait"}' % n)
        refused = msgspec.json.decode(await rough.receive())
        side.release.set()
        answered = [msgspec.json.decode(await rough.receive()) for _ in range(MAX_AT_ONCE)]
        await rough.send(b'{"id":"again","method":"wait"}')
        again = msgspec.json.decode(await rough.receive())
        group.cancel_scope.cancel()

    assert (refused["id"], refused["error"]["code"]) == (MAX_AT_ONCE, OVERLOADED)
    assert refused["error"]["data"]["codexErrorInfo"] == "serverOverloaded"
    assert all("result" in answer for answer in (*answered, again))


async def test_an_answer_to_nobody_changes_nothing() -> None:
    rough, link = memory_pair()
    side = Side(link)
    async with anyio.create_task_group() as group:
        group.start_soon(side.peer.run)
        for one in (b"true", b"1.0", b"[]", b"null", b"9" * 400, b'"1"'):
            await rough.send(b'{"id":' + one + b',"result":{"value":1}}')
        await rough.send(b'{"id":7,"method":"double","params":{"value":2}}')
        answer = msgspec.json.decode(await rough.receive())
        group.cancel_scope.cancel()

    assert answer == {"id": 7, "result": {"value": 4}}


async def test_a_closed_link_fails_what_still_waits() -> None:
    async with pair() as (one, other), anyio.create_task_group() as group:

        async def ask() -> None:
            with pytest.raises(LinkClosed):
                await one.peer.request("wait", {}, Number)

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        other.link.close()
    with pytest.raises(LinkClosed):
        await one.peer.request("double", Number(1), Number)


FRAMES = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["id", "method", "params", "result", "error", "code", "x"]),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=6,
    ).map(msgspec.json.encode),
)


@given(st.lists(FRAMES, max_size=10))
def test_no_frame_can_stop_a_peer(frames: list[bytes]) -> None:
    async def send_all() -> None:
        async with anyio.create_task_group() as group:
            rough, link = memory_pair()
            group.start_soon(Side(link).peer.run)
            for frame in frames:
                await rough.send(frame)
            await rough.send(b'{"id":"last","method":"double","params":{"value":4}}')
            with anyio.fail_after(5):
                while True:
                    answer = msgspec.json.decode(await rough.receive())
                    if answer.get("id") == "last":
                        break
            assert answer["result"] == {"value": 8}
            group.cancel_scope.cancel()

    anyio.run(send_all)
