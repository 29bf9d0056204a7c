"""Which bubblewrap is used, and what a cage of its making cannot do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Mode, Network, Policy
from octavo.sandbox.cage import bubblewrap
from octavo.sandbox.caged import open_cage
from tests.sandbox.conftest import ENV, Machine, cage_on, finish, python, shell

_RESTRICT = str(Path(__file__).with_name("restricted_host.py"))


def _program(folder: Path, version: str) -> str:
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\necho 'bubblewrap {version}'\ntouch {folder}/was-run\n")
    path.chmod(0o755)
    return str(path)


def test_a_bubblewrap_that_others_may_change_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _program(tmp_path, "0.8.0")
    os.chmod(path, 0o757)
    monkeypatch.setattr(bubblewrap, "PROGRAMS", (path,))

    with pytest.raises(OSError, match="others than root may change it"):
        bubblewrap._find_program()
    monkeypatch.setattr(bubblewrap, "PROGRAMS", (str(tmp_path / "none"),))
    with pytest.raises(OSError, match="there is no"):
        bubblewrap._find_program()


@pytest.mark.parametrize("version", ["0.4.1", "0.7.9", ""])
def test_an_old_bubblewrap_is_not_used(version: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"bubblewrap 0\.8 or later is needed"):
        bubblewrap._check_version(_program(tmp_path, version))


@pytest.mark.parametrize("version", ["0.8.0", "0.11.0", "1.0.2"])
def test_a_newer_one_is(version: str, tmp_path: Path) -> None:
    bubblewrap._check_version(_program(tmp_path, version))


def test_a_bubblewrap_in_the_path_is_never_run(tmp_path: Path, machine: Machine) -> None:
    _program(tmp_path, "0.8.0")
    done = subprocess.run(
        [sys.executable, _RESTRICT, "only-bwrap", sys.executable, "-m", "octavo", "sandbox", "--",
         "true"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, cwd=machine.workspace,
        capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "was-run").exists()


@pytest.mark.anyio
async def test_a_socket_that_roots_commands_cannot_come_to_does_not_keep_the_cage_away(
    machine: Machine,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has others' files")
    folder = machine.home / "theirs"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "sock"))
        listener.listen()
        os.chown(folder, 65534, 65534)
        script = f"import socket; socket.socket(socket.AF_UNIX).connect('{folder}/sock')"
        async with cage_on(machine.workspace, "bubblewrap") as cage:
            _, output = await python(cage, script, machine.workspace)

    assert "PermissionError" in output


@pytest.mark.anyio
async def test_allowed_hosts_are_not_reached_and_that_is_said(machine: Machine) -> None:
    async with cage_on(
        machine.workspace, "bubblewrap", network=Network("hosts", ("127.0.0.1",))
    ) as cage:
        report = await cage.ready()
        script = f"exec 3<>/dev/tcp/127.0.0.1/{machine.port} && echo reached"
        _, output = await shell(cage, script, machine.workspace)

    assert any(gap.startswith("Allowed hosts cannot be reached") for gap in report.gaps)
    assert "reached" not in output.replace("unreached", "")


@pytest.mark.anyio
@pytest.mark.parametrize("tier", ["bubblewrap"], indirect=True)
async def test_only_the_programs_that_a_policy_names_can_be_started(
    tier: str, machine: Machine
) -> None:
    async with cage_on(machine.workspace, tier):
        pass
    programs = tuple(map(Path, ("/usr/bin/true", "/lib64", "/usr/lib64", "/lib", "/usr/lib")))
    policy = Policy(Mode.WORKSPACE_WRITE, machine.workspace, programs=programs)
    async with open_cage(policy, (tier,)) as cage:
        await cage.ready()
        ended, _ = await finish(cage, Command(("/usr/bin/true",), machine.workspace, ENV))
        with pytest.raises(SandboxError):
            await finish(cage, Command(("/usr/bin/env", "true"), machine.workspace, ENV))

    assert ended.code == 0


@pytest.mark.anyio
@pytest.mark.parametrize("tier", ["bubblewrap"], indirect=True)
async def test_a_private_tmp_is_each_commands_own_and_that_is_said(
    tier: str, machine: Machine
) -> None:
    policy = Policy(Mode.WORKSPACE_WRITE, machine.workspace, tmp="private")
    async with cage_on(machine.workspace, tier):
        pass
    async with open_cage(policy, (tier,)) as cage:
        report = await cage.ready()
        command = Command(
            argv=("/bin/sh", "-c", "ls /tmp; echo x > /tmp/octavo-private && cat /tmp/*"),
            cwd=machine.workspace,
            env=ENV,
        )
        outputs = [(await finish(cage, command))[1] for _ in range(2)]

    assert outputs == ["x\n", "x\n"]
    assert not Path("/tmp/octavo-private").exists()
    assert any("private temporary directory of its own" in gap for gap in report.gaps)
