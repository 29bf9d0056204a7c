"""The cages of many threads: real ones, in fewer places than there are threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from octavo.agent.cages import Cages
from octavo.agent.network import Blocks
from octavo.agent.yard import Yard
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Mode, Network, Policy, Sandbox

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def yard(places: int, patience_s: float = 60) -> AsyncIterator[Yard]:
    made = Yard(places, patience_s=patience_s)
    try:
        with anyio.fail_after(60):
            yield made
    finally:
        with anyio.CancelScope(shield=True):
            await made.close()


@asynccontextmanager
async def threads(it: Yard, count: int) -> AsyncIterator[list[Cages]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Cages(None, Blocks(), it)) for _ in range(count)]


def policy(cwd: Path, **more: object) -> Policy:
    return Policy(Mode.WORKSPACE_WRITE, cwd, **more)  # type: ignore[arg-type]  # its fields


async def run(cage: Sandbox, script: str, cwd: Path) -> str:
    process = await cage.spawn(Command(("/bin/sh", "-c", script), cwd, {"PATH": "/usr/bin:/bin"}))
    said = b""
    while part := await process.read():
        said += part
    await process.wait()
    return said.decode()


async def test_all_threads_get_their_turn_and_never_are_there_more_cages_than_places(
    workspace: Path,
) -> None:
    said: list[str] = []
    most = 0

    async def work(thread: Cages, number: int) -> None:
        nonlocal most
        thread.turn_begins()
        cage = await thread.open(policy(workspace))
        for _ in range(2):
            said.append(await run(cage, f"echo {number}", workspace))
            most = max(most, it.count)
        thread.turn_ended()

    async with yard(6) as it, threads(it, 14) as all_, anyio.create_task_group() as group:
        for number, thread in enumerate(all_):
            group.start_soon(work, thread, number)

    assert sorted(said) == sorted(f"{number}\n" for number in range(14) for _ in range(2))
    assert most <= 6


_ASK = """
from urllib.error import HTTPError
from urllib.request import urlopen
for name in ("given.invalid", "other.invalid"):
    try:
        urlopen(f"http://{name}/", timeout=20)
    except HTTPError as error:
        print(error.code)
"""


async def test_a_cage_that_gave_up_its_place_is_there_again_as_it_was(workspace: Path) -> None:
    hosts = policy(workspace, network=Network("hosts"))
    (workspace / "ask.py").write_text(_ASK)
    async with yard(1) as it, threads(it, 2) as (one, other):
        first = await one.open(hosts)
        before = await first.ready()
        first.allow_hosts("given.invalid")
        asked = await run(first, f"{sys.executable} ask.py", workspace)
        second = await other.open(policy(workspace))
        assert await run(second, "echo 2", workspace) == "2\n"
        kept = first.report
        again = await run(first, f"{sys.executable} ask.py", workspace)

    assert kept == before
    assert len(set(asked.split())) == 2  # it is not there, and may not be asked for
    assert again == asked


async def test_a_cage_in_which_something_runs_keeps_its_place_and_stops_nobody(
    workspace: Path,
) -> None:
    async with yard(1, patience_s=0.05) as it, threads(it, 2) as (one, other):
        first = await one.open(policy(workspace))
        command = ("/bin/sh", "-c", "echo on; exec sleep 1000")
        running = await first.spawn(Command(command, workspace, {"PATH": "/usr/bin:/bin"}))
        assert await running.read() == b"on\n"
        second = await other.open(policy(workspace))
        assert await run(second, "echo 2", workspace) == "2\n"
        assert it.count == 2
        assert (await running.kill()).signal == 9


async def test_the_files_of_a_private_tmp_are_not_lost(workspace: Path) -> None:
    private = policy(workspace, tmp="private")
    async with yard(1, patience_s=0.05) as it, threads(it, 2) as (one, other):
        first = await one.open(private)
        await run(first, "echo kept > /tmp/file", workspace)
        second = await other.open(policy(workspace))
        assert await run(second, "echo 2", workspace) == "2\n"
        assert await run(first, "cat /tmp/file", workspace) == "kept\n"


async def test_a_thread_in_its_turn_keeps_its_cage(workspace: Path) -> None:
    async with yard(1, patience_s=0.05) as it, threads(it, 2) as (one, other):
        one.turn_begins()
        first = await one.open(policy(workspace))
        await first.ready()
        second = await other.open(policy(workspace))
        await second.ready()
        assert it.count == 2
        one.turn_ended()
        async with threads(it, 1) as (third,):
            cage = await third.open(policy(workspace))
            assert await run(cage, "echo 3", workspace) == "3\n"
            assert it.count == 1


async def test_a_thread_that_ends_while_it_waits_starts_nothing(workspace: Path) -> None:
    async with yard(1) as it, threads(it, 1) as (one,):
        one.turn_begins()
        await (await one.open(policy(workspace))).ready()
        refused: list[str] = []

        async def wait(cage: Sandbox) -> None:
            try:
                await cage.ready()
            except SandboxError as error:
                refused.append(str(error))

        async with anyio.create_task_group() as group, threads(it, 1) as (other,):
            group.start_soon(wait, await other.open(policy(workspace)))
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        assert "closing" in refused[0]
        assert it.count == 1


async def test_without_the_process_that_forks_keepers_each_is_started(workspace: Path) -> None:
    async with yard(20) as it, threads(it, 8) as all_:
        said = []
        for number, thread in enumerate(all_):
            said.append(await run(await thread.open(policy(workspace)), "echo x", workspace))
            if number == 5:
                assert it.nursery is not None
                os.kill(it.nursery.pid, signal.SIGKILL)

    assert said == ["x\n"] * 8


_SUPERVISOR = """
import sys
from pathlib import Path
import anyio
from tests.agent.test_yard import policy, threads, yard
from octavo.sandbox import Command

async def main():
    here = Path(sys.argv[1])
    async with yard(20) as it, threads(it, 7) as all_:
        for thread in all_:
            cage = await thread.open(policy(here))
            command = ("/bin/sh", "-c", "exec sleep " + sys.argv[2])
            await cage.spawn(Command(command, here, {"PATH": "/usr/bin:/bin"}))
        print("up", it.nursery is not None, flush=True)
        await anyio.sleep(1000)

anyio.run(main)
"""


async def test_nothing_lives_and_nothing_is_left_when_octavo_is_killed(workspace: Path) -> None:
    before = sorted(os.listdir(workspace))
    mark = f"1000.{time.monotonic_ns()}"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR, str(workspace), mark],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"up True\n"
        assert _running(mark) == 7
        supervisor.send_signal(signal.SIGKILL)
    with anyio.fail_after(20):
        while _running(mark) or sorted(os.listdir(workspace)) != before:
            await anyio.sleep(0.01)


def _running(mark: str) -> int:
    """How many processes have `mark` as their last argument."""
    found = 0
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        found += words[0] != os.fsencode(sys.executable) and words[-1] == mark.encode()
    return found
