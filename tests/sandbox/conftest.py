"""A machine to escape into: a home with secrets, listeners, a bystander; and cages on it.

Everything is real and out of the cage's reach by policy. One cage a tier serves the tests that
only try things; a tier that does not work here is skipped, and the reason printed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from octavo.protocol.errors import SandboxError
from octavo.sandbox import OFF, Command, Exit, Mode, Network, Policy, Sandbox
from octavo.sandbox.caged import open_cage
from octavo.sandbox.run import run_caged
from tests.tiers import skip_or_fail

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
TIERS = ("namespaces", "bubblewrap", "landlock")


class Machine(msgspec.Struct, frozen=True):
    """What the tests find around a workspace."""

    home: Path
    outside: Path
    workspace: Path
    unix_socket: Path
    abstract_socket: str
    port: int
    bystander: int
    shared_memory: int = 0
    """A System V segment that another program has made."""

    def env(self) -> dict[str, str]:
        return ENV | {
            "HOME": str(self.home),
            "OUT": str(self.outside),
            "WS": str(self.workspace),
            "SOCK": str(self.unix_socket),
            "ABSTRACT": self.abstract_socket,
            "PORT": str(self.port),
            "VICTIM": str(self.bystander),
            "SHM": str(self.shared_memory),
        }


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One loop for the cages that are shared."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _private_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.fixture(params=TIERS, scope="session")
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    home = Path(os.environ["HOME"])
    for secret in (".ssh/id_rsa", ".aws/credentials", ".netrc", ".octavo/auth.json", "own-secret"):
        path = home / secret
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the secret")
    outside = home / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    workspace = make_workspace(home / "work" / "project")
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        # In the workspace, so that nothing but the mask keeps a command away from it.
        named.bind(str(workspace / "host.sock"))
        named.listen()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        name = f"octavo-test-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        bystander = stack.enter_context(
            subprocess.Popen(["sleep", "1000"], env=ENV | {"MARK": "bystander-secret"})
        )
        stack.callback(bystander.kill)
        libc = ctypes.CDLL(None)
        segment = libc.shmget(0, 4096, 0o1600)
        stack.callback(libc.shmctl, segment, 0, None)
        yield Machine(
            home=home,
            outside=outside,
            workspace=workspace,
            unix_socket=workspace / "host.sock",
            abstract_socket=name,
            port=stream.getsockname()[1],
            bystander=bystander.pid,
            shared_memory=segment,
        )


def make_workspace(path: Path) -> Path:
    """Make a git repository with a nested one and a few protected files."""
    path.mkdir(parents=True)
    for repository in (path, path / "sub" / "nested"):
        repository.mkdir(exist_ok=True, parents=True)
        subprocess.run(["git", "init", "-q", str(repository)], check=True, stdin=subprocess.DEVNULL)
    (path / ".git" / "hooks").mkdir(exist_ok=True)
    (path / ".mcp.json").write_text("{}")
    (path / "file").write_text("content")
    return path


@pytest.fixture(scope="session")
async def cage(tier: str, machine: Machine) -> AsyncIterator[Sandbox]:
    """A cage that the tests of one tier share."""
    async with cage_on(machine.workspace, tier, deny_read=(machine.home / "own-secret",)) as cage:
        yield cage


@contextlib.asynccontextmanager
async def cage_on(
    workspace: Path,
    *tiers: str,
    mode: Mode = Mode.WORKSPACE_WRITE,
    network: Network = OFF,
    deny_read: tuple[Path, ...] = (),
) -> AsyncIterator[Sandbox]:
    """Open a cage, or skip the test where the mechanism does not work."""
    policy = Policy(mode=mode, cwd=workspace, network=network, deny_read=deny_read)
    async with open_cage(policy, tiers) as sandbox:
        try:
            await sandbox.ready()
        except SandboxError as error:
            skip_or_fail(error, *tiers)
        yield sandbox


async def shell(
    sandbox: Sandbox, script: str, cwd: Path, env: dict[str, str] | None = None
) -> tuple[Exit, str]:
    """Run a shell script to its end."""
    command = Command(argv=("/bin/bash", "-c", script), cwd=cwd, env=env or ENV)
    return await finish(sandbox, command)


async def python(
    sandbox: Sandbox, script: str, cwd: Path, env: dict[str, str] | None = None
) -> tuple[Exit, str]:
    """Run a Python script to its end."""
    command = Command(argv=(sys.executable, "-S", "-c", script), cwd=cwd, env=env or ENV)
    return await finish(sandbox, command)


async def finish(sandbox: Sandbox, command: Command) -> tuple[Exit, str]:
    ended, output = await run_caged(sandbox, command, timeout_s=30, limit_bytes=1 << 20)
    return ended, output.decode("utf-8", "replace")


@pytest.fixture
def workspace() -> Callable[[], Path]:
    """Make workspaces that no other test uses, outside /tmp."""
    root = Path(os.environ["HOME"]) / "workspaces"

    def make() -> Path:
        root.mkdir(exist_ok=True)
        return make_workspace(root / f"{len(list(root.iterdir()))}")

    return make
