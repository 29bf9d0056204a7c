"""Attacks on the putting back of protected names, where nothing can make them read-only.

What puts them back stands outside the walls, so it is what an attacker would like to lead astray.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from octavo.sandbox import FileChangeRefused, Write
from octavo.sandbox.cage.restore import Watch
from tests.sandbox.conftest import cage_on, shell

pytestmark = pytest.mark.anyio

NAMES = [".git", ".claude", ".envrc"]


@pytest.mark.parametrize(
    "damage",
    [
        "echo '#!/bin/sh' > .git/hooks/pre-commit; chmod 111 .git/hooks",
        "echo '#!/bin/sh' > .git/hooks/pre-commit; chmod 300 .git/hooks .git",
        "d=.git/hooks; for n in $(seq 1500); do d=$d/d; done; mkdir -p $d; echo x > .git/config",
        "mkdir .claude/more; (cd .claude/more; seq 4100 | xargs touch); echo x > .claude/last",
        "ln .git/config copy; cp copy keep; rm .git/config; ln keep .git/config; echo x >> keep",
        "rm -rf .git/hooks; ln -s ../evil .git/hooks; mkdir evil; touch evil/pre-commit",
        "mv .git/hooks h; mkfifo .git/hooks",
        "mkdir -p a/b; mv .git a/b/git; mv a/b .git",
        "echo x > .envrc; chmod 500 .",
    ],
)
async def test_no_damage_survives_a_command(damage: str, workspace: Callable[[], Path]) -> None:
    folder = workspace()
    (folder / ".claude").mkdir()
    (folder / ".claude" / "settings.json").write_text("{}")
    before = _listed(folder)
    async with cage_on(folder, "landlock") as cage:
        await shell(cage, damage, folder)

    assert _listed(folder) == before


@pytest.mark.parametrize(
    "name",
    [".git/hooks/pre-commit", ".git/config", ".claude/settings.json", ".octavo/x/y", ".envrc"],
)
@pytest.mark.parametrize("through", ["", "link"])
async def test_no_file_is_changed_at_a_protected_name(
    name: str, through: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    (folder / "link").symlink_to(folder)
    before = _listed(folder)
    async with cage_on(folder, "landlock") as cage:
        with pytest.raises(FileChangeRefused) as refused:
            await cage.change([Write(folder / through / name, b"evil", overwrite=True)])
        await cage.change([Write(folder / "fine", b"")])

    assert refused.value.reason == "outside"
    (folder / "fine").unlink()
    assert _listed(folder) == before


async def test_damage_done_before_another_command_began_is_undone_too(
    workspace: Callable[[], Path],
) -> None:
    folder = workspace()
    before = _listed(folder)
    async with cage_on(folder, "landlock") as cage, anyio.create_task_group() as group:
        damage = "echo evil >> .git/config; touch done; while [ -e done ]; do sleep 0.05; done"
        group.start_soon(shell, cage, damage, folder)
        with anyio.fail_after(10):
            while not (folder / "done").exists():
                await anyio.sleep(0.01)
        await shell(cage, "rm done; sleep 0.3", folder)

    assert _listed(folder) == before


async def test_what_a_person_changes_between_commands_stays(
    workspace: Callable[[], Path],
) -> None:
    folder = workspace()
    async with cage_on(folder, "landlock") as cage:
        await shell(cage, "true", folder)
        (folder / ".git" / "config").write_text("mine")
        await shell(cage, "echo evil > .git/config", folder)

    assert (folder / ".git" / "config").read_text() == "mine"


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
async def test_what_git_or_a_protected_link_leads_to_is_protected_too(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    nested = folder / "sub" / "nested" / ".git"
    scripts, editor, config = (
        folder / "scripts",
        folder / "conf" / "editor",
        folder / "conf" / "git",
    )
    for directory in (scripts, editor):
        directory.mkdir(parents=True)
    files = [scripts / "check", editor / "tasks.json", config, nested / "hooks" / "mine"]
    (folder / ".git" / "hooks" / "pre-commit").symlink_to("../../scripts/check")
    (folder / ".vscode").symlink_to("conf/editor")
    (nested / "config").unlink()
    (nested / "config").symlink_to("../../../conf/git")
    for file in files:
        file.write_text("mine")
    async with cage_on(folder, tier) as cage:
        for file in files:
            await shell(
                cage, f"echo evil > {file}; echo evil > {editor}/new; touch {folder}/ok", folder
            )

    assert [file.read_text() for file in files] == ["mine"] * 4
    assert os.listdir(editor) == ["tasks.json"]
    assert (folder / "ok").exists()


@pytest.fixture
def places(workspace: Callable[[], Path]) -> tuple[Path, Path]:
    """A workspace, and a directory outside that nothing may touch."""
    folder = workspace()
    outside = folder.parent / f"{folder.name}-outside"
    outside.mkdir()
    (outside / "secret").write_text("the secret")
    (outside / "git").mkdir()
    (outside / "git" / "mine").write_text("mine")
    return folder, outside


@pytest.fixture
def flipping() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run an attack over and over beside the test."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def start(attack: Callable[[], None]) -> None:
        def again() -> None:
            while not over.is_set():
                try:
                    attack()
                except OSError:
                    continue

        threads.append(threading.Thread(target=again))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


async def test_putting_back_what_was_moved_never_moves_something_from_outside(
    places: tuple[Path, Path],
) -> None:
    folder, outside = places
    watch = Watch([str(folder)], NAMES)
    away = folder / "a" / "b"
    away.mkdir(parents=True)
    (folder / ".git").rename(away / "git")
    (folder / ".git").mkdir()
    for number in range(800):
        (folder / ".git" / f"{number}").touch()
    over = threading.Event()

    def swap() -> None:
        while not over.is_set() and len(os.listdir(folder / ".git")) == 800:
            pass
        away.rename(folder / "a" / "c")
        away.symlink_to(outside)

    thread = threading.Thread(target=swap)
    thread.start()
    watch.put_back()
    over.set()
    thread.join()
    watch.close()

    assert (outside / "git" / "mine").read_text() == "mine"
    assert not (folder / ".git" / "mine").exists()


async def test_nothing_outside_is_removed_through_a_swapped_directory(
    places: tuple[Path, Path], flipping: Callable[[Callable[[], None]], None]
) -> None:
    folder, outside = places
    hooks, aside, link = (folder / ".git" / "hooks", folder / "aside", folder / "link")
    decoys = [f"decoy{number}" for number in range(200)]
    for name in decoys:
        (outside / name).touch()
    watch = Watch([str(folder)], NAMES)
    link.symlink_to(outside)

    def attack() -> None:
        for name in decoys:
            (hooks / name).touch()
        hooks.rename(aside)
        link.rename(hooks)
        hooks.rename(link)
        aside.rename(hooks)

    flipping(attack)
    for _ in range(100):
        watch.put_back()
    watch.close()

    assert sorted(os.listdir(outside)) == sorted([*decoys, "git", "secret"])


async def test_nothing_outside_is_remembered_and_put_into_the_workspace(
    places: tuple[Path, Path], flipping: Callable[[Callable[[], None]], None]
) -> None:
    folder, outside = places
    hooks, aside, link = (folder / ".git" / "hooks", folder / "aside", folder / "link")
    for name in ("secret", *(f"decoy{number}" for number in range(30))):
        (hooks / name).write_text("decoy")
    link.symlink_to(outside)

    def attack() -> None:
        hooks.rename(aside)
        link.rename(hooks)
        hooks.rename(link)
        aside.rename(hooks)

    flipping(attack)
    for _ in range(150):
        watch = Watch([str(folder)], NAMES)
        watch.put_back()
        watch.close()
        for path in (hooks / "secret", aside / "secret"):
            with contextlib.suppress(OSError):
                fd = os.open(path.parent, os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    file = os.open("secret", os.O_RDONLY, dir_fd=fd)
                finally:
                    os.close(fd)
                with open(file) as opened:
                    assert "the secret" not in opened.read()


def _listed(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is at the watched names: mode and content by path."""
    found: dict[str, tuple[int, bytes]] = {}
    tops = [folder / name for name in NAMES]
    for path in [*tops, *(inner for top in tops if top.is_dir() for inner in top.rglob("*"))]:
        if path.is_symlink() or path.exists():
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found
