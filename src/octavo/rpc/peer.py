"""One side of a conversation in JSON-RPC.

A peer may ask and be asked at the same time. Requests are handled side by side and begun in the
order they came; notifications are handled in order, one at a time. When the link closes, what is
still unanswered fails with `LinkClosed`.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.abc
import msgspec

from octavo.rpc import (
    BAD_PARAMS,
    INTERNAL,
    INVALID_REQUEST,
    PARSE,
    Link,
    LinkClosed,
    RpcError,
)

T = TypeVar("T")
Id = int | str


class _Error(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    data: Any = None


class _Frame(msgspec.Struct, omit_defaults=True):
    id: Id | msgspec.UnsetType | None = msgspec.UNSET
    method: str | None = None
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


class _Notification(msgspec.Struct):
    method: str
    params: Any


class _Request(msgspec.Struct):
    id: Id
    method: str
    params: Any


class _Answer(msgspec.Struct):
    id: Id | None
    result: Any


class _Refusal(msgspec.Struct):
    id: Id | None
    error: _Error


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Frame).decode
EMPTY_PARAMS = b"{}"

OnRequest = Callable[[str, bytes], Awaitable[Any]]
"""Answers a request: its method and encoded parameters in, the result out. May raise RpcError."""

OnNotification = Callable[[str, bytes], Awaitable[None]]


def encode_notification(method: str, params: Any) -> bytes:
    """A frame that tells something; encode once, send to many."""
    return _encode(_Notification(method, params))


def decode_params(raw: bytes, kind: type[T]) -> T:
    """Read parameters as `kind`.

    Raises:
        RpcError: BAD_PARAMS, with the field at fault named.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise RpcError(BAD_PARAMS, f"Invalid params: {error}") from None


class _Waiting:
    """A request of ours that has no answer yet."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: bytes | RpcError | None = None


class Peer:
    """Asks and answers over one link."""

    def __init__(self, link: Link, on_request: OnRequest, on_notification: OnNotification) -> None:
        self._link = link
        self._on_request = on_request
        self._on_notification = on_notification
        self._waiting: dict[Id, _Waiting] = {}
        self._next_id = 0
        self._closed = False

    async def run(self) -> None:
        """Serve the link until it closes; requests still being handled are then cancelled."""
        try:
            async with anyio.create_task_group() as handling:
                while True:
                    try:
                        frame = await self._link.receive()
                    except LinkClosed:
                        handling.cancel_scope.cancel()
                        return
                    await self._take(frame, handling)
        finally:
            self._closed = True
            for waiting in self._waiting.values():
                waiting.done.set()

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask, and wait for the answer.

        Raises:
            RpcError: the other side refused.
            LinkClosed: it is gone.
        """
        return msgspec.json.decode(await self.ask(method, params), type=result)

    async def ask(self, method: str, params: Any, *, request_id: Id | None = None) -> bytes:
        """Like `request`, for whoever wants the encoded result or chooses the id."""
        if self._closed:
            raise LinkClosed
        if request_id is None:
            self._next_id += 1
            request_id = self._next_id
        waiting = self._waiting[request_id] = _Waiting()
        try:
            await self._link.send(_encode(_Request(request_id, method, params)))
            await waiting.done.wait()
        finally:
            del self._waiting[request_id]
        match waiting.answer:
            case None:
                raise LinkClosed
            case RpcError():
                raise waiting.answer
            case answer:
                return answer

    async def notify(self, method: str, params: Any) -> None:
        """Tell. Raises LinkClosed."""
        await self._link.send(encode_notification(method, params))

    async def send_encoded(self, frame: bytes) -> None:
        """Send a frame made by `encode_notification`. Raises LinkClosed."""
        await self._link.send(frame)

    async def _take(self, data: bytes, handling: anyio.abc.TaskGroup) -> None:
        try:
            frame = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            code = INVALID_REQUEST if isinstance(error, msgspec.ValidationError) else PARSE
            await self._reply(_Refusal(None, _Error(code, f"Invalid request: {error}")))
            return
        if frame.method is not None:
            params = EMPTY_PARAMS if frame.params is msgspec.UNSET else bytes(frame.params)
            if frame.id is msgspec.UNSET or frame.id is None:
                await self._on_notification(frame.method, params)
            else:
                handling.start_soon(self._handle, frame.id, frame.method, params)
            return
        if frame.id is msgspec.UNSET or frame.id is None:
            refusal = _Error(INVALID_REQUEST, "Invalid request: neither a method nor an id")
            await self._reply(_Refusal(None, refusal))
            return
        waiting = self._waiting.get(frame.id)
        if waiting is None or waiting.done.is_set():
            return
        if frame.error is not None:
            waiting.answer = RpcError(frame.error.code, frame.error.message, frame.error.data)
        else:
            waiting.answer = b"null" if frame.result is msgspec.UNSET else bytes(frame.result)
        waiting.done.set()

    async def _handle(self, request_id: Id, method: str, params: bytes) -> None:
        reply: _Answer | _Refusal
        try:
            reply = _Answer(request_id, await self._on_request(method, params))
        except RpcError as error:
            reply = _Refusal(request_id, _Error(error.code, error.message, error.data))
        except Exception as error:  # noqa: BLE001 - a bug in a handler takes no other request down
            text = f"Internal error: {type(error).__name__}: {error}"
            reply = _Refusal(request_id, _Error(INTERNAL, text))
        await self._reply(reply)

    async def _reply(self, reply: _Answer | _Refusal) -> None:
        try:
            frame = _encode(reply)
        except UnicodeEncodeError as error:  # a file's name, mostly; no other request is hurt
            text = f"The answer has a name in it that is no text: {error.object!a:.200}"
            frame = _encode(_Refusal(reply.id, _Error(INTERNAL, text)))
        try:
            await self._link.send(frame)
        except LinkClosed:
            return
