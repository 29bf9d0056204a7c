"""The same tools in the real sandbox: what it refuses, what it ends, and what a flood costs."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.tools.plain_hands import PlainHands, until
from tests.tools.test_commands import call, output, read_until, session_id

from octavo.sandbox import (
    FileChange,
    FileState,
    Mode,
    Policy,
    Process,
    Sandbox,
    open_sandbox,
)
from octavo.tools import Permit
from octavo.tools.login_env import capture_login_env
from octavo.tools.sessions import CommandSessions

pytestmark = pytest.mark.anyio


class CagedHands(PlainHands):
    """Hands whose every effect goes into a cage."""

    cage: Sandbox

    async def spawn(self, permit: Permit) -> Process:
        assert not permit.outside
        return await self.cage.spawn(permit.command)

    async def look(self, paths: Sequence[Path]) -> list[FileState]:
        return await self.cage.look(paths)

    async def change(self, changes: Sequence[FileChange], *, granted: Sequence[Path] = ()) -> None:
        assert not granted
        await self.cage.change(changes)


@asynccontextmanager
async def caged(cwd: Path) -> AsyncIterator[CagedHands]:
    policy = Policy(Mode.WORKSPACE_WRITE, cwd, write_tmp=False, write_tmpdir=False)
    async with open_sandbox(policy) as cage, CommandSessions() as sessions:
        hands = CagedHands(sessions, cwd)
        hands.cage = cage
        yield hands


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    return project


async def test_a_command_runs_and_what_it_may_not_do_is_explained(project: Path) -> None:
    async with caged(project) as hands:
        made = await call(hands, cmd="echo hi | tee made; exit 3")
        refused = await call(hands, cmd=f"touch {project.parent}/outside")
        patched = await call(
            hands,
            cmd="apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: made\n@@\n-hi\n+ho\n"
            "*** End Patch\nEOF",
        )
        escape = await call(
            hands,
            cmd="apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: ../outside\n+x\n"
            "*** End Patch\nEOF",
        )
    assert output(made) == "hi\n"
    assert "Process exited with code 3\n" in made.content
    assert f"Note: probably the sandbox: files may be changed only in {project}." in refused.content
    assert patched.ok
    assert (project / "made").read_text() == "ho\n"
    assert f"{project.parent}/outside may not be changed" in escape.content
    assert not (project.parent / "outside").exists()


async def test_a_protected_name_is_named_as_such_whether_it_is_there_or_not(project: Path) -> None:
    (project / ".vscode").mkdir()
    async with caged(project) as hands:
        touched = await call(hands, cmd="touch .vscode/x")
        outcomes = [
            await call(
                hands,
                "apply_patch",
                input=f"*** Begin Patch\n*** Add File: {name}\n+x\n*** End Patch",
            )
            for name in (".envrc", ".vscode/x")
        ]
    assert "Note: probably the sandbox: .vscode is kept read-only." in touched.content
    assert [outcome.content.split(" Nobody")[0] for outcome in outcomes] == [
        f"{project}/.envrc may not be changed: .envrc is kept read-only.",
        f"{project}/.vscode/x may not be changed: .vscode is kept read-only.",
    ]


async def test_there_is_no_network_and_the_model_is_told(project: Path) -> None:
    script = (
        "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)"  # documentation net
    )
    async with caged(project) as hands:
        outcome = await call(hands, cmd=f'python3 -c "{script}"')
    assert "Note: commands in the sandbox have no network." in outcome.content


async def test_a_missing_directory_and_a_missing_shell_are_named(project: Path) -> None:
    async with caged(project) as hands:
        missing = await call(hands, cmd="ls", workdir="src/deep")
        shell = await call(hands, cmd="ls", shell="/no/such/zsh")
    assert missing.content == (
        f"The working directory {project}/src/deep does not exist; {project} does. Nothing was run."
    )
    assert "There is no program /no/such/zsh." in shell.content


async def test_sessions_work_in_a_cage(project: Path) -> None:
    async with caged(project) as hands:
        script = 'trap "echo stopped; exit 1" INT; read name; echo "hello $name"; cat'
        started = await call(hands, cmd=script, tty=True, yield_time_ms=1)
        number = session_id(started)
        typed = await call(hands, "write_stdin", session_id=number, chars="Ada\n")
        await read_until(hands, typed, number, "hello Ada\n")
        stopped = await call(
            hands, "write_stdin", session_id=number, chars="\x03", yield_time_ms=20_000
        )
        script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"
        plain = await call(hands, cmd=script, yield_time_ms=1)
        await read_until(hands, plain, session_id(plain), "ready\n")
        caught = await call(
            hands,
            "write_stdin",
            session_id=session_id(plain),
            chars="\x03",
            yield_time_ms=20_000,
        )
    assert output(stopped) == "^Cstopped\n"
    assert (output(caught), "exited with code 7" in caught.content) == ("caught\n", True)


async def test_what_a_command_leaves_behind_is_gone_with_it(project: Path) -> None:
    os.mkfifo(project / "held")
    fd = os.open(project / "held", os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with caged(project) as hands:
            outcome = await call(hands, cmd="exec 3>held; echo x >&3; sleep 100 & echo started")
            assert os.read(fd, 10) == b"x\n"
            assert os.read(fd, 10) == b""  # nobody holds the other end any more
    finally:
        os.close(fd)
    assert output(outcome) == "started\n"


async def test_an_interrupted_call_is_gone_at_once(project: Path) -> None:
    async with caged(project) as hands:
        async with anyio.create_task_group() as group:
            script = "touch begun; sleep 2; touch late"
            group.start_soon(lambda: call(hands, cmd=script))
            await until((project / "begun").exists)
            group.cancel_scope.cancel()
        with anyio.fail_after(2):
            await hands.sessions.kill_calls([hands.call_id])
        assert not hands.sessions._sessions


async def test_the_login_environment_is_read_in_the_cage(project: Path) -> None:
    home = project.parent / "home"
    home.mkdir()
    (home / ".bash_profile").write_text(
        f"touch {home}/escaped; export GREETING=hello; echo noise\n"
    )
    async with caged(project) as hands:
        env = {"HOME": str(home), "SHELL": "/bin/bash"}
        captured = await capture_login_env(hands.cage, env, project.parent / "cache")
    assert captured["GREETING"] == "hello"
    assert not (home / "escaped").exists()


async def test_a_flood_of_output_is_kept_in_a_file_and_costs_little(project: Path) -> None:
    async with caged(project) as hands:
        await call(hands, cmd="echo warm")
        before = resource.getrusage(resource.RUSAGE_SELF)
        flood = await call(
            hands, cmd="yes 'a line of some output' | head -c 200000000", yield_time_ms=30_000
        )
        after = resource.getrusage(resource.RUSAGE_SELF)
        alive = await call(hands, cmd="echo alive")
    [kept] = hands.kept
    assert kept.stat().st_size == 200_000_000
    kept.unlink()
    assert re.search(r"\[… [\d,]+ lines \([\d,]+ tokens\) left out here", output(flood))
    assert output(alive) == "alive\n"
    assert after.ru_maxrss - before.ru_maxrss < 10_000, "KiB"
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu_s < 4  # measured: under 1 on an idle machine
