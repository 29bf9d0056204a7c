"""Who connects to which unix socket: the cage's own and those that a person allowed, no other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import OFF, OPEN, Command, Mode, Network, Policy, Sandbox
from octavo.sandbox.caged import open_cage
from octavo.sandbox.policy import octavo_home
from tests.sampling import sample
from tests.sandbox.conftest import ENV, finish, python, shell
from tests.tiers import skip_or_fail

pytestmark = pytest.mark.anyio

CONNECT = """
import socket, sys
def tried(address, kind=socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.connect(address)
        print('REACHED', sock.recv(9).decode())
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.fixture(autouse=True)
def _needs_a_broker() -> None:
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("no system call table")


class Greeter:
    """A program of the host that greets whoever connects, and counts them."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.count = 0
        sock.listen(64)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._sock.accept()
                self.count += 1
                with contextlib.suppress(OSError):
                    connection.sendall(b"from host")
                connection.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._sock.close()


@contextlib.contextmanager
def greeter(address: str, directory: Path | None = None) -> Iterator[Greeter]:
    """Listen at `address`; with `directory`, it is a path relative to that."""
    sock = socket.socket(socket.AF_UNIX)
    before = os.open(".", os.O_PATH)
    try:
        if directory is not None:
            os.chdir(directory)
        sock.bind(address)
    finally:
        os.fchdir(before)
        os.close(before)
    made = Greeter(sock)
    try:
        yield made
    finally:
        made.close()


@contextlib.asynccontextmanager
async def cage_in(
    workspace: Path,
    *,
    sockets: tuple[Path, ...] = (),
    network: Network = OFF,
    tmp: str = "host",
    tier: str = "namespaces",
) -> AsyncIterator[Sandbox]:
    policy = Policy(
        Mode.WORKSPACE_WRITE, workspace, sockets=sockets, network=network, tmp=tmp  # type: ignore[arg-type]  # one of its words
    )  # fmt: skip
    async with open_cage(policy, (tier,)) as cage:
        try:
            report = await cage.ready()
        except SandboxError as error:
            skip_or_fail(error, tier)
        if tier == "namespaces":
            assert not report.gaps
        yield cage


async def test_the_self_test_leaves_nothing_behind(workspace: Callable[[], Path]) -> None:
    cache = Path(octavo_home(), "cache")
    before = set(os.listdir(cache)) if cache.exists() else set()  # of those that tests killed
    async with cage_in(workspace()):
        _until(lambda: set(os.listdir(cache)) - before <= {"placeholders"})


@pytest.mark.parametrize("network", [OFF, OPEN], ids=["off", "open"])
async def test_a_socket_of_the_host_is_not_reached_however_it_was_bound(
    network: Network, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    name = f"octavo-broker-{os.getpid()}"
    async with cage_in(here, network=network) as cage:
        await shell(cage, "true", here)
        with greeter("rel.sock", here) as relative, greeter(f"\0{name}") as abstract:
            os.link(here / "rel.sock", here / "hard.sock")
            script = CONNECT + (
                "import os; os.symlink('rel.sock', 'link.sock')\n"
                f"for name in ('rel.sock', '{here}/rel.sock', 'link.sock', 'hard.sock',\n"
                f"    './sub/../rel.sock', '/proc/self/cwd/rel.sock', '\\0{name}'): tried(name)\n"
            )
            _, output = await python(cage, script, here)

            assert "REACHED" not in output, output
            assert output.count("Error") == 7
            assert (relative.count, abstract.count) == (0, 0)


async def test_datagrams_and_raw_sockets_do_not_go_around_it(
    workspace: Callable[[], Path],
) -> None:
    here = workspace()
    script = """
import socket
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK):
    for make in (socket.socket, socket.socketpair):
        try: made = make(socket.AF_UNIX, kind)
        except OSError as error: print(error.errno); continue
        for sock in made if isinstance(made, tuple) else (made,):
            for reach in (lambda: sock.sendto(b'escaped', 'dgram.sock'),
                          lambda: sock.sendmsg([b'escaped'], (), 0, 'dgram.sock'),
                          lambda: sock.connect('dgram.sock')):
                try: print('did', reach())
                except OSError as error: print(error.errno)
"""
    async with cage_in(here) as cage:
        await shell(cage, "true", here)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as target:
            before = os.open(".", os.O_PATH)
            os.chdir(here)
            target.bind("dgram.sock")
            os.fchdir(before)
            os.close(before)
            target.setblocking(False)
            _, output = await python(cage, script, here)

            assert "did None" not in output, output  # what is sent goes to the other end
            with pytest.raises(BlockingIOError):
                target.recv(99)


async def test_a_pair_of_datagram_sockets_keeps_packets_apart(
    workspace: Callable[[], Path],
) -> None:
    here = workspace()
    script = """
import ctypes, fcntl, os, resource, socket
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.send(b'first'), one.send(b'second'), other.send(b'back')
print(other.recv(99), other.recv(99), one.recv(99), os.get_inheritable(one.fileno()))
libc = ctypes.CDLL(None, use_errno=True)
pair = (ctypes.c_int * 2)()
print(libc.socketpair(1, 2 | socket.SOCK_NONBLOCK, 0, pair), os.get_inheritable(pair[0]),
      os.get_blocking(pair[1]))
for arguments in ((2, 2, 0, pair), (1, 2, 9, pair), (1, 2, 0, None), (1, 3, 0, pair)):
    print(libc.socketpair(*arguments), ctypes.get_errno())
try:
    while True: os.write(pair[0], bytes(1000))
except BlockingIOError: print('full')
"""
    async with cage_in(here) as cage:
        _, output = await python(cage, script, here)

    first, second, *refused, last = output.splitlines()
    assert (first, second) == ("b'first' b'second' b'back' False", "0 True False")
    assert refused == ["-1 1", "-1 93", "-1 14", "-1 1"]
    assert last == "full"


@pytest.mark.parametrize("network", [OFF, OPEN], ids=["off", "open"])
async def test_commands_reach_each_others_sockets_of_every_kind(
    network: Network, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    name = f"octavo-own-{os.getpid()}"
    server = f"""
import os, selectors, socket
picked = selectors.DefaultSelector()
for address, kind in (('own.sock', socket.SOCK_STREAM), ('seq.sock', socket.SOCK_SEQPACKET),
                      ('{here}/full.sock', socket.SOCK_STREAM), ('\\0{name}', socket.SOCK_STREAM),
                      ('/tmp/{name}', socket.SOCK_STREAM)):
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(address)
    sock.listen()
    picked.register(sock, selectors.EVENT_READ)
os.symlink('{here}/own.sock', 'to-own.sock')
print('up', flush=True)
while True:
    for key, _ in picked.select():
        connection, _ = key.fileobj.accept()
        connection.send(b'hello')
        connection.close()
"""
    argv = (sys.executable, "-c", server)
    script = CONNECT + (
        f"for name in ('own.sock', '{here}/own.sock', '{here}/full.sock', 'full.sock',\n"
        f"    'to-own.sock', '{here}/to-own.sock', '\\0{name}', '/tmp/{name}'): tried(name)\n"
        "tried('seq.sock', socket.SOCK_SEQPACKET)\n"
        "tried('file'), tried('nothing.sock'), tried('.')\n"
        "import os; os.chdir('/'); tried('tmp/" + name + "')\n"
    )
    try:
        async with cage_in(here, network=network) as cage:
            process = await cage.spawn(Command(argv=argv, cwd=here, env=ENV))
            assert await process.read() == b"up\n"
            _, output = await python(cage, script, here)
            await process.kill()
    finally:
        Path(f"/tmp/{name}").unlink(missing_ok=True)

    wrong = ["ConnectionRefusedError", "FileNotFoundError", "ConnectionRefusedError"]
    assert output.splitlines() == [*["REACHED hello"] * 9, *wrong, "REACHED hello"], output


@pytest.mark.parametrize("tmp", ["host", "private"])
async def test_a_socket_that_a_person_allowed_is_reached_and_no_other(
    tmp: str, workspace: Callable[[], Path]
) -> None:
    here = workspace()
    names = [f"/tmp/octavo-{word}-{os.getpid()}" for word in ("allowed", "other")]
    allowed = (Path(names[0]), here / "in.sock")
    with contextlib.ExitStack() as stack:
        for name in (*names, str(here / "in.sock"), str(here / "out.sock")):
            stack.callback(os.unlink, name)
            stack.enter_context(greeter(name))
        script = CONNECT + f"for name in {[*names, 'in.sock', 'out.sock']!r}: tried(name)\n"
        script += "import os; os.symlink('in.sock', 'way.sock'); tried('way.sock')\n"
        script += "try: os.rename('out.sock', 'in.sock')\nexcept OSError: pass\ntried('in.sock')\n"
        async with cage_in(here, sockets=allowed, tmp=tmp) as cage:
            _, output = await python(cage, script, here)

    reached = [line == "REACHED from host" for line in output.splitlines()]
    assert reached == [True, False, True, False, True, True], output


async def test_an_allowed_socket_in_run_is_there(workspace: Callable[[], Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make a socket in /run")
    directory = Path(f"/run/octavo-test-{os.getpid()}")
    directory.mkdir()
    here = workspace()
    try:
        with greeter(str(directory / "a.sock")), greeter(str(directory / "b.sock")):
            script = CONNECT + f"for x in 'ab': tried('/var/run/{directory.name}/' + x + '.sock')"
            async with cage_in(here, sockets=(directory / "a.sock",)) as cage:
                _, output = await python(cage, script, here)
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()

    assert output == "REACHED from host\nFileNotFoundError\n"


async def test_an_allowed_socket_that_is_made_anew_is_another_one(
    workspace: Callable[[], Path],
) -> None:
    here = workspace()
    path = here / "agent.sock"
    async with contextlib.AsyncExitStack() as stack:
        with greeter(str(path)):
            cage = await stack.enter_async_context(cage_in(here, sockets=(path,)))
            await cage.ready()
        path.unlink()
        with greeter(str(path)) as new:
            _, output = await python(cage, CONNECT + "tried('agent.sock')", here)
            assert (output, new.count) == ("PermissionError\n", 0)


async def test_swapping_paths_while_connecting_reaches_nothing(
    workspace: Callable[[], Path],
) -> None:
    """A path that is the cage's own socket now and the host's the next moment, and descriptors."""
    here = workspace()
    count = sample(3000, 600)
    script = f"""
import ctypes, os, socket, threading
own = socket.socket(socket.AF_UNIX); own.bind('own.sock'); own.listen(4096)
inet = socket.create_server(('127.0.0.1', 0))
os.symlink('own.sock', 'swapped'); os.symlink('rel.sock', 'other')
libc, done = ctypes.CDLL(None), []
host = b'\\1\\0' + b'rel.sock\\0'
memory = ctypes.create_string_buffer(host.ljust(110, b'\\0'))
fine = b'\\1\\0' + b'own.sock\\0'
fd = os.dup(0)
def swap():
    while not done:
        libc.renameat2(-100, b'swapped', -100, b'other', 2)
        ctypes.memmove(memory, fine, len(fine))
        ctypes.memmove(memory, host, len(host))
        with socket.socket(socket.AF_UNIX) as one, socket.socket() as two:
            os.dup2(one.fileno(), fd); os.dup2(two.fileno(), fd)
thread = threading.Thread(target=swap); thread.start()
connected = 0
for n in range({count}):
    with socket.socket(socket.AF_UNIX) as sock:
        try: sock.connect('swapped'); connected += 1
        except OSError: pass
    with socket.socket(socket.AF_UNIX) as sock:
        libc.connect(sock.fileno(), memory, 11)
    libc.connect(fd, host, len(host))
    if n % 64 == 0:
        own.setblocking(False)
        try:
            while True: own.accept()[0].close()
        except OSError: pass
done.append(1); thread.join()
print(connected > 0)
"""
    async with cage_in(here) as cage:
        await shell(cage, "true", here)
        with greeter("rel.sock", here) as host:
            _, output = await python(cage, script, here)
            assert output == "True\n"
            assert host.count == 0


async def test_many_threads_connect_at_once(workspace: Callable[[], Path]) -> None:
    here = workspace()
    script = """
import concurrent.futures, socket, threading, time
unix = socket.socket(socket.AF_UNIX); unix.bind('many.sock'); unix.listen(2000)
inet = socket.create_server(('127.0.0.1', 0), backlog=2000)
def serve(sock):
    while True: sock.accept()[0].close()
for sock in (unix, inet): threading.Thread(target=serve, args=(sock,), daemon=True).start()
def one(n):
    with socket.socket(socket.AF_UNIX if n % 2 else socket.AF_INET) as sock:
        sock.settimeout(None if n % 3 else 20)
        sock.connect('many.sock' if n % 2 else inet.getsockname())
with concurrent.futures.ThreadPoolExecutor(30) as pool:
    print(len(list(pool.map(one, range(1500)))))
"""
    async with cage_in(here) as cage:
        command = Command((sys.executable, "-c", script), here, ENV)
        ended, output = await finish(cage, command)

    assert (ended.code, output) == (0, "1500\n")


async def test_connections_that_wait_for_ever_do_not_stop_others_and_die_with_the_command(
    workspace: Callable[[], Path],
) -> None:
    here = workspace()
    script = """
import os, signal, socket, threading
full = socket.socket(socket.AF_UNIX); full.bind('full.sock'); full.listen(0)
def wait():
    socket.socket(socket.AF_UNIX).connect('full.sock')
for _ in range(40): threading.Thread(target=wait, daemon=True).start()
own = socket.socket(socket.AF_UNIX); own.bind('own.sock'); own.listen()
socket.socket(socket.AF_UNIX).connect('own.sock')
print('connected', flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    async with cage_in(here) as cage:
        for _ in range(3):
            ended, output = await python(cage, script, here)
            assert (ended.signal, output) == (9, "connected\n")
            for name in ("full.sock", "own.sock"):
                (here / name).unlink()


async def test_errors_are_those_of_the_kernel(workspace: Callable[[], Path]) -> None:
    here = workspace()
    script = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def called(fd, address, length=None):
    result = libc.connect(fd, address, len(address) if length is None else length)
    print(errno.errorcode[ctypes.get_errno()] if result else 'ok')
unix, inet = socket.socket(socket.AF_UNIX), socket.socket()
called(99, b'')
called(0, b'\\1\\0x\\0')
called(unix.fileno(), b'\\1\\0', 2)
called(unix.fileno(), b'\\1\\0' + b'x' * 200)
called(unix.fileno(), ctypes.c_void_p(8), 20)
called(unix.fileno(), b'\\2\\0' + b'x' * 14)
called(unix.fileno(), b'\\1\\0' + b'a' * 108)
called(inet.fileno(), b'\\2\\0\\0\\1\\x7f\\0\\0\\1' + bytes(8))
called(inet.fileno(), b'\\1\\0/x\\0' + bytes(20))
udp = socket.socket(type=socket.SOCK_DGRAM)
called(udp.fileno(), b'\\2\\0\\0\\1\\x7f\\0\\0\\1' + bytes(8))
called(udp.fileno(), bytes(16))
server = socket.create_server(('127.0.0.1', 0)); late = socket.socket(); late.setblocking(False)
print(late.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS))
"""
    async with cage_in(here) as cage:
        _, output = await python(cage, script, here)

    assert output.split() == [
        *("EBADF", "ENOTSOCK", "EINVAL", "EINVAL", "EFAULT", "EINVAL", "ENOENT"),
        *("ECONNREFUSED", "EAFNOSUPPORT", "ok", "ok", "True"),
    ]


_DISTURBED = """
import signal, socket
own = socket.socket(socket.AF_UNIX); own.bind('own.sock'); own.listen(4096)
inet = socket.create_server(('127.0.0.1', 0), backlog=4096)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for _ in range(1000):
    socket.socket(socket.AF_UNIX).connect('own.sock')
    socket.socket().connect(inet.getsockname())
signal.setitimer(signal.ITIMER_REAL, 0)
print('connected')
"""

_DISTURBED_CAGE = """
import sys
from pathlib import Path
import anyio
from octavo.sandbox import Command, Mode, Policy, open_sandbox
from octavo.sandbox.run import run_caged
async def main():
    where = Path(sys.argv[1])
    async with open_sandbox(Policy(Mode.WORKSPACE_WRITE, where)) as cage:
        command = Command((sys.executable, '-S', '-c', sys.argv[2]), where, {})
        report = await cage.ready()
        print(report.gaps, await run_caged(cage, command, timeout_s=60, limit_bytes=9999))
anyio.run(main)
"""


@pytest.mark.parametrize("kernel", ["this", "old"])
def test_signals_do_not_spoil_a_connection(kernel: str, workspace: Callable[[], Path]) -> None:
    restricted = str(Path(__file__).with_name("restricted_host.py"))
    restrict = [sys.executable, restricted, "old-questions"] if kernel == "old" else []
    argv = [*restrict, sys.executable, "-c", _DISTURBED_CAGE, str(workspace()), _DISTURBED]
    said = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout

    if "Unix sockets" in said or "Local servers" in said:
        skip_or_fail(said, "broker")
    assert said == "() (Exit(code=0, signal=None), b'connected\\n')\n"


async def test_without_its_broker_nothing_connects(workspace: Callable[[], Path]) -> None:
    here = workspace()
    script = """
import socket
own = socket.socket(socket.AF_UNIX); own.bind('own.sock'); own.listen()
server = socket.create_server(('127.0.0.1', 0))
for family, address in ((socket.AF_UNIX, 'own.sock'), (socket.AF_INET, server.getsockname())):
    try: print('REACHED', socket.socket(family).connect(address))
    except OSError as error: print(error.errno)
"""
    async with cage_in(here) as cage:
        keeper = cage._keeper  # type: ignore[attr-defined]  # no other way to the process
        _until(lambda: len(_children(keeper)) == 1)  # whoever made the zygote is gone, too
        (zygote,) = _children(keeper)
        broker = min(_children(zygote), key=_started_at)
        os.kill(broker, signal.SIGKILL)
        _until(lambda: _is_dead(broker))
        _, output = await python(cage, script, here)

    assert output == "38\n38\n"


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _started_at(pid: int) -> int:
    return int(_stat(pid)[19])


def _is_dead(pid: int) -> bool:
    try:
        return _stat(pid)[0] == "Z"
    except OSError:
        return True


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
