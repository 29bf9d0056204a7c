"""A machine to escape into: a home with secrets, listeners, a bystander. Standard library only.

Run as a program it is a canary: it reads cases as JSON on standard input, tries each with no cage
on a machine of its own, and prints what came of it. Only for an ordinary user with nothing to lose.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator

READY_FOR_CASES = (fcntl, mmap, resource, struct)
"""Imported once, not by each case."""

SECRETS = (
    ".ssh/id_rsa", ".aws/credentials", ".netrc", ".octavo/auth.json", ".octavo/sessions/thread",
    ".octavo/index/threads.sqlite", ".octavo/archived_sessions/thread",
    "own-secret", ".config/gh/hosts.yml", ".docker/config.json", ".kube/config",
    ".gnupg/private-keys-v1.d/key", ".git-credentials", ".npmrc", ".pypirc", ".bash_history",
    ".codex/auth.json", ".claude/.credentials.json", ".mozilla/firefox/logins.json",
)  # fmt: skip


class Machine:
    """What lies around a workspace."""

    def __init__(self, root: str) -> None:
        self.home = os.path.join(root, "home")
        self.outside = os.path.join(self.home, "outside")
        self.workspace = os.path.join(self.home, "work", "project")
        self.evil_twin = self.workspace + "-evil"
        self.bystander = 0
        self.env: dict[str, str] = {}

    def damage(self) -> list[str]:
        """Return what is not as it was outside of the workspace."""
        precious = os.path.join(self.outside, "precious")
        found: list[str] = []
        if _names(self.outside) != ["folder", "precious"]:
            found.append(f"files outside: {_names(self.outside)}")
        if _read(precious) != "precious":
            found.append("the content of a file outside")
        if _names(self.evil_twin):
            found.append("a folder whose name begins like the workspace's")
        for name in SECRETS:
            if _read(os.path.join(self.home, name)) != "the secret":
                found.append(f"the secret in {name}")
        try:
            os.kill(self.bystander, 0)
        except OSError:
            found.append("the bystander")
        return found

    def state(self) -> dict[str, str]:
        """Return everything that a case can have changed."""
        found = {"damage": " ".join(self.damage())}
        for place, folders, files in os.walk(self.home):
            for entry in (*folders, *files):
                path = os.path.join(place, entry)
                state = os.lstat(path)
                found[path] = f"{state.st_mode} {state.st_ino} {state.st_mtime_ns}"
        with open(f"/proc/{self.bystander}/stat", encoding="ascii") as file:
            found["bystander"] = " ".join(file.read().split()[2:3])
        return found

    def settings(self) -> dict[str, str]:
        """Return what of that the reduced tier promises to put back: not what git commits."""
        inside = ("/.git/HEAD", "/.git/objects", "/.git/refs", "/sub/")
        return {path: text for path, text in self.protected().items()
                if not any(part in path for part in inside)}  # fmt: skip

    def protected(self) -> dict[str, str]:
        """Return what is at the protected names: content by path."""
        found: dict[str, str] = {}
        for name in (".git", ".mcp.json", ".vscode", "sub/nested/.git"):
            top = os.path.join(self.workspace, name)
            for place, folders, files in [*os.walk(top)] or [(self.workspace, [], [name])]:
                for entry in (*folders, *files):
                    path = os.path.join(place, entry)
                    found[path] = _read(path) if os.path.isfile(path) else "."
        missing = (".octavo", ".agents", ".codex", ".claude", ".idea", ".envrc")
        return found | {name: "there" for name in missing
                        if os.path.lexists(os.path.join(self.workspace, name))}  # fmt: skip


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return [f"unreadable: {error.strerror}"]


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _repository(path: str) -> None:
    for name in ("hooks", "info", "objects", "refs/heads"):
        os.makedirs(os.path.join(path, ".git", name))
    _write(os.path.join(path, ".git/HEAD"), "ref: refs/heads/main\n")
    _write(os.path.join(path, ".git/config"), "[core]\n\trepositoryformatversion = 0\n")


@contextlib.contextmanager
def a_machine(root: str) -> Iterator[Machine]:
    """Make a machine in `root`; its listeners and its bystander are gone afterwards."""
    machine = Machine(root)
    for name in SECRETS:
        _write(os.path.join(machine.home, name), "the secret")
    _write(os.path.join(machine.outside, "precious"), "precious")
    os.mkdir(os.path.join(machine.outside, "folder"))
    os.makedirs(machine.evil_twin)
    for place in (machine.workspace, os.path.join(machine.workspace, "sub", "nested")):
        _repository(place)
    _write(os.path.join(machine.workspace, ".mcp.json"), "{}")
    _write(os.path.join(machine.workspace, ".vscode/settings.json"), "{}")
    _write(os.path.join(machine.workspace, "file"), "content")
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        threading.Thread(target=_echo, args=(datagrams,), daemon=True).start()
        stack.callback(_stop_echo, datagrams.getsockname())
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        # In the workspace, so that nothing but the mask keeps a command away from it.
        named.bind(os.path.join(machine.workspace, "host.sock"))
        named.listen()
        letters = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        letters.bind(os.path.join(machine.workspace, "host.dgram"))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        name = f"octavo-escape-{os.path.basename(root)}-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        bystander = stack.enter_context(
            subprocess.Popen(["sleep", "1000"], env={"PATH": "/usr/bin:/bin", "MARK": "bystander"})
        )
        stack.callback(bystander.kill)
        machine.bystander = bystander.pid
        libc = ctypes.CDLL(None)
        segment = libc.shmget(0, 4096, 0o1600)
        stack.callback(libc.shmctl, segment, 0, None)
        machine.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": machine.home,
            "OUT": machine.outside,
            "WS": machine.workspace,
            "SOCK": os.path.join(machine.workspace, "host.sock"),
            "DGRAM": os.path.join(machine.workspace, "host.dgram"),
            "ABSTRACT": name,
            "PORT": str(stream.getsockname()[1]),
            "UDP": str(datagrams.getsockname()[1]),
            "VICTIM": str(bystander.pid),
            "SHM": str(segment),
        }
        yield machine


_STOP = b"stop"


def _echo(sock: socket.socket) -> None:
    while True:
        data, sender = sock.recvfrom(64)
        if data == _STOP:
            return
        sock.sendto(data, sender)


def _stop_echo(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(_STOP, address)


def try_all(cases: dict[str, str]) -> dict[str, str]:
    """Try each case uncaged and return what it said; damage done by one is not seen by the next."""
    said: dict[str, str] = {}
    left = list(cases)
    while left:
        root = tempfile.mkdtemp(prefix="octavo-canary-", dir="/var/tmp")
        try:
            with a_machine(root) as machine:
                before = machine.state()
                while left and machine.state() == before:
                    name = left.pop(0)
                    said[name] = _try(cases[name], machine)
        finally:
            for place, folders, _ in os.walk(root):
                for folder in folders:
                    with contextlib.suppress(OSError):
                        os.chmod(os.path.join(place, folder), 0o700)
            shutil.rmtree(root, ignore_errors=True)
    return said


def _try(script: str, machine: Machine) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_case(script, machine, writer)
    os.close(writer)
    said = b""
    while part := os.read(reader, 65536):
        said += part
    os.close(reader)
    os.waitpid(child, 0)
    return said.decode("utf-8", "replace")


def _be_case(script: str, machine: Machine, writer: int) -> None:
    try:
        signal.alarm(10)
        os.setsid()
        os.environ.clear()
        os.environ.update(machine.env)
        os.chdir(machine.workspace)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        exec(script, {"__name__": "case", "INIT": os.getppid()})  # what it is for
        os.write(1, b"ESCAPED")
    except BaseException:  # noqa: BLE001  # whatever it was, it is told
        os.write(1, traceback.format_exc().encode())
    finally:
        os._exit(0)


def main() -> None:
    if os.geteuid() == 0:
        sys.exit("This is only for an ordinary user.")
    cases = json.load(sys.stdin)
    print(json.dumps(try_all(cases)))


if __name__ == "__main__":
    main()
