"""The login shell's environment: captured once, kept until a profile changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tools.plain_hands import spawn_plain

from octavo.sandbox import Command, FileChange, FileState, Process, Report
from octavo.tools.login_env import capture_login_env, lay_over

pytestmark = pytest.mark.anyio


class NoCage:
    """Runs what it is given, and counts."""

    def __init__(self) -> None:
        self.started = 0

    async def ready(self) -> Report:
        return Report("none")

    async def spawn(self, command: Command) -> Process:
        self.started += 1
        return await spawn_plain(command)

    async def look(self, paths: Sequence[Path], *, limit_bytes: int = 0) -> list[FileState]:
        raise NotImplementedError

    async def change(self, changes: Sequence[FileChange]) -> None:
        raise NotImplementedError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bash_profile").write_text(
        "echo 'Welcome!'\n"
        "export GREETING='two\nlines' MY_API_KEY=abc PATH=$HOME/bin:$PATH\n"
        "echo to-stderr >&2\n"
    )
    return home


async def _capture(cage: NoCage, home: Path, notes: list[str] | None = None) -> dict[str, str]:
    env = {"HOME": str(home), "SHELL": "/bin/bash"}
    told = [] if notes is None else notes
    return await capture_login_env(cage, env, home.parent / "cache", on_note=told.append)


async def test_what_the_profile_sets_is_captured_without_its_noise_and_keys(home: Path) -> None:
    captured = await _capture(NoCage(), home)
    assert captured["GREETING"] == "two\nlines"
    assert captured["PATH"].startswith(f"{home}/bin:")
    assert "MY_API_KEY" not in captured
    assert {"PWD", "SHLVL", "_", "HOME", "TERM"}.isdisjoint(captured)


async def test_it_is_captured_again_only_when_a_profile_changes(home: Path) -> None:
    cage = NoCage()
    first = await _capture(cage, home)
    assert await _capture(cage, home) == first
    assert cage.started == 1
    (home / ".profile").write_text("")
    (home / ".bash_profile").write_text("export GREETING=changed\n")
    assert (await _capture(cage, home))["GREETING"] == "changed"
    assert cage.started == 2


async def test_the_cache_is_for_its_owner_only_and_a_broken_one_is_replaced(home: Path) -> None:
    cage = NoCage()
    first = await _capture(cage, home)
    file = home.parent / "cache" / "login-env.json"
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert "abc" not in file.read_text()
    file.write_text("{ torn")
    assert await _capture(cage, home) == first
    assert cage.started == 2


async def test_a_profile_that_hangs_is_given_up_and_told_once_a_thread(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octavo.tools.login_env._TIMEOUT_S", 0.3)
    (home / ".bash_profile").write_text("sleep 100\n")
    cage, notes = NoCage(), list[str]()
    assert await _capture(cage, home, notes) == {}
    assert await _capture(cage, home, notes) == {}
    assert cage.started == 1
    assert len(notes) == 2
    assert (
        "could not be read: a profile ended it, or takes too long. Commands run without" in notes[0]
    )


async def test_a_profile_that_exits_leaves_the_plain_environment(home: Path) -> None:
    (home / ".bash_profile").write_text("exit 1\n")
    notes: list[str] = []
    assert await _capture(NoCage(), home, notes) == {}
    assert len(notes) == 1


async def test_a_shell_that_is_not_there_leaves_the_plain_environment(home: Path) -> None:
    env = {"HOME": str(home), "SHELL": "/no/such/zsh"}
    notes: list[str] = []
    assert await capture_login_env(NoCage(), env, home, on_note=notes.append) == {}
    assert "/no/such/zsh" in notes[0]


def test_octavos_own_environment_lies_over_the_profiles() -> None:
    profile = {"A": "profile", "B": "profile", "PATH": "/pyenv/shims:/usr/bin:/bin"}
    assert lay_over(profile, {"A": "ours", "PATH": "/venv/bin:/usr/bin:/bin"}) == {
        "A": "ours",
        "B": "profile",
        "PATH": "/venv/bin:/pyenv/shims:/usr/bin:/bin",
    }
    assert lay_over({}, {"PATH": "/bin"}) == {"PATH": "/bin"}
    assert lay_over({"PATH": "/bin"}, {}) == {"PATH": "/bin"}
