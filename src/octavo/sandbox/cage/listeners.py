"""The sockets in a cage's own network that octavo answers from outside of it.

They are made before any command, so no command can have their ports. They listen at once: whoever
calls early waits, and is not refused.
"""

from __future__ import annotations

import _socket
import os

PROXY_PORT, SOCKS_PORT, DNS_PORT, HTTP_PORT, HTTPS_PORT = 3128, 1080, 53, 80, 443
PORTS = frozenset((PROXY_PORT, SOCKS_PORT, DNS_PORT, HTTP_PORT, HTTPS_PORT))
_LOOPBACK, _ANY = "127.0.0.1", "0.0.0.0"  # any address of the cage's own network
_STREAM, _DATAGRAM = _socket.SOCK_STREAM, _socket.SOCK_DGRAM
_NAMES = ((_DATAGRAM, _LOOPBACK, DNS_PORT), (_STREAM, _LOOPBACK, DNS_PORT))
_HOSTS = (
    (_STREAM, _LOOPBACK, PROXY_PORT),
    (_STREAM, _LOOPBACK, SOCKS_PORT),
    (_STREAM, _ANY, HTTP_PORT),
    (_STREAM, _ANY, HTTPS_PORT),
)
_BACKLOG = 128
_FIRST_FREE_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


def make(*, hosts: bool, forwards: list[int]) -> list[_socket.socket]:
    """Return the listeners of this process's network, which must be a cage's.

    Args:
        hosts: some hosts can be reached, so there is a proxy, and the ports of the web are
            captured. Otherwise there is only somebody who says that no name exists, and not even
            that where the port cannot be had.
        forwards: ports of local servers that are reached as if they were in here.
    """
    _let_everyone_serve()
    made: list[_socket.socket] = []
    try:
        wanted = _NAMES + (_HOSTS if hosts else ())
        wanted += tuple((_STREAM, _LOOPBACK, port) for port in forwards)
        for kind, address, port in wanted:
            sock = _socket.socket(_socket.AF_INET, kind)
            made.append(sock)
            sock.bind((address, port))
            if kind == _STREAM:
                sock.listen(_BACKLOG)
    except OSError as error:
        close(made)
        if hosts:
            raise OSError(error.errno, f"listening for the cage: {error.strerror}") from None
        return []
    return made


def close(listeners: list[_socket.socket]) -> None:
    for sock in listeners:
        sock.close()


def _let_everyone_serve() -> None:
    """Let commands, which have no capabilities, listen on low ports, as root does outside."""
    try:
        fd = os.open(_FIRST_FREE_PORT, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, b"0")
    except OSError:
        pass
    finally:
        os.close(fd)
