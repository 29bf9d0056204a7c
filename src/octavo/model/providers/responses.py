"""The OpenAI Responses API: one POST a prompt, answered by server-sent events.

A request is its history: nothing is kept at the provider (`store: false`), reasoning travels
encrypted, and the bytes of each request extend those of the one before, so that the provider's
prompt cache hits. Nothing about the machine or the repository is sent beside the prompt.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping

import anyio
import msgspec
from pyqwest import (
    Headers,
    HTTPTransport,
    ReadError,
    RemoteProtocolError,
    Request,
    Response,
    WriteError,
)

from octavo import __version__
from octavo.model import Chunk, Prompt, Provider
from octavo.model.http import open_transport
from octavo.protocol.errors import ConfigError, ModelBusy, ModelError, StreamCut

SCHEMA_NAME = "octavo_output_schema"
MAX_ANSWER_BYTES = 256 << 20
"""Of a whole stream: one that goes on after that never ends."""
_MAX_PLAIN_ANSWER_BYTES = 64 << 20
_ERROR_BODY_TIMEOUT_S = 5.0
_DRAIN_S = 0.05
_encode = msgspec.json.encode


class Responses:
    """A model behind a server that speaks the Responses API."""

    def __init__(
        self,
        provider: Provider,
        *,
        env: Mapping[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Get ready to ask `provider`; nothing is sent yet.

        Args:
            provider: where, with which key and headers, and how patiently.
            env: the environment to read SSL_CERT_FILE from; that of the process by default.
            max_answer_bytes: a stream that is longer is broken off.

        Raises:
            ConfigError: the certificates, the address or a header cannot be used.
        """
        idle_s = provider.stream_idle_timeout_ms / 1000
        env = os.environ if env is None else env
        self._provider = provider
        self._idle_s = idle_s
        self._max_answer_bytes = max_answer_bytes
        self._transport: HTTPTransport = open_transport(
            provider.base_url, env, idle_timeout_s=idle_s
        )
        self._url = f"{provider.base_url.rstrip('/')}/responses"
        self._params = list(provider.query_params.items()) or None
        self._headers = Headers()
        for name, value in _headers(provider).items():
            try:
                self._headers[name] = value
            except ValueError:
                what = "key" if name == "authorization" else f"header {name!r}"
                raise ConfigError(  # its value may be a secret, so it is not shown
                    f"The {what} of {provider.name} has characters that cannot be sent.",
                    hint="Look for a line break or a stray quotation mark.",
                ) from None
        try:
            Request("POST", self._url, headers=self._headers, content=b"", params=self._params)
        except ValueError as error:
            raise ConfigError(
                f"{self._url!r}, the address of {provider.name}, is no web address: {error}.",
                hint="Check base_url.",
            ) from None

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`."""
        response = await self._post(prompt)
        from octavo.model.providers.responses_reading import Reading  # needed no earlier
        from octavo.model.sse import SseParser

        reading = Reading(self._provider, prompt.model)
        try:
            if not 200 <= response.status < 300:
                raise await self._refusal(prompt, response)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html":
                raise ModelError(
                    f"{self._url} answers with a web page, not as a model.",
                    hint="Check base_url; a proxy or a login page may be in the way.",
                    info="badRequest",
                )
            if kind == "application/json":
                for chunk in reading.read_whole(await self._whole(response)):
                    yield chunk
                return
            parser = SseParser()
            left_bytes = self._max_answer_bytes
            while (data := await self._next(response)) is not None:
                left_bytes -= len(data)
                if left_bytes < 0:
                    raise self._cut(f"It is larger than {self._max_answer_bytes} bytes.")
                for event in parser.feed(data):
                    for chunk in reading.read(event):
                        yield chunk
                if reading.complete:
                    await self._drain(response)
                    return
            raise self._cut("The connection closed before the answer was complete.")
        finally:
            await response.aclose()

    async def _post(self, prompt: Prompt) -> Response:
        request = Request(
            "POST",
            self._url,
            headers=self._headers,
            content=body_of(prompt),
            params=self._params,
        )
        try:
            return await self._transport.execute(request)
        except Exception as error:
            if not _is_of_transport(error):
                raise
            if isinstance(error, TimeoutError) and not isinstance(error, ConnectionError):
                name = self._provider.name
                raise ModelBusy(
                    f"{name} did not begin to answer for {self._idle_s:g} s.",
                    info="responseStreamConnectionFailed",
                ) from error
            from octavo.model.faults import unreachable

            raise unreachable(self._provider, str(error)) from error

    async def _next(self, response: Response) -> bytes | None:
        """Return the body's next bytes as they arrive; None at its end."""
        try:
            return bytes(await anext(response.content))
        except StopAsyncIteration:
            return None
        except Exception as error:
            if not _is_of_transport(error):
                raise
            if isinstance(error, TimeoutError):
                idle = f"{self._idle_s:g} s"
                raise self._cut(f"Nothing came for {idle} (stream_idle_timeout_ms).") from error
            raise self._cut("The connection broke before the answer was complete.") from error

    async def _whole(self, response: Response) -> bytes:
        body = bytearray()
        while (data := await self._next(response)) is not None:
            body += data
            if len(body) > _MAX_PLAIN_ANSWER_BYTES:
                raise self._cut(f"The answer is larger than {_MAX_PLAIN_ANSWER_BYTES} bytes.")
        return bytes(body)

    async def _drain(self, response: Response) -> None:
        """Read what follows the last event, so that the connection can be used again."""
        with anyio.move_on_after(_DRAIN_S):
            try:
                while await self._next(response) is not None:
                    pass
            except StreamCut:
                pass  # the answer is complete all the same

    async def _refusal(self, prompt: Prompt, response: Response) -> ModelError:
        """Return what an answer that is no success means."""
        from octavo.model.faults import MAX_ERROR_BODY_BYTES, refused

        body = bytearray()
        with anyio.move_on_after(_ERROR_BODY_TIMEOUT_S):
            try:
                while (data := await self._next(response)) is not None:
                    body += data
                    if len(body) >= MAX_ERROR_BODY_BYTES:
                        break
            except StreamCut:
                pass  # what came is enough to quote
        headers = {name.lower(): value for name, value in response.headers.items()}
        error = bytes(body[:MAX_ERROR_BODY_BYTES])
        return refused(self._provider, prompt.model, response.status, headers, error)

    def _cut(self, why: str) -> StreamCut:
        return StreamCut(
            f"The answer of {self._provider.name} broke off. {why}",
            info="responseStreamDisconnected",
        )


def body_of(prompt: Prompt) -> bytes:
    """Return the request's body. Only what follows the last item of `input` is not a prefix of
    the next one's, as long as the settings stay the same."""
    parts = [
        b'{"model":',
        _encode(prompt.model),
        b',"stream":true,"store":false,"include":["reasoning.encrypted_content"],'
        b'"prompt_cache_key":',
        _encode(prompt.cache_key),
    ]
    reasoning = {"effort": prompt.effort, "summary": prompt.summary}
    reasoning = {name: value for name, value in reasoning.items() if value is not None}
    if reasoning:
        parts += [b',"reasoning":', _encode(reasoning)]
    text = _text_settings(prompt)
    if text:
        parts += [b',"text":{', b",".join(text), b"}"]
    if prompt.tools and prompt.tools != b"[]":
        parallel = b"true" if prompt.parallel_calls else b"false"
        parts += [b',"tool_choice":"auto","parallel_tool_calls":', parallel]
        parts += [b',"tools":', prompt.tools]
    parts.append(b',"input":[')
    # A long history is copied once, so the head goes in front of the first item.
    items = list(prompt.input) or [b""]
    items[0] = b"".join(parts) + items[0]
    limit = prompt.max_output_tokens
    # Behind the history: what is left of a budget is another number each time.
    items[-1] += b"]}" if limit is None else b'],"max_output_tokens":%d}' % limit
    return b",".join(items)


def _text_settings(prompt: Prompt) -> list[bytes]:
    text = []
    if prompt.verbosity is not None:
        text.append(b'"verbosity":' + _encode(prompt.verbosity))
    if prompt.output_schema is not None:
        head = b'"format":{"type":"json_schema","name":%b,"strict":true,"schema":'
        text.append(head % _encode(SCHEMA_NAME) + prompt.output_schema + b"}")
    return text


def _headers(provider: Provider) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "user-agent": f"octavo/{__version__}",
    }
    if provider.api_key is not None:
        headers["authorization"] = f"Bearer {provider.api_key}"
    return headers | {name.lower(): value for name, value in provider.http_headers.items()}


def _is_of_transport(error: Exception) -> bool:
    """Say whether `error` is of the network or the HTTP conversation, and not a bug of ours."""
    return isinstance(error, OSError | ReadError | RemoteProtocolError | WriteError)
