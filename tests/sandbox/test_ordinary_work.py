"""What people do all day works in the cage."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from octavo.sandbox import OPEN, Command, Sandbox
from tests.sandbox.conftest import ENV, Machine, cage_on, python, shell

pytestmark = pytest.mark.anyio
full_tier = pytest.mark.parametrize("tier", ["namespaces"], indirect=True)


async def test_files_in_the_workspace_and_in_tmp_can_be_written(
    cage: Sandbox, machine: Machine
) -> None:
    script = "echo one > new && mkdir -p d/e && mv new d/e/ && cat d/e/new && rm -r d && mktemp"
    ended, output = await shell(cage, script, machine.workspace)

    assert (ended.code, output[:9]) == (0, "one\n/tmp/")


async def test_a_command_sees_its_arguments_directory_environment_and_umask(
    cage: Sandbox, machine: Machine
) -> None:
    command = Command(
        argv=("/bin/sh", "-c", 'echo "$0" "$1" "$A"; pwd; umask; cat', "zero", "o n é"),
        cwd=machine.workspace / "sub",
        env=ENV | {"A": "value"},
    )
    process = await cage.spawn(command)
    output = b""
    while data := await process.read():
        output += data

    assert output.decode() == f"zero o n é value\n{machine.workspace}/sub\n0022\n"
    assert (await process.wait()).code == 0


async def test_a_very_large_environment_and_argument_arrive(
    cage: Sandbox, machine: Machine
) -> None:
    env = ENV | {f"V{n}": "x" * 1000 for n in range(300)}
    command = Command(argv=("/bin/sh", "-c", "env | wc -c; echo ${#0}", "y" * 100_000),
                      cwd=machine.workspace, env=env)  # fmt: skip
    process = await cage.spawn(command)
    output = b""
    while data := await process.read():
        output += data
    await process.wait()

    size, length = map(int, output.split())
    assert size > 300_000
    assert length == 100_000


@full_tier
async def test_local_servers_work_and_the_next_command_reaches_them(
    cage: Sandbox, machine: Machine
) -> None:
    server = """
import socket
listener = socket.create_server(('127.0.0.1', 8123))
print('up', flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b'hello')
    connection.close()
"""
    argv = (sys.executable, "-S", "-c", server)
    process = await cage.spawn(Command(argv=argv, cwd=machine.workspace, env=ENV))
    assert await process.read() == b"up\n"
    client = "import socket; print(socket.create_connection(('localhost', 8123)).recv(9))"

    _, output = await python(cage, client, machine.workspace)

    assert output == "b'hello'\n"
    assert (await process.kill()).signal == 9


@full_tier
async def test_unix_sockets_threads_and_new_processes_work_in_python(
    cage: Sandbox, machine: Machine
) -> None:
    script = """
import asyncio, multiprocessing, os, socket
def double(x): return x * 2
async def main():
    server = await asyncio.start_unix_server(lambda r, w: w.close(), 'own.sock')
    reader, writer = await asyncio.open_unix_connection('own.sock')
    assert await reader.read() == b''
    return await asyncio.to_thread(lambda: 'thread')
if __name__ == '__main__':
    print(asyncio.run(main()))
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(double, [1, 2]))
"""
    (machine.workspace / "work.py").write_text(script)
    _, output = await shell(cage, f"{sys.executable} work.py", machine.workspace)

    assert output == "thread\nfork [2, 4]\nspawn [2, 4]\nforkserver [2, 4]\n"


async def test_git_can_be_read(cage: Sandbox, machine: Machine) -> None:
    env = ENV | {"HOME": str(machine.home), "GIT_OPTIONAL_LOCKS": "0"}
    script = "git status --short file && git diff && git log 2>&1 | head -1; git rev-parse HEAD"
    _, output = await shell(cage, script, machine.workspace, env)

    assert "?? file" in output
    assert "not a git repository" not in output


async def test_a_program_may_trace_its_own_children(cage: Sandbox, machine: Machine) -> None:
    script = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    assert libc.ptrace(0, 0, 0, 0) == 0
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(3)
_, status = os.waitpid(child, 0)
assert os.WIFSTOPPED(status)
assert libc.ptrace(7, child, 0, 0) == 0
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    _, output = await python(cage, script, machine.workspace)

    assert output == "3\n"


async def test_devices_and_standard_input_are_what_they_should_be(
    cage: Sandbox, machine: Machine
) -> None:
    script = (
        "echo x > /dev/null; head -c3 /dev/zero | wc -c; head -c3 /dev/urandom | wc -c;"
        "cat; echo err >&2; echo $(( $(ls /proc/self/fd | wc -l) ))"
    )
    ended, output = await shell(cage, script, machine.workspace)

    assert (ended.code, output) == (0, "3\n3\nerr\n4\n")


async def test_a_read_only_policy_lets_nothing_be_written(
    tier: str, workspace: Callable[[], Path]
) -> None:
    from octavo.sandbox import Mode

    where = workspace()
    async with cage_on(where, tier, mode=Mode.READ_ONLY) as cage:
        script = "cat file; echo x > file; echo x > /tmp/octavo-test-x"
        _, output = await shell(cage, script, where)

    assert output.startswith("content")
    assert (where / "file").read_text() == "content"
    assert os.listdir(where) == os.listdir(where)
    assert not Path("/tmp/octavo-test-x").exists()
    assert not (where / ".claude").exists()


async def test_with_the_network_on_the_machine_is_reached_but_not_its_unix_sockets(
    tier: str, machine: Machine
) -> None:
    script = """
import os, socket
print(socket.create_connection(('127.0.0.1', int(os.environ['PORT']))))
for address in (os.environ['SOCK'], '\\0' + os.environ['ABSTRACT']):
    try: print('REACHED', socket.socket(socket.AF_UNIX).connect(address))
    except OSError: pass
"""
    async with cage_on(machine.workspace, tier, network=OPEN) as cage:
        _, output = await python(cage, script, machine.workspace, machine.env())

    assert "<socket.socket" in output
    assert "REACHED" not in output


@full_tier
async def test_a_socket_the_machine_opens_later_is_masked_too(
    cage: Sandbox, machine: Machine
) -> None:
    import socket

    script = "import socket; socket.socket(socket.AF_UNIX).connect('late.sock')"
    with socket.socket(socket.AF_UNIX) as late:
        late.bind(str(machine.workspace / "late.sock"))
        late.listen()
        outputs = [(await python(cage, script, machine.workspace))[1] for _ in range(5)]

    assert all("PermissionError" in output for output in outputs), outputs
