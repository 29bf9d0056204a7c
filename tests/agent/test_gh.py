"""Gh reaches the API a person allowed, with a token that never comes into the cage."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from octavo.agent.gh_door import GhDoor
from octavo.agent.gh_place import GhPlace, GhRefused, are_of_the_person, places, token_for
from octavo.agent.gh_run import GhRun
from octavo.agent.git_cage import GitCage
from octavo.agent.git_remote import Outside
from octavo.policy.gh import read_gh
from octavo.sandbox import Command
from tests.agent.test_git_cage import ENV, PERSON, Bench
from tests.agent.test_git_remote import _heard

pytestmark = pytest.mark.anyio

TOKEN = "gho_" + "t" * 36


class Api(http.server.BaseHTTPRequestHandler):
    """Enough of an API for gh, over TLS."""

    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        authorization = self.headers.get("Authorization", "")
        self.hub.heard.append((self.command, self.path, authorization, body))
        path = self.path.removeprefix("/api/v3")
        if path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.hub.moves_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        answer: object = {"login": "ada", "number": 7, "html_url": "https://hub/7", "said": body}
        if self.path == "/api/graphql":
            repository = {
                "id": "R_1", "name": "mill", "owner": {"login": "ada"}, "hasIssuesEnabled": True,
                "description": "A mill", "viewerPermission": "WRITE",
                "issues": {"totalCount": 1, "nodes": [
                    {"number": 7, "title": "It grinds", "url": "u", "state": "OPEN",
                     "updatedAt": "2024-01-01T00:00:00Z", "labels": {"nodes": [], "totalCount": 0}},
                ], "pageInfo": {"hasNextPage": False, "endCursor": ""}},
            }  # fmt: skip
            created = {
                "createIssue": {"issue": {"id": "I_1", "url": "https://hub/ada/mill/issues/8"}}
            }
            types = re.findall(r"(\w+): __type", body)
            fields = {name: {"fields": []} for name in types}
            data = created if "mutation" in body else {"repository": repository}
            answer = {"data": fields if "__type" in body else data}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815  # the library's names


class Hub:
    """Such an API on a free port, with a certificate of its own."""

    def __init__(self, top: Path) -> None:
        self.heard: list[tuple[str, str, str, str]] = []
        self.moves_to = ""
        self.certificate = top / "certificate"
        key = top / "key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        handler = type("Handler", (Api,), {"hub": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"localhost:{self.server.server_port}"
        self.env = ENV | {
            "SSL_CERT_FILE": str(self.certificate),
            "GH_HOST": self.host,
            "GH_ENTERPRISE_TOKEN": TOKEN,
        }
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def place(self) -> GhPlace:
        return GhPlace(self.host, "ada/mill", is_own=True)

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate")
    hub = Hub(Path(tempfile.mkdtemp(prefix="hub-", dir=os.environ["HOME"])))
    yield hub
    hub.end()


@pytest.fixture
def gh() -> str:
    """The program gh. Skips the test where the machine, not octavo, says there is none."""
    found = shutil.which("gh", path=ENV["PATH"])
    if found is None:
        pytest.skip("no gh here")
    return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    top = Path(os.environ["HOME"]) / "gh" / tmp_path.name
    top.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        bench = Bench(top, stack)
        bench.git("init", "-q", "-b", "main")
        (top / "file").write_text("one\n")
        bench.git("add", "file")
        bench.git("commit", "-qm", "first")
        yield bench


def _outside(bench: Bench, hub: Hub) -> Outside:
    home = Path(os.environ["OCTAVO_HOME"])
    home.mkdir(exist_ok=True)
    return Outside(hub.env, home, (bench.top,))


async def _run(
    bench: Bench, hub: Hub, script: str, env: dict[str, str] | None = None
) -> tuple[int | None, str]:
    """Run a script as after a person's yes."""
    read = read_gh(script)
    command = Command(("x",), bench.top, ENV | PERSON | (env or {}))
    sandbox = await bench.open_cage(bench.policy)
    outside = _outside(bench, hub)
    found = await places(read, command, sandbox, outside)
    programs = await GitCage(bench.policy, bench.open_cage).programs(command)
    run = GhRun(read, found, command, bench.policy, programs, outside)
    with anyio.fail_after(60):
        return await _heard(run)


async def test_gh_reads_and_changes_the_repository_of_the_remote(
    bench: Bench, hub: Hub, gh: str
) -> None:
    bench.git("remote", "add", "origin", f"https://{hub.host}/ada/mill.git")

    status, said = await _run(bench, hub, "gh issue list && gh issue create -t New -b Text")

    assert status == 0, said
    assert "It grinds" in said
    assert "https://hub/ada/mill/issues/8" in said
    assert {authorization for _, _, authorization, _ in hub.heard} == {f"token {TOKEN}"}
    assert any('"owner":"ada"' in body and '"repo":"mill"' in body for *_, body in hub.heard)
    assert TOKEN not in said
    assert list((Path(os.environ["OCTAVO_HOME"]) / "gh").iterdir()) == []


async def test_the_token_is_not_in_the_cage_and_nothing_leads_out_but_the_door(
    bench: Bench, hub: Hub, gh: str
) -> None:
    bench.git("remote", "add", "origin", f"https://{hub.host}/ada/mill.git")
    loud = {"GH_DEBUG": "api", "GH_TOKEN": "gho_other", "GH_REPO": "evil/evil", "DEBUG": "1"}

    status, said = await _run(bench, hub, "gh api user -i && gh api user --jq 'env'", loud)
    other = await _run(bench, hub, "gh api https://127.0.0.1/x && gh api user")

    assert status == 0, said
    assert TOKEN not in said
    assert "gho_other" not in said
    assert "Request to" not in said  # nothing of the command's own about gh counts
    assert "octavo" in said  # the token it has is made up
    assert other[0] != 0
    assert "only the API of the repository is reached" in other[1]


async def test_a_call_that_only_reads_sends_nothing_that_changes_something(
    bench: Bench, hub: Hub, gh: str
) -> None:
    bench.git("remote", "add", "origin", f"https://{hub.host}/ada/mill.git")
    read = read_gh("gh api graphql -f query='{viewer{login}}'")
    assert read.steps[0].reads

    status, said = await _run(bench, hub, "gh api graphql -f query='{viewer{login}}'")

    assert status == 0, said
    door = GhDoor(hub.place, TOKEN, reads=True, env=hub.env)
    before = len(hub.heard)
    for request in (
        "DELETE /api/v3/repos/ada/mill HTTP/1.1\r\n",
        "POST /api/v3/repos/ada/mill/issues HTTP/1.1\r\nContent-Length: 2\r\n",
        "GET /api/v3/user HTTP/1.1\r\nContent-Length: 2\r\n",
    ):
        assert b"403" in await _ask(door, hub, request, b"{}")
    for query in (
        "mutation { a }",
        "query a { b } mutation c { d }",
        'query a { b(c: "#") } mutation c { d }',
        'query a { b(c: "\\"") } mutation c { d }',
        'query a { b(c: """ " """) } mutation c { d }',
        # A string that ends elsewhere than it seems to: \\""" is three quotes in it.
        'query a { b(c: """\\"""" """) } mutation c { d } # """',
        'query a { b(c: """\\\\""") } mutation c { d } # """)',
    ):
        body = json.dumps({"query": query}).encode()
        first = f"POST /api/graphql HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
        assert b"may change something" in await _ask(door, hub, first, body), query
    plain = b'{"query": "query a { b }"}'
    for more, body in (
        ("", b'{"query": "mutation { a }", "query": "query a { b }"}'),
        ("", b'{"query": "query a { b }", "Query": "mutation { a }"}'),
        ("", b'{"query": "muta\\u0074ion { a }", "query": "query a { b }"}'),
        ("", b'[{"query": "query a { b }"}]'),
        ("?query=mutation%7Ba%7D", plain),
        ("", '{"query": "mutation { a }"}'.encode("utf-16")),
    ):
        first = f"POST /api/graphql{more} HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
        assert b"may change something" in await _ask(door, hub, first, body), body
    for first in (
        "GET /api/graphql?query=mutation%7Ba%7D HTTP/1.1\r\n",
        "GET /api/v3/user HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\n",
    ):
        assert b"may change something" in await _ask(door, hub, first), first
    assert len(hub.heard) == before
    body = b'{"query": "query a { __schema { mutationType { name } } }", "variables": {"query": 1}}'
    first = f"POST /api/graphql HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    assert b"200 OK" in await _ask(door, hub, first, body)


async def test_a_query_is_judged_in_no_time_however_it_is_written(hub: Hub) -> None:
    door = GhDoor(hub.place, TOKEN, reads=True, env=hub.env)
    body = json.dumps({"query": "mutation { a }" + '\\"""\n' * 90_000}).encode()
    first = f"POST /api/graphql HTTP/1.1\r\nContent-Length: {len(body)}\r\n"

    with anyio.fail_after(20):
        assert b"may change something" in await _ask(door, hub, first, body)


async def test_an_address_that_is_none_does_no_harm(hub: Hub) -> None:
    door = GhDoor(hub.place, TOKEN, reads=True, env=hub.env)
    for odd in ("https://[", "https://host:99999999/", "https://host:x/", "https://[::1/a"):
        hub.moves_to = odd
        assert b"302" in await _ask(door, hub, "GET /api/v3/moved HTTP/1.1\r\n")
    for host in ("localhost:99999999999999999999", "[::1", "a b", "\xe9" * 300, "host:\xb2"):
        await _ask(door, hub, "GET /user HTTP/1.1\r\n", host=host)

    assert len(hub.heard) == 4


async def _ask(door: GhDoor, hub: Hub, first: str, body: bytes = b"", host: str = "") -> bytes:
    """Send a request as gh does, and return the answer."""
    path = Path(tempfile.mkdtemp(dir=os.environ["HOME"])) / "s"
    answer = b""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        async with anyio.create_task_group() as group:
            group.start_soon(door.serve, listener)
            async with await anyio.connect_unix(path) as stream:
                head = f"{first}Host: {host or hub.host}\r\nAuthorization: token x\r\n\r\n"
                await stream.send(head.encode() + body)
                try:
                    while True:
                        answer += await stream.receive()
                except anyio.EndOfStream:
                    group.cancel_scope.cancel()
    return answer


@pytest.mark.parametrize(
    ("first", "host"),
    [
        ("GET /user HTTP/1.1\r\n", "evil.example"),
        ("GET /user HTTP/1.1\r\n", "localhost"),
        ("GET /user HTTP/1.1\r\n", "localhost:1"),
        ("GET https://evil.example/ HTTP/1.1\r\n", ""),
        ("CONNECT evil.example:443 HTTP/1.1\r\n", ""),
        ("POST /api/graphql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", ""),
    ],
)
async def test_nothing_else_than_requests_to_the_api_is_sent_on(
    hub: Hub, first: str, host: str
) -> None:
    door = GhDoor(hub.place, TOKEN, reads=False, env=hub.env)

    answer = await _ask(door, hub, first, host=host)

    assert answer.startswith(b"HTTP/1.1 403")
    assert hub.heard == []


async def test_heads_that_can_be_read_in_two_ways_are_not_sent_on(hub: Hub) -> None:
    door = GhDoor(hub.place, TOKEN, reads=False, env=hub.env)

    for odd in ("Content-Length: 1\r\nContent-Length: 2\r\n", "X: a\nAuthorization: b\r\n"):
        assert await _ask(door, hub, f"GET /user HTTP/1.1\r\n{odd}") == b""
    assert hub.heard == []


async def test_where_the_api_sends_gh_on_it_may_look_but_not_at_this_machine(hub: Hub) -> None:
    other = Hub(Path(tempfile.mkdtemp(dir=os.environ["HOME"])))
    hub.moves_to = f"https://{other.host}/logs?key=1"
    try:
        door = GhDoor(hub.place, TOKEN, reads=True, env=hub.env)
        before = await _ask(door, hub, "GET /logs?key=1 HTTP/1.1\r\n", host=other.host)
        moved = await _ask(door, hub, "GET /api/v3/moved HTTP/1.1\r\n")
        after = await _ask(door, hub, "GET /logs?key=1 HTTP/1.1\r\n", host=other.host)
        elsewhere = await _ask(door, hub, "GET /logs?key=2 HTTP/1.1\r\n", host=other.host)
        posted = await _ask(door, hub, "POST /logs?key=1 HTTP/1.1\r\n", host=other.host)
    finally:
        other.end()

    assert b"302" in moved
    # The API sent it there, so what is looked at next is where that is: at this machine.
    assert b"this machine" in after
    assert all(b"only the API" in answer for answer in (before, elsewhere, posted))
    assert other.heard == []


async def test_a_host_whose_certificate_is_not_trusted_gets_no_token(hub: Hub) -> None:
    door = GhDoor(hub.place, TOKEN, reads=True, env=ENV)

    answer = await _ask(door, hub, "GET /user HTTP/1.1\r\n")

    assert b"cannot be trusted" in answer
    assert hub.heard == []


async def test_a_host_that_the_person_denies_is_not_reached(hub: Hub) -> None:
    door = GhDoor(hub.place, TOKEN, reads=True, deny=("localhost",), env=hub.env)

    assert b"denied" in await _ask(door, hub, "GET /user HTTP/1.1\r\n")
    assert hub.heard == []


async def test_a_token_goes_to_the_host_it_is_for(bench: Bench, hub: Hub) -> None:
    outside = _outside(bench, hub)
    github = Outside(ENV | {"GH_TOKEN": TOKEN}, outside.home, outside.roots)

    assert await token_for(hub.host, outside) == TOKEN
    assert await token_for("github.com", github) == TOKEN
    for host, one in (("github.com", outside), ("evil.example", github), ("evil.example", outside)):
        with pytest.raises(GhRefused):
            await token_for(host, one)


async def test_a_token_that_gh_keeps_is_asked_for_outside(
    bench: Bench, hub: Hub, gh: str, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text(
        f"git.example.org:\n    oauth_token: {TOKEN}\n    user: ada\n    git_protocol: https\n"
    )
    outside = _outside(bench, hub)
    env = ENV | {"GH_CONFIG_DIR": str(tmp_path), "GH_TOKEN": "gho_for_github_only"}

    found = await token_for("git.example.org", Outside(env, outside.home, outside.roots))

    assert found == TOKEN


async def test_a_gh_that_commands_could_have_written_is_not_asked_for_the_token(
    bench: Bench, hub: Hub
) -> None:
    tools, mark = bench.top / "bin", bench.top / "ran"
    tools.mkdir()
    (tools / "gh").write_text(f"#!/bin/sh\necho ran > {mark}\necho {TOKEN}\n")
    (tools / "gh").chmod(0o755)
    env = {"PATH": f"{tools}:/nonexistent", "HOME": ENV["HOME"]}
    outside = Outside(env, _outside(bench, hub).home, (bench.top,))

    with pytest.raises(GhRefused):
        await token_for("github.com", outside)

    assert not mark.exists()


async def _places(bench: Bench, hub: Hub, script: str) -> GhPlace:
    command = Command(("x",), bench.top, ENV | PERSON)
    sandbox = await bench.open_cage(bench.policy)
    [place] = await places(read_gh(script), command, sandbox, _outside(bench, hub))
    return place


async def test_the_repository_is_the_one_named_or_that_of_a_remote(bench: Bench, hub: Hub) -> None:
    with pytest.raises(GhRefused, match="-R OWNER/NAME"):
        await _places(bench, hub, "gh pr list")
    bench.git("remote", "add", "origin", "https://ada:key@github.com/ada/fork.git")
    first = await _places(bench, hub, "gh pr list")
    bench.git("remote", "add", "upstream", "https://github.com/mill/mill")
    second = await _places(bench, hub, "gh pr list")
    third = await _places(bench, hub, "gh pr list -R git.example.org/x/y")

    assert (first.repository, first.api) == ("github.com/ada/fork", "api.github.com:443")
    assert (second.repository, second.is_own) == ("github.com/mill/mill", True)
    assert (third.api, third.is_own) == ("git.example.org:443", False)


async def test_what_was_allowed_beforehand_holds_for_the_own_repository_only(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", "https://github.com/ada/mill.git")

    for script, expected in (
        ("gh pr create -t x -b y", True),
        ("gh issue list", True),
        ("gh pr list -R github.com/ada/mill", False),
        ("gh pr view https://github.com/x/y/pull/1", False),
        ("gh api repos/ada/mill", False),
        ("gh search issues x", False),
    ):
        place = await _places(bench, hub, script)
        read = read_gh(script)
        assert are_of_the_person(read, [place], bench.top, bench.top) is expected, script
