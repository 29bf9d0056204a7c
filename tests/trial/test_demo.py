"""`octavo demo` as a newcomer starts it, and what it does where something is not right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from octavo.faces.exec.transcript import Transcript
from octavo.trial import demo

NO_SANDBOX = Path(__file__).with_name("no_sandbox.py")
MENDED_LINE = f"+            {demo.MENDED}"


class Newcomer:
    """An empty home, a folder for temporary files, and nothing else."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.tmp = root / "tmp"
        self.home.mkdir()
        self.tmp.mkdir()
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "TMPDIR": str(self.tmp)}

    def demo(
        self, *words: str, before: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *before, "-m", "octavo", "demo", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            timeout=60,
        )

    def left(self) -> list[str]:
        """What is still there, directories included."""
        return sorted(path.name for path in (*self.home.iterdir(), *self.tmp.iterdir()))


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_the_bug_is_shown_mended_and_proved_and_nothing_is_left(newcomer: Newcomer) -> None:
    done = newcomer.demo()

    assert done.returncode == 0, done.stderr
    shown = done.stderr
    failed, patched = shown.index("FAILED (failures=1)"), shown.index("changed slots.py")
    passed, diffed = shown.index("\n  OK\n"), shown.rindex(f"  {MENDED_LINE}")
    assert failed < patched < passed < diffed
    assert "sandbox workspace-write, no network" in shown
    assert "is a script" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout
    assert "exec --oss" in done.stdout
    assert newcomer.left() == []


def test_keep_keeps_the_repository(newcomer: Newcomer) -> None:
    done = newcomer.demo("--keep")

    assert done.returncode == 0, done.stderr
    [place] = newcomer.tmp.iterdir()
    folder = place / "slots"
    assert f"The repository is kept: {folder}\n" in done.stdout
    changed = subprocess.run(
        ["git", "diff", "--stat"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "1 file changed, 1 insertion(+), 1 deletion(-)" in changed.stdout
    tests = subprocess.run([sys.executable, "-m", "unittest"], cwd=folder, capture_output=True)
    assert tests.returncode == 0


def test_settings_keys_and_proxies_of_the_person_play_no_part(newcomer: Newcomer) -> None:
    octavo_home = newcomer.home / ".octavo"
    octavo_home.mkdir()
    (octavo_home / "config.toml").write_text('model_provider = "elsewhere"\nnonsense')
    env = {
        "OPENAI_API_KEY": "sk-not-to-be-sent",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "GIT_DIR": "/nowhere",
    }

    done = newcomer.demo(env=env)

    assert done.returncode == 0, done.stderr
    assert [path.name for path in octavo_home.iterdir()] == ["config.toml"]


def test_where_nothing_can_be_confined_it_fails_and_says_why(newcomer: Newcomer) -> None:
    works = subprocess.run([sys.executable, NO_SANDBOX, "true"], capture_output=True, text=True)
    if works.returncode != 0:
        pytest.skip(f"no system call filter can be set here: {works.stderr}")

    done = newcomer.demo(before=(str(NO_SANDBOX), sys.executable))

    assert done.returncode == 1
    assert "no sandbox works here" in done.stderr.splitlines()[-1]
    assert "exec --oss" not in done.stdout
    assert newcomer.left() == []


def test_without_git_it_fails_and_says_so(newcomer: Newcomer) -> None:
    done = newcomer.demo(env={"PATH": str(newcomer.home)})

    assert done.returncode == 1
    assert done.stderr == "octavo: error: The demo needs git, which is not there. Install it.\n"
    assert newcomer.left() == []


def test_ctrl_c_ends_it_and_nothing_is_left(newcomer: Newcomer) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "octavo", "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=newcomer.env,
    ) as process:
        assert process.stderr is not None
        while "thread" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert newcomer.left() == []


@pytest.mark.anyio
async def test_it_does_not_pretend_when_the_test_did_not_fail_before() -> None:
    with demo.project(keep=False) as folder:
        code = (folder / "slots.py").read_text()
        (folder / "slots.py").write_text(code.replace("busy[-1] = (busy[-1][0], end)", demo.MENDED))

        with pytest.raises(demo.DemoFailed, match=r"did not do what it should(.|\n)*OK"):
            await demo.play(
                folder,
                demo.environment(folder, os.environ),
                Transcript(color=False, terminal=False),
            )


def test_the_project_is_in_the_package(tmp_path: Path) -> None:
    build = Path(sys.executable).with_name("hatchling")
    root = Path(__file__).parents[2]
    subprocess.run([build, "build", "-t", "wheel", "-d", tmp_path], cwd=root, check=True)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"octavo/trial/project/{name}" for name in demo.FILES} <= set(names)
