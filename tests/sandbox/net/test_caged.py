"""Commands in a real cage, and whom they reach: the cage's listeners, served as octavo does it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from octavo.protocol.errors import ConfigError, SandboxError
from octavo.sandbox import OFF, OPEN, Command, Mode, Network, Policy, Sandbox, open_sandbox
from octavo.sandbox.cage import listeners
from octavo.sandbox.caged import open_cage
from octavo.sandbox.net import Blocked, environment
from octavo.sandbox.net.tunnel import Ports
from octavo.sandbox.network import TOLD_AT_MOST, CageNetwork, Teller
from tests.sandbox.conftest import ENV, finish, python, shell
from tests.sandbox.net.world import ALLOWED, OTHER, Certificate, Origin, at_home
from tests.tiers import skip_or_fail

pytestmark = pytest.mark.anyio

GET = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=9).read().decode())
"""


@contextlib.asynccontextmanager
async def cage_with(
    network: Network, workspace: Path, *tiers: str, ports: Ports | None = None
) -> AsyncIterator[tuple[Sandbox, list[Blocked]]]:
    """Open a cage whose names are all at 127.0.0.1, or skip the test where there is none."""
    blocked: list[Blocked] = []
    policy = Policy(Mode.WORKSPACE_WRITE, workspace, network=network)
    served = CageNetwork(network, on_blocked=blocked.append, resolve=at_home, ports=ports)
    async with open_cage(policy, tiers or ("namespaces",), network=served) as cage:
        try:
            await cage.ready()
        except SandboxError as error:
            skip_or_fail(error, *(tiers or ("namespaces",)))
        yield cage, blocked


async def get(cage: Sandbox, url: str, cwd: Path, **env: str) -> tuple[int | None, str]:
    """Fetch with a program that reads proxy variables."""
    command = Command((sys.executable, "-c", GET, url), cwd, ENV | env)
    ended, output = await finish(cage, command)
    return ended.code, output


def hosts(blocked: list[Blocked]) -> set[tuple[str, str]]:
    return {(one.host, one.reason) for one in blocked}


async def test_allowed_hosts_are_reached_in_every_way_and_others_in_none(
    origin: Origin, tls_origin: Origin, certificate: Certificate, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    curl = f"curl -sS -m 10 --cacert {certificate.path}"
    direct = f"env -u http_proxy -u https_proxy -u HTTPS_PROXY -u ALL_PROXY -u all_proxy {curl}"
    cases = [
        (f"{curl} http://{ALLOWED}:{origin.port}/", 0, "hello "),
        (f"{curl} https://{ALLOWED}:{tls_origin.port}/", 0, "hello "),
        (f"{direct} http://{ALLOWED}/", 0, "hello "),
        (f"{direct} https://{ALLOWED}/", 0, "hello "),
        (f"{direct} -x socks5://127.0.0.1 https://{ALLOWED}:{tls_origin.port}/", 0, "hello "),
        (f"{direct} -x socks5h://127.0.0.1 http://{ALLOWED}:{origin.port}/", 0, "hello "),
        (f"echo kept; {curl} -f http://evil.test/ 2>&1", 22, "403"),
        (f"echo kept; {curl} https://evil.test/ 2>&1", 56, "403"),
        (f"echo kept; {direct} http://evil.test/ 2>&1", 6, "Could not resolve"),
        (f"echo kept; {direct} -x socks5h://127.0.0.1 http://evil.test/ 2>&1", 97, "socks"),
        (f"{direct} http://127.0.0.1:{origin.port}/ 2>&1", 7, ""),
        (f"{direct} http://192.0.2.1:8/ 2>&1", 7, ""),
    ]
    ports = Ports(http=origin.port, https=tls_origin.port)
    local = Network("hosts", allow_local=(ALLOWED, OTHER))
    async with cage_with(local, here, ports=ports) as (cage, blocked):
        for script, code, said in cases:
            ended, output = await shell(cage, script, here)
            assert ended.code == code, (script, output)
            assert said.lower() in output.lower(), (script, output)
            assert "kept" not in script or output.startswith("kept\n")

        assert hosts(blocked) == {("evil.test", "not_allowed")}
        assert {one.protocol for one in blocked} == {"http", "https", "dns", "socks5"}


async def test_proxy_variables_of_the_user_are_replaced(
    origin: Origin, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    elsewhere = {"http_proxy": "http://192.0.2.1:1", "NO_PROXY": "*", "no_proxy": "*"}
    async with cage_with(Network("hosts", allow_local=(ALLOWED,)), here) as (cage, _):
        got = await get(cage, f"http://{ALLOWED}:{origin.port}/", here, **elsewhere)

    assert got == (0, "hello \n")


async def test_a_local_server_is_reached_when_it_is_listed_as_such(
    origin: Origin, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    listed = Network("hosts", allow_local=(f"127.0.0.1:{origin.port}",))
    through = "curl -sS -m 10 --noproxy '' http://127.0.0.1:{}/"
    direct = f"curl -sS -m 10 http://127.0.0.1:{origin.port}/"
    async with cage_with(listed, here) as (cage, blocked):
        _, plain = await shell(cage, direct, here)
        _, by_name = await shell(cage, direct.replace("127.0.0.1", "localhost"), here)
        _, allowed = await shell(cage, through.format(origin.port), here)
        _, refused = await shell(cage, through.format(origin.port + 1), here)

    assert plain == by_name == allowed == "hello "
    assert "a loopback address" in refused
    assert hosts(blocked) == {("127.0.0.1", "not_allowed_local")}


async def test_a_host_is_added_while_a_command_runs(
    origin: Origin, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    script = f"""
import urllib.error, urllib.request
def get():
    return urllib.request.urlopen('http://localhost.test:{origin.port}/', timeout=9).read()
try: get()
except urllib.error.HTTPError as error: print(error.code, flush=True)
input()
print(get().decode())
"""
    reader, writer = os.pipe()
    async with cage_with(Network("hosts", allow=("other.test",)), here) as (cage, blocked):
        argv = (sys.executable, "-S", "-c", script)
        process = await cage.spawn(Command(argv, here, ENV, stdio=(reader, None, None)))
        os.close(reader)
        assert await process.read() == b"403\n"
        with pytest.raises(ConfigError):
            cage.allow_hosts("a*b")
        cage.allow_hosts("*.test")
        os.write(writer, b"\n")
        os.close(writer)
        output = b""
        while data := await process.read():
            output += data
        await process.wait()

    # The name is allowed now; that it is at a loopback address is still not.
    assert b"403" in output
    assert [one.reason for one in blocked] == ["not_allowed", "not_allowed_local"]


async def test_without_hosts_a_name_does_not_exist_and_is_told(
    workspace: Callable[[], Path],
) -> None:
    here = workspace()
    script = """
import socket, time
began = time.monotonic()
try: socket.getaddrinfo('wanted.example', 443)
except socket.gaierror as error: print(error.errno, time.monotonic() - began < 2)
"""
    async with cage_with(OFF, here) as (cage, blocked):
        _, first = await python(cage, script, here)
        _, second = await python(cage, script, here)

    assert first == second == "-2 True\n"
    assert {(one.host, one.port, one.protocol) for one in blocked} == {("wanted.example", 0, "dns")}
    assert len(blocked) == 2


async def test_without_hosts_commands_serve_on_every_port(workspace: Callable[[], Path]) -> None:
    here = workspace()
    script = """
import socket
for port in (80, 443, 3128, 8080):
    with socket.create_server(('', port)) as server:
        client = socket.create_connection(('localhost', port))
        server.accept()[0].send(b'served')
        print(client.recv(9).decode())
"""
    async with cage_with(OFF, here) as (cage, blocked):
        _, output = await python(cage, script, here)

    assert output == "served\n" * 4
    assert not blocked


async def test_the_reduced_tier_has_no_network_instead_of_hosts(
    origin: Origin, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    listed = Network("hosts", allow_local=(ALLOWED, f"127.0.0.1:{origin.port}"))
    async with cage_with(listed, here, "landlock") as (cage, _):
        report = await cage.ready()
        with pytest.raises(SandboxError):
            cage.allow_hosts("other.test")
        script = f"curl -sS -m 9 http://127.0.0.1:{origin.port}/; env | grep -ci proxy"
        _, output = await shell(cage, script, here)

    assert any("Allowed hosts cannot be reached" in gap for gap in report.gaps)
    assert output.endswith("\n0\n")
    assert not origin.seen


@pytest.mark.parametrize("network", [OFF, OPEN])
async def test_hosts_can_only_be_added_to_a_list(
    network: Network, workspace: Callable[[], Path]
) -> None:
    async with cage_with(network, workspace()) as (cage, _):
        with pytest.raises(SandboxError, match="no list of allowed hosts"):
            cage.allow_hosts("example.com")


@pytest.mark.parametrize("pattern", ["a*b.example", "exa mple.com", "", "x\u202ey.com", "[::1"])
async def test_a_pattern_that_makes_no_sense_starts_nothing(
    pattern: str, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    policy = Policy(Mode.WORKSPACE_WRITE, here, network=Network("hosts", allow=(pattern,)))
    with pytest.raises(ConfigError):
        async with open_sandbox(policy):
            pytest.fail("it was opened")
    assert not (here / ".octavo").exists()


async def test_an_error_of_whoever_uses_a_cage_stays_what_it_was(
    workspace: Callable[[], Path],
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with cage_with(OFF, workspace()):
            raise ZeroDivisionError


def test_what_is_blocked_is_told_but_not_as_a_flood() -> None:
    told: list[Blocked] = []
    now = [0.0]
    teller = Teller(told.append, clock=lambda: now[0])
    wanted = Blocked("wanted.test", 443, "https", "not_allowed")

    teller.tell(wanted)
    teller.tell(wanted)
    assert told == [wanted]
    teller.forget()
    teller.tell(wanted)
    assert told == [wanted] * 2
    now[0] = 1.5
    for number in range(3 * TOLD_AT_MOST):
        teller.tell(Blocked(f"{number}.test", 0, "dns", "not_allowed"))
    assert len(told) == 2 + TOLD_AT_MOST
    for name in ("myself", "1.0.0.127.in-addr.arpa", "x.localhost"):
        teller.forget()
        teller.tell(Blocked(name, 0, "dns", "not_allowed"))
    assert len(told) == 2 + TOLD_AT_MOST


def test_commands_are_told_the_ports_on_which_the_cage_listens() -> None:
    assert environment.PROXY_PORT == listeners.PROXY_PORT
    assert environment.SOCKS_PORT == listeners.SOCKS_PORT
    assert environment.DNS_PORT == listeners.DNS_PORT


@contextlib.contextmanager
def served(directory: Path) -> Iterator[int]:
    """Serve files on the machine's loopback; the port."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


async def test_pip_installs_from_an_allowed_host_and_from_no_other(
    workspace: Callable[[], Path], tmp_path: Path
) -> None:
    here = workspace()
    package = tmp_path / "simple" / "thing"
    package.mkdir(parents=True)
    with zipfile.ZipFile(package / "thing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "SAID = 'installed'")
        wheel.writestr(
            "thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n"
        )
        wheel.writestr(
            "thing-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("thing-1.dist-info/RECORD", "")
    (package / "index.html").write_text("<a href='thing-1-py3-none-any.whl'>thing</a>")
    pip = f"{sys.executable} -m pip -q --disable-pip-version-check --no-cache-dir install"
    with served(tmp_path) as port:
        script = (
            f"{pip} --retries 0 --trusted-host {{0}} --index-url http://{{0}}:{port}/simple"
            f" --target got thing 2>&1; PYTHONPATH=got {sys.executable} -S -c"
            " 'import thing; print(thing.SAID)'"
        )
        async with cage_with(Network("hosts", allow_local=(ALLOWED,)), here) as (cage, blocked):
            refused, said = await shell(cage, script.format("evil.test"), here)
            assert (refused.code, "No matching distribution" in said) == (1, True), said
            ended, output = await shell(cage, script.format(ALLOWED), here)

    assert (ended.code, output.splitlines()[-1]) == (0, "installed"), output
    assert hosts(blocked) == {("evil.test", "not_allowed")}


async def test_git_clones_from_an_allowed_host_and_from_no_other(
    workspace: Callable[[], Path], tmp_path: Path
) -> None:
    here = workspace()
    make = (
        "git init -q -b main work && cd work && echo text > file && git add file &&"
        " git -c user.name=n -c user.email=e commit -qm one && cd .. &&"
        " git clone -q --bare work thing.git && git -C thing.git update-server-info"
    )
    subprocess.run(["sh", "-c", make], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    with served(tmp_path) as port:
        script = f"git clone -q http://{{0}}:{port}/thing.git {{0}} 2>&1 && cat {{0}}/file"
        async with cage_with(Network("hosts", allow_local=(ALLOWED,)), here) as (cage, blocked):
            refused, said = await shell(cage, script.format("evil.test"), here)
            ended, output = await shell(cage, script.format(ALLOWED), here)

    assert (refused.code, "403" in said) == (128, True), said
    assert (ended.code, output) == (0, "text\n")
    assert hosts(blocked) == {("evil.test", "not_allowed")}
