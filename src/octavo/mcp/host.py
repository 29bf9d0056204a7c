"""What speaks with one MCP server, in that server's cage: the official client, behind two pipes.

It is a process of its own because its server is hostile: a message that takes all memory, or all of
a processor, takes it here. It is also heavy, and so costs octavo itself nothing. See `words` for
what is said over the pipes.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import msgspec
from pydantic import ValidationError

from mcp import Client, MCPError
from octavo.mcp import words as w
from octavo.mcp.deadlines import Deadlines
from octavo.mcp.following import follow_changes
from octavo.rpc import NO_METHOD, LinkClosed, RpcError
from octavo.rpc.peer import Peer, decode_params
from octavo.rpc.stream import StreamLink

if TYPE_CHECKING:
    from mcp.client import ClientRequestContext

MEMORY_LIMIT_BYTES = 1 << 30
GRACE_S = 0.2
"""What a server said last is still passed on for so long when it has ended."""


def main() -> None:
    """Serve standard input and output until the other end is gone."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever prints, prints to the log
    import logging

    logging.disable(logging.CRITICAL)  # a server's bad lines are not our news
    anyio.run(Host(StreamLink(0, out, limit_bytes=w.FRAME_LIMIT_BYTES)).run)


class Host:
    """One client of one server."""

    def __init__(self, link: StreamLink) -> None:
        self._link = link
        self._peer = Peer(link, self._on_request, self._on_notification)
        self._asked: w.Connect | None = None
        self._wanted = anyio.Event()
        self._settled = anyio.Event()
        self._ended = anyio.Event()
        self._client: Client | None = None
        self._failure = ""
        self._status: int | None = None
        """Of the last answer over HTTP."""
        self._challenged = False
        """It said that it wants a bearer token."""
        self._deadlines = Deadlines()
        self._calls: dict[str, anyio.CancelScope] = {}

    async def run(self) -> None:
        """Serve until the other end is gone."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._hold)
            group.start_soon(self._follow, group.cancel_scope)
            await self._peer.run()
            group.cancel_scope.cancel()

    async def _follow(self, scope: anyio.CancelScope) -> None:
        """End with the server: whoever waits for it then learns that it is not there any more."""
        await self._ended.wait()
        await anyio.sleep(GRACE_S)
        scope.cancel()

    async def _hold(self) -> None:
        """Open the connection and keep it, in one task, as the client wants it."""
        await self._wanted.wait()
        assert self._asked is not None
        try:
            async with self._opened(self._asked) as client:
                self._client = client
                self._settled.set()
                await follow_changes(client, self._missed)
                await anyio.sleep_forever()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            self._client = None
            if not self._ended.is_set():  # else that it ended says it, and what it printed
                self._failure = self._reason(error)
                self._settled.set()

    @asynccontextmanager
    async def _opened(self, asked: w.Connect) -> AsyncIterator[Client]:
        async with Client(
            self._transport(asked.to),
            client_info=types.Implementation(name="octavo-mcp-client", version=asked.version),
            elicitation_callback=self._elicit if asked.elicits else None,
            logging_callback=self._logged,
            log_level="info",  # servers of 2026 log only for those who ask
            message_handler=self._message,
            cache=None,
        ) as client:
            yield client

    def _transport(self, to: w.Stdio | w.Http) -> AbstractAsyncContextManager[Any]:
        match to:
            case w.Stdio():
                from octavo.mcp.pipes import program

                argv = (to.command, *to.args)
                return program(argv, cwd=to.cwd, env=to.env, at_end=self._ended.set)
            case w.Http():
                return self._http(to)

    @asynccontextmanager
    async def _http(self, to: w.Http) -> AsyncIterator[Any]:
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        async def heard(response: Any) -> None:
            if response.request.method == "POST":  # others a server need not have
                self._status = response.status_code
                challenge = response.headers.get("www-authenticate", "")
                self._challenged = challenge.lower().startswith("bearer")

        auth = None
        if to.token is not None:
            from octavo.mcp.bearer import Bearer

            auth = Bearer(to.url, to.token, self._renewed)
        async with create_mcp_http_client(headers=to.headers, auth=auth) as http:
            http.event_hooks = {"response": [heard]}
            async with streamable_http_client(to.url, http_client=http) as streams:
                yield streams

    async def _renewed(self, refused: str) -> str | None:
        """Return a token for one that is used up, if there is one."""
        with self._deadlines.paused():
            try:
                got = await self._peer.request(w.TOKEN, w.TokenParams(refused), w.Token)
            except (RpcError, LinkClosed):
                return None
        return got.token

    @property
    def _needs_login(self) -> bool:
        """Whether the server wants a token that the settings do not give it."""
        to = None if self._asked is None else self._asked.to
        if self._status != 401 or not isinstance(to, w.Http):
            return False
        if any(header.lower() == "authorization" for header in to.headers):
            return False
        return self._challenged or not to.headers

    def _reason(self, error: BaseException) -> str:
        """Return why something failed; over HTTP, in its words."""
        assert self._asked is not None
        if not isinstance(self._asked.to, w.Http):
            return reason(error)
        if self._status is None:
            return f"{self._asked.to.url} cannot be reached ({reason(error)})"
        if self._status == 403 and self._asked.to.token is not None:
            return "your login does not reach so far (HTTP 403): log in again, with --scopes"
        if self._status in (401, 403):
            how = "a wrong one" if self._asked.to.headers else "none"
            return f"it wants a token, and was given {how} (HTTP {self._status})"
        if self._status >= 400:
            return f"it answered with HTTP {self._status}"
        return reason(error)

    async def _on_request(self, method: str, params: bytes) -> Any:
        match method:
            case w.CONNECT:
                return await self._connect(decode_params(params, w.Connect))
            case w.LIST:
                return await self._list(decode_params(params, w.ListParams))
            case w.CALL:
                return await self._call(decode_params(params, w.CallParams))
            case w.READ:
                return await self._read(decode_params(params, w.ReadParams))
            case w.PROMPT:
                return await self._prompt(decode_params(params, w.PromptParams))
            case _:
                raise RpcError(NO_METHOD, f"There is no method {method!r}.")

    async def _on_notification(self, method: str, params: bytes) -> None:
        if method == w.CANCEL:
            scope = self._calls.get(decode_params(params, w.CancelParams).call)
            if scope is not None:
                scope.cancel()

    async def _connect(self, asked: w.Connect) -> w.Connected:
        self._asked = asked
        self._wanted.set()
        with anyio.move_on_after(asked.timeout_s):
            await self._settled.wait()
        client = self._client
        if client is None:
            if self._needs_login:
                raise RpcError(w.NEEDS_LOGIN, self._failure)
            raise RpcError(
                w.BROKEN, self._failure or f"it did not answer within {asked.timeout_s:g} s"
            )
        _limit_memory()
        info = client.server_info
        return w.Connected(
            protocol=client.protocol_version,
            info=None if info is None else _plain(info),
            capabilities=_plain(client.server_capabilities),
            instructions=client.instructions,
        )

    @property
    def _there(self) -> Client:
        if self._client is None:
            raise RpcError(w.BROKEN, self._failure or "it is not connected")
        return self._client

    async def _list(self, asked: w.ListParams) -> Any:
        found: list[dict[str, Any]] = []
        dropped = 0
        cursor: str | None = None
        seen: set[str] = set()
        async with self._telling_faults(asked.timeout_s):
            while True:
                page, cursor = await self._page(asked.what, cursor)
                for one in page:
                    if len(msgspec.json.encode(one)) > w.TOOL_LIMIT_BYTES:
                        dropped += 1
                    elif len(found) < w.TOOLS_LIMIT:
                        found.append(one)
                    else:
                        dropped += 1
                if cursor is None or cursor in seen or len(found) >= w.TOOLS_LIMIT:
                    break
                seen.add(cursor)
        left_out = f"{dropped} or more {asked.what} were left out: too many, or too large"
        return _sent(w.Listed(found, left_out if dropped else None))

    async def _page(self, what: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        client = self._there
        match what:
            case "tools":
                tools = await client.list_tools(cursor=cursor)
                return [_plain(one) for one in tools.tools], tools.next_cursor
            case "resources":
                resources = await client.list_resources(cursor=cursor)
                return [_plain(one) for one in resources.resources], resources.next_cursor
            case "prompts":
                prompts = await client.list_prompts(cursor=cursor)
                return [_plain(one) for one in prompts.prompts], prompts.next_cursor
            case _:
                templates = await client.list_resource_templates(cursor=cursor)
                return [_plain(one) for one in templates.resource_templates], templates.next_cursor

    async def _call(self, asked: w.CallParams) -> Any:
        async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
            share = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
            text = share if not message else f"{message} ({share})"
            await self._tell(w.PROGRESS, w.ProgressParams(asked.call, text[: w.TEXT_CHARACTERS]))

        result: dict[str, Any] | None = None
        with anyio.CancelScope() as scope:
            self._calls[asked.call] = scope
            try:
                async with self._telling_faults(asked.timeout_s):
                    result = _plain(
                        await self._there.call_tool(
                            asked.tool, asked.arguments, progress_callback=tell_progress
                        )
                    )
            finally:
                del self._calls[asked.call]
        if result is None:
            raise RpcError(w.BROKEN, "it was cancelled")
        return _sent(result)

    async def _read(self, asked: w.ReadParams) -> Any:
        async with self._telling_faults(asked.timeout_s):
            return _sent(_plain(await self._there.read_resource(asked.uri)))

    async def _prompt(self, asked: w.PromptParams) -> Any:
        async with self._telling_faults(asked.timeout_s):
            return _sent(_plain(await self._there.get_prompt(asked.name, asked.arguments)))

    @asynccontextmanager
    async def _telling_faults(self, timeout_s: float) -> AsyncIterator[None]:
        """Turn what may go wrong with a request into a refusal that says it."""
        try:
            with self._deadlines.within(timeout_s):
                yield
        except TimeoutError:
            raise RpcError(w.TIMED_OUT, f"it did not answer within {timeout_s:g} s") from None
        except MCPError as error:
            if self._ended.is_set():
                await anyio.sleep_forever()  # this process ends as well, and that is the answer
            if self._needs_login:
                raise RpcError(w.NEEDS_LOGIN, "it wants another token") from None
            said = self._reason(error)[: w.TEXT_CHARACTERS]
            raise RpcError(w.SERVER_SAID_NO, said) from None
        except (ValidationError, RuntimeError, ValueError, RecursionError, MemoryError) as error:
            raise RpcError(w.BROKEN, self._reason(error)) from None

    async def _tell(self, method: str, params: Any) -> None:
        try:
            await self._peer.notify(method, params)
        except LinkClosed:
            return

    async def _elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        message = params.message[: w.TEXT_CHARACTERS]
        if isinstance(params, types.ElicitRequestURLParams):
            asked = w.ElicitParams(message, url=params.url)
        else:
            asked = w.ElicitParams(message, schema=_as_object(params.requested_schema))
        try:
            with self._deadlines.paused():
                answer = await self._peer.request(w.ELICIT, asked, w.ElicitResult)
        except (RpcError, LinkClosed):
            return types.ElicitResult(action="decline")
        return types.ElicitResult(action=answer.action, content=answer.content)

    async def _logged(self, params: types.LoggingMessageNotificationParams) -> None:
        text = params.data if isinstance(params.data, str) else _encoded(params.data)
        await self._tell(w.LOG, w.LogParams(params.level, text[: w.TEXT_CHARACTERS]))

    async def _missed(self) -> None:
        await self._tell(w.CHANGED, w.ChangedParams("tools"))

    async def _message(self, message: Any) -> None:
        match message:
            case types.ToolListChangedNotification():
                await self._tell(w.CHANGED, w.ChangedParams("tools"))
            case types.ResourceListChangedNotification():
                await self._tell(w.CHANGED, w.ChangedParams("resources"))
            case _:
                return


def reason(error: BaseException) -> str:
    """Return why something failed, in words that end a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case FileNotFoundError():
            return f"there is no program {error.filename!r}"
        case PermissionError():
            return f"{error.filename!r} may not be run"
        case OSError(strerror=str(said)):
            return said
        case MCPError():
            return error.error.message[: w.TEXT_CHARACTERS]
        case ValidationError():
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return f"its answer is not what MCP says ({place}: {first['msg']})"
        case _:
            said = f": {error}".rstrip(": \n")
            if (type(error).__name__, said) == ("ConnectError", ""):  # of the HTTP library
                return "nothing answers there"
            return f"{type(error).__name__}{said}"[: w.TEXT_CHARACTERS]


def _plain(model: Any) -> dict[str, Any]:
    plain: dict[str, Any] = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return plain


def _as_object(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else _plain(schema)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _sent(result: Any) -> msgspec.Raw:
    """Return a result encoded; one that does not fit into a frame is refused here."""
    raw = msgspec.json.encode(result)
    if len(raw) > w.FRAME_LIMIT_BYTES - 1024:
        raise RpcError(w.BROKEN, f"the answer has {len(raw) >> 20} MiB, which is too much")
    return msgspec.Raw(raw)


def _limit_memory() -> None:
    """Keep this process from taking the machine's memory; the server itself was started before."""
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    except (OSError, ValueError):
        sys.stderr.write("mcp host: its memory has no limit here\n")
