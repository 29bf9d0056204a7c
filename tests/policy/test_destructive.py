"""The table means what its examples say, and paths are judged by where they lead."""

from __future__ import annotations

import pytest

from octavo.policy.commands import read
from octavo.policy.dangers import DANGERS
from octavo.policy.destructive import Finding, judge

ROOTS = ("/home/me/work", "/tmp")


def found(script: str) -> list[Finding]:
    reading = read(script)
    assert reading.certain, reading.unreadable
    return judge(reading, cwd="/home/me/work", roots=ROOTS)


@pytest.mark.parametrize("danger", DANGERS, ids=lambda danger: danger.id)
def test_a_danger_means_and_spares_what_it_says(danger: object) -> None:
    assert danger.means
    for command in danger.means:
        findings = found(command)
        assert any(one.id == danger.id and one.certain for one in findings), command
    for command in danger.spares:
        assert found(command) == [], command


def test_the_names_of_dangers_are_their_own_and_the_reasons_are_sentences() -> None:
    names = [danger.id for danger in DANGERS]

    assert len(set(names)) == len(names)
    assert all(danger.why[0].isupper() and danger.why.endswith(".") for danger in DANGERS)


@pytest.mark.parametrize(
    "script",
    [
        *("rm -rf build", "rm -rf ./*", "rm -f *.o build/*.o", "rm -r /tmp/x", "rm -rf -- -f"),
        *("cd sub && rm -rf build", "sudo rm -rf build", "rm file ../file", 'rm "$f"', "rm -rf"),
        *("for f in a b; do rm -rf build; done", "rm -rf a/../b", "cd a; cd b; rm -rf c"),
        *("echo x > /dev/null", "mv a b", "cp x /dev/null", "rm -rf .github"),
    ],
)
def test_forced_deletion_plainly_inside_the_workspace_is_fine(script: str) -> None:
    assert found(script) == []


@pytest.mark.parametrize(
    "script",
    [
        *("rm -rf /", "rm -rf ~", "rm -rf ~/x", "rm -rf .", "rm -rf ..", "rm -rf ../other"),
        *("rm -rf /home/me/work", "rm -rf /home/me/work/", "rm -rf a/../..", "rm --rec --forc /x"),
        *("rm -rf .git", "rm -rf sub/.git/hooks", "rm -rf .*", "rm -rf .g*", "rm -rf [.]git"),
        *("rm -rf .GIT", "rm -rf .octavo", "rm -rf */..", "rm -rf ''", "rm -fr build /etc"),
        *('rm -rf "$X"', "rm -rf $X", "rm -rf $X/build", "rm $X a", "rm -rf {a,b}", "rm x -rf /"),
        *("cd .. && rm -rf x", "cd $X; rm -rf build", "cd; rm -rf x", "cd -; rm -rf x"),
        *("while a; do rm -rf b; cd ..; done", "pushd /; rm -rf etc", "cd / & rm -rf etc"),
        *(
            "ssh host rm -rf build",
            "env -C / rm -rf etc",
            "sudo -D / rm -rf etc",
            "chroot / rm -r x",
        ),
        *("find . | xargs rm -f", "find . -execdir rm -rf x \\;", "find / -exec rm -rf {} +"),
        *("docker exec c rm -rf data", "bash -c 'rm -rf /'", "echo $(rm -rf /)", "/bin/RM -rf /"),
        *("echo x > /dev/sda", "cat x | tee /dev/nvme0n1", "mv a /dev/null", ">/dev/mem"),
        *("x=--force; git push $x", 'git push origin "$b"', "dd $x", 'find "$x"', "git reset $x"),
    ],
)
def test_what_may_destroy_more_is_found(script: str) -> None:
    assert found(script)


def test_a_finding_says_which_words_make_it_dangerous() -> None:
    [finding] = found("echo a; git -C sub push origin --force main")

    assert finding == Finding(
        "git-push-force",
        "It rewrites or deletes what others may have fetched from the remote.",
        "git -C sub push origin --force main",
        words=6,
        index=1,
    )


def test_what_is_known_only_when_it_runs_is_not_certain() -> None:
    [finding] = found("git push $WHAT")

    assert not finding.certain
    assert finding.why.startswith("Words that are known only when it runs")


def test_paths_are_resolved_by_whoever_knows_the_disk() -> None:
    def resolve(path: str) -> str:
        return path.replace("/home/me/work/link", "/etc")

    reading = read("rm -rf link/x")

    assert judge(reading, cwd="/home/me/work", roots=ROOTS) == []
    assert judge(reading, cwd="/home/me/work", roots=ROOTS, resolve=resolve)


def test_no_root_spares_the_whole_disk() -> None:
    assert judge(read("rm -rf /etc"), cwd="/", roots=["/"])
