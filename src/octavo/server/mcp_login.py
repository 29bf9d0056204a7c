"""Logins at MCP servers: begun by a client, made by the person at it, and taken back.

A login goes on beside the client's requests, and ends with the client.
"""

from __future__ import annotations

import re

import anyio

from octavo.agent.cages import Cages
from octavo.mcp.oauth.login import TIMEOUT_S, Page, log_in
from octavo.mcp.oauth.renewal import Renewal
from octavo.mcp.oauth.store import Logins
from octavo.mcp.spec import Spec
from octavo.protocol import mcp as p
from octavo.protocol.errors import OctavoError, UsageError
from octavo.protocol.ids import new_id
from octavo.protocol.notifications import McpOauthLoginCompleted
from octavo.server.connection import Handler, Request
from octavo.server.mcp import loaded_at, named, specs_at

LONGEST_S = 3600
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
"""RFC 6749, 3.3."""


async def begin(request: Request) -> p.McpOauthLoginResult:
    """mcpServer/oauth/login"""
    params = request.params(p.McpOauthLoginParams)
    if params.client_registration == "cimd":
        raise UsageError("octavo has no client metadata document; it registers itself.")
    timeout_s = TIMEOUT_S if params.timeout_secs is None else params.timeout_secs
    if not 1 <= timeout_s <= LONGEST_S:
        raise UsageError(f"`timeoutSecs` has to be between 1 and {LONGEST_S}.")
    for scope in params.scopes or ():
        if not _SCOPE.fullmatch(scope):
            raise UsageError(f"{scope!r} cannot be a scope.")
    spec = _spec(request, params.name, params.thread_id, params.cwd)
    login = _Login(request, spec, params, timeout_s)
    key = ("mcpLogin", params.name)
    if before := request.connection.beside.pop(key, None):
        before.cancel()
    request.connection.beside[key] = login
    request.server.group.start_soon(login.run, key)
    await login.shown.wait()
    if login.page is None:
        raise login.failure or OctavoError("The login was ended.")
    return p.McpOauthLoginResult(login.page.url, login.login_id, login.page.hosts)


class _Login:
    """A login under way."""

    def __init__(
        self, request: Request, spec: Spec, params: p.McpOauthLoginParams, timeout_s: float
    ) -> None:
        self.login_id = new_id()
        self.shown = anyio.Event()
        self.page: Page | None = None
        self.failure: OctavoError | None = None
        self._connection = request.connection
        self._home = loaded_at(request, params.cwd).home
        self._spec = spec
        self._params = params
        self._timeout_s = timeout_s
        self._scope = anyio.CancelScope()

    def cancel(self) -> None:
        self._scope.cancel()

    async def run(self, key: tuple[str, object]) -> None:
        """Go through with it, and tell the client how it ended."""
        done = False
        try:
            with self._scope:
                await self._log_in()
                done = True
        except OctavoError as error:
            self.failure = error
        except OSError as error:
            self.failure = OctavoError(f"The system refused: {error.strerror or error}.")
        finally:
            if self._connection.beside.get(key) is self:
                del self._connection.beside[key]
            self.shown.set()
        if self.page is not None:
            error_text = None if done else str(self.failure or "The login was ended.")
            told = McpOauthLoginCompleted(
                self._spec.name, done, error_text, self.login_id, self._params.thread_id
            )
            self._connection.post(told)

    async def _log_in(self) -> None:
        logins = Logins(self._home)
        failure: OctavoError | OSError | None = None
        async with Cages(None, lambda _: None) as cages:
            try:
                got = await log_in(
                    self._spec,
                    cages.open,
                    scopes=self._params.scopes,
                    timeout_s=self._timeout_s,
                    show=self._show,
                )
                async with logins.alone(got.server, got.url):
                    logins.keep(got)
            except (OctavoError, OSError) as error:  # out of the context it would come in a group
                failure = error
        if failure is not None:
            raise failure

    def _show(self, page: Page) -> None:
        self.page = page
        self.shown.set()


async def log_out(request: Request) -> p.McpLogoutResult:
    """octavo/mcp/logout"""
    params = request.params(p.McpLogoutParams)
    spec = _spec(request, params.server, None, params.cwd)
    home = loaded_at(request, params.cwd).home
    async with Cages(None, lambda _: None) as cages:
        was, warning = await Renewal(home, cages.open).log_out(spec)
    return p.McpLogoutResult(was, warning)


def _spec(request: Request, name: str, thread_id: str | None, cwd: str | None) -> Spec:
    """Return a server of a thread, or one that a thread in a directory would have."""
    if thread_id is not None:
        mine = request.server.agent(thread_id).mcp
        if mine is None:
            raise UsageError("No MCP server is configured for this thread.")
        return named(mine.servers, name).spec
    specs = specs_at(request, loaded_at(request, cwd), cwd, name)
    for spec in specs:
        if spec.name == name:
            return spec
    names = ", ".join(spec.name for spec in specs) or "none"
    raise UsageError(
        f"There is no MCP server {name!r} here.", hint=f"Those that are enabled: {names}."
    )


HANDLERS: dict[str, Handler] = {
    p.MCP_OAUTH_LOGIN.name: begin,
    p.MCP_LOGOUT.name: log_out,
}
