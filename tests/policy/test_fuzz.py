"""A denied command, hidden in every way there is: it is never allowed, and nothing breaks.

The second half asks bash: whatever it really ran must have been read, or the reading must have
said that it is not certain. Only a harmless stand-in is run, in a folder of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PosixPath
from random import Random

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from octavo import sandbox as cage
from octavo.policy import Command, Word
from octavo.policy.commands import read
from octavo.policy.decide import Allow, Ask, Call, Deny, Policy, decide
from octavo.policy.rules import Rules, parse
from octavo.protocol.errors import SandboxError
from tests.policy.hiding import hide, mangle

Sample = Callable[[int, int], int]

DENIED = [
    ["git", "push", "--force"],
    ["git", "-C", "sub", "push", "origin", "+main"],
    ["/usr/bin/git", "reset", "--hard"],
    ["rm", "-rf", "/"],
    ["rm", "-r", "--force", "../other"],
    ["dd", "if=/dev/zero", "of=/dev/sda"],
    ["zap", "--now"],
]
RULES = parse('prefix_rule(pattern=["zap", "--now"], decision="forbidden")', "x.rules")
NEVER = Policy("never", ("/home/me/work",))
ASKING = Policy("on-request", ("/home/me/work",))
EVERYTHING = Rules()


@pytest.mark.prove
def test_a_denied_command_is_never_allowed_however_it_is_hidden(sample: Sample) -> None:
    for seed in range(sample(100_000, 400)):
        random = Random(seed)
        argv = random.choice(DENIED)
        script = hide(random, argv)
        call = Call(script, "/home/me/work")

        answer = decide(call, RULES, NEVER)
        assert isinstance(answer, Deny), (seed, script)
        if seed % 8 == 0:
            assert not isinstance(decide(call, RULES, ASKING), Allow), (seed, script)


@pytest.mark.prove
def test_no_text_whatever_breaks_the_reader(sample: Sample) -> None:
    for seed in range(sample(100_000, 400)):
        random = Random(-seed - 1)
        script = hide(random, random.choice(DENIED))
        for _ in range(random.choice((1, 2, 5, 20))):
            script = mangle(random, script)

        answer = decide(Call(script, "/home/me/work"), RULES, ASKING)
        assert isinstance(answer, Allow | Ask | Deny)


# ---- What bash really runs -----------------------------------------------------------------

PROGRAMS = (
    "bash sh env xargs find timeout nice nohup setsid stdbuf cat base64 true echo wait".split()
)


class Stage(PosixPath):
    """A folder for bash, which runs in the sandbox: what mangled scripts do is nobody's guess."""

    bash: Callable[[str, Path, dict[str, str]], None]


async def _bash(sandbox: cage.Sandbox, script: str, cwd: Path, env: dict[str, str]) -> None:
    process = await sandbox.spawn(cage.Command(("/bin/bash", "-c", script), cwd, env))
    with anyio.move_on_after(10):
        while await process.read():
            pass
        await process.wait()
        return
    await process.kill()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A folder with a program `zap` that only notes how it was called, and few others."""
    stage = Stage(tmp_path_factory.mktemp("stage"))
    programs = stage / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        for place in ("/usr/bin", "/bin"):
            if os.path.exists(f"{place}/{name}") and not (programs / name).exists():
                (programs / name).symlink_to(f"{place}/{name}")
    zap = programs / "zap"
    zap.write_text('#!/bin/sh\nprintf "%s\\0" "$#" "$@" >> "$ZAPPED"\n')
    zap.chmod(0o755)
    policy = cage.Policy(cage.Mode.WORKSPACE_WRITE, stage, write_tmp=False, write_tmpdir=False)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(cage.open_sandbox(policy)) as sandbox,
    ):
        try:
            portal.call(sandbox.ready)
        except SandboxError as error:
            pytest.skip(f"bash is only let loose in the sandbox: {error}")
        stage.bash = partial(portal.call, _bash, sandbox)
        yield stage


def really_run(stage: Stage, number: int, script: str) -> list[list[str]]:
    """Return how bash called `zap` when it ran a script."""
    place = stage / f"run-{number}"
    place.mkdir()
    log = stage / f"log-{number}"
    limited = f"ulimit -t 2 -f 1000 -u 4000; exec timeout -k 1 3 bash -c {_quote(script)}"
    stage.bash(limited, place, {"PATH": str(stage / "bin"), "HOME": str(place), "ZAPPED": str(log)})
    if not log.exists():
        return []
    words = log.read_bytes().decode(errors="replace").split("\0")[:-1]
    calls = []
    while words:
        count = int(words[0])
        calls.append(words[1 : count + 1])
        words = words[count + 1 :]
    return calls


def _quote(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def covers(command: Command, argv: list[str]) -> bool:
    """Return whether a command that was read may be this call of `zap`."""
    return command.program == "zap" and _fits(list(command.argv[1:]), argv)


def _fits(words: list[Word], argv: list[str]) -> bool:
    if not words:
        return not argv
    first, rest = words[0], words[1:]
    if first.literal:
        return bool(argv) and first.text == argv[0] and _fits(rest, argv[1:])
    if first.one:
        return bool(argv) and _fits(rest, argv[1:])
    return any(_fits(rest, argv[count:]) for count in range(len(argv) + 1))


def compare(stage: Stage, number: int, script: str) -> bool:
    """Run a script and hold the reading to what happened; return whether anything did."""
    reading = read(script)
    calls = really_run(stage, number, script)
    if reading.certain:
        for argv in calls:
            assert any(covers(command, argv) for command in reading.commands), (script, argv)
    return bool(calls)


@pytest.mark.prove
@pytest.mark.parametrize("changed", [False, True], ids=["as hidden", "with characters changed"])
def test_whatever_bash_runs_was_read_or_was_not_certain(
    stage: Stage, sample: Sample, changed: bool
) -> None:
    count = sample(10_000, 150)

    def one(seed: int) -> bool:
        random = Random(seed * 2 + changed)
        script = hide(random, ["zap", "--now", "it's $HOME"], portable=True)
        if changed:
            script = mangle(random, script)
        return "\0" not in script and compare(stage, seed * 2 + changed, script)

    with ThreadPoolExecutor(2) as threads:
        ran = sum(threads.map(one, range(count)))

    # Otherwise the generator would not hide commands but lose them.
    assert ran > count * (0.2 if changed else 0.6)
