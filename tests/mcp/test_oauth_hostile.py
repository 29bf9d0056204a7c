"""Servers that lie about where one logs in: only they are reached, and nobody is sent there."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from octavo.mcp.oauth.endpoints import LoginFailed, checked, is_within
from octavo.protocol import mcp as p
from octavo.rpc import RpcError
from tests.mcp.lying import HANG, Liar, lying
from tests.scenarios.playing import playing

PLACE = "/.well-known/oauth-protected-resource/mcp"
AT_AUTHORITY = "/.well-known/oauth-authorization-server"


@pytest.fixture
def liar() -> Iterator[Liar]:
    with lying() as found:
        found.wants_login()
        found.resource()
        found.authority()
        yield found


@pytest.fixture
def elsewhere() -> Iterator[Liar]:
    with lying() as found:
        found.resource()
        found.authority()
        yield found


async def said(liar: Liar, workspace: Path, more: str = "") -> str:
    """What a person is told who wants to log in there."""
    web = f'mcp_servers.web={{url="{liar.origin}/mcp"{more}}}'
    async with playing([], workspace, overrides=[web], start=False) as play:
        with pytest.raises(RpcError) as refused:
            await play.client.call(
                p.MCP_OAUTH_LOGIN, p.McpOauthLoginParams("web", cwd=str(play.cwd))
            )
    assert not (workspace.parent / "octavo-home" / "mcp_logins").exists()
    return refused.value.message


LIES: dict[str, tuple[Callable[[Liar], None], str]] = {
    "authority over http": (
        lambda one: one.resource(authorization_servers=["http://auth.example.com"]),
        "The authorization server it names, http://auth.example.com, is not used: it is not https.",
    ),
    "authority in the cloud's own network": (
        lambda one: one.resource(authorization_servers=["https://169.254.169.254/latest"]),
        "it is at an address that is not public.",
    ),
    "another resource": (
        lambda one: one.resource(resource="https://bank.example.com/mcp"),
        "its tokens are for something else, https://bank.example.com/mcp.",
    ),
    "part of this resource": (
        lambda one: one.resource(resource=f"{one.origin}/mcp/deeper"),
        "its tokens are for something else",
    ),
    "tokens over http": (
        lambda one: one.authority(token_endpoint="http://evil.example.com/token"),
        "The token endpoint it names, http://evil.example.com/token, is not used",
    ),
    "a page for a shell": (
        lambda one: one.authority(authorization_endpoint="https://a.example/$(touch${IFS}x)"),
        "it is no plain URL.",
    ),
    "a page that is a program": (
        lambda one: one.authority(authorization_endpoint="file:///bin/sh"),
        "there is nothing at the addresses where it would be said.",
    ),
    "somebody else": (
        lambda one: one.authority(issuer="https://accounts.example.com"),
        "it says that it is somebody else, https://accounts.example.com",
    ),
    "no pkce": (
        lambda one: one.authority(code_challenge_methods_supported=["plain"]),
        "does not say that it knows PKCE",
    ),
    "no registration": (
        lambda one: one.authority(registration_endpoint=None),
        "does not let programs register. If it gives you a token by hand, name its variable",
    ),
    "huge": (
        lambda one: one.pages.update({PLACE: (200, {}, b'{"resource": "' + b"x" * (8 << 20))}),
        "its answer has more than 128 KiB.",
    ),
    "a bomb": (
        lambda one: one.pages.update(
            {PLACE: (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * (8 << 20)))}
        ),
        "its answer is compressed, which was not asked for.",
    ),
    "deep": (
        lambda one: one.pages.update({AT_AUTHORITY: (200, {}, b"[" * 100_000)}),
        "there is nothing at the addresses where it would be said.",
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_told_and_nobody_is_sent_anywhere(
    lie: str, liar: Liar, workspace: Path
) -> None:
    tell, told = LIES[lie]
    tell(liar)

    assert told in await said(liar, workspace)
    assert "POST /register" not in liar.asked


@pytest.mark.anyio
async def test_metadata_at_another_host_is_not_asked_for(
    liar: Liar, elsewhere: Liar, workspace: Path
) -> None:
    liar.wants_login(f'Bearer resource_metadata="{elsewhere.origin}{PLACE}"')
    assert "it says that its metadata is elsewhere" in await said(liar, workspace)

    liar.wants_login()
    liar.pages[PLACE] = (302, {"Location": f"{elsewhere.origin}{PLACE}"}, b"")
    liar.pages[AT_AUTHORITY] = (302, {"Location": f"{elsewhere.origin}{AT_AUTHORITY}"}, b"")
    assert "it wants a token, and names no authorization server." in await said(liar, workspace)

    assert elsewhere.asked == []


@pytest.mark.anyio
async def test_one_that_changes_its_mind_reaches_nobody_else(
    liar: Liar, elsewhere: Liar, workspace: Path
) -> None:
    """What it says first is shown; what it says during the login leads no further than that."""
    liar.pages["/register"] = (307, {"Location": f"{elsewhere.origin}/register"}, b"")

    assert "The login at 127.0.0.1:" in await said(liar, workspace)
    assert elsewhere.asked == []
    assert "POST /register" in liar.asked


@pytest.mark.anyio
@pytest.mark.parametrize("path", [PLACE, AT_AUTHORITY, "/register"])
async def test_one_that_never_answers_is_waited_for_no_longer_than_its_start_may_take(
    path: str, liar: Liar, workspace: Path
) -> None:
    liar.pages[path] = (200, {}, HANG)

    assert "it did not answer in time." in await said(liar, workspace, ",startup_timeout_sec=1.0")


@pytest.mark.anyio
async def test_one_that_wants_no_login_says_so(liar: Liar, workspace: Path) -> None:
    liar.pages["/mcp"] = (200, {}, {})

    assert await said(liar, workspace) == "web wants no login."


@pytest.mark.anyio
async def test_nobody_logs_in_where_the_settings_have_a_token(
    liar: Liar, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_TOKEN", "mine")

    told = await said(liar, workspace, ',bearer_token_env_var="WEB_TOKEN"')

    assert told.startswith("Your settings give web a token.")
    assert liar.asked == []


@pytest.mark.anyio
async def test_a_token_is_shown_to_its_own_server_alone(liar: Liar, elsewhere: Liar) -> None:
    import httpx2

    from octavo.mcp.bearer import Bearer

    async def none(refused: str) -> str | None:
        assert refused == "mine"
        return None

    liar.pages["/moved"] = (307, {"Location": f"{elsewhere.origin}/mcp"}, b"")
    auth = Bearer(f"{liar.origin}/mcp", "mine", none)
    async with httpx2.AsyncClient(auth=auth, trust_env=False) as http:
        await http.post(f"{liar.origin}/mcp")
        await http.post(f"{liar.origin}/moved", follow_redirects=True)
        await http.post(f"{elsewhere.origin}/mcp")

    assert liar.tokens == ["Bearer mine"] * 2
    assert elsewhere.tokens == [None, None]


REMOTE = "https://mcp.example.com/v1"
LOCAL = "http://127.0.0.1:8000/mcp"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://auth.example.com/token", REMOTE),
        ("https://93.184.216.34/token", REMOTE),
        ("https://10.0.0.5/token", "https://10.0.0.5/mcp"),
        ("http://127.0.0.1:9000/token", LOCAL),
        ("http://localhost:9000/token", LOCAL),
    ],
)
def test_endpoints_that_are_used(url: str, server: str) -> None:
    assert checked(url, "endpoint", server) == url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://auth.example.com/token", REMOTE),
        ("http://127.0.0.1:9000/token", REMOTE),
        ("https://127.0.0.1/token", REMOTE),
        ("https://localhost/token", REMOTE),
        ("https://x.localhost/token", REMOTE),
        ("https://127.0.0.2/token", REMOTE),
        ("https://2130706433/token", REMOTE),
        ("https://[::1]/token", REMOTE),
        ("https://[::ffff:127.0.0.1]/token", REMOTE),
        ("https://10.0.0.5/token", REMOTE),
        ("http://10.0.0.5/token", LOCAL),
        ("https://me:pw@auth.example.com/token", REMOTE),
        ("https://auth.example.com\\@evil.example.com/", REMOTE),
        ("https://auth.example.com/a b", REMOTE),
        ("https://auth.example.com/`id`", REMOTE),
        ("https://auth.example.com:99999/", REMOTE),
        ("https://aüth.example.com/", REMOTE),
        ("javascript:alert(1)", REMOTE),
        ("file:///etc/passwd", LOCAL),
        ("--help", LOCAL),
        ("", LOCAL),
    ],
)
def test_endpoints_that_are_not_used(url: str, server: str) -> None:
    with pytest.raises(LoginFailed, match="is not used"):
        checked(url, "endpoint", server)


@pytest.mark.parametrize(
    ("resource", "fits"),
    [
        ("https://mcp.example.com/v1", True),
        ("https://mcp.example.com/", True),
        ("https://mcp.example.com", True),
        ("https://mcp.example.com/v", False),
        ("https://mcp.example.com/v1/more", False),
        ("https://mcp.example.com:8443/v1", False),
        ("http://mcp.example.com/v1", False),
        ("https://example.com/v1", False),
        ("https://mcp.example.com/?tenant=a", False),
    ],
)
def test_a_token_is_sent_to_what_it_was_issued_for(resource: str, fits: bool) -> None:
    assert is_within(REMOTE, resource) == fits
