"""The keeper of a cage: plans it, has it built, and tidies up after it.

It stays on the host, in a session of its own, so that it outlives a killed supervisor: when the
cage has ended it removes the placeholders. It tries the mechanisms it was given in order and
tells the supervisor which one holds, or why none does. It never runs a command.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import os

from . import abi, command, listeners, namespaces, selftest, words, zygote
from .orders import Orders
from .plan import Plan, make_plan

_SOCKET_FD = 3
_BUILT = b"B"


def main() -> None:
    """Serve the supervisor at the other end of descriptor 3 until it is gone."""
    os.setsid()
    os.closerange(_SOCKET_FD + 1, os.sysconf("SC_OPEN_MAX"))
    for sig in (command.SIGINT, command.SIGTERM, command.SIGHUP):
        _signal.signal(sig, _signal.SIG_IGN)
    sock = _socket.socket(fileno=_SOCKET_FD)
    sock_is_inheritable = False
    os.set_inheritable(_SOCKET_FD, sock_is_inheritable)
    message, fds = words.receive(sock)
    if not message:
        return
    orders = Orders(**words.asked(message, fds))
    try:
        plan = make_plan(orders)
    except OSError as error:
        words.send(sock, words.FAILED + _told("planning", error))
        return
    try:
        _keep(sock, orders, plan)
    finally:
        plan.release()
    os._exit(0)  # somebody waits for this end, and the interpreter's would take longer


def _keep(sock: _socket.socket, orders: Orders, plan: Plan) -> None:
    probe = _probe(orders, plan)
    abi.become_subreaper()
    failures: list[bytes] = []
    for tier in orders.tiers:
        tried: list[bytes] = []
        for stands in _ways(tier):
            failure = stands(sock, orders, plan, probe)
            if not failure:
                return
            tried.append(tier.encode() + b"\t" + failure)
        words.send(sock, words.REFUSED + b"\n".join(tried))
        failures += tried
    probe.close()
    words.send(sock, words.FAILED + b"\n".join(failures))


def _ways(tier: str) -> list[Way]:
    """Return how a tier can be tried, best first."""
    if tier == "namespaces":
        as_root = [_native_without_user_namespace] if os.geteuid() == 0 else []
        return [_native, *as_root]
    if tier == "bubblewrap":
        return [_bubblewrap]
    return [_reduced] if tier == "landlock" else [_open]


def _probe(orders: Orders, plan: Plan) -> selftest.Probe:
    candidates = [os.path.join(orders.home, "cache"), orders.home, os.path.dirname(orders.cwd), "/"]
    outside: list[str] = []
    for directory in candidates:
        real = os.path.realpath(directory)
        ours = (*plan.roots, *plan.private)
        inside = any(real == root or real.startswith(root + "/") for root in ours)
        if not inside and os.path.isdir(real) and os.access(real, os.W_OK):
            outside.append(real)
    return selftest.Probe(
        outside=outside,
        masks=plan.masks,
        protected=plan.protected,
        network=orders.network,
        directory=os.path.join(orders.home, "cache"),
    )


def _native(sock: _socket.socket, orders: Orders, plan: Plan, probe: selftest.Probe) -> bytes:
    """Hold a cage of namespaces until it ends, and return b""; or return what failed."""
    return _build(sock, orders, plan, probe, user=True)


def _native_without_user_namespace(
    sock: _socket.socket, orders: Orders, plan: Plan, probe: selftest.Probe
) -> bytes:
    """Like `_native`, for a root that may make the other namespaces itself."""
    return _build(sock, orders, plan, probe, user=False)


def _build(
    sock: _socket.socket, orders: Orders, plan: Plan, probe: selftest.Probe, *, user: bool
) -> bytes:
    told, tell = os.pipe()
    answered, answer = os.pipe()
    builder = os.fork()
    if builder == 0:
        os.close(told)
        os.close(answer)
        _be_builder(sock, orders, plan, probe, tell, answered, user=user)
    os.close(tell)
    os.close(answered)
    try:
        failure = _follow(builder, told, answer)
    finally:
        os.close(told)
        os.close(answer)
    if not failure:
        sock.close()
        probe.close()
        _wait_for_all()
    return failure


def _be_builder(
    sock: _socket.socket,
    orders: Orders,
    plan: Plan,
    probe: selftest.Probe,
    tell: int,
    answered: int,
    *,
    user: bool,
) -> None:
    """Build the cage and become its zygote; never return."""
    try:
        if plan.placeholders is not None:
            plan.placeholders.forget()
        abi.be_killed_first()
        namespaces.enter(user=user, network=orders.network, told=tell, answered=answered)
        if os.fork():
            os._exit(0)
        listening = (
            [] if orders.network else listeners.make(hosts=orders.hosts, forwards=orders.forwards)
        )
        walls = zygote.build(plan, network=orders.network)
        zygote.prove(walls, probe)
        probe.close()
        os.write(tell, _BUILT)
        os.close(tell)
        os.close(answered)
        held = words.memory_file(b"\0".join(map(os.fsencode, plan.protected)))
        ready = words.READY + b"namespaces\n" + "\n".join(plan.gaps).encode()
        words.send(sock, ready, (held, *(listener.fileno() for listener in listening)))
        os.close(held)
        listeners.close(listening)
        zygote.run(sock, walls, plan.changeable)
    except OSError as error:
        os.write(tell, b"!" + _told("", error))
    except BaseException as error:  # noqa: BLE001  # the keeper must hear whatever it was
        os.write(tell, b"!" + repr(error).encode())
    finally:
        os._exit(0)


def _bubblewrap(sock: _socket.socket, orders: Orders, plan: Plan, probe: selftest.Probe) -> bytes:
    """Hold a cage of bubblewrap's until it ends, and return b""; or return what failed."""
    from . import bubblewrap

    try:
        cage = bubblewrap.BubblewrapCage(orders, plan)
        cage.prove(probe)
    except OSError as error:
        return _told("", error)
    probe.close()
    held = words.memory_file(b"\0".join(map(os.fsencode, plan.protected)))
    gaps = "\n".join([*cage.gaps, *plan.gaps])
    words.send(sock, words.READY + b"bubblewrap\n" + gaps.encode(), (held,))
    os.close(held)
    cage.run(sock)
    _wait_for_all()
    return b""


def _reduced(sock: _socket.socket, orders: Orders, plan: Plan, probe: selftest.Probe) -> bytes:
    """Hold a cage of Landlock and seccomp until it ends, and return b""; or what failed."""
    from . import reduced

    plan.release()
    try:
        cage = reduced.LandlockCage(orders, plan)
        cage.prove(probe)
    except OSError as error:
        return _told("", error)
    probe.close()
    gaps = "\n".join([*cage.gaps, *plan.gaps])
    words.send(sock, words.READY + b"landlock\n" + gaps.encode())
    cage.run(sock)
    return b""


def _open(sock: _socket.socket, _orders: Orders, _plan: Plan, probe: selftest.Probe) -> bytes:
    """Run commands with no walls, which a person chose; they still end with the supervisor."""
    from . import reduced

    probe.close()
    words.send(sock, words.READY + b"none\n")
    reduced.OpenCage().run(sock)
    return b""


def _follow(builder: int, told: int, answer: int) -> bytes:
    """Write the identity maps when asked; return what stopped the builder, b"" if nothing did."""
    said = b""
    while True:
        part = os.read(told, 4096)
        if part == namespaces.ENTERED:
            os.write(answer, namespaces.ENTERED if namespaces.map_identity(builder) else b"?")
            continue
        said += part
        if said.startswith(_BUILT):
            return b""
        if not part:
            _wait_for_all()
            return said.lstrip(b"!") or b"0\tthe builder was killed"


def _told(step: str, error: OSError) -> bytes:
    text = f"{step}: {error.strerror}" if step else str(error.strerror)
    if error.filename is not None:
        text += f" ({os.fsdecode(error.filename)})"
    return f"{error.errno}\t{text}".encode("utf-8", "replace")


def _wait_for_all() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Way = Callable[[_socket.socket, Orders, Plan, selftest.Probe], bytes]
