"""The MCP server: its tools, answered with octavo's threads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.abc
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from mcp import types
from octavo import __version__
from octavo.client.octavo import Octavo, Thread, TurnResult
from octavo.client.questions import Asked, InputAsked, Reply
from octavo.faces.mcp_server import tools as t
from octavo.faces.mcp_server.asking import elicitation, read_result
from octavo.faces.mcp_server.calls import ABANDONED_S, Call, Waiting
from octavo.faces.mcp_server.reading import as_text, read_thread
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import sessions as s
from octavo.protocol.errors import OctavoError, UsageError
from octavo.rpc import LinkClosed, RpcError

Result = types.CallToolResult | types.InputRequiredResult
Context = ServerRequestContext[Any, Any]
_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)

ANSWER = "octavo"
"""The key of the one question that a call is answered with."""
_WIDTH = {"readOnly": 0, "workspaceWrite": 1}
_ASKED = {"read-only": 0, "workspace-write": 1, "danger-full-access": 2}
_FULL = 2


class OctavoTools:
    """Answers the calls of one client. Its server is given with `octavo`.

    Args:
        group: what outlives a call is run in it.
        place: the directory that a person serves; nothing outside of it is worked in or read.
    """

    octavo: Octavo

    def __init__(self, group: anyio.abc.TaskGroup, place: Path) -> None:
        self._group = group
        self._place = place
        self._calls: dict[str, Call] = {}
        self._paused: dict[str, Call] = {}

    def server(self) -> Server[Any]:
        """Return the protocol's server with these tools."""
        return Server(
            "octavo",
            version=__version__,
            title="octavo",
            instructions=(
                "octavo does coding tasks by itself, in a sandbox. Begin one with `octavo`, go on "
                "with `octavo-reply` and the threadId, look back with `octavo-read`."
            ),
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
        )

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        """tools/list"""
        del ctx, params
        return types.ListToolsResult(tools=t.tools())

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Result:
        """tools/call: what octavo refuses is a result that says so"""
        try:
            match t.ALIASES.get(params.name, params.name):
                case t.START | t.REPLY if params.request_state is not None:
                    return await self._go_on(ctx, params)
                case t.START:
                    return await self._start(ctx, _read(params, t.StartArguments))
                case t.REPLY:
                    return await self._reply(ctx, _read(params, t.ReplyArguments))
                case t.READ:
                    return await self._read(_read(params, t.ReadArguments))
                case unknown:
                    raise MCPError(types.INVALID_PARAMS, f"There is no tool {unknown!r}.")
        except RpcError as error:
            return _failed(error.message)
        except OctavoError as error:
            return _failed(str(error))
        except LinkClosed:
            return _failed("octavo is ending.")

    async def answer(self, asked: Asked) -> Reply:
        """Ask whoever made the call that runs in this thread."""
        call = self._calls.get(asked.thread_id)
        if call is None:
            return {} if isinstance(asked, InputAsked) else "decline"
        return await call.ask(asked)

    async def _start(self, ctx: Context, given: t.StartArguments) -> Result:
        cwd = self._workplace(given.cwd or "")
        thread = await self.octavo.start_thread(
            cwd=str(cwd),
            model=given.model,
            approval_policy="never" if given.approval_policy == "never" else None,
            base_instructions=given.base_instructions,
            developer_instructions=given.developer_instructions,
        )
        choices: dict[str, Any] = {}
        if given.sandbox is not None:
            choices = _narrowed(given.sandbox, thread.settings.sandbox)
        return await self._run(ctx, thread, given.prompt, **choices)

    async def _reply(self, ctx: Context, given: t.ReplyArguments) -> Result:
        thread_id = given.thread_id or given.conversation_id
        if thread_id is None:
            raise UsageError("threadId is missing.", hint="An earlier call gave it.")
        if thread_id in self._calls:
            raise UsageError(
                f"A call is running in the thread {thread_id}.", hint="Wait until it ends."
            )
        self._workplace((await self._found(thread_id)).cwd)
        thread = await self.octavo.resume_thread(thread_id)
        return await self._run(ctx, thread, given.prompt)

    async def _read(self, given: t.ReadArguments) -> types.CallToolResult:
        thread = await self._found(given.thread_id)
        self._inside(thread.cwd)
        params = s.TurnsListParams(given.thread_id, limit=given.turns, items_view="full")
        page = await self.octavo.client.call(s.TURNS_LIST, params)
        found = read_thread(thread, tuple(reversed(page.data)))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=as_text(found))], structured_content=found
        )

    async def _found(self, thread_id: str) -> it.Thread:
        params = s.ThreadReadParams(thread_id)
        return (await self.octavo.client.call(s.THREAD_READ, params)).thread

    def _workplace(self, directory: str) -> Path:
        """Return the directory that is served, if `directory` is that.

        A thread in a folder of it could have the folder exchanged for a link to somewhere else by
        a thread around it, and would work there.

        Raises:
            UsageError: it is another one.
        """
        real = self._inside(directory)
        if str(real) != os.path.realpath(self._place):
            raise UsageError(
                f"octavo works in {self._place} here, and not in {real}.",
                hint="Say in the prompt which folder is meant.",
            )
        return real

    def _inside(self, directory: str) -> Path:
        """Return the real path of a directory in the one that is served. Raises UsageError."""
        place = os.path.realpath(self._place)
        real = os.path.realpath(os.path.join(place, directory))
        if os.path.commonpath((real, place)) != place:
            raise UsageError(
                f"{real} is not in {place}, where this octavo works.",
                hint="A person can serve another directory: octavo mcp-server -C DIR.",
            )
        return Path(real)

    async def _run(self, ctx: Context, thread: Thread, prompt: str, **choices: Any) -> Result:
        call = self._calls[thread.id] = Call(thread)
        try:
            await call.begin(prompt, **choices)
        except BaseException:
            await self._end(call)
            raise
        return await self._follow(ctx, call)

    async def _go_on(self, ctx: Context, params: types.CallToolRequestParams) -> Result:
        """A call that is made again, with the answer to the question it was answered with."""
        call = self._paused.pop(params.request_state or "", None)
        if call is None or call.asked_for is None:
            raise UsageError(
                "This question is not open any more.", hint="Call octavo-reply with the threadId."
            )
        waiting, call.asked_for = call.asked_for, None
        result = (params.input_responses or {}).get(ANSWER)
        waiting.answer(read_result(waiting.asked, result))
        return await self._follow(ctx, call)

    async def _follow(self, ctx: Context, call: Call) -> Result:
        """Follow a turn to its end, or to a question that the call is answered with.

        A call that is cut off in the meantime has its turn interrupted.
        """
        paused = False
        try:
            while True:
                match await call.next():
                    case Waiting() as waiting:
                        if not _can_ask(ctx) or waiting.is_page:
                            waiting.answer(
                                {} if isinstance(waiting.asked, InputAsked) else "decline"
                            )
                        elif ctx.session.can_send_request:
                            waiting.answer(await _asked_now(ctx, waiting))
                        else:
                            paused = True
                            return self._pause(call, waiting)
                    case str() as word:
                        await ctx.session.report_progress(call.progress, None, word)
                    case result:
                        return _done(call.thread.id, result)
        finally:
            if not paused:
                await self._end(call)

    def _pause(self, call: Call, waiting: Waiting) -> types.InputRequiredResult:
        token = secrets.token_urlsafe()
        call.asked_for = waiting
        self._paused[token] = call
        self._group.start_soon(self._abandon, token, call)
        request = types.ElicitRequest(params=elicitation(waiting.asked))
        return types.InputRequiredResult(input_requests={ANSWER: request}, request_state=token)

    async def _abandon(self, token: str, call: Call) -> None:
        await anyio.sleep(ABANDONED_S)
        if self._paused.pop(token, None) is not None:
            await self._end(call)

    async def _end(self, call: Call) -> None:
        self._calls.pop(call.thread.id, None)
        with anyio.CancelScope(shield=True):
            await call.close()


def _read(params: types.CallToolRequestParams, kind: type[_Arguments]) -> _Arguments:
    try:
        return msgspec.convert(params.arguments or {}, type=kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"The arguments of {params.name} are wrong: {error}.") from None


def _narrowed(asked: str, given: m.SandboxPolicy) -> dict[str, Any]:
    """Return the choices that make the sandbox as narrow as a call asks. Raises UsageError."""
    if _ASKED[asked] > _WIDTH.get(given.type_, _FULL):
        raise UsageError(
            f"The sandbox {asked} is wider than octavo's settings give.",
            hint="A person can widen it: octavo mcp-server -c sandbox_mode=….",
        )
    if _ASKED[asked] == _WIDTH.get(given.type_, _FULL):
        return {}
    network = given.network_access if given.type_ in _WIDTH else False
    word: Any = "readOnly" if asked == "read-only" else "workspaceWrite"
    return {"sandbox_policy": m.SandboxPolicy(word, network_access=network)}


def _can_ask(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and capabilities.elicitation is not None


async def _asked_now(ctx: Context, waiting: Waiting) -> Reply:
    form = elicitation(waiting.asked)
    try:
        result = await ctx.session.elicit_form(form.message, form.requested_schema, ctx.request_id)
    except (MCPError, ValueError):  # it cannot, or its answer is none
        return {} if isinstance(waiting.asked, InputAsked) else "decline"
    return read_result(waiting.asked, result)


def _done(thread_id: str, result: TurnResult) -> types.CallToolResult:
    failed = result.status == "failed"
    text = (result.error or "The turn failed.") if failed else result.text
    if result.status == "interrupted":
        text = text or "The turn was interrupted."
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content={"threadId": thread_id, "content": text, "status": result.status},
        is_error=failed,
    )


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
