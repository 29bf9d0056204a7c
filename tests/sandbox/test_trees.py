"""Directories made, copied and removed in every cage; whatever path is named, walls stand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.sandbox import FileChangeRefused, Sandbox, trees
from tests.sampling import sample
from tests.sandbox.conftest import cage_on

TIERS = ["namespaces", "bubblewrap", "landlock"]


@pytest.mark.anyio
@pytest.mark.parametrize("tier", [*TIERS, "none"])
async def test_trees_are_made_copied_and_removed(tier: str, workspace: Callable[[], Path]) -> None:
    folder = workspace()
    async with cage_on(folder, tier) as cage:
        await trees.make_directory(cage, folder / "a" / "b", parents=True)
        (folder / "a" / "b" / "run").write_text("#!/bin/sh\n")
        (folder / "a" / "b" / "run").chmod(0o755)
        await trees.copy(cage, folder / "a", folder / "c", recursive=True)
        (folder / "a" / "b" / "run").write_text("new")
        await trees.copy(
            cage, folder / "a" / "b" / "run", folder / "c" / "b" / "run", recursive=False
        )
        found = await trees.entries(cage, folder / "c" / "b")
        about = await trees.metadata(cage, folder / "c" / "b" / "run")
        await trees.remove(cage, folder / "a", recursive=True, force=False)

    assert [(entry.name, entry.is_file) for entry in found] == [("run", True)]
    assert (about.is_file, about.is_link) == (True, False)
    assert not (folder / "a").exists()
    assert (folder / "c" / "b" / "run").read_text() == "new"
    assert os.access(folder / "c" / "b" / "run", os.X_OK)


@pytest.mark.anyio
@pytest.mark.parametrize("tier", TIERS)
async def test_a_tree_with_something_protected_in_it_is_not_begun_to_be_removed(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    nested = folder / "sub" / "nested"
    before = sorted(nested.rglob("*"))
    async with cage_on(folder, tier) as cage:
        for path in (folder, folder / "sub", nested / ".git", folder / ".git" / "config"):
            with pytest.raises(FileChangeRefused) as refused:
                await trees.remove(cage, path, recursive=True, force=True)
            assert refused.value.reason == "outside"

    assert sorted(nested.rglob("*")) == before


@pytest.mark.anyio
@pytest.mark.parametrize("tier", TIERS)
async def test_nothing_is_made_or_put_where_it_would_run_or_decide_later(
    tier: str, workspace: Callable[[], Path]
) -> None:
    folder = workspace()
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "way").symlink_to(".git/hooks")
    hooks = sorted((folder / ".git").rglob("*"))
    async with cage_on(folder, tier) as cage:
        for name in (".git/hooks/pre-commit", "way/pre-commit", ".envrc", ".octavo/config.toml"):
            with pytest.raises(FileChangeRefused):
                await trees.copy(cage, folder / "script", folder / name, recursive=False)
        for name in (".git/hooks/more", "way/more", ".octavo/skills"):
            with pytest.raises(FileChangeRefused):
                await trees.make_directory(cage, folder / name, parents=True)

    assert sorted((folder / ".git").rglob("*")) == hooks
    assert not (folder / ".octavo").exists()


@pytest.mark.anyio
async def test_a_tree_too_deep_to_hold_is_refused(workspace: Callable[[], Path]) -> None:
    folder = workspace()
    deep = folder / "deep" / "/".join(["d"] * 250)
    deep.mkdir(parents=True)
    async with cage_on(folder, "namespaces") as cage:
        with pytest.raises(FileChangeRefused, match="deep"):
            await trees.remove(cage, folder / "deep", recursive=True, force=True)
    assert deep.exists()


NAMES = st.sampled_from(["a", "b", "out", "up", "loop", "..", ".", ".git", ".octavo", "x", ""])
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
ASKED = st.lists(
    st.tuples(st.sampled_from(["make", "remove", "copy", "stat", "list", "watch"]), PATHS, PATHS),
    min_size=5,
    max_size=30,
)


def _state(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


async def _try(cage: Sandbox, verb: str, path: Path, other: Path) -> None:
    match verb:
        case "make":
            await trees.make_directory(cage, path, parents=True)
        case "remove":
            await trees.remove(cage, path, recursive=True, force=True)
        case "copy":
            await trees.copy(cage, path, other, recursive=True)
        case "stat":
            await trees.metadata(cage, path)
        case "list":
            await trees.entries(cage, path)
        case _:
            (await trees.watch(cage, path)).close()


@settings(
    max_examples=sample(60, 4),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(asked=ASKED)
@pytest.mark.parametrize("tier", TIERS)
def test_no_path_leads_out(
    tier: str, workspace: Callable[[], Path], asked: list[tuple[str, str, str]]
) -> None:
    folder = workspace()
    outside = folder.parent / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    (outside / "a").mkdir(parents=True)
    (outside / "a" / "kept").write_text("kept")
    (folder / "a").mkdir(exist_ok=True)
    (folder / "out").symlink_to(outside)
    (folder / "up").symlink_to("../outside/a")
    (folder / "loop").symlink_to("loop")
    (folder / "b").symlink_to(".git")
    before = _state(outside), _state(folder / ".git")

    async def play() -> int:
        done = 0
        async with cage_on(folder, tier) as cage:
            for verb, path, other in asked:
                try:
                    await _try(cage, verb, Path(f"{folder}/{path}"), Path(f"{folder}/{other}"))
                    done += 1
                except FileChangeRefused:
                    continue
        return done

    anyio.run(play)
    assert (_state(outside), _state(folder / ".git")) == before
