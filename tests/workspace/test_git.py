"""What git would say, read from its files; git itself is the measure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.workspace.git import Head, is_inside_git, read_head

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(cwd: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(cwd: Path) -> str:
    git(cwd, "commit", "-q", "--allow-empty", "-m", "x")
    return git(cwd, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "src" / "deep").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    return root


def test_a_directory_without_a_repository_has_no_head(tmp_path: Path) -> None:
    assert is_inside_git(tmp_path) is None
    assert read_head(tmp_path) is None
    assert read_head(tmp_path / "missing") is None


def test_before_the_first_commit_there_is_only_a_branch(repository: Path) -> None:
    assert read_head(repository) == Head("main", None)


def test_the_branch_and_its_commit_are_found_from_below(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "feature/über-quick")
    head = commit(repository)

    assert is_inside_git(repository / "src" / "deep") == repository
    assert read_head(repository / "src" / "deep") == Head("feature/über-quick", head)


def test_packed_refs_are_read(repository: Path) -> None:
    head = commit(repository)
    git(repository, "branch", "main2")
    git(repository, "tag", "-a", "-m", "t", "v1")
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git" / "refs" / "heads" / "main").exists()

    assert read_head(repository) == Head("main", head)


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    head = commit(repository)
    git(repository, "checkout", "-q", "--detach")

    assert read_head(repository) == Head(None, head)


def test_a_linked_work_tree_has_its_own_branch(repository: Path, tmp_path: Path) -> None:
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    head = commit(tmp_path / "side")

    assert is_inside_git(tmp_path / "side") == tmp_path / "side"
    assert read_head(tmp_path / "side") == Head("side", head)
    assert read_head(repository) != Head("side", head)


def test_a_git_directory_elsewhere_is_followed(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main", "--separate-git-dir", str(tmp_path / "elsewhere"))
    (work / ".git").write_text("gitdir: ../elsewhere\n")
    head = commit(work)

    assert read_head(work) == Head("main", head)


def test_a_branch_that_is_another_name_for_a_branch_is_resolved(repository: Path) -> None:
    head = commit(repository)
    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/alias\n")

    assert read_head(repository) == Head("alias", head)


def test_an_empty_git_folder_is_passed_over_as_git_does(repository: Path) -> None:
    (repository / "src" / ".git").mkdir()

    assert is_inside_git(repository / "src") == repository
    assert git(repository / "src", "rev-parse", "--show-toplevel") == str(repository)


def test_names_that_loop_end(repository: Path) -> None:
    heads = repository / ".git" / "refs" / "heads"
    (heads / "main").write_text("ref: refs/heads/main\n")

    assert read_head(repository) == Head("main", None)


@pytest.mark.parametrize(
    "head",
    ["ref: ../../secret", "ref: refs/../../secret", "ref: /etc/passwd", "ref: refs/a\x1bb", "?"],
)
def test_a_forged_head_leads_nowhere(repository: Path, head: str) -> None:
    (repository / "secret").write_text(COMMIT)
    (repository / ".git" / "HEAD").write_text(head)

    assert read_head(repository) == Head()


def test_a_link_to_a_secret_shows_nothing_of_it(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("SECRET")
    (repository / ".git" / "refs" / "heads" / "main").symlink_to(tmp_path / "key")

    assert read_head(repository) == Head("main", None)


def test_pipes_are_not_waited_for(repository: Path) -> None:
    os.mkfifo(repository / ".git" / "refs" / "heads" / "main")
    os.mkfifo(repository / "src" / ".git")
    os.mkfifo(repository / ".git" / "packed-refs")

    assert read_head(repository / "src") == Head("main", None)


def test_a_pipe_is_never_opened(repository: Path) -> None:
    pipe = repository / ".git" / "refs" / "heads" / "main"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        os.write(writer, COMMIT.encode())

        assert read_head(repository) == Head("main", None)
        assert os.read(writer, 100) == COMMIT.encode()
    finally:
        os.close(writer)


@given(head=st.binary(max_size=80), packed=st.binary(max_size=200))
def test_no_content_of_its_files_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, packed: bytes
) -> None:
    root = tmp_path_factory.getbasetemp() / "garbage"
    (root / ".git" / "objects").mkdir(parents=True, exist_ok=True)
    (root / ".git" / "HEAD").write_bytes(head)
    (root / ".git" / "packed-refs").write_bytes(packed)
    (root / "sub").mkdir(exist_ok=True)
    (root / "sub" / ".git").write_bytes(b"gitdir: " + head)

    for place in (root, root / "sub"):
        found = read_head(place)
        assert found is None or found.commit is None or len(found.commit) in (40, 64)
