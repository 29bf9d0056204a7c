"""A server over HTTP that wants a login, and its authorization server: both the official package's.

Prints the two ports, then serves until killed. The authorization server's page to consent is at
`/consent`: whoever follows its link with `decision=allow` or `decision=deny` has decided. Under
`/test/` a test can look: `/test/seen` says what was given and taken back, `/test/expire` makes all
access tokens useless, `/test/forget` the refresh tokens as well.
"""

from __future__ import annotations

import secrets
import socket
import time

import anyio
import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from mcp_types import ToolAnnotations
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

SCOPES = ["add", "more"]


class Authority(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Keeps everything in memory."""

    def __init__(self, own_url: str) -> None:
        self.own_url = own_url
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.asked: dict[str, tuple[str, AuthorizationParams]] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.counts = {"logins": 0, "renewals": 0, "revoked": 0}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        asked = secrets.token_hex(16)
        self.asked[asked] = (client.client_id, params)
        return f"{self.own_url}/consent?asked={asked}"

    async def consent(self, request: Request) -> Response:
        client_id, params = self.asked[request.query_params["asked"]]
        back = str(params.redirect_uri)
        decision = request.query_params.get("decision")
        if decision is None:
            return Response("May octavo use this?")
        if decision == "deny":
            denied = construct_redirect_uri(back, error="access_denied", state=params.state)
            return RedirectResponse(denied)
        code = AuthorizationCode(
            code=secrets.token_hex(20),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return RedirectResponse(construct_redirect_uri(back, code=code.code, state=params.state))

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        self.counts["logins"] += 1
        scopes, resource = authorization_code.scopes, authorization_code.resource
        return self._given(client.client_id, scopes, resource)

    def _given(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = f"access-{secrets.token_hex(8)}", f"refresh-{secrets.token_hex(8)}"
        self.access[access] = AccessToken(
            token=access, client_id=client_id, scopes=scopes, resource=resource
        )
        self.refresh[refresh] = RefreshToken(
            token=refresh, client_id=client_id, scopes=scopes, resource=resource
        )
        return OAuthToken(
            access_token=access, refresh_token=refresh, expires_in=3600, scope=" ".join(scopes)
        )

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        del self.refresh[refresh_token.token]
        self.counts["renewals"] += 1
        return self._given(client.client_id, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def verify_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.counts["revoked"] += 1
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    async def test(self, request: Request) -> Response:
        if request.path_params["what"] in ("expire", "forget"):
            self.access.clear()
        if request.path_params["what"] == "forget":
            self.refresh.clear()
        granted = [token.scopes for token in self.access.values()]
        return JSONResponse({**self.counts, "clients": len(self.clients), "granted": granted})


def listening() -> tuple[socket.socket, str]:
    """A socket that listens on this machine, and its URL."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found, f"http://127.0.0.1:{found.getsockname()[1]}"


async def main() -> None:
    """Serve both until killed."""
    (authority_socket, issuer), (socket_, resource) = listening(), listening()
    authority = Authority(issuer)
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(issuer),
        resource_server_url=AnyHttpUrl(f"{resource}/mcp"),
        required_scopes=["add"],
        validate_token_resource=True,
    )
    server = MCPServer("official", token_verifier=authority, auth=settings)

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    routes = create_auth_routes(
        authority,
        AnyHttpUrl(issuer),
        client_registration_options=ClientRegistrationOptions(
            enabled=True, valid_scopes=SCOPES, default_scopes=["add"]
        ),
        revocation_options=RevocationOptions(enabled=True),
    )
    routes.append(Route("/consent", authority.consent))
    routes.append(Route("/test/{what}", authority.test))
    print(f"{socket_.getsockname()[1]} {authority_socket.getsockname()[1]}", flush=True)
    async with anyio.create_task_group() as group:
        for app, place in (
            (Starlette(routes=routes), authority_socket),
            (server.streamable_http_app(), socket_),
        ):
            config = uvicorn.Config(app, log_level="error")
            group.start_soon(uvicorn.Server(config).serve, [place])


anyio.run(main)
