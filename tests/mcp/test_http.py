"""Servers over HTTP: made with the official package, reached from a cage that reaches only them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from octavo.mcp.spec import make_spec
from octavo.protocol.errors import ConfigError
from octavo.sandbox import Mode, Policy
from octavo.trial.scripted import Script, call, say
from tests.mcp.servers import server
from tests.scenarios.hooking import warnings
from tests.scenarios.playing import playing

PROGRAM = Path(__file__).with_name("serving.py")
ALL = Allowed(mcp=("web",))
SCRIPT: Script = [
    [
        call("mcp__web__add", a=2, b=3),
        call("list_mcp_resources"),
        call("read_mcp_resource", server="web", uri="notes://today"),
    ],
    say("Done."),
]


@contextmanager
def serving(*arguments: str) -> Iterator[int]:
    """Run a server and return its port."""
    command = [sys.executable, str(PROGRAM), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.anyio
async def test_a_server_over_http_is_used_like_another(workspace: Path) -> None:
    with serving() as port:
        web = f'mcp_servers.web={{url="http://127.0.0.1:{port}/mcp"}}'
        async with playing(SCRIPT, workspace, overrides=[web], allowed=ALL) as play:
            turn = await play.turn("go")

    assert turn.status == "completed"
    added, listed, read = play.outputs()
    assert '{"result":5}' in added
    assert '"uri":"notes://today"' in listed
    assert read == "Water the plants."


@pytest.mark.anyio
async def test_a_token_comes_from_the_environment_and_what_it_opens_is_private(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_TOKEN", "t0ken-of-mine")
    with serving("t0ken-of-mine") as port:
        url = f'url="http://127.0.0.1:{port}/mcp"'
        web = f'mcp_servers.web={{{url},bearer_token_env_var="WEB_TOKEN"}}'
        async with playing(SCRIPT, workspace, overrides=[web], allowed=ALL) as play:
            await play.turn("go")
            [agent] = play.server.threads.values()
            labels = set(agent.journal.thread.labels)
        wrong = f'mcp_servers.web={{{url},bearer_token_env_var="HOME"}}'
        async with playing(SCRIPT, workspace, overrides=[wrong], allowed=ALL) as refused:
            await refused.turn("go")

    assert '{"result":5}' in play.outputs()[0]
    assert labels == {"untrusted", "private"}
    assert refused.outputs()[0].startswith(
        "MCP server web could not start: it wants a token, and was given a wrong one (HTTP 401)."
    )


@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_told(workspace: Path) -> None:
    web = 'mcp_servers.web={url="http://127.0.0.1:9/mcp",startup_timeout_sec=5.0}'
    async with playing([say("Done.")], workspace, overrides=[web]) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    [told] = warnings(play)
    assert told.startswith(
        "MCP server web could not start: http://127.0.0.1:9/mcp cannot be reached"
    )


@pytest.mark.anyio
async def test_an_answer_without_end_over_http_fails_alone(workspace: Path) -> None:
    script: Script = [
        call("mcp__web__big", size=100_000_000),
        call("mcp__web__add", a=2, b=3),
        say("Done."),
    ]
    with serving() as port:
        web = f'mcp_servers.web={{url="http://127.0.0.1:{port}/mcp",tool_timeout_sec=20.0}}'
        async with playing(script, workspace, overrides=[web], allowed=ALL) as play:
            turn = await play.turn("go")

    assert turn.status == "completed"
    big, added = play.outputs()
    assert big.startswith("MCP server web did not carry out big")
    assert '{"result":5}' in added


POLICY = Policy(Mode.WORKSPACE_WRITE, Path("/work"), deny_read=(Path("/work/secret"),))


def test_a_url_reaches_its_own_host_alone_and_writes_nothing() -> None:
    spec = make_spec(
        "web",
        server(url="https://mcp.example.com/v1?x=1"),
        policy=POLICY,
        octavo_home=Path("/home/ada/.octavo"),
        environ=os.environ,
    )

    assert spec.policy.network.access == "hosts"
    assert spec.policy.network.allow == ("mcp.example.com:443",)
    assert not spec.policy.write_cwd
    assert spec.policy.deny_read == (Path("/work/secret"), Path("/home/ada/.octavo/outputs"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "either `command` or `url`"),
        ({"command": "x", "url": "https://a.example"}, "either `command` or `url`"),
        ({"url": "ftp://a.example"}, "not a URL that can be used"),
        ({"url": "https://me:pw@a.example"}, "not a URL that can be used"),
        ({"url": "https://[::1"}, "not a URL that can be used"),
        ({"url": "https://a.example", "bearer_token_env_var": "NOT_SET_HERE"}, "is not set"),
        ({"url": "https://a.example", "http_headers": {"A b": "c"}}, "cannot be a header's name"),
        ({"url": "https://a.example", "http_headers": {"A": "c\n"}}, "cannot be sent"),
        ({"command": "x", "network": ["a.*"]}, "network:"),
    ],
)
def test_settings_that_make_no_sense_say_so(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_spec(
            "web",
            server(**fields),
            policy=POLICY,
            octavo_home=Path("/home/ada/.octavo"),
            environ={"PATH": "/usr/bin"},
        )
