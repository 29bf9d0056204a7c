"""Git reaches the remote a person allowed, with keys that no command sees, and nothing else."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from octavo.agent.git_cage import GitCage, GitRefused, program
from octavo.agent.git_remote import Outside, Remote, reach, remotes
from octavo.policy.porcelain import read_git
from octavo.sandbox import Command, Process
from octavo.sandbox.run import run_caged
from tests.agent.test_git_cage import ENV, PERSON, Bench

pytestmark = pytest.mark.anyio

KEY = base64.b64encode(b"ada:the key").decode()


class Hub(http.server.BaseHTTPRequestHandler):
    """A git server that wants a key."""

    root: Path
    heard: list[str]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        self.heard.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
        if self.headers.get("Authorization") != f"Basic {KEY}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="hub"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        env = os.environ | {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_USER": "ada",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve  # noqa: N815  # the names that the library calls


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A server with one repository; its address, the repository, and what it was asked."""
    repository = tmp_path / "hub" / "mill.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    subprocess.run(["git", "-C", str(repository), "config", "http.receivepack", "true"], check=True)
    heard: list[str] = []
    handler = type("Handler", (Hub,), {"root": repository.parent, "heard": heard})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mill.git", repository, heard
    server.shutdown()
    server.server_close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    top = Path(os.environ["HOME"]) / "git-remote" / tmp_path.name
    top.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        bench = Bench(top, stack)
        bench.git("init", "-q", "-b", "main")
        (top / "file").write_text("one\n")
        bench.git("add", "file")
        bench.git("commit", "-qm", "first")
        yield bench


async def _find(bench: Bench, script: str) -> tuple[Remote, ...]:
    sandbox = await bench.open_cage(bench.policy)
    command = Command(("x",), bench.top, ENV | PERSON)
    outside = Outside(ENV, bench.top.parent, (bench.top,))
    return await remotes(read_git(script), command, str(program(ENV)), sandbox, outside)


async def _run(
    bench: Bench, script: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[int | None, str]:
    """Run a script with what it is lent; the helper knows the key."""
    keys = bench.top.parent / "keys"
    found = await _find(bench, script)
    keys.write_text("".join(f"http://ada:the%20key@{one.place}\n" for one in found))
    home = bench.top.parent
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={keys}\n")
    lent = await reach(found, Outside(ENV | {"HOME": str(home)}, home, (bench.top,)))
    meanwhile()
    cage = GitCage(bench.policy, bench.open_cage)
    process = await cage.spawn(read_git(script), Command(("x",), bench.top, ENV | PERSON), lent)
    return await _heard(process)


async def _heard(process: Process) -> tuple[int | None, str]:
    import anyio

    said = bytearray()
    ended = None

    async def listen() -> None:
        while data := await process.read():
            said.extend(data)

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        ended = await process.wait()
    return ended.code, said.decode("utf-8", "replace")


async def test_push_fetch_and_pull_reach_the_remote_with_the_person_s_key(
    bench: Bench, hub: tuple[str, Path, list[str]]
) -> None:
    url, repository, heard = hub
    bench.git("remote", "add", "origin", url)

    status, said = await _run(bench, "git push -u origin main")

    assert status == 0, said
    log = ["git", "-C", str(repository), "log", "--format=%s", "main"]
    assert subprocess.check_output(log, text=True).strip() == "first"
    assert "the key" not in said
    assert "[branch " in (bench.top / ".git" / "config").read_text()
    status, said = await _run(bench, "git fetch --prune && git pull --ff-only && git status -sb")
    assert status == 0, said
    assert any("the" not in line and KEY in line for line in heard)


async def test_a_key_is_lent_for_the_repository_that_was_asked_about_alone(
    bench: Bench, hub: tuple[str, Path, list[str]]
) -> None:
    url, repository, heard = hub
    bench.git("remote", "add", "origin", url)
    other = url.replace("mill", "mills")
    subprocess.run(["git", "clone", "-q", "--bare", repository, repository.parent / "mills.git"])

    status, _ = await _run(
        bench,
        "git push origin main",
        lambda: bench.git("remote", "set-url", "origin", other),
    )

    assert status != 0
    assert heard
    assert not [line for line in heard if "Basic" in line]


async def test_what_is_asked_about_is_where_git_would_go(
    bench: Bench, hub: tuple[str, Path, list[str]]
) -> None:
    url, _, _ = hub
    bench.git("remote", "add", "origin", "https://ada:secret@hub.example.org/a/b.git")
    bench.git("remote", "set-url", "--push", "origin", "https://other.example.org:8443/a/b.git")

    [fetched] = await _find(bench, "git fetch")
    [pushed] = await _find(bench, "git push")
    bench.git("config", f"url.{url}.insteadOf", "https://hub.example.org/a/b.git")
    [cloned] = await _find(bench, "git clone https://git.example.org/x/y.git")

    assert (fetched.place, fetched.url) == (
        "hub.example.org:443",
        "https://hub.example.org/a/b.git",
    )
    assert pushed.place == "other.example.org:8443"
    assert cloned.place == "git.example.org:443"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http.proxy", "http://127.0.0.1:9"),
        ("http.https://hub.example.org/.sslVerify", "false"),
        ("remote.origin.uploadpack", "evil"),
        ("remote.origin.proxy", "http://127.0.0.1:9"),
    ],
)
async def test_a_repository_that_says_how_to_talk_to_its_remote_is_not_obeyed(
    bench: Bench, key: str, value: str
) -> None:
    bench.git("remote", "add", "origin", "https://hub.example.org/a/b.git")
    bench.git("config", key, value)

    with pytest.raises(GitRefused, match="own setting"):
        await _find(bench, "git fetch")


@pytest.mark.parametrize(
    "url", ["/srv/other", "file:///srv/other", "ext::sh -c x", "git://hub.example.org/a/b.git"]
)
async def test_no_other_kind_of_address_is_reached(bench: Bench, url: str) -> None:
    bench.git("remote", "add", "origin", url)

    with pytest.raises(GitRefused):
        await _find(bench, "git fetch origin")


async def test_the_cage_of_a_push_reaches_that_host_only(
    bench: Bench, hub: tuple[str, Path, list[str]]
) -> None:
    url, _, heard = hub
    bench.git("remote", "add", "origin", "https://hub.example.org/a/b.git")
    lent = await reach(
        await _find(bench, "git fetch"), Outside(ENV, bench.top.parent, (bench.top,))
    )
    cage = GitCage(bench.policy, bench.open_cage)
    await cage.spawn(read_git("git fetch"), Command(("x",), bench.top, ENV | PERSON), lent)
    sandbox = next(one for key, one in bench.opened.items() if b"hub.example" in key)

    direct = Command(("/usr/bin/git", "ls-remote", url), bench.top, ENV)
    ended, said = await run_caged(sandbox, direct, timeout_s=20, limit_bytes=4096)

    assert ended.code != 0, said
    assert heard == []


async def test_a_git_that_commands_could_have_written_is_not_asked_for_the_key(
    bench: Bench,
) -> None:
    tools, mark = bench.top / ".venv" / "bin", bench.top / "ran"
    tools.mkdir(parents=True)
    (tools / "git").write_text(f"#!/bin/sh\necho ran > {mark}\n")
    (tools / "git").chmod(0o755)
    home = bench.top.parent
    found = (Remote("push", "https://hub.example/x", "https", "hub.example", 443),)
    env = ENV | {"PATH": f"{tools}:{ENV['PATH']}", "HOME": str(home)}

    await reach(found, Outside(env, home, (bench.top,)))

    assert not mark.exists()


async def test_a_key_is_not_sent_where_others_could_read_it(bench: Bench) -> None:
    home = bench.top.parent
    keys = home / "keys"
    keys.write_text("http://ada:key@hub.example\nhttps://ada:key@hub.example\n")
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={keys}\n")
    env = ENV | {"HOME": str(home)}

    lent = [
        await reach(
            (Remote("push", "", scheme, "hub.example", port),), Outside(env, home, (bench.top,))
        )
        for scheme, port in (("https", 443), ("http", 80))
    ]

    assert [any("extraHeader" in key for key in one.settings) for one in lent] == [True, False]
