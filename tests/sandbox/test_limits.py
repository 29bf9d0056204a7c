"""Real bombs and hogs meet the limits, and ordinary work does not notice them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Limits, Mode, Policy, Sandbox
from octavo.sandbox.caged import open_cage
from tests.sandbox.conftest import python, shell
from tests.tiers import skip_or_fail

pytestmark = pytest.mark.anyio


async def _run(
    cwd: Path, limits: Limits, script: str, *tiers: str, run: Callable[..., object] = python
) -> tuple[int | None, int | None, str]:
    policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=cwd, limits=limits)
    async with open_cage(policy, tiers or ("namespaces", "landlock")) as cage:
        try:
            await cage.ready()
        except SandboxError as error:
            skip_or_fail(error, *(tiers or ("namespaces", "landlock")))
        ended, output = await run(cage, script, cwd)
    return ended.code, ended.signal, output


_FORK_UNTIL_REFUSED = """
import os, signal
count = 0
try:
    while count < 5000:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError as error:
    print(count, error.strerror)
"""


async def test_a_fork_bomb_stops_at_the_limit_and_the_next_command_runs(
    workspace: Callable[[], Path],
) -> None:
    cwd = workspace()
    policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=cwd, limits=Limits(pids=600))
    async with open_cage(policy, ("namespaces",)) as cage:
        await _ready(cage)
        _, said = await python(cage, _FORK_UNTIL_REFUSED, cwd)
        _, bomb = await shell(cage, "b() { b | b & }; ulimit -c 0; b 2> /dev/null; echo on", cwd)
        ended, output = await shell(cage, "echo calm", cwd)

    count, _, why = said.partition(" ")
    assert 100 < int(count) < 601
    assert "unavailable" in why or "memory" in why
    assert "on" in bomb
    assert (ended.code, output) == (0, "calm\n")


async def _ready(cage: Sandbox) -> None:
    try:
        await cage.ready()
    except SandboxError as error:
        skip_or_fail(error, "namespaces")


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
async def test_a_process_gets_no_more_memory_than_it_may(
    tier: str, workspace: Callable[[], Path]
) -> None:
    script = "kept = bytearray(300 << 20); print(len(kept))"
    little, enough = Limits(memory_bytes=200 << 20), Limits(memory_bytes=600 << 20)

    _, _, refused = await _run(workspace(), little, script, tier)
    _, _, allowed = await _run(workspace(), enough, script, tier)

    assert "MemoryError" in refused
    assert allowed == f"{300 << 20}\n"


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
async def test_a_file_grows_no_larger_than_it_may(tier: str, workspace: Callable[[], Path]) -> None:
    cwd = workspace()
    await _run(cwd, Limits(file_size_bytes=1 << 20), "yes > large", tier, run=shell)

    assert (cwd / "large").stat().st_size == 1 << 20


async def test_a_process_ends_when_its_processor_time_is_up(workspace: Callable[[], Path]) -> None:
    script = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_DFL)\nwhile True: pass"

    _, signal, _ = await _run(workspace(), Limits(cpu_s=1), script)

    assert signal == 24  # SIGXCPU


async def test_no_process_opens_more_files_or_raises_a_limit(
    workspace: Callable[[], Path],
) -> None:
    script = """
import resource
files, opened = resource.getrlimit(resource.RLIMIT_NOFILE), []
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
except (ValueError, OSError) as error:
    print("refused")
try:
    while True:
        opened.append(open("/dev/null"))
except OSError:
    print(files, len(opened) < 100)
"""
    _, _, output = await _run(workspace(), Limits(open_files=100), script)

    assert output == "refused\n(100, 100) True\n"


async def test_the_defaults_are_in_the_way_of_nobody(workspace: Callable[[], Path]) -> None:
    cwd = workspace()
    (cwd / "main.c").write_text("int main(void) { return 0; }\n")
    script = "truncate -s 20G sparse && rm sparse && echo sparse;"
    if shutil.which("node"):
        script += "node -e 'new ArrayBuffer(2 ** 31); console.log(1)' > /dev/null && echo node;"
    if shutil.which("gcc") and _has_sanitizer(cwd):
        script += "./main && echo sanitizer"

    _, _, output = await _run(cwd, Limits(), script, run=shell)

    assert output.split() == [word for word in ("sparse", "node", "sanitizer") if word in script]


def _has_sanitizer(cwd: Path) -> bool:
    argv = ["gcc", "-fsanitize=address", "main.c", "-o", "main"]
    return subprocess.run(argv, cwd=cwd, capture_output=True).returncode == 0


async def test_without_a_sandbox_there_are_no_limits(workspace: Callable[[], Path]) -> None:
    cwd = workspace()
    limits = Limits(open_files=100, file_size_bytes=1)
    policy = Policy(mode=Mode.DANGER_FULL_ACCESS, cwd=cwd, limits=limits)
    async with open_cage(policy, ("none",)) as cage:
        _, output = await shell(cage, "ulimit -f; echo more > made; cat made", cwd)

    assert output.endswith("more\n")
