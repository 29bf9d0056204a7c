"""How a server's host shows the token of a login: to that server alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import httpx2


class Bearer(httpx2.Auth):
    """Puts the token on requests to one origin, and gets another one when it is refused.

    Args:
        url: of the server.
        token: to begin with.
        renewed: returns one for the one that was refused; None: there is none.
    """

    def __init__(
        self, url: str, token: str, renewed: Callable[[str], Awaitable[str | None]]
    ) -> None:
        self._origin = _origin(httpx2.URL(url))
        self._token = token
        self._renewed = renewed
        self._renewing = anyio.Lock()

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """See httpx2.Auth."""
        if _origin(request.url) != self._origin:
            yield request
            return
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code != 401:
            return
        async with self._renewing:
            if self._token == used:
                fresh = await self._renewed(used)
                if fresh is None:
                    return
                self._token = fresh
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
