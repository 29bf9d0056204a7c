"""Trust is the person's, about whole repositories, and cannot be forged from inside one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from octavo.config.settings import ProjectConfig
from octavo.config.trust import (
    decisions,
    is_trusted,
    read_trust,
    repository_root,
    set_trust,
    trust_unit,
)
from octavo.protocol.errors import ConfigError


def git(cwd: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    git(path, "init", "-q")
    git(path, "commit", "-q", "--allow-empty", "-m", "x")
    return path


def test_a_repository_is_trusted_as_a_whole(repository: Path, tmp_path: Path) -> None:
    below = repository / "a/b"
    below.mkdir(parents=True)
    home = tmp_path / "home"

    assert set_trust(home, below, "trusted") == repository

    assert read_trust(home) == {str(repository): "trusted"}
    assert is_trusted(below, read_trust(home))
    assert not is_trusted(tmp_path, read_trust(home))
    assert (home / "trust.json").stat().st_mode & 0o777 == 0o600


def test_a_linked_worktree_shares_the_trust_of_its_repository(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert trust_unit(tmp_path / "tree") == repository


def test_a_repository_that_claims_to_be_a_worktree_of_another_is_not_trusted(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / ".git").write_text(f"gitdir: {repository}/.git/worktrees/tree\n")
    decided = {str(repository): "trusted"}
    assert is_trusted(tmp_path / "tree", decided)
    assert not is_trusted(evil, decided)
    for pointer in ("gitdir: ../repo/.git", "", "\udcff", "gitdir: \x00", "x" * 9000):
        (evil / ".git").write_bytes(pointer.encode(errors="surrogateescape"))
        assert not is_trusted(evil, decided)


def test_a_repository_inside_a_trusted_directory_is_not_trusted(
    repository: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    set_trust(home, tmp_path, "trusted")
    (tmp_path / "plain").mkdir()
    assert is_trusted(tmp_path / "plain", read_trust(home))
    assert not is_trusted(repository, read_trust(home))


def test_a_symbolic_link_does_not_lend_trust(repository: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    good = tmp_path / "good"
    good.mkdir()
    set_trust(home, good, "trusted")
    (good / "link").symlink_to(repository)
    assert not is_trusted(good / "link", read_trust(home))


def test_untrusted_wins_and_the_nearest_answer_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    env = {"HOME": str(tmp_path)}
    projects = {
        "~": ProjectConfig(trust_level="trusted"),
        str(inner): ProjectConfig(trust_level="untrusted"),
    }
    decided = decisions({str(inner): "trusted"}, projects, env)
    assert decided == {str(tmp_path): "trusted", str(inner): "untrusted"}
    assert not is_trusted(inner, decided)
    assert is_trusted(tmp_path, decided)


@pytest.mark.parametrize("data", [b"", b"{", b'{"projects": {"/": "yes"}}', b"\xff"])
def test_a_damaged_file_trusts_nothing_and_is_kept(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(data)
    with pytest.raises(ConfigError, match="is damaged"):
        read_trust(tmp_path)
    with pytest.raises(ConfigError):
        set_trust(tmp_path, tmp_path, "trusted")
    assert (tmp_path / "trust.json").read_bytes() == data


def test_an_empty_git_directory_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "outer" / ".git").mkdir(parents=True)
    (tmp_path / "outer" / "inner").mkdir()

    assert repository_root(tmp_path / "outer" / "inner") != tmp_path / "outer"

    (tmp_path / "outer" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert repository_root(tmp_path / "outer" / "inner") == tmp_path / "outer"
