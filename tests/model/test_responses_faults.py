"""Every way an answer can go wrong, over real HTTP: which error it is and what it tells."""

from __future__ import annotations

import socket
from collections.abc import Callable
from email.utils import formatdate
from time import time

import anyio
import pytest

from octavo.model import Chunk, ItemDone, Prompt
from octavo.model.providers.responses import Responses
from octavo.protocol.errors import (
    ConfigError,
    ModelBusy,
    ModelError,
    OctavoError,
    OutputLimit,
    StreamCut,
)
from octavo.protocol.usage import Usage
from octavo.trial.scripted import (
    Answer,
    Step,
    answer,
    call,
    cut,
    fail,
    garble,
    hang_up,
    refuse,
    say,
    serve,
    stall,
)
from tests.model.asking import PROMPT, ask_at, provider_of

pytestmark = pytest.mark.anyio


async def _fault_of(step: Step, **settings: object) -> tuple[list[Chunk], OctavoError]:
    """Return the chunks that came before the error, and the error."""
    async with serve([step]) as server:
        model = Responses(provider_of(server.base_url, **settings))
        chunks: list[Chunk] = []
        try:
            async for chunk in model.stream(PROMPT):
                chunks.append(chunk)
        except OctavoError as error:
            return chunks, error
    pytest.fail("the answer was complete")


def _shape(error: OctavoError) -> tuple[type[OctavoError], str, int | None]:
    assert isinstance(error, ModelError)
    return type(error), error.info, error.status


# Refused before an answer begins.


@pytest.mark.parametrize(
    ("status", "info"),
    [
        (408, "internalServerError"),
        (409, "internalServerError"),
        (429, "rateLimitExceeded"),
        (500, "internalServerError"),
        (502, "internalServerError"),
        (503, "serverOverloaded"),
        (529, "serverOverloaded"),
    ],
)
async def test_a_busy_provider_may_be_asked_again(status: int, info: str) -> None:
    chunks, error = await _fault_of(refuse(status, "Later, please."))

    assert (chunks, _shape(error)) == ([], (ModelBusy, info, status))
    assert "Trial" in str(error)
    assert "Later, please." in str(error)


@pytest.mark.parametrize(
    ("step", "wait_s"),
    [
        (refuse(429, headers={"Retry-After": "7"}), 7),
        (refuse(503, headers={"Retry-After": "1.5"}), 1.5),
        (refuse(429, headers={"retry-after-ms": "250", "retry-after": "9"}), 0.25),
        (refuse(429, "Limit reached. Please try again in 1.2s. See the docs."), 1.2),
        (refuse(429, "Please try again in 20ms."), 0.02),
        (refuse(429, "Please try again in 6m0s."), 360),
        (refuse(429, "Try again in 3 seconds."), 3),
        (refuse(429, headers={"Retry-After": "soon"}), None),
        (refuse(500), None),
        (fail("rate_limit_exceeded", "Please try again in 11.054s."), 11.054),
    ],
)
async def test_the_wait_that_the_provider_asks_for_is_known(
    step: Answer, wait_s: float | None
) -> None:
    _, error = await _fault_of(step)

    assert isinstance(error, ModelBusy)
    assert error.retry_after_s == pytest.approx(wait_s)


async def test_the_wait_may_be_a_date() -> None:
    date = formatdate(time() + 40, usegmt=True)

    _, error = await _fault_of(refuse(503, headers={"Retry-After": date}))

    assert isinstance(error, ModelBusy)
    assert error.retry_after_s is not None
    assert 35 < error.retry_after_s <= 40


@pytest.mark.parametrize(
    ("step", "info"),
    [
        (refuse(400, "Unknown parameter: 'x'."), "badRequest"),
        (refuse(401, "Incorrect API key."), "unauthorized"),
        (refuse(403, "Country not supported."), "unauthorized"),
        (refuse(404, "The model `m` does not exist.", code="model_not_found"), "modelNotFound"),
        (refuse(404, "model 'scripted' not found"), "modelNotFound"),
        (refuse(404, "page not found"), "badRequest"),
        (refuse(422, "Unprocessable."), "badRequest"),
        (refuse(501, "Not here."), "badRequest"),
        (refuse(429, "Plan limit.", kind="usage_limit_reached"), "usageLimitExceeded"),
        (refuse(429, "No credit.", code="insufficient_quota"), "usageLimitExceeded"),
        (refuse(400, "Too long.", code="context_length_exceeded"), "contextWindowExceeded"),
        (
            refuse(400, "the request exceeds the available context size"),
            "contextWindowExceeded",
        ),
        (refuse(413, "Too large."), "contextWindowExceeded"),
    ],
)
async def test_a_refusal_for_good_is_not_asked_again_and_quotes_the_provider(
    step: Answer, info: str
) -> None:
    chunks, error = await _fault_of(step)

    assert (chunks, _shape(error)) == ([], (ModelError, info, step.status))
    message = str(error)
    assert any(word in message for word in ("Unknown", "Incorrect", "Country", "model", "found",
        "Unproc", "Not here", "Plan", "credit", "long", "exceeds", "large"))  # fmt: skip


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ('{"error":{"message":"M1"}}', "M1"),
        ('{"error":"M2"}', "M2"),
        ('{"message":"M3"}', "M3"),
        ('{"detail":[{"msg":"M4"}]}', "M4"),
        ("M5", "M5"),
        ('"M6"', "M6"),
    ],
)
async def test_the_providers_message_is_found_in_every_form(body: str, quoted: str) -> None:
    _, error = await _fault_of(Answer(status=400, body=body))

    assert quoted in str(error)


async def test_a_providers_message_cannot_drive_the_terminal_or_fill_it() -> None:
    _, error = await _fault_of(Answer(status=400, body="\x1b[2J\x07bad\r\n" + "x" * 100_000))

    assert str(error).isprintable()
    assert len(str(error)) < 800


async def test_a_redirect_is_not_followed() -> None:
    async with serve([say("Stolen.")]) as other:
        target = f"{other.base_url}/responses"
        _, error = await _fault_of(Answer(status=307, headers={"location": target}, body=""))

        assert _shape(error) == (ModelError, "badRequest", 307)
        assert target in str(error)
        assert other.requests == []


async def test_a_web_page_is_not_an_answer() -> None:
    page = Answer(headers={"content-type": "text/html; charset=utf-8"}, body="<html>Log in</html>")

    _, error = await _fault_of(page)

    assert "web page" in str(error)
    assert "base_url" in str(error)


async def test_a_refused_connection_may_be_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ModelBusy) as caught:
            await ask_at(url)

    assert _shape(caught.value) == (ModelBusy, "httpConnectionFailed", None)
    assert str(caught.value) == (
        f"Trial cannot be reached at {url}: connection refused. Is the server running?"
    )


async def test_a_connection_closed_without_a_word_may_be_tried_again() -> None:
    chunks, error = await _fault_of(hang_up())

    assert (chunks, type(error)) == ([], ModelBusy)


async def test_a_provider_that_does_not_begin_to_answer_is_busy() -> None:
    _, error = await _fault_of(Answer(delay_s=60), stream_idle_timeout_ms=100)

    assert type(error) is ModelBusy
    assert "0.1 s" in str(error)


async def test_waiting_for_an_answer_to_begin_can_be_cancelled() -> None:
    async with serve([Answer(delay_s=60)]) as server:
        async with anyio.create_task_group() as group:

            async def read() -> None:
                async for _ in Responses(provider_of(server.base_url)).stream(PROMPT):
                    pass

            group.start_soon(read)
            received = await server.request(1)
            group.cancel_scope.cancel()
        await server.until(lambda: received.closed_at is not None, deadline_s=0.1)


# Broken off.


@pytest.mark.parametrize(
    "step",
    [
        cut(call("f"), say("Hi."), after=8),
        cut(call("f"), say("Hi."), after=8, how="clean"),
        cut(call("f"), say("Hi."), after=8, how="inside"),
        stall(call("f"), say("Hi."), after=8),
        garble("event: response.completed\ndata: {oops\n\n", call("f")),
        garble('event: response.output_item.done\ndata: {"item":[1]}\n\n', call("f")),
        garble("data: what?\n\n", call("f")),
        fail("server_error", "Oh no.", call("f")),
        fail("server_is_overloaded", "Full.", call("f")),
        garble('event: error\ndata: {"type":"error","code":"server_error"}\n\n', call("f")),
    ],
)
async def test_an_answer_that_breaks_off_keeps_what_was_finished(step: Answer) -> None:
    chunks, error = await _fault_of(step, stream_idle_timeout_ms=200)

    assert type(error) is StreamCut
    [done] = [chunk for chunk in chunks if isinstance(chunk, ItemDone)]
    assert done.call is not None


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (stall(say("Hi."), after=3), "stream_idle_timeout_ms"),
        (cut(say("Hi."), after=3), "connection broke"),
        (cut(say("Hi."), after=3, how="clean"), "closed before the answer was complete"),
        (garble("data: {\n\n"), "not valid"),
        (fail("server_error", "Oh no."), "Oh no."),
        (answer(body="oops"), "not valid"),
        (answer(body="{}"), "not valid"),
    ],
)
async def test_a_broken_answer_says_how_it_broke(step: Answer, says: str) -> None:
    _, error = await _fault_of(step, stream_idle_timeout_ms=200)

    assert type(error) is StreamCut
    assert says in str(error)


# Failed for good.


@pytest.mark.parametrize(
    ("step", "info", "says"),
    [
        (
            fail("context_length_exceeded", "Your input exceeds the window."),
            "contextWindowExceeded",
            "Start a new thread",
        ),
        (fail("insufficient_quota", "Pay."), "usageLimitExceeded", "Pay."),
        (fail("invalid_prompt", "No."), "badRequest", "No."),
        (fail("weird_new_code", "Hm."), "other", "weird_new_code"),
        (answer(say("Hi."), incomplete="max_output_tokens"), "other", "limit of output tokens"),
        (answer(say("Hi."), incomplete="content_filter"), "other", "content filter"),
        (answer(say("Hi."), incomplete="moon"), "other", "moon"),
        (answer(body='{"error":{"message":"Plain no."}}'), "other", "Plain no."),
        (
            answer(body='{"status":"incomplete","incomplete_details":{"reason":"moon"}}'),
            "other",
            "moon",
        ),
    ],
)
async def test_an_answer_that_failed_says_why(step: Answer, info: str, says: str) -> None:
    _, error = await _fault_of(step)

    kind = OutputLimit if "output tokens" in says else ModelError
    assert _shape(error) == (kind, info, None)
    assert says in str(error)


async def test_an_answer_that_was_ended_says_what_it_cost() -> None:
    step = answer(say("Hi."), incomplete="max_output_tokens", input_tokens=70, output_tokens=7)
    _, error = await _fault_of(step)

    assert isinstance(error, OutputLimit)
    assert error.usage == Usage(input_tokens=70, output_tokens=7, total_tokens=77)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: provider_of("not a url"),
        lambda: provider_of("http://127.0.0.1:1/v1", api_key="two\nlines"),
        lambda: provider_of("http://127.0.0.1:1/v1", http_headers={"bad header": "x"}),
    ],
)
def test_settings_that_no_request_can_be_made_with_are_refused(spoil: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Responses(spoil())  # type: ignore[arg-type]  # a provider

    assert "two" not in str(caught.value), "a key is never shown"


async def test_nothing_is_kept_between_prompts() -> None:
    async with serve([cut(say("Hi."), after=5), say("Hi again.")]) as server:
        model = Responses(provider_of(server.base_url))
        with pytest.raises(StreamCut):
            async for _ in model.stream(PROMPT):
                pass
        prompt = Prompt(model="m", input=PROMPT.input, tools=b"[]", cache_key="t1")
        dones = [c async for c in model.stream(prompt) if isinstance(c, ItemDone)]

    assert [done.text for done in dones] == ["Hi again."]
