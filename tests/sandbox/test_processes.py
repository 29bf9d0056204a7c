"""Commands as their owner sees them: output, terminals, signals, and the end of everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Exit, Process, Sandbox
from octavo.sandbox.cage import guard
from octavo.sandbox.run import run_caged
from octavo.sandbox.uncaged import spawn_uncaged
from tests.sandbox.conftest import ENV, Machine, shell

pytestmark = pytest.mark.anyio

_DEADLINE_S = 20


def _bash(script: str, machine: Machine, tty: tuple[int, int] | None = None) -> Command:
    return Command(argv=("/bin/bash", "-c", script), cwd=machine.workspace, env=ENV, tty=tty)


async def _read_until(process: Process, text: bytes) -> bytes:
    output = b""
    with anyio.fail_after(_DEADLINE_S):
        while text not in output:
            data = await process.read()
            assert data, output
            output += data
    return output


async def _read_all(process: Process) -> bytes:
    output = b""
    while data := await process.read():
        output += data
    return output


@pytest.fixture(params=["caged", "outside"])
def spawn(request: pytest.FixtureRequest, cage: Sandbox) -> Callable[[Command], object]:
    """Start a command in the cage, or outside by a person's leave: the same promises hold."""
    return cage.spawn if request.param == "caged" else spawn_uncaged


Spawn = Callable[[Command], "anyio.abc.ObjectReceiveStream[Process]"]


async def test_an_exit_code_is_told(spawn, machine: Machine) -> None:
    process = await spawn(_bash("echo out; echo err >&2; exit 7", machine))

    assert await _read_all(process) == b"out\nerr\n"
    assert await process.wait() == Exit(code=7)
    assert await process.wait() == Exit(code=7)
    assert await process.kill() == Exit(code=7)


async def test_death_by_a_signal_is_told(spawn, machine: Machine) -> None:
    process = await spawn(_bash("kill -SEGV $$", machine))

    assert await process.wait() == Exit(signal=signal.SIGSEGV)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cwd": Path("/no/such/directory")}, "working directory"),
        ({"argv": ("no-such-program",)}, "no program no-such-program"),
        ({"argv": ("/etc/hostname",)}, "cannot be run"),
    ],
)
async def test_what_cannot_be_started_is_said(spawn, machine: Machine, change, text) -> None:
    import msgspec

    command = msgspec.structs.replace(_bash("true", machine), **change)

    with pytest.raises(SandboxError, match=text):
        await spawn(command)


_TERMINAL_PROGRAM = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
print(os.get_terminal_size(), flush=True)
print(os.ttyname(0), os.ttyname(1), os.ttyname(2), flush=True)
open('/dev/tty', 'w').write('direct')
signal.sigwait([signal.SIGWINCH])
print(os.get_terminal_size(), flush=True)
print(input('?'))
try:
    print('busy', flush=True)
    while True: pass
except KeyboardInterrupt:
    print('interrupted')
"""


async def test_a_terminal_is_a_real_one(spawn, machine: Machine) -> None:
    argv = (sys.executable, "-S", "-c", _TERMINAL_PROGRAM)
    process = await spawn(Command(argv=argv, cwd=machine.workspace, env=ENV, tty=(30, 100)))
    output = await _read_until(process, b"direct")
    assert b"columns=100, lines=30" in output
    assert output.count(b"/dev/pts/") == 3

    process.resize(40, 120)
    await _read_until(process, b"columns=120, lines=40")
    await process.write(b"typed\n")
    await _read_until(process, b"busy")
    process.interrupt()

    assert b"interrupted" in await _read_all(process)
    assert await process.wait() == Exit(code=0)


async def test_interrupting_a_python_prompt_raises_keyboard_interrupt_and_it_goes_on(
    spawn, machine: Machine
) -> None:
    argv = (sys.executable, "-S", "-i", "-q")
    process = await spawn(Command(argv=argv, cwd=machine.workspace, env=ENV, tty=(24, 80)))
    await _read_until(process, b">>> ")
    await process.write(b"while not print('ready'): [0 for _ in iter(int, 1)]\n\n")
    await _read_until(process, b"\r\nready")

    process.interrupt()
    await _read_until(process, b"KeyboardInterrupt")
    await process.write(b"print(6 * 7)\n")
    await _read_until(process, b"42")

    assert (await process.kill()).signal is not None


async def test_interrupting_a_command_without_a_terminal_reaches_its_whole_group(
    spawn, machine: Machine
) -> None:
    script = """
import os, signal
signal.signal(signal.SIGINT, lambda *_: None)
child = os.fork()
if not child:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.write(1, b"ready")
    signal.pause()
    os._exit(0)
if os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGINT:
    os.write(1, b"heard")
os._exit(3)
"""
    argv = (sys.executable, "-S", "-c", script)
    process = await spawn(Command(argv=argv, cwd=machine.workspace, env=ENV))
    await _read_until(process, b"ready")

    process.interrupt()

    assert b"heard" in await _read_all(process)
    assert await process.wait() == Exit(code=3)


async def test_typing_without_a_terminal_is_an_error(spawn, machine: Machine) -> None:
    process = await spawn(_bash("true", machine))

    with pytest.raises(SandboxError, match="no terminal"):
        await process.write(b"x")

    await process.kill()


_DAEMONS = (
    "for i in 1 2 3; do (setsid bash -c 'trap \"\" TERM HUP INT; exec -a {mark} sleep 1000' &); "
    "done; (exec -a {mark} sleep 1000) & (nohup bash -c 'exec -a {mark} sleep 1000' & ) ; "
)


def _alive(mark: str) -> int:
    found = subprocess.run(["pgrep", "-c", "-f", f"^{mark} "], stdout=subprocess.PIPE, check=False)
    return int(found.stdout)


async def _appear(mark: str, count: int) -> None:
    with anyio.fail_after(_DEADLINE_S):
        while _alive(mark) != count:
            await anyio.sleep(0.01)


async def test_nothing_lives_after_a_command_has_ended(spawn, machine: Machine) -> None:
    mark = f"left-{time.monotonic_ns()}"
    process = await spawn(_bash(_DAEMONS.format(mark=mark) + "sleep 0.3; echo done", machine))
    await _read_until(process, b"done")

    assert (await process.wait()).code == 0

    assert _alive(mark) == 0


async def test_nothing_lives_after_a_kill(spawn, machine: Machine) -> None:
    mark = f"killed-{time.monotonic_ns()}"
    process = await spawn(_bash(_DAEMONS.format(mark=mark) + "echo up; wait; sleep 1000", machine))
    await _read_until(process, b"up")
    await _appear(mark, 5)

    assert await process.kill() == Exit(signal=signal.SIGKILL)

    assert _alive(mark) == 0
    assert await _read_all(process) == b""


async def test_nothing_lives_of_a_command_whose_start_is_cancelled(spawn, machine: Machine) -> None:
    """Also when it runs already, and only the news of that has not come."""
    begun = machine.workspace / "begun"
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(spawn, _bash(f"sleep 1000 & echo $! $$ > {begun}; wait", machine))
            deadline = time.monotonic() + _DEADLINE_S
            while not (begun.exists() and begun.read_text()) and time.monotonic() < deadline:
                await anyio.lowlevel.checkpoint()
                time.sleep(0.02)  # nothing is heard of it meanwhile
            scope.cancel()

    assert scope.cancelled_caught
    assert begun.read_text()
    own = f"echo $! $$ > {begun}".encode()
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if own in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_cancelled_reader_and_waiter_leave_the_process_usable(
    spawn, machine: Machine
) -> None:
    process = await spawn(_bash("read -t 0.2 < <(sleep 9); echo late", machine))
    with anyio.move_on_after(0.01):
        await process.read()
    with anyio.move_on_after(0.01):
        await process.wait()

    assert await _read_until(process, b"late") == b"late\n"
    assert await process.wait() == Exit(code=0)


async def test_eight_commands_run_at_once(cage: Sandbox, machine: Machine) -> None:
    outputs: dict[int, str] = {}

    async def one(number: int) -> None:
        outputs[number] = (await shell(cage, f"echo {number}; sleep 0.05", machine.workspace))[1]

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(one, number)

    assert outputs == {number: f"{number}\n" for number in range(8)}


async def test_output_is_read_whole_and_memory_stays_small(cage: Sandbox, machine: Machine) -> None:
    process = await cage.spawn(_bash("head -c 50000000 /dev/zero", machine))
    before = _resident_kb()
    count = largest = 0
    while data := await process.read():
        count, largest = count + len(data), max(largest, len(data))
    await process.wait()

    assert count == 50_000_000
    assert largest <= 256 * 1024
    assert _resident_kb() - before < 5_000


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


async def test_a_bounded_run_keeps_the_beginning_and_ends_in_time(
    cage: Sandbox, machine: Machine
) -> None:
    ended, output = await run_caged(
        cage, _bash("yes | head -c 100000", machine), timeout_s=20, limit_bytes=10
    )
    assert (ended.code, output) == (0, b"y\ny\ny\ny\ny\n")

    with pytest.raises(SandboxError, match=r"did not end within 0\.2 s\."):
        await run_caged(cage, _bash("sleep 1000", machine), timeout_s=0.2, limit_bytes=10)


_SUPERVISOR = """
import sys
from pathlib import Path
import anyio
from octavo.sandbox import Command, Mode, Policy
from octavo.sandbox.caged import open_cage

async def main():
    where, tier, script = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    async with open_cage(Policy(mode=Mode.WORKSPACE_WRITE, cwd=where), (tier,)) as cage:
        env = {"PATH": "/usr/bin:/bin"}
        command = Command(argv=("/bin/bash", "-c", script), cwd=where, env=env)
        process = await cage.spawn(command)
        print((await process.read()).decode(), flush=True)
        await anyio.sleep(1000)

anyio.run(main)
"""


@pytest.mark.parametrize("moment", ["running", "starting"])
async def test_nothing_lives_and_nothing_is_left_when_octavo_is_killed(
    tier: str, cage: Sandbox, workspace: Callable[[], Path], moment: str
) -> None:
    await cage.ready()  # so that a tier that does not work here is skipped
    where = workspace()
    before = sorted(os.listdir(where))
    mark = f"orphan-{time.monotonic_ns()}"
    argv = [sys.executable, "-c", _SUPERVISOR, str(where), tier]
    supervisor = subprocess.Popen(
        [*argv, _DAEMONS.format(mark=mark) + "echo up; wait; sleep 1000"], stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    with supervisor:
        if moment == "running":
            assert supervisor.stdout.readline() == b"up\n"
            await _appear(mark, 5)
        else:
            os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOHANG)
            with anyio.fail_after(_DEADLINE_S):
                while sorted(os.listdir(where)) == before and tier == "namespaces":
                    await anyio.sleep(0.001)
        supervisor.send_signal(signal.SIGKILL)

    await _appear(mark, 0)
    with anyio.fail_after(_DEADLINE_S):
        while sorted(os.listdir(where)) != before:
            await anyio.sleep(0.01)


async def test_nothing_lives_when_octavo_is_killed_and_its_cages_keeper_before(
    tier: str, cage: Sandbox, workspace: Callable[[], Path]
) -> None:
    await cage.ready()
    mark = f"orphan-{time.monotonic_ns()}"
    argv = [sys.executable, "-c", _SUPERVISOR, str(workspace()), tier]
    supervisor = subprocess.Popen(
        [*argv, _DAEMONS.format(mark=mark) + "echo up; wait; sleep 1000"], stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    with supervisor:
        assert supervisor.stdout.readline() == b"up\n"
        await _appear(mark, 5)
        for keeper in guard.children(supervisor.pid):
            os.kill(keeper, signal.SIGKILL)
        supervisor.send_signal(signal.SIGKILL)

    await _appear(mark, 0)


async def test_pipes_of_the_caller_are_the_commands_own(cage: Sandbox, machine: Machine) -> None:
    (given, feed), (hear, heard), (hear_errors, errors) = os.pipe(), os.pipe(), os.pipe()
    os.write(feed, b"word\n")
    script = "read word; echo out $word; echo err >&2; ls /proc/self/fd | wc -l"
    command = Command(argv=("/bin/bash", "-c", script), cwd=machine.workspace, env=ENV,
                      stdio=(given, heard, errors))  # fmt: skip
    process = await cage.spawn(command)
    for fd in (given, heard, errors, feed):
        os.close(fd)

    assert await _read_all(process) == b""
    assert (await process.wait()).code == 0
    assert (os.read(hear, 100), os.read(hear_errors, 100)) == (b"out word\n4\n", b"err\n")
    assert os.read(hear, 100) == b""
    os.close(hear)
    os.close(hear_errors)


async def test_a_pipe_can_stand_beside_the_merged_output_or_a_terminal(
    cage: Sandbox, machine: Machine
) -> None:
    for tty, shown in ((None, b"err\n"), ((24, 80), b"err\r\n")):
        hear, heard = os.pipe()
        command = msgspec.structs.replace(
            _bash("echo out; echo err >&2", machine, tty), stdio=(None, heard, None)
        )
        process = await cage.spawn(command)
        os.close(heard)

        assert (await _read_all(process), os.read(hear, 100)) == (shown, b"out\n")
        await process.wait()
        os.close(hear)


@pytest.mark.parametrize("kind", ["file", "directory", "device", "terminal", "socket"])
async def test_nothing_but_a_pipe_can_be_handed_in(
    cage: Sandbox, machine: Machine, kind: str
) -> None:
    if kind == "terminal":
        ours, fd = os.openpty()
    elif kind == "socket":
        sock, other = socket.socketpair()
        ours, fd = sock.detach(), other.detach()
    else:
        paths = {"file": machine.outside / "precious", "directory": "/", "device": "/dev/zero"}
        ours, fd = os.open("/", os.O_RDONLY), os.open(paths[kind], os.O_RDONLY)
    command = msgspec.structs.replace(_bash("touch ran", machine), stdio=(fd, None, None))

    with pytest.raises(SandboxError, match="Only pipes"):
        await cage.spawn(command)

    os.close(fd)
    os.close(ours)
    assert not (machine.workspace / "ran").exists()
