"""A guard lets nothing of its command live, whatever dies while it looks."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, signal, socket, time
from octavo.sandbox.cage import abi, guard

abi.become_subreaper()
told, tell = os.pipe()
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
held = os.fork()
if held == 0:
    theirs.close()
    child = os.fork()
    if child == 0:
        time.sleep(60)
    os.write(tell, b"%d" % child)
    time.sleep(60)
theirs.close()
child = int(os.read(told, 20))

# A list that was read just before its first process died: its children are not in it yet.
look, looks = guard.descendants, []
def looked(pid):
    found = look(pid)
    looks.append(found)
    if len(looks) != 3:
        return found
    os.kill(held, signal.SIGKILL)
    while int(open(f"/proc/{child}/stat").read().split()[3]) != os.getpid():
        time.sleep(0.001)
    return [held]
guard.descendants = looked

guard.watch(held, ours, ours, lambda: None, lambda: None)
try:
    os.kill(child, signal.SIGKILL)
    print("alive")
except ProcessLookupError:
    print("gone")
"""


def test_a_child_whose_parent_dies_while_the_guard_looks_is_killed_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "gone\n", done.stderr
