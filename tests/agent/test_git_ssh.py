"""Git reaches the ssh remote a person allowed, with keys that never come into the cage."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from octavo.agent.git_cage import GitCage, GitRefused, program
from octavo.agent.git_remote import Outside, Remote, are_of_the_person, reach, remotes
from octavo.agent.ssh_door import SshDoor
from octavo.agent.ssh_remote import outside_argv, read_ssh
from octavo.policy.porcelain import NotPlain, read_git
from octavo.sandbox import Command, Policy, Sandbox
from octavo.sandbox.caged import open_cage
from octavo.sandbox.run import run_caged
from tests.agent.test_git_cage import ENV, PERSON, Bench
from tests.agent.test_git_remote import _heard
from tests.sampling import sample
from tests.tiers import machine_has

pytestmark = pytest.mark.anyio

USER = pwd.getpwuid(os.geteuid()).pw_name


def sshd_program() -> str:
    """Return sshd's path. Skips the test where the machine, not octavo, says there is none."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None or shutil.which("ssh-agent") is None:
        pytest.skip("no openssh-server and openssh-client here")
    return found


class Hub:
    """An ssh server of the test's own, an agent with the key it takes, and a person's settings.

    Ssh takes a person's folder from the list of users, not from `HOME`, so the settings that it is
    to use are named by a program called ssh that adds them.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.port = _free_port()
        self.repository = top / "mill.git"
        self.log = top / "sshd.log"
        self.known = top / "known_hosts"
        self.config = top / "config"
        self.agent = top / "agent"
        self.env: dict[str, str] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"ssh://{USER}@127.0.0.1:{self.port}{self.repository}"

    def begin(self) -> None:
        sshd = sshd_program()
        top = self.top
        for name in ("host", "key"):
            _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(top / name))
        _do("git", "init", "-q", "--bare", "-b", "main", str(self.repository))
        shutil.copy(top / "key.pub", top / "authorized")
        (top / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {top}/host\nPidFile none\n"
            f"AuthorizedKeysFile {top}/authorized\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nAcceptEnv GIT_PROTOCOL\nLogLevel VERBOSE\n"
        )
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self._start([sshd, "-D", "-f", f"{top}/sshd_config", "-E", f"{self.log}"])
        self._start(["ssh-agent", "-D", "-a", f"{self.agent}"])
        host = (top / "host.pub").read_text().split()[:2]
        self.known.write_text(f"[127.0.0.1]:{self.port} {' '.join(host)}\n")
        self.config.write_text("")
        tools = top / "tools"
        tools.mkdir()
        wrapper = tools / "ssh"
        real = shutil.which("ssh")
        wrapper.write_text(
            f"#!/bin/sh\nexec {real} -F {self.config} -o UserKnownHostsFile={self.known} "
            f'-o GlobalKnownHostsFile=/dev/null "$@"\n'
        )
        wrapper.chmod(0o755)
        self.env = ENV | {"PATH": f"{tools}:{ENV['PATH']}", "SSH_AUTH_SOCK": str(self.agent)}
        _wait_for(self.agent, self.port)
        _do("ssh-add", "-q", str(top / "key"), env=self.env)
        (top / "key").unlink()

    def _start(self, argv: list[str]) -> None:
        quiet = subprocess.DEVNULL
        self._running.append(subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet))

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def subjects(self) -> list[str]:
        log = ["git", "-C", str(self.repository), "log", "--format=%s", "main"]
        return subprocess.run(log, capture_output=True, text=True).stdout.split()

    def signed_in(self) -> bool:
        return "Accepted publickey" in self.log.read_text()


def _do(*argv: str, env: dict[str, str] | None = None) -> None:
    subprocess.run(argv, env=env, check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(agent: Path, port: int) -> None:
    """Wait until both answer. Raises TimeoutError."""
    import time

    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(agent))
            return
        os.sched_yield()
    raise TimeoutError("sshd or ssh-agent does not start")


@pytest.fixture
def hub() -> Iterator[Hub]:
    # Not in /tmp, where commands write: no ssh from there would be started outside of the cage.
    hub = Hub(Path(tempfile.mkdtemp(prefix="hub-", dir=os.environ["HOME"])))
    try:
        hub.begin()
        yield hub
    finally:
        hub.end()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    top = Path(os.environ["HOME"]) / "git-ssh" / tmp_path.name
    top.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        bench = Bench(top, stack)
        bench.git("init", "-q", "-b", "main")
        (top / "file").write_text("one\n")
        bench.git("add", "file")
        bench.git("commit", "-qm", "first")
        yield bench


def _outside(bench: Bench, hub: Hub) -> Outside:
    home = Path(os.environ["OCTAVO_HOME"])
    home.mkdir(exist_ok=True)
    return Outside(hub.env, home, (bench.top,))


async def _find(bench: Bench, hub: Hub, script: str) -> tuple[Remote, ...]:
    sandbox = await bench.open_cage(bench.policy)
    command = Command(("x",), bench.top, ENV | PERSON)
    git = str(program(ENV))
    return await remotes(read_git(script), command, git, sandbox, _outside(bench, hub))


async def _run(bench: Bench, hub: Hub, script: str, asked: str = "") -> tuple[int | None, str]:
    """Run a script with what a person allowed for it, or for the script `asked`."""
    found = await _find(bench, hub, asked or script)
    lent = await reach(found, _outside(bench, hub))
    cage = GitCage(bench.policy, bench.open_cage)
    command = Command(("x",), bench.top, ENV | PERSON)
    process = await cage.spawn(read_git(script), command, lent)
    with anyio.fail_after(60):
        return await _heard(process)


async def test_push_fetch_pull_and_clone_reach_the_remote_with_the_agent_s_key(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)

    status, said = await _run(bench, hub, "git push -u origin main")

    assert (status, hub.subjects()) == (0, ["first"]), said
    status, said = await _run(bench, hub, "git fetch --tags && git pull --ff-only && git log -1")
    assert status == 0, said
    status, said = await _run(bench, hub, "git ls-remote origin")
    assert "refs/heads/main" in said
    status, said = await _run(bench, hub, f"git clone {hub.url} there")
    assert status == 0, said
    assert (bench.top / "there" / "file").read_text() == "one\n"
    assert hub.url in (bench.top / "there" / ".git" / "config").read_text()


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock"])
async def test_a_push_over_ssh_needs_no_network_and_so_works_in_each_tier(
    bench: Bench, hub: Hub, tier: str
) -> None:
    if not machine_has(tier):
        pytest.skip(f"no {tier} here")
    bench.git("remote", "add", "origin", hub.url)
    lent = await reach(await _find(bench, hub, "git push origin main"), _outside(bench, hub))
    tiers: list[str] = []
    async with AsyncExitStack() as stack:

        async def open_tier(policy: Policy) -> Sandbox:
            sandbox = await stack.enter_async_context(open_cage(policy, (tier,)))
            tiers.append((await sandbox.ready()).tier)
            return sandbox

        cage = GitCage(bench.policy, open_tier)
        command = Command(("x",), bench.top, ENV | PERSON)
        status, said = await _heard(
            await cage.spawn(read_git("git push origin main"), command, lent)
        )

    assert (status, hub.subjects()) == (0, ["first"]), said
    assert set(tiers) == {tier}


async def test_a_host_of_the_person_s_ssh_settings_is_asked_about_by_its_real_name(
    bench: Bench, hub: Hub
) -> None:
    hub.config.write_text(f"Host mill\n  HostName 127.0.0.1\n  Port {hub.port}\n  User {USER}\n")
    bench.git("remote", "add", "origin", f"mill:{hub.repository}")

    [remote] = await _find(bench, hub, "git push origin main")
    status, said = await _run(bench, hub, "git push origin main")

    assert (remote.host, remote.port) == ("127.0.0.1", hub.port)
    assert remote.ssh is not None
    assert (remote.ssh.user, remote.ssh.name) == (USER, "mill")
    assert (status, hub.subjects()) == (0, ["first"]), said


async def test_an_address_is_taken_as_the_person_s_git_settings_rewrite_it(
    bench: Bench, hub: Hub
) -> None:
    config = Path(os.environ["HOME"]) / ".gitconfig"
    before = config.read_text()
    base = f"ssh://{USER}@127.0.0.1:{hub.port}/"
    config.write_text(f'{before}[url "{base}"]\n\tinsteadOf = https://hub.example.org/\n')
    try:
        url = f"https://hub.example.org{hub.repository}"
        bench.git("push", "-q", str(hub.repository), "main")
        status, said = await _run(bench, hub, f"git clone {url} there")
    finally:
        config.write_text(before)

    assert status == 0, said
    assert hub.signed_in()


async def test_the_cage_of_a_push_over_ssh_has_no_agent_no_network_and_no_key(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)
    await _run(bench, hub, "git fetch origin")
    sandbox = next(one for key, one in bench.opened.items() if b"/cache/ssh-" in key)
    python = os.path.realpath(sys.executable)
    tries = (
        f"socket.socket(socket.AF_UNIX).connect({str(hub.agent)!r})",
        f"socket.create_connection(('127.0.0.1', {hub.port}), 2)",
        "os.execv('/bin/sh', ['sh', '-c', 'true'])",
        f"os.execv({shutil.which('ssh')!r}, ['ssh', '-V'])",
        f"os.write(os.open({sys.executable!r} + '-new', os.O_WRONLY | os.O_CREAT), b'x')",
    )

    for code in tries:
        argv = (python, "-ISc", f"import os, socket; {code}")
        command = Command(argv, bench.top, ENV | {"SSH_AUTH_SOCK": str(hub.agent)})
        ended, said = await run_caged(sandbox, command, timeout_s=20, limit_bytes=4096)
        assert ended.code == 1, (code, said)
        assert b"Error" in said


async def test_git_gets_no_other_service_than_was_asked_about(bench: Bench, hub: Hub) -> None:
    other = hub.top / "other.git"
    bench.git("init", "-q", "--bare", str(other))
    bench.git("remote", "add", "origin", hub.url)
    bench.git("remote", "add", "other", hub.url.replace("mill.git", "other.git"))
    said = [
        await _run(bench, hub, script, asked=asked)
        for script, asked in (
            ("git push origin main", "git fetch origin"),
            ("git fetch other", "git fetch origin"),
            ("git fetch origin", "git push origin main"),
        )
    ]

    assert all(status != 0 and "another service" in text for status, text in said), said
    assert not hub.signed_in()


@pytest.mark.parametrize(
    ("key", "value"),
    [("core.sshCommand", "touch ran; ssh"), ("ssh.variant", "simple"), ("core.gitProxy", "evil")],
)
async def test_a_repository_that_names_its_own_ssh_is_not_obeyed(
    bench: Bench, hub: Hub, key: str, value: str
) -> None:
    bench.git("remote", "add", "origin", hub.url)
    bench.git("config", key, value)

    with pytest.raises(GitRefused, match="own setting"):
        await _find(bench, hub, "git fetch origin")

    # Set after a person was asked, it is not obeyed either.
    bench.git("config", "--unset", key)
    found = await _find(bench, hub, "git fetch origin")
    lent = await reach(found, _outside(bench, hub))
    bench.git("config", key, value)
    cage = GitCage(bench.policy, bench.open_cage)
    env = ENV | PERSON | {"GIT_SSH_COMMAND": "touch ran; ssh", "GIT_SSH": "/bin/false"}
    await _heard(
        await cage.spawn(read_git("git fetch origin"), Command(("x",), bench.top, env), lent)
    )
    assert not (bench.top / "ran").exists()
    assert hub.signed_in()


async def test_a_submodule_s_address_is_never_gone_to(bench: Bench, hub: Hub) -> None:
    (bench.top / ".gitmodules").write_text(
        '[submodule "x"]\n\tpath = x\n\turl = "ssh://-oProxyCommand=touch%20ran/x"\n'
    )
    bench.git("add", ".gitmodules")
    bench.git(
        "update-index", "--add", "--cacheinfo", f"160000,{bench.git('rev-parse', 'HEAD').strip()},x"
    )
    bench.git("commit", "-qm", "sub")
    bench.git("push", "-q", str(hub.repository), "main")

    for script in (f"git clone {hub.url} there", "git -C there pull"):
        status, said = await _run(bench, hub, script)
        assert status == 0, said
    assert not list(bench.top.rglob("ran"))
    with pytest.raises(NotPlain):
        read_git(f"git clone --recurse-submodules {hub.url} there")


async def test_a_host_with_an_unknown_or_another_key_is_not_talked_to(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)
    good = hub.known.read_text()
    hub.known.write_text("")
    unknown = await _run(bench, hub, "git push origin main")
    other = hub.top / "key.pub"
    hub.known.write_text(f"{good.split()[0]} {' '.join(other.read_text().split()[:2])}\n")
    changed = await _run(bench, hub, "git push origin main")

    assert unknown[0] != 0
    assert f"`ssh -l {USER} -p {hub.port} 127.0.0.1` once" in unknown[1]
    assert changed[0] != 0
    assert "may be an attack" in changed[1]
    assert hub.known.read_text().count("\n") == 1
    assert hub.subjects() == []
    assert not hub.signed_in()


async def test_without_an_agent_it_is_said_what_to_do(bench: Bench, hub: Hub) -> None:
    bench.git("remote", "add", "origin", hub.url)
    del hub.env["SSH_AUTH_SOCK"]

    status, said = await _run(bench, hub, "git push origin main")

    assert status != 0
    assert "there is no ssh-agent" in said
    assert "ssh-add" in said


async def test_an_agent_without_the_key_is_said_so(bench: Bench, hub: Hub) -> None:
    bench.git("remote", "add", "origin", hub.url)
    subprocess.run(["ssh-add", "-q", "-D"], env=hub.env, check=True, capture_output=True)

    status, said = await _run(bench, hub, "git push origin main")

    assert status != 0
    assert "took none of the keys" in said


async def test_what_the_person_denies_is_not_reached_over_ssh(bench: Bench, hub: Hub) -> None:
    bench.git("remote", "add", "origin", hub.url)
    found = await _find(bench, hub, "git fetch origin")

    for deny in ("127.0.0.1", f"127.0.0.1:{hub.port}"):
        with pytest.raises(GitRefused, match="deny it"):
            await reach(found, _outside(bench, hub), deny=(deny,))


async def test_an_ssh_that_waits_ends_with_its_call(bench: Bench, hub: Hub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        bench.git("remote", "add", "origin", f"ssh://{USER}@127.0.0.1:{port}/x.git")
        lent = await reach(await _find(bench, hub, "git fetch"), _outside(bench, hub))
        cage = GitCage(bench.policy, bench.open_cage)
        command = Command(("x",), bench.top, ENV | PERSON)
        process = await cage.spawn(read_git("git fetch"), command, lent)
        async with anyio.create_task_group() as group:
            group.start_soon(process.wait)
            await anyio.wait_readable(silent)
            there, _ = silent.accept()
            await process.kill()
        with there:
            there.settimeout(20)
            while there.recv(1024):
                pass  # ssh's own greeting; then nobody is there any more


async def test_what_an_ssh_started_ends_with_its_call(bench: Bench, hub: Hub) -> None:
    fifo = hub.top / "alive"
    os.mkfifo(fifo)
    hub.config.write_text(f"Host far\n  ProxyCommand exec sleep 1000 > {fifo}\n")
    bench.git("remote", "add", "origin", "ssh://far/x.git")
    lent = await reach(await _find(bench, hub, "git fetch"), _outside(bench, hub))
    cage = GitCage(bench.policy, bench.open_cage)
    command = Command(("x",), bench.top, ENV | PERSON)
    process = await cage.spawn(read_git("git fetch"), command, lent)
    async with anyio.create_task_group() as group:
        group.start_soon(process.wait)
        with open(await anyio.to_thread.run_sync(_opened, fifo), "rb") as alive:
            await process.kill()
            with anyio.fail_after(20):
                assert await anyio.to_thread.run_sync(alive.read, abandon_on_cancel=True) == b""


def _opened(fifo: Path) -> int:
    """Open it once somebody writes to it, and return the descriptor."""
    return os.open(fifo, os.O_RDONLY)


async def test_what_was_allowed_beforehand_holds_for_ssh_as_for_https(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)

    assert are_of_the_person(read_git("git push origin main"), bench.top, bench.top)
    assert not are_of_the_person(read_git(f"git clone {hub.url} x"), bench.top, bench.top)
    assert not are_of_the_person(read_git(f"git ls-remote {hub.url}"), bench.top, bench.top)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-oProxyCommand=touch ran/x",
        "ssh://-oProxyCommand=x@hub.example.org/x",
        "ssh://git@-oProxyCommand=x:22/x",
        "-oProxyCommand=x:y",
        "git@-hub:x",
        "ssh://git@hub.example.org:0/x",
        "ssh://git@hub.example.org:70000/x",
        "ssh://git@hub.example.org:22:23/x",
        "ssh://hub%2eexample.org/x",
        "ssh://hub\n.example.org/x",
        "git@hub.example.org:-upload-pack",
        "git@hub.example.org:a'b",
        "git@hub.example.org:a$(x)",
        "git@hub.example.org:a\nb",
        "git@hub.example.org",
        "git+ssh://hub.example.org/x",
        "ssh://hub..example.org/x",
    ],
)
def test_an_address_with_more_in_it_than_names_is_none(url: str) -> None:
    assert read_ssh(url) is None


@settings(max_examples=sample(20_000, 200))
@given(
    st.one_of(
        st.text(alphabet="ab-.@:/~%'\"$`\\ \n=[]o", max_size=30),
        st.text(alphabet="ab-.@:/~%'\"$`\\ \n=[]o", max_size=30).map("ssh://".__add__),
    )
)
def test_whatever_the_address_no_argument_of_ssh_is_an_option_of_its_own(url: str) -> None:
    address = read_ssh(url)
    if address is None:
        return
    address = replace(address, host="hub.example.org", user="git")
    argv = outside_argv(address, "git-upload-pack", {"PATH": os.environ["PATH"]})

    at = argv.index("--")
    name, wanted = argv[at + 1 :]
    assert not name.startswith("-")
    assert not set("@:/%'\"$`\\ \n[]=") & set(name)
    assert shlex.split(wanted) == ["git-upload-pack", address.path]
    assert not address.path.startswith("-")
    assert "\n" not in wanted
    options = argv[2:at]
    assert options[::2] == ["-o"] * (len(options) // 2)


async def test_the_door_starts_nothing_for_words_and_descriptors_that_are_no_git_s(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)
    lent = await reach(await _find(bench, hub, "git fetch origin"), _outside(bench, hub))
    assert lent.line is not None
    target = f"{USER}@127.0.0.1"
    good = ("-p", str(hub.port), target, f"git-upload-pack '{hub.repository}'")
    bad: list[tuple[str, ...]] = [
        (),
        good[:-1],
        (*good, "more"),
        ("-oProxyCommand=touch ran", *good),
        ("-A", *good),
        ("-p", "22", *good[2:]),
        (*good[:2], f"root@{target}", good[3]),
        (*good[:-1], "sh"),
        (*good[:-1], f"{good[3]}; touch ran"),
        (*good[:-1], good[3].replace("upload", "receive")),
    ]

    async def ask(words: tuple[str, ...], fds: Sequence[int]) -> None:
        data = b"\0".join(map(os.fsencode, ("version=2", *words)))
        socket.send_fds(ours, [data], list(fds))

    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (hub.top / "file").write_text("")
    with ours, its, open(hub.top / "file") as file:
        async with anyio.create_task_group() as group:
            group.start_soon(lent.line, its)
            for words in bad:
                hear, tell = os.pipe()
                await ask(words, (hear, tell, tell))
                os.close(tell)
                await anyio.wait_readable(hear)
                answer = os.read(hear, 4096)
                assert answer[:1] in (b"\xff", b""), words
                os.close(hear)
            await ask(good, (file.fileno(),) * 3)
            await ask(good, ())
            ours.shutdown(socket.SHUT_WR)
    assert not hub.signed_in()


async def test_an_ssh_that_cannot_be_started_any_more_is_said_and_ends_nothing_else(
    bench: Bench, hub: Hub
) -> None:
    bench.git("remote", "add", "origin", hub.url)
    found = await _find(bench, hub, "git fetch origin")
    (hub.top / "tools" / "ssh").chmod(0o644)
    outside = replace(_outside(bench, hub), env=hub.env | {"PATH": str(hub.top / "tools")})
    lent = await reach(found, outside)

    cage = GitCage(bench.policy, bench.open_cage)
    command = Command(("x",), bench.top, ENV | PERSON)
    process = await cage.spawn(read_git("git fetch origin"), command, lent)
    with anyio.fail_after(60):
        status, said = await _heard(process)

    assert status != 0
    assert "There is no ssh" in said


async def test_a_home_that_cannot_be_written_is_said(bench: Bench, hub: Hub) -> None:
    file = hub.top / "no-folder"
    file.write_text("")

    with pytest.raises(GitRefused, match="cannot be written"):
        SshDoor((), hub.env, file / "home", (bench.top,))


async def test_what_git_starts_as_its_ssh_is_made_whole_and_only_once(
    bench: Bench, hub: Hub
) -> None:
    outside = _outside(bench, hub)
    first = SshDoor((), hub.env, outside.home, outside.roots).programs[0]
    first.chmod(0o700)
    first.write_text("#!/bin/sh\ntouch ran\n")

    second = SshDoor((), hub.env, outside.home, outside.roots).programs[0]

    assert second == first
    assert "octavo" in second.read_text()
    with pytest.raises(GitRefused, match="Python that octavo runs on"):
        SshDoor((), hub.env, outside.home, (Path(sys.base_prefix),))
    odd = outside.home / "a b"
    with pytest.raises(GitRefused, match="characters"):
        SshDoor((), hub.env, odd, ())
