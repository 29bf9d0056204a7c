"""Whatever git, a shell and an editor do to a repository: undone, it is what it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.workspace.snapshot import Span
from octavo.workspace.snapshot.store import Store
from tests.sampling import sample
from tests.workspace.test_snapshot import Tree, tree

_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": "t@example.invalid"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}

PLACES = ("tracked.txt", "crlf.txt", "src/deep/code.py", "ignored/cache", "untracked", "nested/in")
CONTENTS = (b"", b"one\n", b"one\r\ntwo\r\n", b"mixed\r\nends\n", bytes(range(256)))

COMMANDS = (
    *("git add -A", "git commit -qam more", "git commit -q --allow-empty -m empty"),
    *(
        "git reset -q --hard",
        "git reset -q --hard HEAD~1",
        "git reset -q HEAD~1",
        "git clean -qfdx",
    ),
    *("git clean -qffdx", "git stash -q", "git stash -qu", "git stash pop -q"),
    *("git checkout -q -b other", "git checkout -q other", "git checkout -q main"),
    *("git checkout -q -- .", "git branch -qD other", "git tag -f mark", "git rm -qrf --cached ."),
    *("git merge -q --no-edit other", "git rebase -q main", "git cherry-pick other"),
    *("git -C nested commit -qam inside", "git -C nested reset -q --hard HEAD~1"),
    *("git -C nested clean -qfdx", "git init -q new-repo", "rm -rf nested", "rm -rf src"),
    *(
        "git config core.autocrlf true",
        "git pack-refs --all",
        "git update-index --chmod=+x crlf.txt",
    ),
    *("git update-ref refs/notes/x HEAD", "git symbolic-ref HEAD refs/heads/none"),
)

actions = st.one_of(
    st.tuples(st.just("run"), st.sampled_from(COMMANDS), st.just(b"")),
    st.tuples(st.just("write"), st.sampled_from(PLACES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("append"), st.sampled_from(PLACES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("remove"), st.sampled_from(PLACES), st.just(b"")),
    st.tuples(st.just("chmod"), st.sampled_from(PLACES), st.sampled_from((b"600", b"755", b"444"))),
    st.tuples(st.just("link"), st.sampled_from(PLACES), st.sampled_from((b"..", b"nowhere"))),
    st.tuples(st.just("folder"), st.sampled_from((*PLACES, "empty/a", "b")), st.just(b"")),
)


def git(place: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=place, env=_ENV, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with all that is hard to have back."""
    root = tmp_path_factory.mktemp("template") / "work"
    (root / "src" / "deep").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("ignored/\n")
    (root / ".gitattributes").write_text("*.py text eol=lf\n")
    (root / "tracked.txt").write_bytes(b"one\n")
    (root / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / "src" / "deep" / "code.py").write_bytes(b"print()\r\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "to-code").symlink_to("src/deep/code.py")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    (root / "tracked.txt").write_bytes(b"two\n")
    git(root, "commit", "-qam", "second")
    git(root, "branch", "other", "HEAD~1")
    (root / "nested").mkdir()
    git(root / "nested", "init", "-q", "-b", "main")
    for text in ("one", "two"):
        (root / "nested" / "in").write_text(text)
        git(root / "nested", "add", "-A")
        git(root / "nested", "commit", "-qm", text)
    (root / "tracked.txt").write_bytes(b"staged\n")
    git(root, "add", "tracked.txt")
    (root / "tracked.txt").write_bytes(b"staged, then edited\r\n")
    (root / "ignored").mkdir()
    (root / "ignored" / "cache").write_bytes(b"kept nowhere else")
    (root / "untracked").write_bytes(b"neither\r\n")
    (root / "empty" / "deeper").mkdir(parents=True)
    return root


def act(root: Path, kind: str, what: str, data: bytes) -> None:
    path = root / what
    try:
        match kind:
            case "run":
                subprocess.run(what.split(), cwd=root, env=_ENV, capture_output=True)
            case "write":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            case "append":
                with path.open("ab") as file:
                    file.write(data)
            case "remove":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            case "chmod":
                path.chmod(int(data, 8) | (0o100 if path.is_dir() else 0))
            case "link":
                path.unlink(missing_ok=True)
                path.symlink_to(os.fsdecode(data))
            case _:
                path.mkdir(parents=True)
    except OSError:
        return  # an earlier action is in the way, as in life


def known_to_git(root: Path) -> list[str]:
    """Refs, index and status, as git tells them; and that every object they need is there."""
    asked = [
        (root, "for-each-ref"),
        (root, "ls-files", "--stage"),
        (root, "symbolic-ref", "HEAD"),
        (root, "stash", "list"),
        (root, "fsck", "--connectivity-only", "--no-dangling"),
        (root / "nested", "for-each-ref"),
        (root / "nested", "ls-files", "--stage"),
    ]
    return [git(place, *words) for place, *words in asked]


@given(st.lists(st.lists(actions, min_size=1, max_size=6), min_size=1, max_size=3))
@settings(
    max_examples=sample(300, 8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_repository_is_had_back_turn_by_turn(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    turns: list[list[tuple[str, str, bytes]]],
) -> None:
    place = tmp_path_factory.mktemp("place")
    root = place / "work"
    shutil.copytree(template, root, symlinks=True)
    store = Store(root, place / "kept")
    spans: list[Span] = []
    states: list[Tree] = []
    told = known_to_git(root)
    before = store.take()
    states.append(tree(root))
    for turn in turns:
        for action in turn:
            act(root, *action)
        after = store.take()
        spans.append(Span(before, after))
        states.append(tree(root))
        before = after

    for span, state in zip(reversed(spans), reversed(states[:-1]), strict=True):
        assert store.undo([span]).left == ()
        assert tree(root) == state
    assert known_to_git(root) == told

    # All of it again, and taken back at once.
    first = store.undo([Span(spans[-1].after or 0, store.last)])
    assert tree(root) == states[-1]
    assert first.left == ()
    store.undo(spans[::-1])
    assert tree(root) == states[0]
    shutil.rmtree(place)


def test_a_repository_that_lost_its_own_objects_is_said_to_lack_them(
    template: Path, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    shutil.copytree(template, root, symlinks=True)
    store = Store(root, tmp_path / "kept")
    number = store.take()
    shutil.rmtree(root / ".git")

    left = store.undo([Span(number)]).left

    assert [one.path for one in left] == [b".git/objects"]
    assert (root / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
