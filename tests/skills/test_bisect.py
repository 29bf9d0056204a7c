"""bisect: the commit that broke it is found in a copy, and nothing of the user's is touched."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script

GOOD = "def price(n):\n    return n * 2\n"
BAD = "def price(n):\n    return n * 3\n"
TEST = "from shop import price\nassert price(2) == 4, price(2)\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "-q")
    commits = [commit(folder, "Begin", {"shop.py": GOOD})]
    for number in range(2, 13):
        broken = {"shop.py": BAD} if number == 7 else {}
        files = {"notes.txt": f"{number}\n", **broken}
        commits.append(commit(folder, f"Change {number}", files))
    return folder, commits


@pytest.fixture
def history(made: tuple[Path, list[str]], workspace: Path) -> tuple[Path, list[str]]:
    """A repository whose 7th of 12 commits breaks `price`; the test is newer than that."""
    shutil.copytree(made[0], workspace, dirs_exist_ok=True)
    return workspace, made[1]


def find(where: Path, *words: str) -> tuple[int, str]:
    done = run_script("bisect", "find_bad_commit.py", *words, cwd=where)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.anyio
async def test_the_model_finds_the_planted_commit_and_leaves_the_work_tree_alone(
    history: tuple[Path, list[str]],
) -> None:
    repository, commits = history
    (repository / "test_price.py").write_text(TEST)
    (repository / "notes.txt").write_text("not committed\n")
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    steps = Steps("bisect")
    search = steps("find_bad_commit", ref=commits[0], command="python3 test_price.py")
    script = follow(
        "python3 test_price.py",
        steps("git log", path="shop.py"),
        search.replace("--good", "--with test_price.py --good"),
        lambda outputs: steps("git show", commit=first_bad(outputs[-1])),
        ends=lambda outputs: f"It was {first_bad(outputs[2])}.",
    )

    async with driving("bisect", script, repository) as drive:
        await drive.turn("$bisect since when is price(2) wrong?")

    outputs = drive.outputs()
    assert "AssertionError: 6" in outputs[0]
    assert first_bad(outputs[2]) == commits[6]
    assert "Note: uncommitted changes" in outputs[2]
    assert "+    return n * 3" in outputs[3]
    assert "Do not\nrun `git bisect` in the user's repository" in drive.skill_text()
    assert (
        git(repository, "status", "--porcelain"),
        git(repository, "rev-parse", "HEAD"),
    ) == before
    assert steps.not_run == []


def first_bad(output: str) -> str:
    found = re.search(r"^First bad commit: (\w+)", output, re.MULTILINE)
    return found[1] if found else "none"


def test_a_test_that_fails_where_it_is_said_to_pass_is_told(
    history: tuple[Path, list[str]],
) -> None:
    repository, commits = history

    wrong_good = find(repository, "--good", commits[8], "--", "grep -q '\\* 2' shop.py")
    wrong_bad = find(repository, "--good", commits[0], "--", "true")

    assert wrong_good[0] == 1
    assert "taken to be good is not: bad" in wrong_good[1]
    assert wrong_bad[0] == 1
    assert "taken to be bad is not: good" in wrong_bad[1]


def test_commits_that_do_not_build_are_skipped_and_what_is_left_is_named(
    history: tuple[Path, list[str]],
) -> None:
    repository, commits = history
    builds = "! grep -qE '^(6|7|8)$' notes.txt"

    status, said = find(
        repository, "--good", commits[0], "--setup", builds, "--", "grep -q '\\* 2' shop.py"
    )

    assert status == 3
    left = said.partition("is one of:")[2]
    assert [f"Change {n}" in left for n in (5, 6, 7, 8, 9, 10)] == [False, *[True] * 4, False]


def test_a_hang_is_the_fault_where_the_bad_end_hangs(history: tuple[Path, list[str]]) -> None:
    repository, commits = history
    hangs = "grep -q '\\* 2' shop.py || sleep 60"

    status, said = find(repository, "--good", commits[0], "--timeout-s", "0.3", "--", hangs)

    assert (status, first_bad(said)) == (0, commits[6])


def test_a_fault_that_comes_and_goes_at_an_end_is_not_searched_for(
    history: tuple[Path, list[str]], tmp_path: Path
) -> None:
    repository, commits = history
    mark = tmp_path / "mark"

    status, said = find(
        repository, "--good", commits[0], "--", f"test -e {mark} || {{ touch {mark}; false; }}"
    )

    assert status == 3
    assert "by turns" in said


def test_what_git_does_not_have_is_linked_into_the_copy(history: tuple[Path, list[str]]) -> None:
    repository, commits = history
    (repository / "data").mkdir()
    (repository / "data" / "wanted").write_text("* 2")
    words = ("--good", commits[0], "--link", "data", "--", 'grep -qF "$(cat data/wanted)" shop.py')

    status, said = find(repository, *words)

    assert (status, first_bad(said)) == (0, commits[6])
    assert (repository / "data" / "wanted").read_text() == "* 2"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--good", "nowhere"), "is no commit"),
        (("--good", "HEAD"), "are the same"),
        (("--good", "HEAD~2", "--with", "../outside"), "not in"),
        (("--good", "HEAD~2", "--link", "missing"), "not there"),
        (("--good", "HEAD", "--bad", "HEAD~2"), "not an ancestor"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_runs(
    history: tuple[Path, list[str]], words: tuple[str, ...], says: str
) -> None:
    repository, _ = history
    (repository.parent / "outside").write_text("")

    status, said = find(repository, *words, "--", "touch ran")

    assert status == 2
    assert says in said
    assert not list(Path(tempfile.gettempdir()).glob("bisect-*/copy/ran"))


def test_hostile_commit_messages_cannot_draw_on_the_terminal(workspace: Path) -> None:
    commit(workspace, "Begin", {"a": "1"})
    commit(workspace, "\x1b[2Jgone \u202eevil", {"a": "2"})

    status, said = find(workspace, "--good", "HEAD~1", "--", "grep -q 1 a")

    assert status == 0
    assert "\x1b" not in said
    assert "\u202e" not in said
