"""The door: names are resolved once, addresses judged, and a person can be asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import anyio
import pytest

from octavo.sandbox.net import Blocked, Refused, Unreachable
from octavo.sandbox.net.gate import Gate, resolve_by_system
from octavo.sandbox.net.rules import Allowed, HostRules
from tests.sandbox.net.world import ALLOWED, Origin, curl, network, recorder

pytestmark = pytest.mark.anyio


class Answers:
    """A name server that says something else each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.left = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.left.pop(0)


async def test_a_name_is_resolved_once_and_that_address_is_dialled() -> None:
    answers = Answers(["127.0.0.1"], ["127.0.0.2"])
    async with recorder() as host:
        gate = Gate(HostRules(allow_local=[ALLOWED]), resolve=answers)
        allowed = await gate.admit(ALLOWED, host.port, "http")
        with await gate.dial(allowed, "http") as sock:
            assert sock.getpeername() == ("127.0.0.1", host.port)

    assert answers.asked == [ALLOWED]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "fe80::1"],
)
async def test_an_allowed_name_that_leads_home_is_blocked(origin: Origin, address: str) -> None:
    answers = Answers([address])
    async with network(HostRules(["rebound.test"]), resolve=answers) as net:
        _, text = await curl("-i", "-x", net.proxy_url, f"http://rebound.test:{origin.port}/")

    assert text.startswith("HTTP/1.1 403 ")
    assert "x-proxy-error: blocked-by-allowlist" in text
    assert net.reasons() == [("rebound.test", "not_allowed_local")]
    assert origin.connections == 0


async def test_a_name_that_is_rebound_between_two_requests_is_blocked(origin: Origin) -> None:
    answers = Answers(["127.0.0.1"], ["169.254.169.254"])
    rules = HostRules(allow_local=["rebound.test"])
    async with network(rules, resolve=answers) as net:
        url = f"http://rebound.test:{origin.port}/"
        first = await curl("-x", net.proxy_url, url)
        second = await curl("-i", "-x", net.proxy_url, url)

    assert first == (0, "hello ")
    assert second[1].startswith("HTTP/1.1 403 ")
    assert "a link-local address" in second[1]


async def test_of_several_addresses_only_the_good_ones_are_dialled() -> None:
    answers = Answers(["169.254.169.254", "127.0.0.1"])
    async with recorder() as host:
        gate = Gate(HostRules(allow_local=[ALLOWED]), resolve=answers)
        with await gate.dial(Allowed(ALLOWED, host.port, local=True), "http") as sock:
            assert sock.getpeername()[0] == "127.0.0.1"


async def test_an_address_that_does_not_answer_gives_way_to_the_next() -> None:
    answers = Answers(["127.0.0.2", "127.0.0.1"])
    async with recorder() as host:
        gate = Gate(HostRules(allow_local=[ALLOWED]), resolve=answers)
        with await gate.dial(Allowed(ALLOWED, host.port, local=True), "http") as sock:
            assert sock.getpeername()[0] == "127.0.0.1"


async def test_answers_that_are_no_addresses_are_not_used() -> None:
    gate = Gate(HostRules([ALLOWED]), resolve=Answers(["not-an-address"]))

    with pytest.raises(Unreachable, match="cannot be resolved"):
        await gate.dial(Allowed(ALLOWED, 80), "http")


OWN = """
import fcntl, ipaddress, socket, struct
from octavo.sandbox.net.addresses import kind_of
address = ipaddress.ip_address("93.184.215.14")
before = kind_of(address)
with socket.socket() as s:
    sin = struct.pack("HH4s8x", socket.AF_INET, 0, address.packed)
    fcntl.ioctl(s, 0x8916, struct.pack("16s16s8x", b"lo:1", sin))  # SIOCSIFADDR
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
print(before, kind_of(address))
"""


def test_an_address_of_this_machine_is_no_public_one() -> None:
    try:
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", sys.executable, "-c", OWN],
            capture_output=True,
            text=True,
        )
    except OSError as error:
        pytest.skip(f"no namespaces here: {error}")
    if "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")

    assert (done.stdout, done.stderr) == ("public own\n", "")


async def test_the_system_resolves_names() -> None:
    assert set(await resolve_by_system("localhost")) & {"127.0.0.1", "::1"}


async def test_a_person_is_asked_once_for_everybody_who_waits(origin: Origin) -> None:
    asked: list[tuple[str, int]] = []
    answer = anyio.Event()

    async def ask(host: str, port: int) -> bool:
        asked.append((host, port))
        await answer.wait()
        return True

    allowed: list[Allowed] = []
    gate = Gate(HostRules(), ask=ask)

    async def want() -> None:
        allowed.append(await gate.admit("new.test", origin.port, "http"))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(want)
        await anyio.wait_all_tasks_blocked()
        answer.set()

    assert asked == [("new.test", origin.port)]
    assert allowed == [Allowed("new.test", origin.port)] * 5


async def test_no_means_blocked_and_the_next_one_asks_again() -> None:
    answers = [False, True]
    blocked: list[Blocked] = []

    async def ask(_host: str, _port: int) -> bool:
        return answers.pop(0)

    gate = Gate(HostRules(), ask=ask, on_blocked=blocked.append)

    with pytest.raises(Refused):
        await gate.admit("new.test", 443, "https")
    assert await gate.admit("new.test", 443, "https") == Allowed("new.test", 443)
    assert [one.reason for one in blocked] == ["not_allowed"]


async def test_whoever_asked_can_give_up_and_another_asks_instead() -> None:
    asked = 0

    async def ask(_host: str, _port: int) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            await anyio.sleep_forever()
        return True

    gate = Gate(HostRules(), ask=ask)
    first = anyio.CancelScope()

    async def give_up() -> None:
        with first:
            await gate.admit("new.test", 443, "https")

    async with anyio.create_task_group() as group:
        group.start_soon(give_up)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(gate.admit, "new.test", 443, "https")
        await anyio.wait_all_tasks_blocked()
        first.cancel()

    assert asked == 2


@pytest.mark.parametrize("host", ["denied.test", "127.0.0.1", "localhost", "a..b", "x\0"])
async def test_nobody_is_asked_about_what_may_never_be(host: str) -> None:
    async def ask(_host: str, _port: int) -> bool:
        raise AssertionError(_host)

    gate = Gate(HostRules(["*.test"], ["denied.test"]), ask=ask)

    with pytest.raises(Refused):
        await gate.admit(host, 443, "https")


async def test_a_yes_does_not_lead_to_a_local_address(origin: Origin) -> None:
    async def ask(_host: str, _port: int) -> bool:
        return True

    async with network(ask=ask) as net:
        _, text = await curl("-i", "-x", net.proxy_url, f"http://new.test:{origin.port}/")

    assert text.startswith("HTTP/1.1 403 ")
    assert net.reasons() == [("new.test", "not_allowed_local")]
