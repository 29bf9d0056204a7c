"""What logs in at one server, in a cage that reaches it and its authorization server: the official
package's client, behind two pipes. See `words` for what is said over them.

Everything it reads is a stranger's: answers are bounded, not decompressed, and have a deadline, and
what it makes of them is checked once more outside (`login`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_resource_metadata_from_www_auth,
    handle_auth_metadata_response,
    handle_protected_resource_response,
    issuers_match,
)
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from mcp_types import LATEST_PROTOCOL_VERSION
from pydantic import AnyHttpUrl, AnyUrl, ValidationError

from octavo.mcp.deadlines import Deadlines
from octavo.mcp.oauth import words as w
from octavo.rpc import NO_METHOD, RpcError
from octavo.rpc.peer import Peer, decode_params
from octavo.rpc.stream import StreamLink

MEMORY_LIMIT_BYTES = 512 << 20
_TEXT_CHARACTERS = 500
_VERSION_HEADER = "mcp-protocol-version"


def main() -> None:
    """Serve standard input and output until the other end is gone."""
    out = os.dup(1)
    os.dup2(2, 1)
    import logging
    import resource

    logging.disable(logging.CRITICAL)  # the package's own log has secrets in it
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    anyio.run(Host(StreamLink(0, out, limit_bytes=w.FRAME_LIMIT_BYTES)).run)


class Host:
    """Does what it is asked to; a process does one thing."""

    def __init__(self, link: StreamLink) -> None:
        self._peer = Peer(link, self._on_request, self._on_notification)
        self._deadlines = Deadlines()

    async def run(self) -> None:
        """Serve until the other end is gone."""
        await self._peer.run()

    async def _on_notification(self, method: str, params: bytes) -> None:
        """Nothing is told."""

    async def _on_request(self, method: str, params: bytes) -> Any:
        try:
            match method:
                case w.PROBE:
                    probe = decode_params(params, w.Probe)
                    async with self._asking(probe.timeout_s) as http:
                        return await _probed(http, probe)
                case w.LOGIN:
                    login = decode_params(params, w.Login)
                    async with self._asking(login.timeout_s) as http:
                        return await self._log_in(http, login)
                case w.RENEW:
                    renew = decode_params(params, w.Renew)
                    async with self._asking(renew.timeout_s) as http:
                        return await _renewed(http, renew)
                case w.REVOKE:
                    revoke = decode_params(params, w.Renew)
                    async with self._asking(revoke.timeout_s) as http:
                        return await _revoke(http, revoke)
                case _:
                    raise RpcError(NO_METHOD, f"There is no method {method!r}.")
        except TimeoutError:
            raise RpcError(w.FAILED, "it did not answer in time") from None
        except (OAuthFlowError, httpx2.HTTPError, httpx2.InvalidURL, _Wrong) as error:
            raise RpcError(w.FAILED, _reason(error)) from None
        except (ValidationError, ValueError, RecursionError, MemoryError) as error:
            raise RpcError(
                w.FAILED, f"its answer makes no sense ({type(error).__name__})"
            ) from None

    @asynccontextmanager
    async def _asking(self, timeout_s: float) -> AsyncIterator[httpx2.AsyncClient]:
        """A client for so long; that a person is waited for does not count."""
        headers = {"Accept-Encoding": "identity"}
        with self._deadlines.within(timeout_s):
            timeout = httpx2.Timeout(timeout_s)
            async with create_mcp_http_client(headers=headers, timeout=timeout) as http:
                http.event_hooks = {"response": [_bound]}
                yield http

    async def _log_in(self, http: httpx2.AsyncClient, asked: w.Login) -> w.Tokens:
        back = w.Visited("", "")

        async def visit(url: str) -> None:
            nonlocal back
            with self._deadlines.paused():
                back = await self._peer.request(w.VISIT, w.Visit(url), w.Visited)

        async def returned() -> AuthorizationCodeResult:
            return AuthorizationCodeResult(code=back.code, state=back.state, iss=back.iss)

        storage = _Storage()
        provider = OAuthClientProvider(
            asked.url,
            (OAuthClientMetadata if asked.scope is None else _FixedScope)(
                redirect_uris=[AnyUrl(asked.redirect_uri)],
                token_endpoint_auth_method="none",
                scope=asked.scope,
                client_name="octavo",
                software_id="octavo",
                software_version=asked.version,
            ),
            storage,
            visit,
            returned,
        )
        flow = provider.async_auth_flow(_first_request(http, asked.url))
        try:
            request = await anext(flow)
            while storage.tokens is None:
                response = await http.send(request, auth=None)
                request = await flow.asend(response)
        except StopAsyncIteration:
            raise _Wrong("it wants no login") from None
        finally:
            await flow.aclose()
        assert storage.client is not None
        return _tokens(storage.tokens, storage.client.model_dump(mode="json", exclude_none=True))


class _Wrong(Exception):
    """An answer that is not taken; the text ends a sentence."""


class _FixedScope(OAuthClientMetadata):
    """What a person asked for; the package would ask for what the server says instead."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "scope":
            super().__setattr__(name, value)


class _Storage:
    """Tokens of this process, for the package."""

    def __init__(
        self, tokens: OAuthToken | None = None, client: OAuthClientInformationFull | None = None
    ) -> None:
        self.tokens = tokens
        self.client = client

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class _Bounded(httpx2.AsyncByteStream):
    """A body that may have only so many bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = w.ANSWER_LIMIT_BYTES
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise _Wrong(f"its answer has more than {w.ANSWER_LIMIT_BYTES >> 10} KiB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _Wrong("its answer is compressed, which was not asked for")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def _first_request(http: httpx2.AsyncClient, url: str) -> httpx2.Request:
    """What a client would say first; without a token it is refused, with where to get one."""
    hello = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": LATEST_PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "octavo-mcp-client", "version": "0"},
        },
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        _VERSION_HEADER: LATEST_PROTOCOL_VERSION,
    }
    return http.build_request("POST", url, json=hello, headers=headers)


async def _probed(http: httpx2.AsyncClient, asked: w.Probe) -> w.Probed:
    if asked.issuer is not None:
        metadata = await _metadata(http, asked.issuer, asked.url)
        return w.Probed(issuer=asked.issuer, metadata=metadata)
    answer = await http.send(_first_request(http, asked.url), auth=None, stream=True)
    await answer.aclose()
    challenged = answer.headers.get("www-authenticate", "").lower().startswith("bearer")
    if answer.status_code != 401:
        return w.Probed(answer.status_code, challenged)
    place = extract_resource_metadata_from_www_auth(answer)
    if place is not None and not _same_origin(place, asked.url):
        raise _Wrong(f"it says that its metadata is elsewhere, at {place[:200]}")
    for url in build_protected_resource_metadata_discovery_urls(place, asked.url):
        found = await handle_protected_resource_response(
            await http.send(create_oauth_metadata_request(url))
        )
        if found is not None:
            break
    else:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(asked.url))
        metadata = await _metadata(http, None, asked.url)
        return w.Probed(401, challenged, None, "" if metadata is None else origin, metadata)
    resource, mine = str(found.resource), resource_url_from_server_url(asked.url)
    if not check_resource_allowed(requested_resource=mine, configured_resource=resource):
        raise _Wrong(f"its tokens are for something else, {resource[:200]}")
    issuer = str(found.authorization_servers[0])
    metadata = None
    if _same_origin(issuer, asked.url):
        metadata = await _metadata(http, issuer, asked.url)
    return w.Probed(401, challenged, resource, issuer, metadata)


async def _metadata(http: httpx2.AsyncClient, issuer: str | None, url: str) -> w.Metadata | None:
    """Return where the authorization server says that it is spoken with; None: it says nothing."""
    for place in build_oauth_authorization_server_metadata_discovery_urls(issuer, url):
        goes_on, found = await handle_auth_metadata_response(
            await http.send(create_oauth_metadata_request(place))
        )
        if not goes_on:
            raise _Wrong("it answers its metadata's address with an error")
        if found is None:
            continue
        if issuer is not None and not issuers_match(str(found.issuer), issuer):
            raise _Wrong(f"it says that it is somebody else, {str(found.issuer)[:200]}")
        return w.Metadata(
            str(found.issuer),
            str(found.authorization_endpoint),
            str(found.token_endpoint),
            _text(found.registration_endpoint),
            _text(found.revocation_endpoint),
            tuple(found.code_challenge_methods_supported or ()),
        )
    return None


async def _renewed(http: httpx2.AsyncClient, asked: w.Renew) -> w.Tokens:
    """Return new tokens. The server itself is not asked, and sees nothing of it."""
    provider, storage = _provider(asked)
    before = storage.tokens
    flow = provider.async_auth_flow(_first_request(http, asked.url))
    status = 0
    try:
        request = await anext(flow)
        while str(request.url) == asked.metadata.token_endpoint:
            response = await http.send(request, auth=None)
            status = response.status_code
            request = await flow.asend(response)
    finally:
        await flow.aclose()
    if storage.tokens is None or storage.tokens is before:
        if status in (400, 401):
            raise RpcError(w.REFUSED, "the login is over")
        raise _Wrong(f"it answered with HTTP {status}" if status else "it was not asked")
    return _tokens(storage.tokens, asked.tokens.client)


async def _revoke(http: httpx2.AsyncClient, asked: w.Renew) -> w.Done:
    """Have both tokens revoked (RFC 7009)."""
    provider, storage = _provider(asked)
    provider.context.client_info = storage.client
    where = asked.metadata.revocation_endpoint
    if where is None:
        raise _Wrong("it has no way to take tokens back")
    given = (
        ("refresh_token", asked.tokens.refresh_token),
        ("access_token", asked.tokens.access_token),
    )
    for kind, token in given:
        if token is None:
            continue
        data = {"token": token, "token_type_hint": kind}
        data["client_id"] = str(asked.tokens.client.get("client_id", ""))
        data, headers = provider.context.prepare_token_auth(data, {})
        response = await http.post(where, data=data, headers=headers)
        if response.status_code == 400 and "client_secret" not in data:
            # Some want the field also of who has no secret, the official package among them.
            response = await http.post(where, data={**data, "client_secret": ""}, headers=headers)
        if response.status_code != 200:
            raise _Wrong(f"it answered with HTTP {response.status_code}")
    return w.Done()


def _provider(asked: w.Renew) -> tuple[OAuthClientProvider, _Storage]:
    """Return the package's client as it was after the login, with a token that is used up."""
    kept = asked.tokens
    tokens = OAuthToken(
        access_token=kept.access_token, refresh_token=kept.refresh_token, scope=kept.scope
    )
    storage = _Storage(tokens, OAuthClientInformationFull.model_validate(kept.client))
    metadata = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1/callback")])
    provider = OAuthClientProvider(asked.url, metadata, storage)
    there = asked.metadata
    provider.context.oauth_metadata = OAuthMetadata(
        issuer=AnyHttpUrl(there.issuer),
        authorization_endpoint=AnyHttpUrl(there.authorization_endpoint),
        token_endpoint=AnyHttpUrl(there.token_endpoint),
    )
    provider.context.protected_resource_metadata = ProtectedResourceMetadata(
        resource=AnyHttpUrl(asked.resource), authorization_servers=[AnyHttpUrl(there.issuer)]
    )
    provider.context.token_expiry_time = 1.0
    return provider, storage


def _tokens(got: OAuthToken, client: dict[str, Any]) -> w.Tokens:
    return w.Tokens(got.access_token, got.refresh_token, got.expires_in, got.scope, client)


def _same_origin(one: str, other: str) -> bool:
    first, second = httpx2.URL(one), httpx2.URL(other)
    return (first.scheme, first.host, first.port) == (second.scheme, second.host, second.port)


def _text(url: AnyHttpUrl | None) -> str | None:
    return None if url is None else str(url)


def _reason(error: Exception) -> str:
    match error:
        case httpx2.TimeoutException():
            return "it did not answer in time"
        case httpx2.TransportError():
            return f"it cannot be reached ({type(error).__name__})"
        case _:
            return (str(error) or type(error).__name__)[:_TEXT_CHARACTERS]
