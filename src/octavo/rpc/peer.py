"""One side of a conversation in JSON-RPC.

A peer may ask and be asked at the same time. Requests are handled side by side and begun in the
order they came; notifications are handled in order, one at a time. When the link closes, what is
still unanswered fails with `LinkClosed`.

The id of a request may be any JSON: it is given back as it came, byte for byte.
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
    OVERLOADED,
    PARSE,
    FrameTooLong,
    Link,
    LinkClosed,
    RpcError,
)

T = TypeVar("T")
Id = int | str
"""Of requests of our own."""
MAX_AT_ONCE = 1024
"""Requests being handled; one more is refused, to be asked again."""
_NULL = msgspec.Raw(b"null")


class _Error(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    data: Any = None


class _Frame(msgspec.Struct, omit_defaults=True):
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
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
    id: msgspec.Raw
    result: Any


class _Refusal(msgspec.Struct):
    id: msgspec.Raw
    error: _Error


class _OnlyId(msgspec.Struct):
    id: msgspec.Raw = _NULL


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
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RpcError(BAD_PARAMS, f"Invalid params: {error}") from None


class _Waiting:
    """A request of ours that has no answer yet."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: bytes | RpcError | None = None


class Peer:
    """Asks and answers over one link."""

    def __init__(
        self,
        link: Link,
        on_request: OnRequest,
        on_notification: OnNotification,
        *,
        unasked_bytes: int | None = None,
    ) -> None:
        """
        Args:
            unasked_bytes: what is longer than this, and no answer, is passed over; None if nothing.
        """
        self._link = link
        self._unasked_bytes = unasked_bytes
        self._on_request = on_request
        self._on_notification = on_notification
        self._waiting: dict[Id, _Waiting] = {}
        self._next_id = 0
        self._closed = False
        self._handled = 0

    async def run(self, *, finish_s: float = 0) -> None:
        """Serve the link until nothing more comes.

        Args:
            finish_s: how long requests may then still be handled; they are cancelled after it.
        """
        try:
            async with anyio.create_task_group() as handling:
                while True:
                    try:
                        frame = await self._link.receive()
                    except LinkClosed:
                        handling.cancel_scope.deadline = anyio.current_time() + finish_s
                        break
                    except FrameTooLong:
                        await self._refuse(_NULL, INVALID_REQUEST, "Invalid request: too long")
                        continue
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
            if frame.id is not msgspec.UNSET:
                bytes(frame.id).decode()  # it is given back, and must not spoil the answer
        except msgspec.ValidationError as error:
            await self._refuse(_id_of(data), INVALID_REQUEST, f"Invalid request: {error}")
            return
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            await self._refuse(_NULL, PARSE, f"Parse error: {error}")
            return
        if frame.method is not None:
            if self._unasked_bytes is not None and len(data) > self._unasked_bytes:
                return
            params = EMPTY_PARAMS if frame.params is msgspec.UNSET else bytes(frame.params)
            params = EMPTY_PARAMS if params == b"null" else params
            if frame.id is msgspec.UNSET:
                await self._on_notification(frame.method, params)
                return
            request_id = msgspec.Raw(bytes(frame.id))  # a copy: it does not hold the whole frame
            if self._handled >= MAX_AT_ONCE:
                busy = {"codexErrorInfo": "serverOverloaded", "errorInfo": "server_overloaded"}
                await self._refuse(request_id, OVERLOADED, "Too many requests at once.", busy)
                return
            self._handled += 1
            handling.start_soon(self._handle, request_id, frame.method, params)
            return
        if frame.id is msgspec.UNSET:
            await self._refuse(_NULL, INVALID_REQUEST, "Invalid request: no method and no id")
            return
        self._take_answer(frame, bytes(frame.id))

    def _take_answer(self, frame: _Frame, encoded_id: bytes) -> None:
        try:
            waiting = self._waiting.get(msgspec.json.decode(encoded_id, type=Id, strict=True))
        except (msgspec.DecodeError, ValueError, RecursionError):  # no id of ours
            return
        if waiting is None or waiting.done.is_set():
            return
        if frame.error is not None:
            waiting.answer = RpcError(frame.error.code, frame.error.message, frame.error.data)
        else:
            waiting.answer = b"null" if frame.result is msgspec.UNSET else bytes(frame.result)
        waiting.done.set()

    async def _handle(self, request_id: msgspec.Raw, method: str, params: bytes) -> None:
        reply: _Answer | _Refusal
        try:
            reply = _Answer(request_id, await self._on_request(method, params))
        except RpcError as error:
            reply = _Refusal(request_id, _Error(error.code, error.message, error.data))
        except Exception as error:  # noqa: BLE001 - a bug in a handler takes no other request down
            text = f"Internal error: {type(error).__name__}: {error}"
            reply = _Refusal(request_id, _Error(INTERNAL, text))
        finally:
            self._handled -= 1
        await self._reply(reply)

    async def _refuse(
        self, request_id: msgspec.Raw, code: int, message: str, data: Any = None
    ) -> None:
        await self._reply(_Refusal(request_id, _Error(code, message, data)))

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


def _id_of(data: bytes) -> msgspec.Raw:
    """The id of a frame that is wrong in some other way, if it has one."""
    try:
        found = bytes(msgspec.json.decode(data, type=_OnlyId).id)
        found.decode()
        return msgspec.Raw(found)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _NULL
