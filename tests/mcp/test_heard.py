"""What a server says unasked is heard: that its tools are others now, and its log."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from octavo.mcp.log import BATCH_LINES, FILE_LIMIT_BYTES, ServerLog, append, log_file, tail
from octavo.trial.scripted import Script, call, say
from tests.cli.running import Shell
from tests.mcp.servers import PROGRAM, config, tool
from tests.mcp.test_http import PROGRAM as OFFICIAL
from tests.mcp.test_http import serving
from tests.scenarios.playing import Play, playing
from tests.tools.plain_hands import until


@contextmanager
def official(kind: str) -> Iterator[str]:
    """A server of the official package, which speaks the protocol of 2026."""
    with serving() if kind == "http" else nullcontext(0) as port:
        words = json.dumps([str(OFFICIAL), "--stdio"])
        there = f"command={json.dumps(sys.executable)},args={words}"
        if port:
            there = f'url="http://127.0.0.1:{port}/mcp"'
        yield f"mcp_servers.web={{{there},startup_timeout_sec=60.0}}"


def log_of(play: Play, server: str) -> Path:
    return log_file(play.cwd.parent / "octavo-home" / "servers" / server)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_a_server_of_2026_that_gets_another_tool_is_heard_and_so_is_its_log(
    workspace: Path, kind: str
) -> None:
    script: Script = [
        call("mcp__web__grow"),
        say("Grown."),
        call("tool_search", query="came later"),
        call("call_tool", name="mcp__web__grown", arguments={}),
        say("Done."),
    ]
    with official(kind) as web:
        async with playing(
            script, workspace, overrides=[web], allowed=Allowed(mcp=("web",))
        ) as play:
            await play.turn("grow")
            [agent] = play.server.threads.values()
            assert agent.mcp is not None
            server = agent.mcp.servers.by_name["web"]
            await until(lambda: len(server.tools) == 4)
            await play.turn("use it")

    assert server.connection is None or server.connection.said.protocol == "2026-07-28"
    assert "mcp__web__grown" in play.outputs()[-2]
    assert "I am new." in play.outputs()[-1]
    logged = log_of(play, "web").read_text()
    assert "info: I have grown." in logged
    assert ("printed: Ready to grow." in logged) is (kind == "stdio")


def test_the_log_of_a_server_is_shown_with_the_server_and_goes_with_it(workspace: Path) -> None:
    shell = Shell(workspace)
    file = workspace / "plan.json"
    file.write_text(json.dumps({"tools": [tool("echo")], "start": "die"}))
    shell.octavo("mcp", "add", "acting", "--", sys.executable, str(PROGRAM), str(file))
    assert "its log" not in shell.octavo("mcp", "get", "acting").stdout

    shell.octavo("mcp", "accept", "acting", "-y")
    shown = shell.octavo("mcp", "get", "acting").stdout
    as_json = json.loads(shell.octavo("mcp", "get", "acting", "--json").stdout)
    log = shell.home / "servers" / "acting.log"
    mode = stat.S_IMODE(log.stat().st_mode)
    shell.octavo("mcp", "remove", "acting")

    assert f"{log}, which ends:" in shown
    assert "printed: no licence found" in shown
    assert "started" in as_json["log"][0]
    assert mode == 0o600
    assert not log.exists()


@pytest.mark.anyio
async def test_a_server_cannot_write_or_read_its_log(workspace: Path) -> None:
    log = log_file(workspace.parent / "octavo-home" / "servers" / "acting")
    script: Script = [
        [
            call("mcp__acting__write", path=str(log)),
            call("mcp__acting__read", path=str(log)),
        ],
        say("Done."),
    ]
    acting = config("acting", "write", "read")
    async with playing(
        script, workspace, overrides=[acting], allowed=Allowed(mcp=("acting",))
    ) as play:
        await play.turn("go")

    written, read = play.outputs()
    assert "written" not in written
    assert "started" not in read
    assert "started" in log.read_text()


@pytest.mark.anyio
async def test_a_log_holds_so_much_a_second_and_says_what_is_missing(tmp_path: Path) -> None:
    import anyio

    log = ServerLog(tmp_path / "x.log")
    async with anyio.create_task_group() as group:
        for number in range(BATCH_LINES + 7):
            log.add("info", f"line {number} {'x' * 10_000}", group)
        group.cancel_scope.cancel()
    log.end()

    kept = (tmp_path / "x.log").read_text().splitlines()
    assert len(kept) == BATCH_LINES + 1
    assert kept[0] == "(7 lines before these were lost)"
    assert "line 106" in kept[-1]
    assert max(map(len, kept)) < 600


def test_a_log_that_grows_loses_its_older_half_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for number in range(2 * FILE_LIMIT_BYTES // 100):
        append(path, f"{number:099}\n".encode())

    assert path.stat().st_size <= FILE_LIMIT_BYTES + 100
    lines = path.read_text().splitlines()
    assert {len(line) for line in lines} == {99}
    assert int(tail(path, 1)[0]) == 2 * FILE_LIMIT_BYTES // 100 - 1


def test_a_log_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine\n")
    os.symlink(tmp_path / "mine", tmp_path / "x.log")

    append(tmp_path / "x.log", b"theirs\n")

    assert (tmp_path / "mine").read_text() == "mine\n"
