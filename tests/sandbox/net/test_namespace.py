"""The real thing: programs in a network namespace from which no route leads out.

The sockets are made inside it, on the real ports, and passed out; what answers them stays outside.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from octavo.sandbox.net.environment import proxy_environment
from octavo.sandbox.net.tunnel import Ports
from tests.sandbox.net.world import ALLOWED, Certificate, Origin, served_on

pytestmark = pytest.mark.anyio

UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]

INSIDE = """
import fcntl, json, os, socket, struct, subprocess, sys
out = socket.socket(fileno=int(sys.argv[1]))
settings = json.loads(sys.argv[2])
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
subprocess.run(["mount", "--bind", settings["resolv"], "/etc/resolv.conf"], check=True)
made = []
for address, kind in (
    (("127.0.0.1", 3128), socket.SOCK_STREAM), (("127.0.0.1", 1080), socket.SOCK_STREAM),
    (("127.0.0.1", 53), socket.SOCK_STREAM), (("0.0.0.0", 80), socket.SOCK_STREAM),
    (("0.0.0.0", 443), socket.SOCK_STREAM), (("127.0.0.1", 53), socket.SOCK_DGRAM),
):
    sock = socket.socket(type=kind)
    sock.bind(address)
    made.append(sock)
socket.send_fds(out, [b"x"], [sock.fileno() for sock in made])
out.recv(1)
for sock in made:
    sock.close()
results = []
for argv, env in settings["commands"]:
    env = {"PATH": os.environ["PATH"]} | env
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    results.append([done.returncode, done.stdout, done.stderr])
print(json.dumps(results))
"""

SERVER = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 8000))
curl = subprocess.Popen(["curl", "-sS", "http://localhost:8000/"])
sock, _ = listener.accept()
sock.recv(9999)
sock.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nfrom inside")
sock.close()
sys.exit(curl.wait())
"""


async def run_inside(
    commands: list[tuple[list[str], dict[str, str]]], place: Path, ports: Ports
) -> tuple[list[tuple[int, str, str]], list[tuple[str, str]]]:
    """Run commands in a namespace; return how each ended, and what was blocked."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    try:
        subprocess.run([*UNSHARE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no namespaces here: {error}")
    resolv = place / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    ours, theirs = socket.socketpair()
    settings = json.dumps({"resolv": str(resolv), "commands": commands})
    process = await anyio.open_process(
        [*UNSHARE, sys.executable, "-c", INSIDE, str(theirs.fileno()), settings],
        pass_fds=[theirs.fileno()],
        stderr=None,
    )
    theirs.close()
    async with process:
        _, fds, _, _ = await anyio.to_thread.run_sync(socket.recv_fds, ours, 1, 6)
        names = ("proxy", "socks", "dns_tcp", "http", "https", "dns_udp")
        sockets = {name: socket.socket(fileno=fd) for name, fd in zip(names, fds, strict=True)}
        async with served_on(sockets, ports=ports) as net:
            ours.send(b"x")
            assert process.stdout is not None
            printed = b""
            with anyio.fail_after(60):
                async for data in process.stdout:
                    printed += data
    ours.close()
    return [tuple(result) for result in json.loads(printed)], net.reasons()


async def test_programs_reach_what_is_allowed_and_nothing_else(
    origin: Origin, tls_origin: Origin, certificate: Certificate, tmp_path: Path
) -> None:
    curl = ["curl", "-sS", "-m", "10", "--cacert", str(certificate.path)]
    get = (
        "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=9).read().decode())"
    )
    told = proxy_environment()
    expected: list[tuple[list[str], dict[str, str], int, str]] = [
        ([*curl, f"http://{ALLOWED}/"], {}, 0, "hello "),
        ([*curl, f"https://{ALLOWED}/"], {}, 0, "hello "),
        ([sys.executable, "-c", get, f"http://{ALLOWED}/"], {}, 0, "hello \n"),
        ([*curl, f"http://{ALLOWED}:{origin.port}/"], told, 0, "hello "),
        ([*curl, f"https://{ALLOWED}:{tls_origin.port}/"], told, 0, "hello "),
        (
            [*curl, "-x", "socks5://127.0.0.1", f"https://{ALLOWED}:{tls_origin.port}/"],
            {},
            0,
            "hello ",
        ),
        ([sys.executable, "-c", SERVER], told, 0, "from inside"),
        ([*curl, "http://evil.test/"], {}, 6, ""),
        ([*curl, "https://evil.test/"], {}, 6, ""),
        ([*curl, "https://evil.test/"], told, 56, ""),
        ([*curl, "-o", "/dev/null", "-w", "%{http_code}", "http://evil.test/"], told, 0, "403"),
        ([*curl, "--resolve", "evil.test:443:127.1.0.1", "https://evil.test/"], {}, 35, ""),
        ([*curl, "http://93.184.215.14/"], {}, 7, ""),
        ([*curl, f"http://127.0.0.1:{origin.port}/"], {}, 7, ""),
    ]

    results, blocked = await run_inside(
        [(argv, env) for argv, env, _, _ in expected],
        tmp_path,
        Ports(http=origin.port, https=tls_origin.port),
    )

    ended = [(code, output) for code, output, _ in results]
    assert ended == [(code, output) for _, _, code, output in expected], results
    assert {host for host, _ in blocked} == {"evil.test"}
    assert {seen.host.partition(":")[0] for seen in origin.seen + tls_origin.seen} == {ALLOWED}
