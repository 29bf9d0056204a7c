"""Threads and turns for programs.

    async with started() as octavo:
        thread = await octavo.start_thread(cwd="/repo", approval_policy="on-request")
        async with thread.turn("Fix the failing test.") as turn:
            async for event in turn:
                ...

Every event of a turn comes, in order, from the first on; whoever leaves a turn before its end, by
an error or a cancellation too, has interrupted it. Events of threads that nobody listens to are
dropped. Those of a turn wait, however many, in this process until they are read.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from octavo import __version__
from octavo.client import Client, connect
from octavo.client.listening import Ears
from octavo.client.lone import unwrapped
from octavo.client.questions import Answerer, Reply, read_question, write_reply
from octavo.client.turn import Turn, TurnFailed, TurnResult, turning
from octavo.protocol import methods as m
from octavo.protocol.inputs import ImageUrl, LocalImage, Mention, Skill, Text, UserInput
from octavo.protocol.notifications import Notification
from octavo.rpc import NO_METHOD, Link, RpcError

if TYPE_CHECKING:
    from octavo.protocol.items import Thread as ThreadInfo
    from octavo.protocol.settings import Model

Input = str | UserInput | Sequence[UserInput]
"""What is put into a turn: text, or a part, or parts of different kinds."""


class Thread:
    """A thread that is loaded in the server.

    Attributes:
        id: stands for it, also after a restart.
        settings: what was in force when it was opened: model, sandbox, who is asked.
    """

    def __init__(self, octavo: Octavo, settings: m.ThreadResult) -> None:
        self.id = settings.thread.id
        self.settings = settings
        self.octavo = octavo

    async def run(self, put: Input, **choices: Any) -> TurnResult:
        """Run one turn to its end.

        Args:
            put: what to do.
            choices: as `turn` takes them.

        Raises:
            TurnFailed: it failed; an interrupted one is a result like a completed one.
            RpcError: the server refused it.
            LinkClosed: the server is gone.
        """
        async with self.turn(put, **choices) as turn:
            result = await turn.end()
        return result.checked()

    @asynccontextmanager
    async def turn(self, put: Input, **choices: Any) -> AsyncIterator[Turn]:
        """Begin a turn; one that is left before its end is interrupted.

        Args:
            put: what to do.
            choices: fields of `TurnStartParams`: `model`, `effort`, `output_schema`,
                `approval_policy`, `sandbox_policy`, `octavo_budget`, …

        Raises:
            RpcError: the server refused it.
            LinkClosed: the server is gone.
        """
        params = m.TurnStartParams(self.id, _parts(put), **choices)
        async with turning(self.octavo.client, self.octavo.ears, params) as turn:
            yield turn

    async def events(self) -> AsyncGenerator[Notification, None]:
        """Whatever happens in the thread from now on, whoever began it, until the connection ends.

        Close it (`contextlib.aclosing`) to stop listening.
        """
        with self.octavo.ears.listen(self.id) as events:
            async for event in events:
                yield event

    async def read(self) -> ThreadInfo:
        """Return the thread with all its turns and their items."""
        from octavo.protocol.sessions import THREAD_READ, ThreadReadParams

        params = ThreadReadParams(self.id, include_turns=True)
        return (await self.octavo.client.call(THREAD_READ, params)).thread

    async def set_name(self, name: str) -> None:
        """Give it a name."""
        from octavo.protocol.sessions import THREAD_SET_NAME, ThreadSetNameParams

        await self.octavo.client.call(THREAD_SET_NAME, ThreadSetNameParams(self.id, name))

    async def fork(self, **choices: Any) -> Thread:
        """Return a new thread that begins as this one is; `choices`: of `ThreadForkParams`."""
        from octavo.protocol.sessions import THREAD_FORK, ThreadForkParams

        params = ThreadForkParams(self.id, **_from_here(choices))
        return Thread(self.octavo, await self.octavo.client.call(THREAD_FORK, params))

    async def close(self) -> None:
        """Hear nothing more of it. It goes on in the server, with nobody or with others."""
        await self.octavo.client.call(m.UNSUBSCRIBE, m.ThreadIdParams(self.id))


class Octavo:
    """A server that is connected to. Made by `started` and `connected`.

    Attributes:
        client: for every method of the protocol: `client.call(METHOD, params)`.
    """

    def __init__(self, client: Client, ears: Ears) -> None:
        self.client = client
        self.ears = ears

    async def start_thread(self, **params: Any) -> Thread:
        """Begin a thread; `params`: fields of `ThreadStartParams`. Raises RpcError, LinkClosed."""
        asked = m.ThreadStartParams(**_from_here(params))
        return Thread(self, await self.client.start_thread(asked))

    async def resume_thread(self, thread_id: str, **params: Any) -> Thread:
        """Open a thread that exists, running or not; `params`: of `ThreadResumeParams`.

        Raises:
            RpcError: there is none, or another process is writing it.
            LinkClosed: the server is gone.
        """
        asked = m.ThreadResumeParams(thread_id, **_from_here(params))
        return Thread(self, await self.client.resume_thread(asked))

    async def threads(self, **params: Any) -> AsyncGenerator[ThreadInfo, None]:
        """Every thread, newest first; `params`: of `ThreadListParams`, such as `cwd`."""
        asked = m.ThreadListParams(**_from_here(params))
        while True:
            page = await self.client.call(m.THREAD_LIST, asked)
            for thread in page.data:
                yield thread
            if page.next_cursor is None:
                return
            asked = msgspec.structs.replace(asked, cursor=page.next_cursor)

    async def models(self) -> tuple[Model, ...]:
        """The models that octavo knows; whether one may be used, its provider says."""
        from octavo.protocol.settings import MODEL_LIST, ModelListParams

        return (await self.client.call(MODEL_LIST, ModelListParams())).data


@asynccontextmanager
async def connected(
    to: Link | str,
    *,
    token: str | None = None,
    answer: Answerer | None = None,
    name: str = "octavo_sdk",
    version: str = __version__,
) -> AsyncIterator[Octavo]:
    """Connect to a server that is there.

    Args:
        to: a link, or where it listens: "unix:///path/to/socket", "ws://127.0.0.1:4500".
        token: what a websocket wants to be shown.
        answer: answers questions. Without it this program answers none: where nobody else does,
            they are declined. What it raises, the turn raises.
        name: of the program, as the server is told.
        version: of the program.

    Raises:
        OctavoError: there is none.
        RpcError: it refused the introduction.
    """
    ears = Ears()

    async def reply_to(method: str, params: bytes) -> Any:
        asked = read_question(method, params)
        if answer is None:
            raise RpcError(NO_METHOD, "This program answers no questions.")
        try:
            reply: Reply = await answer(asked)
        except Exception as error:
            ears.fail(asked.thread_id, error)
            raise
        return write_reply(asked, reply)

    async with AsyncExitStack() as stack:
        stack.enter_context(unwrapped())
        link = await stack.enter_async_context(_link(to, token)) if isinstance(to, str) else to
        client = await stack.enter_async_context(
            connect(
                link,
                name=name,
                version=version,
                answer=reply_to,
                deliver=ears.hear,
                at_end=ears.close,
            )
        )
        yield Octavo(client, ears)


@asynccontextmanager
async def started(
    command: Sequence[str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    answer: Answerer | None = None,
    name: str = "octavo_sdk",
    version: str = __version__,
) -> AsyncIterator[Octavo]:
    """Start a server as a process of one's own; it ends, its threads closed, with the context.

    Args:
        command: how; by default this Python's `octavo app-server`. Settings go with it as `-c`.
        env: its environment; by default this process's.
        answer, name, version: as for `connected`.

    Raises:
        OctavoError: it could not be started.
    """
    from octavo.client.links import program_link

    async with (
        program_link(command, env=env) as link,
        connected(link, answer=answer, name=name, version=version) as octavo,
    ):
        yield octavo


def _link(url: str, token: str | None) -> AbstractAsyncContextManager[Link]:
    from octavo.protocol.errors import UsageError

    scheme, _, path = url.partition("://")
    if scheme in ("ws", "wss"):
        from octavo.client.websocket import websocket_link

        return websocket_link(url, token=token)
    if scheme == "unix" and path:
        from octavo.client.links import unix_link

        return unix_link(path)
    raise UsageError(f"{url!r} cannot be connected to.", hint="unix:///PATH, or ws://IP:PORT")


def _from_here(params: dict[str, Any]) -> dict[str, Any]:
    """A relative `cwd` is meant from where the program is, not the server."""
    cwd = params.get("cwd")
    if isinstance(cwd, str | os.PathLike):
        return params | {"cwd": os.path.abspath(cwd)}
    return params


def _parts(put: Input) -> tuple[UserInput, ...]:
    if isinstance(put, str):
        return (Text(put),)
    return (put,) if isinstance(put, Text | ImageUrl | LocalImage | Skill | Mention) else tuple(put)


__all__ = ["Octavo", "Thread", "Turn", "TurnFailed", "TurnResult", "connected", "started"]
