"""What executes in a project counts only as the very bytes that the person agreed to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from octavo.config.consent import (
    Consents,
    Item,
    accept,
    consented,
    forget,
    item_of,
    read_consents,
)
from octavo.config.consent_items import effective_items, found_items
from octavo.config.load import Loaded, load
from octavo.config.trust import set_trust
from octavo.protocol.errors import ConfigError
from tests.trusting import trust_wholly

RULE = 'prefix_rule(pattern=["a"])\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    (path / ".octavo/rules").mkdir(parents=True)
    (path / ".octavo/rules/a.rules").write_text(RULE)
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    return path


def loaded_in(home: Path, cwd: Path) -> Loaded:
    return load(cwd=cwd, env={"OCTAVO_HOME": str(home), "HOME": str(home.parent)})


def agreed(home: Path, file: Path) -> tuple[list[bytes], list[str]]:
    files, refused = consented([file], home=home, projects={}, env={"HOME": "/"})
    return [one.content for one in files], list(refused.values())


def test_trust_alone_is_not_consent(home: Path, project: Path) -> None:
    file = project / ".octavo/rules/a.rules"
    assert agreed(home, file) == ([], ["its directory is not trusted"])
    set_trust(home, project, "trusted")
    assert agreed(home, file) == ([], ["you have not accepted what is in it"])
    trust_wholly(home, project)
    assert agreed(home, file) == ([RULE.encode()], [])


def test_consent_without_trust_is_nothing(home: Path, project: Path) -> None:
    trust_wholly(home, project)
    set_trust(home, project, "untrusted")
    assert agreed(home, project / ".octavo/rules/a.rules")[0] == []


@pytest.mark.parametrize("change", ["\n", "\u200b", " "])
def test_one_changed_byte_is_not_agreed_to_and_the_old_one_still_is(
    home: Path, project: Path, change: str
) -> None:
    trust_wholly(home, project)
    file = project / ".octavo/rules/a.rules"
    file.write_text(RULE + change)

    assert agreed(home, file) == ([], ["it has changed since you accepted it"])
    file.write_text(RULE)
    assert agreed(home, file) == ([RULE.encode()], [])


def test_a_file_of_another_name_with_the_same_content_is_not_agreed_to(
    home: Path, project: Path
) -> None:
    trust_wholly(home, project)
    other = project / ".octavo/rules/b.rules"
    other.write_text(RULE)
    assert agreed(home, other)[0] == []


def test_linked_worktrees_share_consent_and_another_repository_does_not(
    home: Path, project: Path, tmp_path: Path
) -> None:
    for words in (["add", "-A"], ["commit", "-qm", "x"], ["worktree", "add", "-q", "../tree"]):
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True)
    trust_wholly(home, project)
    assert agreed(home, tmp_path / "tree/.octavo/rules/a.rules")[0] == [RULE.encode()]

    other = tmp_path / "other"
    (other / ".octavo/rules").mkdir(parents=True)
    (other / ".octavo/rules/a.rules").write_text(RULE)
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    set_trust(home, other, "trusted")
    assert agreed(home, other / ".octavo/rules/a.rules")[0] == []


def test_a_directory_without_git_has_consents_of_its_own(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "plain"
    (place / ".octavo/rules").mkdir(parents=True)
    file = place / ".octavo/rules/a.rules"
    file.write_text(RULE)
    item = item_of("rules", file, b"")
    assert (item.unit, item.path) == (str(place), ".octavo/rules/a.rules")


def test_the_environment_of_a_project_counts_once_it_is_agreed_to(
    home: Path, project: Path
) -> None:
    file = project / ".octavo/config.toml"
    file.write_text('[shell_environment_policy]\nset = { A = "1" }\nignore_default_excludes = true')
    set_trust(home, project, "trusted")
    before = loaded_in(home, project)
    assert before.settings.shell_environment_policy.set == {}
    assert "not accepted what is in it" in before.warnings[0]

    trust_wholly(home, project)
    policy = loaded_in(home, project).settings.shell_environment_policy
    assert policy.set == {"A": "1"}
    assert not policy.ignore_default_excludes  # keys are not a project's to pass on

    file.write_text(file.read_text().replace('"1"', '"2"'))
    after = loaded_in(home, project)
    assert after.settings.shell_environment_policy.set == {}
    assert "it has changed since" in after.warnings[0]


def test_items_are_found_from_the_root_to_the_directory(home: Path, project: Path) -> None:
    for place in ("deep", "beside"):
        (project / place / ".octavo/rules").mkdir(parents=True)
        (project / place / ".octavo/rules/x.rules").write_text(RULE)
    items = effective_items(loaded_in(home, project / "deep"), project / "deep")
    assert [item.path for item in items] == [
        ".octavo/rules/a.rules",
        "deep/.octavo/rules/x.rules",
    ]


def test_what_other_tools_would_execute_is_found(home: Path, project: Path) -> None:
    for path, text in {
        ".mcp.json": "{}",
        ".codex/hooks.json": "{}",
        ".codex/config.toml": '[mcp_servers.x]\ncommand = "x"',
        ".octavo/config.toml": "[hooks]\n",
        ".agents/skills/one/scripts/run.sh": "x",
    }.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    assert [(item.kind, item.path) for item in found_items(project, home)] == [
        ("mcp", ".mcp.json"),
        ("hooks", ".codex/hooks.json"),
        ("skill", ".agents/skills/one/scripts/run.sh"),
        ("hooks", ".octavo/config.toml"),
        ("mcp", ".codex/config.toml"),
    ]


def test_the_file_is_private_and_bounded(home: Path, tmp_path: Path) -> None:
    items = [
        Item("rules", "/u", f"{number}.rules", tmp_path, bytes([97 + number % 26]) * 60_000)
        for number in range(100)
    ]
    accept(home, items)
    file = home / "consents.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size < 5 << 20
    consents = read_consents(home)
    assert all(consents.state(item) == "accepted" for item in items)
    assert consents.before(items[0]) is None
    assert consents.before(items[-1]) is not None


def test_consents_are_taken_back_with_the_trust(home: Path, project: Path) -> None:
    trust_wholly(home, project)
    forget(home, project)
    assert read_consents(home) == Consents()


@pytest.mark.parametrize("data", ["{", "[]", '{"units": {"a": 1}}'])
def test_a_damaged_file_agrees_to_nothing(home: Path, project: Path, data: str) -> None:
    trust_wholly(home, project)
    (home / "consents.json").write_text(data)

    files, [why] = agreed(home, project / ".octavo/rules/a.rules")
    assert files == []
    assert "is damaged" in why
    with pytest.raises(ConfigError, match="damaged"):
        accept(home, [])
