"""`octavo sandbox`, as a person and a script meet it: real processes, files and terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.running import Shell

_DEADLINE_S = 30
OCTAVO = (sys.executable, "-m", "octavo")


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """One whose sandbox may be written in, or a skipped test where there is no sandbox."""
    shell.settings('sandbox_mode = "workspace-write"\n')
    tried = shell.octavo("sandbox", "--", "true")
    if tried.returncode == 125:
        pytest.skip(tried.stderr)
    return shell


class Screen:
    """A terminal with `octavo sandbox` at its other end."""

    def __init__(self, shell: Shell, *words: str, **options: object) -> None:
        self.fd, theirs = pty.openpty()
        termios.tcsetwinsize(self.fd, (33, 77))
        standard = {name: options.get(name, theirs) for name in ("stdin", "stdout", "stderr")}
        self.process = subprocess.Popen(
            [*OCTAVO, "sandbox", "--", *words],
            cwd=shell.cwd,
            env=shell.env,
            start_new_session=True,
            preexec_fn=_own_terminal(theirs),  # noqa: PLW1509  # no threads here
            **standard,
        )
        self.modes = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.seen = b""

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        return self.process.wait(_DEADLINE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)
        os.close(self.theirs)


def _own_terminal(fd: int) -> Callable[[], None]:
    name = os.ttyname(fd)
    return lambda: os.close(os.open(name, os.O_RDWR))


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    screens: list[Screen] = []
    yield screens
    for screen in screens:
        screen.close()


def test_output_errors_and_status_are_the_commands(shell: Shell) -> None:
    done = shell.octavo("sandbox", "--", "sh", "-c", "echo out; echo err >&2; exit 7")

    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-program",), 127),
        (("/etc/hostname",), 126),
    ],
)
def test_the_status_says_how_it_ended_or_why_it_did_not_start(
    shell: Shell, words: tuple[str, ...], status: int
) -> None:
    assert shell.octavo("sandbox", "--", *words).returncode == status


def test_what_comes_through_a_pipe_reaches_the_command_and_ends_there(shell: Shell) -> None:
    text = "".join(f"line {n}\n" for n in range(100_000))

    done = shell.octavo("sandbox", "--", "cat", stdin=text)

    assert done.stdout == text


def test_files_are_read_and_written_but_never_handed_in(shell: Shell, tmp_path: Path) -> None:
    given, got = tmp_path / "given", tmp_path / "got"
    given.write_bytes(os.urandom(1 << 20))
    script = "cat; readlink /proc/self/fd/[012] >&2"

    with given.open("rb") as stdin, got.open("wb") as stdout:
        done = subprocess.run(
            [*OCTAVO, "sandbox", "--", "sh", "-c", script],
            cwd=shell.cwd, env=shell.env, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
        )  # fmt: skip

    assert got.read_bytes() == given.read_bytes()
    assert all(line.startswith(b"pipe:") for line in done.stderr.splitlines()), done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_two_streams_into_one_file_keep_their_order(shell: Shell, tmp_path: Path) -> None:
    script = "for n in 1 2 3 4 5 6 7 8; do echo out $n; echo err $n >&2; done"
    with (tmp_path / "both").open("w+") as both:
        subprocess.run([*OCTAVO, "sandbox", "--", "sh", "-c", script], cwd=shell.cwd,
                       env=shell.env, stdout=both, stderr=both, stdin=subprocess.DEVNULL,
                       check=True)  # fmt: skip
        both.seek(0)

        assert both.read() == "".join(f"out {n}\nerr {n}\n" for n in range(1, 9))


def test_a_command_whose_reader_has_gone_ends(shell: Shell) -> None:
    command = " ".join(OCTAVO) + " sandbox -- yes | head -n 1; echo ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", command], cwd=shell.cwd, env=shell.env,
                          capture_output=True, text=True, timeout=60)  # fmt: skip

    assert done.stdout == f"y\n{128 + signal.SIGPIPE}\n"


def test_standard_files_that_are_closed_do_no_harm(shell: Shell) -> None:
    command = " ".join(OCTAVO) + " sandbox -- sh -c 'cat; echo out; exit 3' <&- 2>&-"
    done = subprocess.run(["bash", "-c", command], cwd=shell.cwd, env=shell.env,
                          capture_output=True, text=True, timeout=60)  # fmt: skip

    assert (done.stdout, done.returncode) == ("out\n", 3)


def test_it_may_write_in_the_workspace_and_not_beside_it(shell: Shell) -> None:
    outside = Path.home() / "beside"
    script = f"echo 1 > inside; echo 2 > {outside}; echo 3 > .git/x"

    done = shell.octavo("sandbox", "--", "bash", "-c", script)

    assert "Read-only file system" in done.stderr
    assert (shell.cwd / "inside").read_text() == "1\n"
    assert not outside.exists()
    assert [path.name for path in shell.cwd.iterdir()] == ["inside"]


def test_a_mode_and_a_directory_can_be_chosen(shell: Shell) -> None:
    added = Path.home() / "added"
    added.mkdir(exist_ok=True)
    write = ("sh", "-c", f"echo 1 > {added}/file && echo 2 > file")

    assert shell.octavo("sandbox", "--mode", "read-only", "--", *write).returncode != 0
    assert shell.octavo("sandbox", "--", *write).returncode != 0
    assert shell.octavo("sandbox", "--add-dir", str(added), "--", *write).returncode == 0
    assert (added / "file").exists()


def test_the_network_is_off_unless_it_is_switched_on(shell: Shell) -> None:
    words = (sys.executable, "-c", "import os; print(len(os.listdir('/sys/class/net')))")
    links = ("readlink", "/proc/self/ns/net")

    off, on = (shell.octavo("sandbox", "--network", word, "--", *links) for word in ("off", "on"))

    ours = os.readlink("/proc/self/ns/net")
    assert (on.stdout.strip() == ours, off.stdout.strip() == ours) == (True, False), words


def test_only_listed_hosts_are_reached_and_a_blocked_one_is_named_at_the_end(
    shell: Shell, tmp_path: Path
) -> None:
    if "landlock" in shell.octavo("sandbox", "explain", "--", "true").stdout:
        pytest.skip("no namespaces here")
    (tmp_path / "page").write_text("the page")
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split(" port ")[1].split()[0]
        curl = "curl -sS -m 9 --noproxy ''"
        script = f"{curl} http://127.0.0.1:{port}/page; {curl} -f https://evil.test/; exit 7"
        words = ("--network", f"example.com, 127.0.0.1:{port}", "--", "sh", "-c", script)

        done = shell.octavo("sandbox", *words)
        told = shell.octavo("sandbox", "explain", *words).stdout
    finally:
        server.kill()
        server.communicate()

    assert (done.returncode, done.stdout) == (7, "the page")
    said = "octavo: blocked: evil.test:443 is not allowed: it is not on the list of hosts."
    assert done.stderr.splitlines()[-1] == said
    assert "example.com" in told


def test_a_private_tmp_can_be_chosen_and_read_only_mode_has_one(shell: Shell) -> None:
    script = ("sh", "-c", "ls -A /tmp; echo 1 > /tmp/octavo-test-private")
    for words in (("--tmp", "private"), ("--mode", "read-only")):
        done = shell.octavo("sandbox", *words, "--", *script)
        if "landlock" in shell.octavo("sandbox", "explain", "--", "true").stdout:
            pytest.skip("no namespaces here")
        assert done.returncode == 0, done.stderr
        top = Path(shell.env["HOME"]).relative_to("/tmp").parts[0]
        assert set(done.stdout.split()) <= {top}
    assert not Path("/tmp/octavo-test-private").exists()


def test_keys_do_not_reach_the_command(shell: Shell) -> None:
    shell.env |= {"OPENAI_API_KEY": "sk-1", "GITHUB_TOKEN": "t", "PLAIN": "kept"}

    said = shell.octavo("sandbox", "--", "env").stdout

    assert "PLAIN=kept" in said
    assert "sk-1" not in said
    assert "TOKEN" not in said


def test_without_a_sandbox_nothing_is_run(shell: Shell) -> None:
    shell.settings('sandbox_mode = "danger-full-access"\n')

    done = shell.octavo("sandbox", "--", "touch", "made")

    assert done.returncode == 125
    assert "danger-full-access" in done.stderr
    assert not (shell.cwd / "made").exists()


def test_bad_input_is_refused_before_anything_runs(shell: Shell) -> None:
    for words in ((), ("--",), ("--mode", "none", "--", "true"), ("--network", "a*b", "true"),
                  ("--add-dir", "/nowhere", "--", "true"), ("explain",)):  # fmt: skip
        done = shell.octavo("sandbox", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.startswith("octavo: error: "), words


def test_nothing_is_left_when_it_is_killed(shell: Shell) -> None:
    script = "(setsid sleep 77.25 &) ; touch up; sleep 77.25"
    running = subprocess.Popen(
        [*OCTAVO, "sandbox", "--", "bash", "-c", script], cwd=shell.cwd, env=shell.env
    )
    _until((shell.cwd / "up").exists)
    running.send_signal(signal.SIGTERM)

    assert running.wait(_DEADLINE_S) == 128 + signal.SIGTERM
    _until(lambda: subprocess.run(["pgrep", "-f", "sleep 77.25"]).returncode == 1)
    assert sorted(path.name for path in shell.cwd.iterdir()) == ["up"]


def _until(holds: object) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not holds():  # type: ignore[operator]  # a callable
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_command_has_a_terminal_with_its_size_keys_and_signals(
    shell: Shell, screens: list[Screen]
) -> None:
    script = (
        "test -t 0 && test -t 1 && test -t 2 && echo all three > /dev/tty; stty size;"
        "trap 'echo resized; stty size' WINCH; trap 'echo interrupted; exit 5' INT;"
        "read word; echo got $word; echo waiting; while :; do sleep 0.05; done"
    )
    screen = Screen(shell, "bash", "-c", script)
    screens.append(screen)
    screen.until(b"all three\r\n33 77\r\n")
    screen.type(b"hello\r")
    screen.until(b"got hello\r\nwaiting\r\n")
    termios.tcsetwinsize(screen.fd, (44, 99))
    screen.until(b"resized\r\n44 99\r\n")
    screen.type(b"\x03")
    screen.until(b"interrupted")

    assert screen.end() == 5
    assert termios.tcgetattr(screen.theirs) == screen.modes


def test_a_shell_in_it_has_job_control(shell: Shell, screens: list[Screen]) -> None:
    screen = Screen(shell, "bash", "--norc", "--noediting", "-i")
    screens.append(screen)
    screen.type(b"PS1=; set -m\rcat > typed\r")
    _until((shell.cwd / "typed").exists)
    screen.type(b"\x1a")
    screen.until(b"Stopped")
    screen.seen = b""
    screen.type(b"fg\r")
    screen.until(b"cat > typed")
    screen.type(b"word\r\x04")
    screen.type(b"echo 'do''ne'; exit 6\r")
    screen.until(b"done")

    assert screen.end() == 6
    assert (shell.cwd / "typed").read_text() == "word\n"


def test_a_pipe_beside_a_terminal_stays_a_pipe(shell: Shell, screens: list[Screen]) -> None:
    script = "cat > /dev/tty; test -t 0 || echo piped; test -t 1 && echo shown"
    screen = Screen(shell, "sh", "-c", script, stdin=subprocess.PIPE)
    screens.append(screen)
    assert screen.process.stdin is not None
    screen.process.stdin.write(b"through the pipe\n")
    screen.process.stdin.close()
    screen.until(b"through the pipe\r\npiped\r\nshown\r\n")

    assert screen.end() == 0


def test_explain_tells_what_a_command_could_touch_and_runs_nothing(shell: Shell) -> None:
    (shell.cwd / ".git").mkdir()
    secret = Path(shell.env["HOME"]) / ".netrc"
    secret.write_text("secret")
    shell.env["MY_TOKEN"] = "t"

    done = shell.octavo("sandbox", "explain", "--network", "on", "--", "touch", "made")

    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("Program /")
    assert f"Writes {shell.cwd} (the working directory)" in lines
    assert any(f"{shell.cwd}/.git (git's own" in line for line in lines)
    assert any(line.endswith(f"{secret} (keys, history, or root's alone)") for line in lines)
    assert "Network on (--network)" in lines
    assert "Environment without MY_TOKEN" in lines
    assert [path.name for path in shell.cwd.iterdir()] == [".git"]


def test_explain_says_that_a_program_is_not_there(shell: Shell) -> None:
    done = shell.octavo("sandbox", "explain", "--", "no-such-program")

    assert "no-such-program: there is no such program" in done.stdout


PROFILES = """\
default_permissions = "careful"
[permissions.careful.filesystem.":workspace_roots"]
"." = "write"
"docs" = "read"
"**/*.env" = "deny"
[permissions.careful.network]
domains = {"pypi.example" = "allow", "bad.example" = "deny"}
[permissions.reader]
extends = ":read-only"
"""


def test_explain_names_the_profile_and_why_each_path_is_what_it_is(shell: Shell) -> None:
    shell.settings(PROFILES)
    for name in (".git", "docs"):
        (shell.cwd / name).mkdir()
    (shell.cwd / "a.env").touch()

    done = shell.octavo("sandbox", "explain", "--", "true")

    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "Profile careful (user)" in lines
    assert f"Writes {shell.cwd} (profile careful)" in lines
    assert any(line.endswith(f"{shell.cwd}/docs (profile careful)") for line in lines)
    assert any(line.endswith(f"{shell.cwd}/a.env (profile careful)") for line in lines)
    assert any(line.startswith(f"and what matches {shell.cwd}/**/*.env") for line in lines)
    assert any(".git (git's own" in line for line in lines)
    assert any(line.startswith("Git the model's plain git commands") for line in lines)
    if "Sandbox namespaces: the full one" in lines:
        assert "Network off, except these hosts (profile careful):" in lines
        assert "pypi.example" in lines
        assert "never bad.example" in lines


@pytest.mark.parametrize("option", ["-P", "--permissions", "-p", "--profile"])
def test_a_permission_profile_is_chosen_for_one_command(shell: Shell, option: str) -> None:
    shell.settings(PROFILES)

    assert shell.octavo("sandbox", "--", "touch", "made").returncode == 0
    assert shell.octavo("sandbox", option, "reader", "--", "touch", "other").returncode == 1
    assert shell.octavo("sandbox", option, ":read-only", "--", "touch", "other").returncode == 1
    assert os.listdir(shell.cwd) == ["made"]


def test_a_settings_profile_is_still_laid_over(shell: Shell) -> None:
    shell.settings(PROFILES)
    (shell.home / "quiet.config.toml").write_text('default_permissions = ":read-only"\n')

    assert shell.octavo("sandbox", "-p", "quiet", "--", "touch", "made").returncode == 1
    done = shell.octavo("sandbox", "-p", "quiet", "-P", "careful", "--", "touch", "made")
    assert done.returncode == 0, done.stderr
    help_text = shell.octavo("sandbox", "--help").stdout
    assert "permission profile" in help_text


def test_exec_takes_a_permission_profile_and_refuses_one_that_is_not(shell: Shell) -> None:
    done = shell.octavo("exec", "--skip-git-repo-check", "-P", "nope", "hello")

    assert done.returncode != 0
    assert "There is no permission profile 'nope'" in done.stderr
