"""One POST, answered by server-sent events: what all wires have in common.

An `Exchange` sends a body and feeds what comes back to a `Reading`, which knows what it means. It
retries nothing and keeps nothing between requests but its connections. Nothing about the machine or
the repository is sent beside the body.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Protocol

import anyio
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
from octavo.model import Chunk, Provider
from octavo.model.http import open_transport
from octavo.model.sse import Event
from octavo.protocol.errors import ConfigError, ModelBusy, ModelError, StreamCut

MAX_ANSWER_BYTES = 256 << 20
"""Of a whole stream: one that goes on after that never ends."""
_MAX_PLAIN_ANSWER_BYTES = 64 << 20
_ERROR_BODY_TIMEOUT_S = 5.0
_DRAIN_S = 0.05
_LAST_WORDS_S = 5.0
"""How long a server may take to say what an answer cost once the answer itself has ended."""
_KEY_HEADERS = frozenset({"authorization", "x-api-key"})


class Reading(Protocol):
    """One answer being read.

    Attributes:
        complete: the answer has ended as it should; nothing further is read.
        ended: all that was said is here; only its cost or the wire's last word may be missing.
    """

    complete: bool
    ended: bool

    def read(self, event: Event) -> Iterator[Chunk]:
        """Yield the chunks that `event` stands for; unknown events stand for none.

        Raises:
            StreamCut: the event is malformed, or says that the answer broke off.
            ModelError: the event says that the answer failed for good.
        """

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """Yield the chunks of an answer that came as one JSON document instead of a stream."""

    def closed(self) -> Iterator[Chunk]:
        """Yield what is still to be said of an answer that has `ended`; nothing more will come."""


class Exchange:
    """A way to put requests to one address of a provider."""

    def __init__(
        self,
        provider: Provider,
        path: str,
        api: str,
        *,
        env: Mapping[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Get ready to ask `provider`; nothing is sent yet.

        Args:
            provider: where, with which key and headers, and how patiently.
            path: what follows its base_url.
            api: what people call the API that is spoken there.
            env: the environment to read SSL_CERT_FILE from; that of the process by default.
            max_answer_bytes: a stream that is longer is broken off.
            headers: sent besides; the provider's own settings count before these.

        Raises:
            ConfigError: the certificates, the address or a header cannot be used.
        """
        idle_s = provider.stream_idle_timeout_ms / 1000
        env = os.environ if env is None else env
        self._provider = provider
        self._api = api
        self._idle_s = idle_s
        self._max_answer_bytes = max_answer_bytes
        self._transport: HTTPTransport = open_transport(
            provider.base_url, env, idle_timeout_s=idle_s
        )
        self._url = f"{provider.base_url.rstrip('/')}{path}"
        self._params = list(provider.query_params.items()) or None
        self._headers = Headers()
        for name, value in _headers(provider, headers or {}).items():
            try:
                self._headers[name] = value
            except ValueError:
                what = "key" if name in _KEY_HEADERS else f"header {name!r}"
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

    async def ask(
        self, model: str, body: bytes, start: Callable[[], Reading]
    ) -> AsyncGenerator[Chunk, None]:
        """Send `body`, and yield the chunks of the answer; see `Model.stream`.

        Args:
            model: its name, for errors.
            body: the request, encoded.
            start: makes the reading, once an answer has begun.
        """
        response = await self._post(body)
        from octavo.model.sse import SseParser  # needed no earlier

        reading = start()
        try:
            if not 200 <= response.status < 300:
                raise await self._refusal(model, response)
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
            while (data := await self._more(response, reading)) is not None:
                left_bytes -= len(data)
                if left_bytes < 0:
                    raise self._cut(f"It is larger than {self._max_answer_bytes} bytes.")
                for event in parser.feed(data):
                    for chunk in reading.read(event):
                        yield chunk
                if reading.complete:
                    await self._drain(response)
                    return
            if not reading.ended:
                raise self._cut("The connection closed before the answer was complete.")
            for chunk in reading.closed():
                yield chunk
        finally:
            await response.aclose()

    async def _post(self, body: bytes) -> Response:
        request = Request(
            "POST", self._url, headers=self._headers, content=body, params=self._params
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

    async def _more(self, response: Response, reading: Reading) -> bytes | None:
        """Return the body's next bytes; None at its end, or when only last words are late."""
        if not reading.ended:
            return await self._next(response)
        with anyio.move_on_after(_LAST_WORDS_S):
            try:
                return await self._next(response)
            except StreamCut:
                pass  # what was said is whole
        return None

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

    async def _refusal(self, model: str, response: Response) -> ModelError:
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
        place = (self._url, self._api)
        return refused(self._provider, model, response.status, headers, error, place)

    def _cut(self, why: str) -> StreamCut:
        return StreamCut(
            f"The answer of {self._provider.name} broke off. {why}",
            info="responseStreamDisconnected",
        )


def _headers(provider: Provider, more: Mapping[str, str]) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "user-agent": f"octavo/{__version__}",
        **more,
        **provider.credentials(),
        **{name.lower(): value for name, value in provider.http_headers.items()},
    }


def _is_of_transport(error: Exception) -> bool:
    """Say whether `error` is of the network or the HTTP conversation, and not a bug of ours."""
    return isinstance(error, OSError | ReadError | RemoteProtocolError | WriteError)
