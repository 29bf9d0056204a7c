"""release-notes: the commits since the last tag, grouped, without what was taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.skills.driving import driving
from tests.skills.steps import Steps, commit, follow, git, run_script


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a release and what came after it."""
    folder = tmp_path_factory.mktemp("mill")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "Begin", {"src/a": "0", "CHANGELOG.md": "# Changelog\n\n## 1.4.0\n- Begun\n"})
    git(folder, "tag", "v1.4.0")
    for number, message in enumerate(
        (
            "feat(export): exports keep the time zone (#12)",
            "Fix a crash on empty input",
            "feat!: drop Python 3.10\n\nBREAKING CHANGE: Python 3.11 is needed.",
            "chore: bump lodash from 1 to 2",
            "Grind barley",
            "perf: grind faster",
            "Fix XSS in the comment page (CVE-2026-1234)\n\nFixes #40",
        ),
        1,
    ):
        commit(folder, message, {f"src/f{number}": message})
    undone = commit(folder, "Grind rye", {"src/rye": "rye"})
    git(folder, "revert", "--no-edit", undone)
    git(folder, "switch", "-q", "-c", "oats", "HEAD~2")
    commit(folder, "wip", {"docs/oats": "1"})
    commit(folder, "more wip", {"docs/oats": "2"})
    git(folder, "switch", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "oats", "-m",
        "Merge pull request #55 from ada/oats\n\nGrind oats, too")  # fmt: skip
    return folder


def listed(where: Path, *words: str) -> dict[str, list[str]]:
    """The subjects in each group."""
    done = run_script("release-notes", "commits.py", "--json", *words, cwd=where)
    assert done.returncode == 0, done.stderr
    groups: dict[str, list[str]] = {}
    for entry in json.loads(done.stdout)["commits"]:
        groups.setdefault(entry["group"], []).append(entry["subject"])
    return groups


@pytest.mark.anyio
async def test_the_model_writes_notes_from_the_commits_since_the_last_release(
    made: Path, workspace: Path
) -> None:
    git(workspace, "pull", "-q", "--tags", str(made), "main")
    steps = Steps("release-notes")

    def fix(outputs: list[str]) -> str:
        [line] = [line for line in outputs[0].splitlines() if "a crash on empty" in line]
        return steps("git show", commit=line.split()[1])

    write = (
        "python3 - <<'EOF'\nfrom pathlib import Path\nlog = Path('CHANGELOG.md')\n"
        "log.write_text(log.read_text().replace('## 1.4.0', '## 2.0.0\\n- Empty input no longer "
        "crashes\\n\\n## 1.4.0'))\nEOF"
    )
    script = follow(steps("commits.py"), fix, write)

    async with driving("release-notes", script, workspace) as drive:
        await drive.turn("$release-notes")

    first, second, _ = drive.outputs()
    assert "Range: v1.4.0..HEAD, 8 commits" in first
    assert "suggest" not in first
    assert "of themselves: v2.0.0 (after v1.4.0)" in first
    assert "breaking: Python 3.11 is needed." in first
    assert "src/f2" in second
    assert (workspace / "CHANGELOG.md").read_text().startswith("# Changelog\n\n## 2.0.0\n- Empty")
    assert git(workspace, "tag") == "v1.4.0"
    assert steps.not_run == []


def test_commits_are_in_the_groups_a_reader_of_notes_looks_for(made: Path) -> None:
    assert listed(made) == {
        "other": ["Grind oats, too", "Grind barley"],
        "security": ["Fix XSS in the comment page (CVE-2026-1234)"],
        "speed": ["perf: grind faster"],
        "dependencies": ["chore: bump lodash from 1 to 2"],
        "breaking": ["feat!: drop Python 3.10"],
        "fixes": ["Fix a crash on empty input"],
        "features": ["feat(export): exports keep the time zone (#12)"],
    }


def test_what_was_taken_back_is_no_news_and_a_pull_request_stands_for_its_commits(
    made: Path,
) -> None:
    said = run_script("release-notes", "commits.py", cwd=made).stdout

    assert "rye" not in said
    assert "wip" not in said
    assert "Taken back within the range" in said
    assert "Grind oats, too #55  [docs/]" in said
    assert "(CVE-2026-1234) #40" in said


def test_a_revert_of_a_revert_counts_again(workspace: Path) -> None:
    commit(workspace, "Begin", {"a": "0"})
    commit(workspace, "Add rye", {"rye": "1"})
    git(workspace, "revert", "--no-edit", "HEAD")
    git(workspace, "revert", "--no-edit", "HEAD")

    groups = listed(workspace)

    assert groups["features"] == ["Add rye"]
    assert not any("Revert" in subject for subjects in groups.values() for subject in subjects)


@pytest.mark.parametrize(
    ("tag", "message", "suggested"),
    [
        ("v1.4.2", "feat: x", "v1.5.0"),
        ("v1.4.2", "fix: x", "v1.4.3"),
        ("v1.4.2", "feat!: x", "v2.0.0"),
        ("0.4.2", "feat!: x", "0.5.0"),
        ("mill-1.4", "fix: x", "mill-1.4.1"),
        ("v2.0.0-rc1", "fix: x", "v2.0.0"),
    ],
)
def test_the_next_number_follows_what_the_commits_say(
    workspace: Path, tag: str, message: str, suggested: str
) -> None:
    commit(workspace, "Begin", {"a": "0"})
    git(workspace, "tag", tag)
    commit(workspace, message, {"a": "1"})

    said = run_script("release-notes", "commits.py", cwd=workspace).stdout

    assert f"of themselves: {suggested} (after {tag})" in said


def test_without_a_tag_all_commits_count_and_without_commits_it_says_so(workspace: Path) -> None:
    nothing = run_script("release-notes", "commits.py", cwd=workspace)
    commit(workspace, "Begin \x1b[31m\u202e", {"a": "0"})
    all_of_them = run_script("release-notes", "commits.py", cwd=workspace)
    git(workspace, "tag", "v1")
    none_since = run_script("release-notes", "commits.py", "--since", "v1", cwd=workspace)
    no_ref = run_script("release-notes", "commits.py", "--since", "--all", cwd=workspace)

    assert nothing.returncode == 2
    assert "Git says" in nothing.stderr
    assert "(the beginning)..HEAD, 1 commits" in all_of_them.stdout
    assert "\x1b" not in all_of_them.stdout
    assert "\u202e" not in all_of_them.stdout
    assert none_since.returncode == 1
    assert no_ref.returncode == 2
