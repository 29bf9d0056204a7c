"""A process that has loaded what a keeper needs, and becomes one whenever it is asked, by a fork.

Where many cages are opened, that saves each the start of a Python, and the memory of it. It runs no
command and reads nothing but the supervisor's words, whose socket is all it holds; when that ends,
so does it, and its keepers by theirs.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import gc
import os

from . import bpf, command, words
from . import main as keeper

_SOCKET_FD = 3
_REAP_EVERY_S = 1.0


def main() -> None:
    """Serve the supervisor at the other end of descriptor 3 until it is gone."""
    os.setsid()
    os.closerange(_SOCKET_FD + 1, os.sysconf("SC_OPEN_MAX"))
    for sig in (command.SIGINT, command.SIGTERM, command.SIGHUP):
        _signal.signal(sig, _signal.SIG_IGN)
    sock = _socket.socket(fileno=_SOCKET_FD)
    os.set_inheritable(_SOCKET_FD, False)
    sock.settimeout(_REAP_EVERY_S)
    bpf.program(inet=True, unix=True, brokered=True)  # once for all cages, which find it made
    gc.collect()
    gc.freeze()
    while True:
        try:
            message, fds = words.receive(sock)
        except TimeoutError:
            _reap()
            continue
        _reap()
        if not message:
            os._exit(0)
        for end in fds:
            _fork(sock, end)


def _fork(sock: _socket.socket, end: int) -> None:
    """Have a keeper serve the socket `end`, and give the supervisor its pidfd."""
    pid = os.fork()
    if pid == 0:
        try:
            sock.detach()
            os.dup2(end, _SOCKET_FD)  # the keeper closes all others
            keeper.main()
        finally:
            os._exit(0)
    os.close(end)
    pidfd = os.pidfd_open(pid)
    words.send(sock, words.KEEPER, (pidfd,))
    os.close(pidfd)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
