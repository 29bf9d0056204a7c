"""MCP servers: what they have, what a client itself asks of them, and a person's yes to them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec

from octavo.agent.mcp import enabled_specs, lone_servers
from octavo.agent.wiring import default_choices
from octavo.config.load import Loaded, load
from octavo.mcp import prompts
from octavo.mcp.connection import ServerFailed
from octavo.mcp.oauth.endpoints import has_own_token
from octavo.mcp.pins import Pins
from octavo.mcp.servers import Server, Servers, instructions_of, pin_of
from octavo.mcp.shown import shown_lines
from octavo.mcp.spec import Spec
from octavo.protocol import mcp as p
from octavo.protocol import mcp_prompts as q
from octavo.protocol.errors import OctavoError, UsageError
from octavo.server.connection import Handler, Request

_STATUS: dict[str, p.RuntimeStatus] = {"ready": "connected"}


async def list_status(request: Request) -> p.McpStatusListResult:
    """mcpServerStatus/list: servers are started for it, unless a thread has them already"""
    params = request.params(p.McpStatusListParams)
    async with _servers(request, params.thread_id, params.cwd, params.server_name) as servers:
        names = [
            name
            for name in servers.by_name
            if params.server_name is None or name == params.server_name
        ]
        first = names.index(params.cursor) if params.cursor in names else 0
        page = names[first : None if params.limit is None else first + max(1, params.limit)]
        found: dict[str, p.McpServerStatus] = {}

        async def look(name: str) -> None:
            full = params.detail != "toolsAndAuthOnly"
            found[name] = await _status(servers, servers.by_name[name], full=full)

        async with anyio.create_task_group() as group:
            for name in page:
                group.start_soon(look, name)
    following = names[first + len(page) :]
    data = tuple(found[name] for name in page)
    return p.McpStatusListResult(data, following[0] if following else None)


async def _status(servers: Servers, server: Server, *, full: bool) -> p.McpServerStatus:
    error: str | None = None
    resources: list[dict[str, Any]] = []
    templates: list[dict[str, Any]] = []
    try:
        connection = await servers.connection(server)
        said = connection.said
        if full and server.has_resources:
            timeout_s = server.spec.tool_timeout_s
            resources = (await connection.list("resources", timeout_s)).found
            templates = (await connection.list("templates", timeout_s)).found
    except ServerFailed as failure:
        error = str(failure)
        said = None
    url = server.spec.config.url
    return p.McpServerStatus(
        name=server.name,
        tools={tool.tool: _tool(tool.said) for tool in server.tools},
        resources=tuple(one for one in resources if _has(one, "uri", "name")),
        resource_templates=tuple(one for one in templates if _has(one, "uriTemplate", "name")),
        auth_status=_auth(server),
        server_info=None if said is None or not _has(said.info, "name", "version") else said.info,
        server_capabilities=None if said is None else said.capabilities,
        runtime_status=_runtime(server, error),
        tools_error=error if error and (server.needs_login or not server.tools) else None,
        http_origin=None if url is None else _origin(url),
        octavo_agreement=_agreement(server),
        octavo_log=tuple(server.log.last),
    )


def _auth(server: Server) -> p.AuthStatus:
    if server.spec.config.url is None:
        return "unsupported"
    if has_own_token(server.spec):
        return "bearerToken"
    if server.needs_login:
        return "notLoggedIn"
    if server.token is not None:
        return "oAuth"
    return "unsupported" if server.state == "ready" else "unknown"


def _runtime(server: Server, error: str | None) -> p.RuntimeStatus | None:
    if server.needs_login:
        return "authenticationRequired"
    return "failed" if error else _STATUS.get(server.state)


def _has(one: Any, *names: str) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), str) for name in names)


def _tool(said: Any) -> dict[str, Any]:
    return {"inputSchema": {}, **said}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _agreement(server: Server) -> p.Agreement:
    if server.pin is None:
        return "unknown"
    if not server.pin.agreed:
        return "seen"
    return "changed" if server.drifted else "agreed"


async def read_resource(request: Request) -> p.McpResourceReadResult:
    """mcpServer/resource/read"""
    params = request.params(p.McpResourceReadParams)
    async with _servers(request, params.thread_id, params.cwd, params.server) as servers:
        server = named(servers, params.server)
        connection = await servers.connection(server)
        read = await connection.read(params.uri, server.spec.tool_timeout_s)
    return p.McpResourceReadResult(tuple(one for one in read.contents if _has(one, "uri")))


async def call_tool(request: Request) -> p.McpToolCallResult:
    """mcpServer/tool/call: on the client's own word"""
    params = request.params(p.McpToolCallParams)
    arguments = {} if params.arguments is None else params.arguments
    if not isinstance(arguments, dict):
        raise UsageError("`arguments` has to be an object.")
    async with _servers(request, params.thread_id, None, params.server) as servers:
        server = named(servers, params.server)
        connection = await servers.connection(server)
        timeout_s = server.spec.tool_timeout_s
        result = await connection.call(params.tool, arguments, timeout_s, lambda _: None)
    return p.McpToolCallResult(
        content=tuple(result.content),
        is_error=result.is_error or None,
        structured_content=result.structured_content,
    )


async def changes(request: Request) -> p.McpChangesResult:
    """octavo/mcp/changes: what a server says now, for a person to agree to"""
    params = request.params(p.McpChangesParams)
    async with _servers(request, None, params.cwd, params.server) as servers:
        server = named(servers, params.server)
        said = instructions_of(await servers.connection(server))
        agreement = _agreement(server)
        before = None if server.pin is None else server.pin.instructions
        if agreement == "agreed" and said != before:
            agreement = "changed"
        return p.McpChangesResult(
            agreement=agreement,
            lines=tuple(shown_lines(server, said)),
            tools=len(server.tools),
            digest=_digest(server, said),
        )


async def accept(request: Request) -> p.McpAcceptResult:
    """octavo/mcp/accept: the person agrees to what they were shown"""
    params = request.params(p.McpAcceptParams)
    async with _servers(request, None, params.cwd, params.server) as servers:
        server = named(servers, params.server)
        said = instructions_of(await servers.connection(server))
        if _digest(server, said) != params.digest:
            raise UsageError(
                f"MCP server {params.server} says something else than it did a moment ago.",
                hint="Look at it again. One that never says the same cannot be agreed to.",
            )
        pins = Pins(loaded_at(request, params.cwd).home)
        pin = pin_of(server, said, agreed=True)
        await anyio.to_thread.run_sync(pins.keep, server.name, pin)
        return p.McpAcceptResult(len(server.tools))


async def list_prompts(request: Request) -> q.McpPromptsListResult:
    """octavo/mcp/prompts/list"""
    params = request.params(q.McpPromptsListParams)
    async with _servers(request, params.thread_id, params.cwd, params.server) as servers:
        return await prompts.listed(servers, named(servers, params.server))


async def get_prompt(request: Request) -> q.McpPromptGetResult:
    """octavo/mcp/prompts/get"""
    params = request.params(q.McpPromptGetParams)
    async with _servers(request, params.thread_id, params.cwd, params.server) as servers:
        server = named(servers, params.server)
        return await prompts.filled_in(servers, server, params.name, params.arguments)


def _digest(server: Server, instructions: str | None) -> str:
    tools = sorted((tool.tool, tool.digest) for tool in server.tools)
    what = [server.spec.digest, instructions, tools]
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()


def named(servers: Servers, name: str) -> Server:
    server = servers.by_name.get(name)
    if server is None:
        names = ", ".join(servers.by_name) or "none"
        raise UsageError(
            f"There is no MCP server {name!r} here.", hint=f"Those that are enabled: {names}."
        )
    return server


def _place(cwd: str | None) -> Path:
    return Path(os.path.abspath(cwd or "."))


def loaded_at(request: Request, cwd: str | None) -> Loaded:
    """Return the settings of a directory; None is where the server runs."""
    launch = request.server.launch
    return load(
        cwd=_place(cwd),
        env=launch.env,
        profile=launch.profile,
        overrides=launch.overrides,
        flags=launch.flags,
        ignore_user_config=launch.ignore_user_config,
    )


def specs_at(request: Request, loaded: Loaded, cwd: str | None, only: str | None) -> list[Spec]:
    """Return the servers that a thread in a directory would have.

    Raises:
        UsageError: the settings of `only` make no sense.
    """
    policy = default_choices(loaded, _place(cwd)).policy
    wrong: list[str] = []
    specs = enabled_specs(loaded, policy, environ=request.server.launch.env, notice=wrong.append)
    if wrong and only is not None and all(spec.name != only for spec in specs):
        raise UsageError(" ".join(wrong))
    return specs


@asynccontextmanager
async def _servers(
    request: Request, thread_id: str | None, cwd: str | None, only: str | None
) -> AsyncIterator[Servers]:
    """A thread's servers, or those that one here would have, for as long as it takes."""
    if thread_id is not None:
        mine = request.server.agent(thread_id).mcp
        if mine is None:
            raise UsageError("No MCP server is configured for this thread.")
        yield mine.servers
        return
    loaded = loaded_at(request, cwd)
    specs = specs_at(request, loaded, cwd, only)
    failure: OctavoError | None = None
    async with lone_servers(specs, loaded.home) as servers:
        try:
            yield servers
        except OctavoError as error:  # out of the context it would come in a group
            failure = error
    if failure is not None:
        raise failure


HANDLERS: dict[str, Handler] = {
    p.MCP_STATUS_LIST.name: list_status,
    p.MCP_RESOURCE_READ.name: read_resource,
    p.MCP_TOOL_CALL.name: call_tool,
    q.MCP_PROMPTS_LIST.name: list_prompts,
    q.MCP_PROMPT_GET.name: get_prompt,
    p.MCP_CHANGES.name: changes,
    p.MCP_ACCEPT.name: accept,
}
