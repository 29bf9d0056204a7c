"""A server whose API was not named is spoken to in one that it has."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from octavo.model import Completed
from octavo.model.open import open_model
from octavo.protocol.errors import ModelBusy, ModelError
from octavo.trial.scripted import Server, answer, refuse, say, serve
from tests.model.asking import PROMPT, ask, dones, provider_of

pytestmark = pytest.mark.anyio


async def _ask_twice(server: Server) -> tuple[list[str], list[str]]:
    """Return what one model was heard to say to two prompts, and what a person was told."""
    notices: list[str] = []
    model = open_model(provider_of(server.base_url, wire_api="auto"), notices.append)
    said = []
    for _ in range(2):
        async with aclosing(model.stream(PROMPT)) as chunks:
            heard = [chunk async for chunk in chunks]
        assert isinstance(heard[-1], Completed)
        said += [done.text for done in dones(heard)]
    return said, notices


async def test_where_there_is_the_responses_api_it_is_spoken() -> None:
    async with serve([say("A"), say("B")]) as server:
        said, notices = await _ask_twice(server)
        paths = [received.path for received in server.requests]

    assert (said, notices) == (["A", "B"], [])
    assert paths == ["/v1/responses"] * 2


async def test_where_there_is_none_chat_completions_are_spoken_and_that_is_said_once() -> None:
    async with serve([say("A"), say("B")], wires=("chat/completions",)) as server:
        said, notices = await _ask_twice(server)
        paths = [received.path for received in server.requests]
        tried = [received.path for received in server.other_requests]

    assert said == ["A", "B"]
    assert paths == ["/v1/chat/completions"] * 2
    assert tried == ["/v1/responses"]
    [notice] = notices
    assert "Trial has no Responses API" in notice
    assert 'wire_api = "chat" under [model_providers.trial]' in notice


async def test_a_server_that_says_so_with_status_200_is_understood() -> None:
    """LM Studio before it had the Responses API."""
    body = '{"error":"Unexpected endpoint or method. (POST /v1/responses). Returning 200 anyway"}'

    async with serve([answer(body=body), say("A"), say("B")]) as server:
        said, notices = await _ask_twice(server)

    assert (said, len(notices)) == (["A", "B"], 1)


async def test_a_server_that_has_neither_is_told_of_as_before() -> None:
    async with serve([], wires=()) as server:
        with pytest.raises(ModelError, match="/v1/responses does not exist") as caught:
            await ask(server, wire_api="auto")

    assert caught.value.hint is not None
    assert "wire_api" in caught.value.hint


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (refuse(404, "The model `scripted` does not exist", code="model_not_found"), ModelError),
        (refuse(400, "No."), ModelError),
        (refuse(503), ModelBusy),
    ],
)
async def test_any_other_refusal_is_not_taken_for_it(step: object, kind: type[ModelError]) -> None:
    async with serve([step]) as server:  # type: ignore[list-item]  # each is a step
        with pytest.raises(kind):
            await ask(server, wire_api="auto")

        assert [received.path for received in server.requests] == ["/v1/responses"]


async def test_a_server_without_responses_that_is_busy_is_asked_again_where_it_is() -> None:
    async with serve([refuse(503), say("A"), say("B")], wires=("chat/completions",)) as server:
        notices: list[str] = []
        model = open_model(provider_of(server.base_url, wire_api="auto"), notices.append)
        with pytest.raises(ModelBusy):
            async for _ in model.stream(PROMPT):
                pass
        heard = [chunk async for chunk in model.stream(PROMPT)]

        assert len(server.other_requests) == 1
    assert isinstance(heard[-1], Completed)
    assert len(notices) == 1
