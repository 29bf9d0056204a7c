"""What the host does, or holds, while a cage stands: it must not open a wall or hang octavo."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import FileChangeRefused, Mode, Policy, Write
from octavo.sandbox.caged import open_cage
from octavo.sandbox.outside import Outside
from octavo.sandbox.policy import octavo_home, orders_for
from tests.sampling import sample
from tests.sandbox.conftest import Machine, cage_on, python, shell
from tests.tiers import machine_has

pytestmark = pytest.mark.anyio


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of another, as editors and login commands do."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap"])
async def test_a_secret_that_is_replaced_or_made_later_stays_hidden(
    tier: str, machine: Machine, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    later = machine.home / ".config" / "gh"
    shutil.rmtree(later, ignore_errors=True)
    async with cage_on(folder, tier) as cage:
        _, before = await shell(cage, f"cat {machine.home}/.netrc", folder)
        _replace(machine.home / ".netrc", "the secret")
        _, replaced = await shell(cage, f"cat {machine.home}/.netrc", folder)
        later.mkdir(parents=True)
        (later / "hosts.yml").write_text("the secret")
        _, made = await shell(cage, f"cat {later}/hosts.yml", folder)

    assert [text for text in (before, replaced, made) if "the secret" in text] == []


async def test_a_secret_that_is_made_while_a_cage_is_made_is_hidden(
    machine: Machine, workspace: Callable[[], Path]
) -> None:
    later = machine.home / ".config" / "gh"
    shutil.rmtree(later, ignore_errors=True)
    replaced = machine.home / ".netrc"
    _replace(replaced, "mine")
    policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=workspace())
    outside = Outside(orders_for(policy))
    later.mkdir(parents=True)
    _replace(replaced, "mine, too")
    outside.begin([])

    hide, _ = outside.news()
    assert {str(later), str(replaced)} <= set(hide)


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap"])
async def test_a_secret_that_is_removed_and_made_anew_stays_hidden(
    tier: str, machine: Machine, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    secret, held = machine.home / ".netrc", folder / ".mcp.json"
    _replace(held, "mine")
    said: list[str] = []
    async with cage_on(folder, tier) as cage:
        for number in range(3):
            said.append((await shell(cage, f"cat {secret}; echo evil > .mcp.json", folder))[1])
            secret.unlink()
            secret.write_text(f"the secret {number}")  # in place of the other, to the file system
            held.unlink()
            held.write_text("mine")
        said.append((await shell(cage, f"cat {secret}; grep -c netrc /proc/mounts", folder))[1])

    assert [text for text in said if "the secret" in text] == []
    assert held.read_text() == "mine"


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap"])
async def test_a_protected_file_that_is_replaced_stays_read_only(
    tier: str,
    workspace: Callable[[], Path],
) -> None:
    folder = workspace()
    nested = folder / "sub" / "nested"
    async with cage_on(folder, tier) as cage:
        await shell(cage, "true", folder)
        _replace(folder / ".mcp.json", "mine")
        subprocess.run(["git", "config", "core.pager", "cat"], cwd=nested, check=True)
        config = (nested / ".git" / "config").read_text()
        await shell(cage, "echo evil > .mcp.json; echo evil >> sub/nested/.git/config", folder)

    assert (folder / ".mcp.json").read_text() == "mine"
    assert (nested / ".git" / "config").read_text() == config


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap", "landlock"])
async def test_logs_of_threads_are_hidden_and_full_outputs_are_not(
    tier: str, workspace: Callable[[], Path]
) -> None:
    home, folder = Path(octavo_home()), workspace()
    (home / "sessions").mkdir(parents=True, exist_ok=True)
    (home / "sessions" / "other.jsonl").write_text("the secret")
    async with cage_on(folder, tier) as cage:
        (home / "outputs" / "thread").mkdir(parents=True, exist_ok=True)
        (home / "outputs" / "thread" / "call.log").write_text("the output")
        script = f"cat {home}/sessions/other.jsonl {home}/outputs/thread/call.log"
        _, output = await shell(cage, script, folder)

    assert "the secret" not in output
    assert "the output" in output


@pytest.mark.parametrize(
    ("tier", "pointer"),
    [
        (tier, pointer)
        for tier in ("namespaces", "bubblewrap", "landlock")
        for pointer in ("pipe", "link to a pipe", "gitdir: a\0b", "gitdir: ../../..")
        if (tier, pointer) != ("bubblewrap", "link to a pipe")
    ],
)
async def test_a_strange_pointer_to_a_git_directory_neither_hangs_nor_opens_anything(
    tier: str, pointer: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    shutil.rmtree(folder / ".git")
    if "pipe" in pointer:
        os.mkfifo(folder / ("pipe" if "link" in pointer else ".git"))
        if "link" in pointer:
            (folder / ".git").symlink_to("pipe")
    else:
        (folder / ".git").write_text(pointer)
    with anyio.fail_after(20):
        async with cage_on(folder, tier) as cage:
            _, output = await shell(cage, f"echo works; echo evil > {folder.parent}/evil", folder)

    assert "works" in output
    assert not (folder.parent / "evil").exists()


async def test_bubblewrap_which_cannot_hold_a_link_in_its_place_refuses_one_to_a_git_directory(
    workspace: Callable[[], Path],
) -> None:
    if not machine_has("bubblewrap"):
        pytest.skip("no bubblewrap here")
    folder = workspace()
    shutil.rmtree(folder / ".git")
    os.mkfifo(folder / "pipe")
    (folder / ".git").symlink_to("pipe")
    with anyio.fail_after(20):
        async with open_cage(Policy(Mode.WORKSPACE_WRITE, folder), ("bubblewrap",)) as cage:
            with pytest.raises(SandboxError, match="cannot hold the symbolic link"):
                await cage.ready()


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap", "landlock"])
async def test_a_file_that_turns_into_a_pipe_does_not_hang_a_change(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    flip = """
import os, time
end = time.time() + 4
while time.time() < end:
    with open('new', 'w') as file: file.write('before')
    os.rename('new', 'file')
    os.mkfifo('pipe')
    os.rename('pipe', 'file')
"""
    async with cage_on(folder, tier) as cage, anyio.create_task_group() as group:
        group.start_soon(python, cage, flip, folder)
        with anyio.fail_after(20):
            for _ in range(60):
                with contextlib.suppress(FileChangeRefused):
                    await cage.change([Write(folder / "file", b"after!", before=b"before")])
        group.cancel_scope.cancel()


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap", "landlock"])
async def test_many_names_of_one_large_file_are_not_read_again_and_again(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    (folder / "large").write_bytes(bytes(1 << 20))
    paths = [folder / f"link{number}" for number in range(50)]
    for path in paths:
        path.symlink_to("large")
    async with cage_on(folder, tier) as cage:
        states = await cage.look(paths, limit_bytes=1 << 20)

    assert sum(len(state.data) for state in states) <= 4 << 20
    assert {state.kind for state in states} == {"file", "unreadable"}


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap", "landlock"])
async def test_when_memory_runs_out_commands_go_before_octavo(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    async with cage_on(folder, tier) as cage:
        _, output = await shell(cage, "cat /proc/self/oom_score_adj", folder)

    assert int(output) >= 500
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500


_RESOLVER = """
import os, socket, subprocess, sys
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs("/run/systemd/resolve")
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/systemd/resolve/io.systemd.Resolve")
listener.listen()
listener.set_inheritable(True)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


async def test_the_resolver_of_the_machine_cannot_be_asked(workspace: Callable[[], Path]) -> None:
    """Its socket lies in the one part of /run that a cage sees, and it would ask any name."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can stage a machine with that resolver")
    folder = workspace()
    name = "/run/systemd/resolve/io.systemd.Resolve"
    inner = f"""
import anyio, sys
from pathlib import Path
from tests.sandbox.conftest import cage_on, python
async def main():
    script = "import socket; socket.socket(socket.AF_UNIX).connect({name!r}); print('escaped')"
    async with cage_on(Path({str(folder)!r}), "namespaces") as cage:
        print((await python(cage, script, Path({str(folder)!r})))[1])
anyio.run(main)
"""
    argv = ["unshare", "-m", sys.executable, "-c", _RESOLVER, "-c", inner]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert "PermissionError" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize("tier", ["namespaces", "bubblewrap"])
async def test_sockets_that_come_and_go_do_not_end_the_cage(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    script = """
import os, socket, time
while True:
    with socket.socket(socket.AF_UNIX) as it:
        it.bind('fleeting.sock')
        it.listen()
        time.sleep(0.0002)
        os.unlink('fleeting.sock')
"""
    count = sample(1000, 150) if tier == "namespaces" else sample(100, 10)
    with subprocess.Popen([sys.executable, "-c", script], cwd=folder.parent) as other:
        try:
            async with cage_on(folder, tier) as cage:
                outputs = [await shell(cage, "echo ran", folder) for _ in range(count)]
        finally:
            other.kill()

    assert {output for _, output in outputs} == {"ran\n"}
