"""The escape suite: ways out of the cage, each a script that tries, in tables by subject.

A way is Python that raises when the wall holds and ends normally when it got out. The tables are in
`writes`, `protected`, `network`, `processes`, `kernel`, `secrets` and `limits`; `machine` is what
they find around them, `attempt` tries them in a cage, and `machine` run as a program tries them
with no cage at all, to prove that they can get out.
"""

from __future__ import annotations

import msgspec

METADATA = "Mode, owner and times of your own files outside"
UNDONE = "Protected names such as .git are not read-only"
SEEN = "Other processes of this machine, and the names of hidden files, can be seen"


class Way(msgspec.Struct, frozen=True):
    """One way out."""

    name: str
    script: str
    gap: str = ""
    """The beginning of the gap by which the reduced tier declares that it cannot stop it."""
    canary: bool = True
    """With no cage, an ordinary user gets out this way; else it takes root, a certain kernel, or
    there is nothing to be had without a cage."""


def ways(*, gap: str = "", canary: bool = True, **scripts: str) -> tuple[Way, ...]:
    """Make ways of keyword arguments: the name with underscores, and the script."""
    return tuple(
        Way(name.replace("_", " "), script, gap, canary) for name, script in scripts.items()
    )


HEAD = """
import ctypes, errno, fcntl, mmap, os, resource, shutil, signal, socket, struct, sys, time
env = os.environ
OUT, WS, HOME = env['OUT'], env['WS'], env['HOME']
PORT, SOCK, ABSTRACT, VICTIM = int(env['PORT']), env['SOCK'], env['ABSTRACT'], int(env['VICTIM'])
X86 = os.uname().machine == 'x86_64'
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return result
def syscall(x86, arm, *args):
    return call(libc.syscall(ctypes.c_long(x86 if X86 else arm), *args))
def write(path, text='x', mode='w'):
    with open(path, mode) as file: file.write(text)
def read(path):
    with open(path, 'rb') as file: return file.read()
"""

DRIVER = """
import ctypes, errno, fcntl, mmap, os, resource, shutil, signal, socket, struct, sys, time
import json, traceback
cases = json.load(open(os.environ['CASES']))
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
