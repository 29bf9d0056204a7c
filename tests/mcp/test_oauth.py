"""Logins at servers: a real one of the official package, a browser without a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import anyio.to_thread
import msgspec
import pytest

from octavo.agent.allowed import Allowed
from octavo.protocol import mcp as p
from octavo.protocol.notifications import McpOauthLoginCompleted
from octavo.rpc import RpcError
from octavo.trial.scripted import Script, call, say
from tests.mcp.browsing import Guarded, decide, get, guarded
from tests.scenarios.playing import Play, playing

ALL = Allowed(mcp=("web",))
ADDS: Script = [[call("mcp__web__add", a=2, b=3)], say("Done.")]
NEEDS = "MCP server web needs login: octavo mcp login web."


@pytest.fixture(scope="module")
def web() -> Iterator[Guarded]:
    with guarded() as found:
        yield found


async def begin(play: Play, **more: object) -> p.McpOauthLoginResult:
    return await play.client.call(
        p.MCP_OAUTH_LOGIN, msgspec.convert({"name": "web", "cwd": str(play.cwd), **more}, LOGIN)
    )


LOGIN = p.McpOauthLoginParams


async def ended(play: Play, begun: p.McpOauthLoginResult) -> McpOauthLoginCompleted:
    told: McpOauthLoginCompleted = await play.until(McpOauthLoginCompleted)
    assert (told.name, told.login_id) == ("web", begun.login_id)
    return told


async def log_in(play: Play, decision: str = "allow", **more: object) -> McpOauthLoginCompleted:
    begun = await begin(play, **more)
    page = await anyio.to_thread.run_sync(decide, begun.authorization_url, decision)
    assert "You can close this page" in page
    return await ended(play, begun)


async def status(play: Play) -> p.McpServerStatus:
    params = p.McpStatusListParams(cwd=str(play.cwd))
    [found] = (await play.client.call(p.MCP_STATUS_LIST, params)).data
    return found


def kept(home: Path) -> list[Path]:
    return sorted((home / "mcp_logins").glob("*.json"))


@pytest.mark.anyio
async def test_a_login_opens_a_server_until_the_person_logs_out(
    web: Guarded, workspace: Path
) -> None:
    home = workspace.parent / "octavo-home"
    before = web.test("seen")
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        locked = await status(play)
        begun = await begin(play)
        await anyio.to_thread.run_sync(decide, begun.authorization_url)
        told = await ended(play, begun)
        open_ = await status(play)
        [file] = kept(home)
        modes = (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777)
        params = p.McpLogoutParams("web", str(play.cwd))
        out = await play.client.call(p.MCP_LOGOUT, params)
        again = await play.client.call(p.MCP_LOGOUT, params)
        closed = await status(play)

    assert (locked.auth_status, locked.runtime_status) == ("notLoggedIn", "authenticationRequired")
    assert locked.tools_error == NEEDS
    assert set(begun.octavo_hosts) == web.hosts
    assert (told.success, told.error) == (True, None)
    assert (open_.auth_status, open_.runtime_status) == ("oAuth", "connected")
    assert list(open_.tools) == ["add"]
    assert modes == (0o600, 0o700)
    assert (out.was_logged_in, out.warning) == (True, None)
    assert not again.was_logged_in
    assert kept(home) == []
    assert web.test("seen")["revoked"] == before["revoked"] + 2
    assert closed.auth_status == "notLoggedIn"


@pytest.mark.anyio
async def test_the_model_is_told_in_a_sentence_and_can_go_on_after_the_login(
    web: Guarded, workspace: Path
) -> None:
    script: Script = [*ADDS, *ADDS]
    settings = [web.override]
    async with playing([], workspace, overrides=settings, start=False) as first:
        await log_in(first)
        await status(first)  # its tools are known from now on
        await first.client.call(p.MCP_LOGOUT, p.McpLogoutParams("web", str(first.cwd)))
    async with playing(script, workspace, overrides=settings, allowed=ALL) as play:
        await play.turn("go")
        refused = play.outputs()[0]
        await log_in(play)
        await play.turn("again")
        [agent] = play.server.threads.values()
        labels = set(agent.journal.thread.labels)

    assert refused == f"{NEEDS} Nothing was called. Go on without it."
    assert '{"result":5}' in play.outputs()[1]
    assert "private" in labels  # what a login opens is the person's


@pytest.mark.anyio
async def test_tools_that_nobody_knew_are_found_once_the_person_has_logged_in(
    web: Guarded, workspace: Path
) -> None:
    script: Script = [
        say("Nothing to be done."),
        [call("tool_search", query="add numbers")],
        [call("call_tool", name="mcp__web__add", arguments={"a": 2, "b": 3})],
        say("Done."),
    ]
    async with playing(script, workspace, overrides=[web.override], allowed=ALL) as play:
        await play.turn("go")
        await log_in(play)
        await play.turn("again")

    searched, added = play.outputs()
    assert "mcp__web__add" in searched
    assert '{"result":5}' in added


@pytest.mark.anyio
async def test_a_token_that_is_used_up_is_renewed_and_the_call_goes_on(
    web: Guarded, workspace: Path
) -> None:
    home = workspace.parent / "octavo-home"
    script: Script = [*ADDS, *ADDS, *ADDS]
    async with playing(script, workspace, overrides=[web.override], allowed=ALL) as play:
        await log_in(play)
        await play.turn("one")
        age(home, 10)
        before = web.test("expire")
        await play.turn("two")
        after = web.test("seen")
        age(home, 10)
        web.test("forget")
        await play.turn("three")
        locked = await status(play)

    one, two, three = play.outputs()
    assert '{"result":5}' in one
    assert '{"result":5}' in two
    assert after["renewals"] == before["renewals"] + 1
    assert after["logins"] == before["logins"]
    assert NEEDS in three
    assert locked.auth_status == "notLoggedIn"
    assert kept(home) == []


@pytest.mark.anyio
async def test_a_token_that_will_be_used_up_is_renewed_before_it_is_sent(
    web: Guarded, workspace: Path
) -> None:
    home = workspace.parent / "octavo-home"
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        await log_in(play)
        age(home, 3590)
        before = web.test("seen")
        found: list[p.McpServerStatus] = []

        async def look() -> None:
            found.append(await status(play))

        async with anyio.create_task_group() as group:  # what renews it is good for one use
            group.start_soon(look)
            group.start_soon(look)

    assert [one.auth_status for one in found] == ["oAuth", "oAuth"]
    assert web.test("seen")["renewals"] == before["renewals"] + 1


def age(home: Path, by_s: float) -> None:
    """Let a login be older than it is."""
    [file] = kept(home)
    login = msgspec.json.decode(file.read_bytes())
    login["since_s"] -= by_s
    file.write_bytes(msgspec.json.encode(login))


@pytest.mark.anyio
async def test_scopes_are_those_that_the_person_asks_for(web: Guarded, workspace: Path) -> None:
    web.test("expire")
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        await log_in(play, scopes=["add", "more"])
        with pytest.raises(RpcError, match="cannot be a scope"):
            await begin(play, scopes=["add more"])

    assert web.test("seen")["granted"] == [["add", "more"]]


@pytest.mark.anyio
async def test_who_declines_in_the_browser_is_not_logged_in(web: Guarded, workspace: Path) -> None:
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        told = await log_in(play, "deny")

    assert not told.success
    assert told.error == "The login was not allowed: it was declined in the browser."
    assert kept(workspace.parent / "octavo-home") == []


@pytest.mark.anyio
async def test_an_answer_with_another_state_is_refused_and_the_login_goes_on(
    web: Guarded, workspace: Path
) -> None:
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        begun = await begin(play)
        asked = parse_qs(urlsplit(begun.authorization_url).query)
        back, state = asked["redirect_uri"][0], asked["state"][0]
        port = urlsplit(back).port
        forged = [
            f"{back}?{urlencode({'code': 'stolen', 'state': 'x' * len(state)})}",
            f"{back}?{urlencode({'code': 'stolen'})}",
            f"{back}?{urlencode({'error': 'access_denied', 'state': 'other'})}",
            f"{back}?code=a&code=b&state={state}",
            f"http://127.0.0.1:{port}/callback?{urlencode({'code': 'stolen', 'state': state})}",
            f"http://localhost:{port}{urlsplit(back).path}?code=stolen&state={state}",
        ]
        answers = [await anyio.to_thread.run_sync(get, url) for url in forged]
        await anyio.to_thread.run_sync(decide, begun.authorization_url)
        told = await ended(play, begun)

    assert [status for status, *_ in answers] == [400] * len(forged)
    assert told.success


@pytest.mark.anyio
async def test_who_does_not_come_back_in_time_is_not_logged_in(
    web: Guarded, workspace: Path
) -> None:
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        told = await ended(play, await begin(play, timeoutSecs=1))

    assert told.error == "Nobody came back from the browser within 1 s."


@pytest.mark.anyio
async def test_a_token_is_no_login_at_another_address(web: Guarded, workspace: Path) -> None:
    home = workspace.parent / "octavo-home"
    other = f'mcp_servers.web={{url="{web.url}/"}}'
    async with playing([], workspace, overrides=[web.override], start=False) as play:
        await log_in(play)
    async with playing([], workspace, overrides=[other], start=False) as play:
        out = await play.client.call(p.MCP_LOGOUT, p.McpLogoutParams("web", str(play.cwd)))

    assert not out.was_logged_in
    assert len(kept(home)) == 1


@pytest.mark.anyio
async def test_commands_cannot_read_a_login(
    web: Guarded, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = workspace.parent / "octavo-home"
    monkeypatch.setenv("OCTAVO_HOME", str(home))
    script: Script = [[call("exec_command", cmd=f"cat {home}/mcp_logins/*")], say("Done.")]
    async with playing(script, workspace, overrides=[web.override]) as play:
        await log_in(play)
        secret = kept(home)[0].read_bytes()
        await play.turn("go")

    token = msgspec.json.decode(secret)["tokens"]["access_token"]
    assert os.fspath(home) in play.outputs()[0]  # it was tried
    assert token not in play.outputs()[0]
