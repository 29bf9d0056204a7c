"""Servers that nobody here wrote, unmodified, each in its cage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from octavo.agent.allowed import Allowed
from octavo.protocol import items as it
from octavo.trial.scripted import Script, call, say
from tests.mcp.servers import names
from tests.scenarios.asking import Person
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

PLACE = Path(__file__).parents[2] / ".mcp-servers"
needs_python = pytest.mark.skipif(
    not (PLACE / ".done").exists(), reason="no servers: make mcp-servers"
)
needs_node = pytest.mark.skipif(
    not (PLACE / ".node").exists() or shutil.which("node") is None,
    reason="no servers: make mcp-servers",
)


def python_server(name: str, module: str, *args: str, more: str = "") -> str:
    words = json.dumps(["-m", module, *args])
    path = json.dumps(str(PLACE / "python"))
    return (
        f"mcp_servers.{name}={{command={json.dumps(sys.executable)},args={words},"
        f"env={{PYTHONPATH={path}}},startup_timeout_sec=60.0{more}}}"
    )


def node_server(name: str, package: str, *args: str, more: str = "") -> str:
    program = PLACE / f"node/node_modules/@modelcontextprotocol/{package}/dist/index.js"
    words = json.dumps([str(program), *args])
    return f'mcp_servers.{name}={{command="node",args={words},startup_timeout_sec=60.0{more}}}'


async def played(workspace: Path, server: str, name: str, script: Script) -> Play:
    async with playing(script, workspace, overrides=[server], allowed=Allowed(mcp=(name,))) as play:
        turn = await play.turn("go")
    assert turn.status == "completed"
    return play


@needs_python
async def test_the_server_for_git(workspace: Path) -> None:
    (workspace / "a.txt").write_text("a\n")
    subprocess.run(["git", "add", "."], cwd=workspace, check=True)
    here = str(workspace)
    play = await played(
        workspace,
        python_server("git", "mcp_server_git", "--repository", here),
        "git",
        [call("mcp__git__git_status", repo_path=here), say("Done.")],
    )

    assert "mcp__git__git_diff" in names(play.requests()[0])
    assert "new file:   a.txt" in play.outputs()[0]


@needs_python
async def test_the_server_for_time(workspace: Path) -> None:
    play = await played(
        workspace,
        python_server("time", "mcp_server_time", "--local-timezone", "UTC"),
        "time",
        [
            call(
                "mcp__time__convert_time",
                source_timezone="Europe/Berlin",
                time="12:00",
                target_timezone="Asia/Tokyo",
            ),
            say("Done."),
        ],
    )

    assert "Asia/Tokyo" in play.outputs()[0]


@contextmanager
def _page() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><body><h1>Plants</h1><p>Water them on Mondays.</p></body></html>"
            self.send_response(200 if self.path != "/robots.txt" else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@needs_python
async def test_the_server_that_fetches_reaches_what_its_settings_name_and_no_more(
    workspace: Path,
) -> None:
    with _page() as port, _page() as other:
        play = await played(
            workspace,
            python_server(
                "fetch",
                "mcp_server_fetch",
                "--allow-private-ips",
                more=f',network=["127.0.0.1:{port}"]',
            ),
            "fetch",
            [
                call("mcp__fetch__fetch", url=f"http://127.0.0.1:{port}/", raw=True),
                call("mcp__fetch__fetch", url=f"http://127.0.0.1:{other}/", raw=True),
                say("Done."),
            ],
        )

    fetched, refused = play.outputs()
    assert "Water them on Mondays." in fetched
    assert "Water them" not in refused


@needs_node
async def test_the_server_for_files_writes_where_commands_may(workspace: Path) -> None:
    here, outside = str(workspace), str(workspace.parent / "outside")
    play = await played(
        workspace,
        node_server("files", "server-filesystem", here, str(workspace.parent)),
        "files",
        [
            call("mcp__files__write_file", path=f"{here}/new.txt", content="new"),
            call("mcp__files__read_text_file", path=f"{here}/new.txt"),
            call("mcp__files__write_file", path=outside, content="out"),
            say("Done."),
        ],
    )

    assert (workspace / "new.txt").read_text() == "new"
    assert "new" in play.outputs()[1]
    assert not Path(outside).exists()
    assert play.items(it.McpToolCall)[2].status == "failed"


@needs_node
async def test_the_server_for_memory_keeps_it_in_its_home(workspace: Path) -> None:
    entity = {"name": "Ada", "entityType": "person", "observations": ["likes tea"]}
    kept = workspace.parent / "octavo-home/servers/memory/memory.jsonl"
    server = node_server("memory", "server-memory", more=f",env={{MEMORY_FILE_PATH='{kept}'}}")
    await played(
        workspace,
        server,
        "memory",
        [call("mcp__memory__create_entities", entities=[entity]), say("Done.")],
    )
    again = await played(
        workspace, server, "memory", [call("mcp__memory__read_graph"), say("Done.")]
    )

    assert "likes tea" in kept.read_text()
    assert "likes tea" in again.outputs()[0]


@needs_node
async def test_the_server_that_has_everything(workspace: Path) -> None:
    server = node_server("everything", "server-everything")
    person = Person({"action": "accept", "content": {"name": "Ada", "check": True}})
    script: Script = [
        [
            call("mcp__everything__echo", message="hi"),
            call("mcp__everything__get_sum", a=2, b=3),
            call("mcp__everything__get_tiny_image"),
            call("mcp__everything__get_structured_content", location="Chicago"),
            call("mcp__everything__trigger_long_running_operation", duration=0.2, steps=2),
            call("list_mcp_resources", server="everything"),
        ],
        say("Done."),
    ]
    async with playing(
        script,
        workspace,
        overrides=[server],
        allowed=Allowed(mcp=("everything",)),
        alone=False,
        answer=person,
    ) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    echo, added, image, structured, long, resources = play.outputs()
    assert "Echo: hi" in echo
    assert "5" in added
    assert [part["type"] for part in image] == ["input_text", "input_image"]
    assert '"temperature"' in structured
    assert "Long running operation completed" in long
    assert '"uri":' in resources
