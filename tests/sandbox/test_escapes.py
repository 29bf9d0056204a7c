"""Ways out of the cage, each tried for real, in each tier.

A case is Python that raises when the wall holds. A case that needs more than the reduced tier
promises runs in the full tier only; what that tier does instead is tested beside it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from octavo.sandbox import Sandbox
from tests.sandbox.conftest import Machine, python, shell

pytestmark = pytest.mark.anyio

_DRIVER = """
import ctypes, errno, fcntl, json, os, pty, signal, socket, struct, sys, traceback
cases = json.load(open(os.environ['WS'] + '/cases.json'))
init = os.getppid()
told = {}
for name, script in cases.items():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.alarm(10)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.closerange(3, 64)
        try:
            exec(script, {'__name__': 'case', 'INIT': init})
            os.write(1, b'ESCAPED')
        except BaseException:
            os.write(1, traceback.format_exc().encode())
        os._exit(0)
    os.close(writer)
    parts = []
    while part := os.read(reader, 65536):
        parts.append(part)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    told[name] = [b''.join(parts).decode('utf-8', 'replace'), status]
print(json.dumps(told))
"""

_HEAD = """
import ctypes, errno, fcntl, os, signal, socket, struct, sys
env = os.environ
OUT, WS, HOME = env['OUT'], env['WS'], env['HOME']
PORT, SOCK, ABSTRACT, VICTIM = int(env['PORT']), env['SOCK'], env['ABSTRACT'], int(env['VICTIM'])
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return result
def syscall(number, *args):
    return call(libc.syscall(ctypes.c_long(number), *args))
X86 = os.uname().machine == 'x86_64'
"""

ANYWHERE = {
    "write a new file outside": "open(OUT + '/new', 'w').close()",
    "append to a file outside": "open(OUT + '/precious', 'a').close()",
    "truncate a file outside": "os.truncate(OUT + '/precious', 0)",
    "remove a file outside": "os.unlink(OUT + '/precious')",
    "rename a file outside": "os.rename(OUT + '/precious', OUT + '/x')",
    "move a file out": "open(WS + '/m', 'w').close(); os.rename(WS + '/m', OUT + '/m')",
    "make a directory outside": "os.mkdir(OUT + '/d')",
    "make a link outside": "os.symlink('x', OUT + '/l')",
    "make a fifo outside": "os.mkfifo(OUT + '/f')",
    "write through a symbolic link": (
        "os.path.lexists(WS + '/s') or os.symlink(OUT, WS + '/s')\nopen(WS + '/s/new', 'w')"
    ),
    "write through a hard link": (
        "os.link(OUT + '/precious', WS + '/hard'); open(WS + '/hard', 'a')"
    ),
    "write through /proc/self/root": "open('/proc/self/root' + OUT + '/precious', 'a')",
    "write through /proc/1/root": "open('/proc/1/root' + OUT + '/precious', 'a')",
    "write through an open directory": (
        "d = os.open(OUT, os.O_RDONLY); os.open('precious', os.O_WRONLY, dir_fd=d)"
    ),
    "write in octavo's home": "open(HOME + '/.octavo/config.toml', 'w')",
    "write in the home": "open(HOME + '/.bashrc', 'a')",
    "read an ssh key": "open(HOME + '/.ssh/id_rsa').read()",
    "read cloud credentials": "open(HOME + '/.aws/credentials').read()",
    "read .netrc": "open(HOME + '/.netrc').read()",
    "read octavo's key": "open(HOME + '/.octavo/auth.json').read()",
    "read what the policy denies": "open(HOME + '/own-secret').read()",
    "read a secret through /proc/self/root": "open('/proc/self/root' + HOME + '/.netrc').read()",
    "read a secret through /proc/1/root": "open('/proc/1/root' + HOME + '/.netrc').read()",
    "link a secret in": "os.link(HOME + '/.netrc', WS + '/netrc'); open(WS + '/netrc').read()",
    "read password hashes": "open('/etc/shadow').read()",
    "open the disk": (
        "import glob\n"
        "disks = glob.glob('/dev/vd?') + glob.glob('/dev/sd?') + ['/dev/nvme0n1', '/dev/mem']\n"
        "opened = 0\n"
        "for disk in disks:\n"
        "    try: os.open(disk, os.O_RDONLY); opened += 1\n"
        "    except OSError: pass\n"
        "if not opened: raise OSError"
    ),
    "make a disk node": "os.mknod(WS + '/disk', 0o60600, os.makedev(254, 0)); open(WS + '/disk')",
    "connect to a port of the machine": "socket.create_connection(('127.0.0.1', PORT), 2)",
    "connect over IPv6": "socket.create_connection(('::ffff:127.0.0.1', PORT), 2)",
    "connect to a unix socket": "socket.socket(socket.AF_UNIX).connect(SOCK)",
    "connect to an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + ABSTRACT)",
    "make a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "make a packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "make a vsock": "socket.socket(40, socket.SOCK_STREAM)",
    "make a kernel crypto socket": "socket.socket(38, socket.SOCK_SEQPACKET)",
    "make an audit socket": "socket.socket(16, socket.SOCK_RAW, 9)",
    "reach another network": "socket.create_connection(('192.0.2.1', 80), 1)",
    "signal a bystander": "os.kill(VICTIM, 0)",
    "kill a bystander": "os.kill(VICTIM, 9)",
    "trace a bystander": "call(libc.ptrace(16, VICTIM, 0, 0))",
    "read a bystander's environment": (
        "assert b'bystander' in open(f'/proc/{VICTIM}/environ', 'rb').read()"
    ),
    "read a bystander's memory": "open(f'/proc/{VICTIM}/mem', 'rb').read(1)",
    "reach through a bystander's root": "os.listdir(f'/proc/{VICTIM}/root/')",
    "reach through a bystander's descriptors": "os.readlink(f'/proc/{VICTIM}/fd/0')",
    "trace the init": "call(libc.ptrace(16, INIT, 0, 0))",
    "read the init's memory": "open(f'/proc/{INIT}/mem', 'rb')",
    "use the init's descriptors": "os.readlink(f'/proc/{INIT}/fd/0')",
    "mount a tmpfs": "call(libc.mount(b'x', WS.encode(), b'tmpfs', 0, None))",
    "remount the root writable": "call(libc.mount(None, b'/', None, 32 | 4096, None))",
    "unmount a mask": "call(libc.umount2((HOME + '/.ssh').encode(), 2))",
    "make a user namespace": "call(libc.unshare(0x10000000))",
    "make a mount namespace": "call(libc.unshare(0x20000))",
    "make a namespace by clone": "syscall(56 if X86 else 220, 0x10000011, 0, 0, 0, 0)",
    "make a namespace by clone3": (
        "syscall(435, struct.pack('<8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64) or os._exit(7)"
    ),
    "enter a namespace of the init": (
        "fd = os.open(f'/proc/{INIT}/ns/mnt', 0); call(libc.setns(fd, 0))"
    ),
    "change the root directory": "os.chroot(WS)",
    "pivot the root": "syscall(155 if X86 else 41, WS.encode(), WS.encode())",
    "copy a mount": "syscall(428, -100, b'/', 1)",
    "change mount attributes": (
        "syscall(442, -100, b'/', 0x8000, struct.pack('<4Q', 0, 1, 0, 0), 32)"
    ),
    "open by handle": "syscall(304 if X86 else 265, -100, bytes(24), 0)",
    "load a kernel program": "syscall(321 if X86 else 280, 0, bytes(128), 128)",
    "watch performance events": "syscall(298 if X86 else 241, bytes(112), 0, -1, -1, 0)",
    "use a keyring": "syscall(250 if X86 else 219, 0, -3, 1)",
    "set up an io_uring": "syscall(425, 8, bytes(120))",
    "handle page faults": "syscall(323 if X86 else 282, 1)",
    "take a descriptor of another process": "syscall(438, os.pidfd_open(INIT), 0, 0)",
    "set the host name": "socket.sethostname(socket.gethostname())",
    "write /proc/sys": (
        "v = open('/proc/sys/kernel/hostname').read()\n"
        "open('/proc/sys/kernel/hostname', 'w').write(v)"
    ),
    "write core_pattern": (
        "v = open('/proc/sys/kernel/core_pattern').read()\n"
        "open('/proc/sys/kernel/core_pattern', 'w').write(v)"
    ),
    "trigger sysrq": "open('/proc/sysrq-trigger', 'w')",
    "write /sys": "open('/sys/kernel/mm/transparent_hugepage/enabled', 'w')",
    "plant a set-user-id file": (
        "open(WS + '/suid', 'w').close(); os.chmod(WS + '/suid', 0o4755)"
    ),
    "create a set-user-id file": "os.open(WS + '/suid2', os.O_CREAT | os.O_WRONLY, 0o4755)",
    "fake a key press": (
        "import pty; m, s = pty.openpty(); fcntl.ioctl(s, 0x5412, b'x')"
    ),
    "use another program's System V memory": (
        "number = int(env['SHM'])\n"
        "libc.shmat.restype = ctypes.c_void_p\n"
        "if libc.shmat(number, None, 0) == ctypes.c_void_p(-1).value: raise OSError"
    ),
    "limit a bystander": (
        "import resource; resource.prlimit(VICTIM, resource.RLIMIT_CPU, (1, 1))"
    ),
    "gain privileges": (
        "status = open('/proc/self/status').read()\n"
        "if 'NoNewPrivs:\\t1' in status and 'CapEff:\\t0000000000000000' in status: raise OSError"
    ),
    "inherit a descriptor": (
        "extra = [f for f in os.listdir('/proc/self/fd') if int(f) > 3]\n"
        "if not extra: raise OSError"
    ),
    "inherit octavo's environment": "env['OCTAVO_HOME']",
}  # fmt: skip

FULL_TIER = {
    "change a file's mode outside": "os.chmod(OUT + '/precious', 0o777)",
    "change a file's times outside": "os.utime(OUT + '/precious', (0, 0))",
    "set an attribute outside": "os.setxattr(OUT + '/precious', 'user.x', b'1')",
    "see a bystander": "os.stat(f'/proc/{VICTIM}')",
    "list secrets' names": "assert os.listdir(HOME + '/.ssh')",
    "write git's config": "open(WS + '/.git/config', 'a')",
    "make a git hook": "open(WS + '/.git/hooks/pre-commit', 'w')",
    "replace .git": "os.rename(WS + '/.git', WS + '/git')",
    "link .git elsewhere": "os.symlink(OUT, WS + '/.git/hooks/x')",
    "change .git's mode": "os.chmod(WS + '/.git', 0o777)",
    "change .mcp.json": "open(WS + '/.mcp.json', 'w')",
    "replace .mcp.json": (
        "open(WS + '/new', 'w').close(); os.rename(WS + '/new', WS + '/.mcp.json')"
    ),
    "remove .mcp.json": "os.unlink(WS + '/.mcp.json')",
    "make a missing .envrc": "open(WS + '/.envrc', 'w')",
    "make something in a missing .claude": (
        "os.makedirs(WS + '/.claude', exist_ok=True); open(WS + '/.claude/settings.json', 'w')"
    ),
    "remove a placeholder": "os.rmdir(WS + '/.codex')",
    "make another octavo folder": (
        "os.makedirs(WS + '/.octavo', exist_ok=True); open(WS + '/.octavo/config.toml', 'w')"
    ),
    "write a nested repository's config": "open(WS + '/sub/nested/.git/config', 'a')",
    "make a nested repository's hook": "open(WS + '/sub/nested/.git/hooks/post-checkout', 'w')",
    "move a nested repository's ancestor": "os.rename(WS + '/sub', WS + '/moved')",
    "move the nested repository": "os.rename(WS + '/sub/nested', WS + '/n')",
    "move the workspace": "os.rename(WS, WS + '-moved')",
    "use System V memory of the machine": (
        "if len(open('/proc/sysvipc/shm').readlines()) == 1: raise OSError"
    ),
    "write in /run": "open('/run/x', 'w')",
    "write in /dev": "open('/dev/x', 'w')",
}  # fmt: skip


def _assert_untouched(machine: Machine) -> None:
    precious = machine.outside / "precious"
    assert precious.read_text() == "precious"
    assert precious.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(machine.outside) == ["precious"]
    os.kill(machine.bystander, 0)


@pytest.fixture(scope="session")
async def outcomes(cage: Sandbox, tier: str, machine: Machine) -> dict[str, tuple[str, int]]:
    """Try every way out, each in a process of its own, and return what it said."""
    cases = ANYWHERE | (FULL_TIER if tier == "namespaces" else {})
    scripts = {name: _HEAD + script for name, script in cases.items()}
    (machine.workspace / "cases.json").write_text(json.dumps(scripts))
    _, output = await python(cage, _DRIVER, machine.workspace, machine.env())
    return dict(json.loads(output))


def _assert_refused(outcome: tuple[str, int], machine: Machine) -> None:
    said, status = outcome
    assert "ESCAPED" not in said
    assert status == 0, said
    last = said.strip().rpartition("\n")[2]
    assert last.startswith(
        ("OSError", "PermissionError", "FileNotFoundError", "ConnectionRefusedError",
         "ProcessLookupError", "AssertionError", "KeyError", "FileExistsError", "TimeoutError",
         "RuntimeError", "IsADirectoryError")
    ), said  # fmt: skip
    _assert_untouched(machine)


@pytest.mark.parametrize("way", ANYWHERE)
async def test_a_command_cannot(
    way: str, outcomes: dict[str, tuple[str, int]], machine: Machine
) -> None:
    _assert_refused(outcomes[way], machine)


@pytest.mark.parametrize("tier", ["namespaces"], indirect=True)
@pytest.mark.parametrize("way", FULL_TIER)
async def test_in_the_full_tier_a_command_cannot(
    way: str, outcomes: dict[str, tuple[str, int]], machine: Machine
) -> None:
    _assert_refused(outcomes[way], machine)


@pytest.mark.parametrize("tier", ["landlock"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "echo x >> .git/config",
        "echo '#!/bin/sh' > .git/hooks/pre-commit",
        "rm -rf .git/hooks; ln -s /etc .git/hooks",
        "mv .git moved && mkdir .git && echo bad > .git/config",
        "rm .mcp.json; mkdir .mcp.json; touch .mcp.json/x",
        "mkdir .claude; echo '{}' > .claude/settings.json",
        "echo x > .envrc; ln -s /etc/passwd .idea",
        "(sleep 100; echo late >> .git/config) & echo x > .git/commondir",
    ],
)
async def test_in_the_reduced_tier_damage_to_protected_names_is_undone(
    damage: str, cage: Sandbox, machine: Machine
) -> None:
    before = _protected(machine.workspace)

    await shell(cage, damage, machine.workspace)

    assert _protected(machine.workspace) == before
    assert not (machine.workspace / "moved").exists()


def _protected(workspace: Path) -> dict[str, str]:
    """Return what is at the protected names: content by path."""
    found: dict[str, str] = {}
    for name in (".git", ".mcp.json", ".claude", ".envrc", ".idea", ".codex"):
        top = workspace / name
        for path in [top, *sorted(top.rglob("*"))] if top.is_dir() else [top]:
            if path.is_symlink() or path.exists():
                inside = str(path.relative_to(workspace))
                found[inside] = path.read_text(errors="replace") if path.is_file() else "."
    return found


async def test_a_swapped_link_never_leads_a_write_out(cage: Sandbox, machine: Machine) -> None:
    script = """
import os, threading
ws, out = os.environ['WS'], os.environ['OUT']
os.makedirs(ws + '/race/real', exist_ok=True)
def flip():
    for n in range(1000):
        os.symlink(out, ws + f'/race/l{n % 2}')
        os.rename(ws + f'/race/l{n % 2}', ws + '/race/d')
        os.symlink(ws + '/race/real', ws + '/race/l')
        os.rename(ws + '/race/l', ws + '/race/d')
thread = threading.Thread(target=flip)
thread.start()
wrote = 0
while thread.is_alive():
    try:
        with open(ws + '/race/d/new', 'w'): wrote += 1
    except OSError: pass
thread.join()
print('wrote', wrote > 0)
"""
    _, output = await python(cage, script, machine.workspace, machine.env())

    assert "wrote True" in output
    _assert_untouched(machine)


@pytest.mark.parametrize("tier", ["namespaces"], indirect=True)
async def test_a_command_has_a_limited_number_of_processes(cage: Sandbox, machine: Machine) -> None:
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    if release < (6, 14):
        pytest.skip("this kernel counts processes for the whole machine")
    script = """
import _thread
_thread.stack_size(65536)
lock = _thread.allocate_lock()
lock.acquire()
for _ in range(5000):
    _thread.start_new_thread(lock.acquire, ())
"""
    _, output = await python(cage, script, machine.workspace)

    assert "can't start new thread" in output
