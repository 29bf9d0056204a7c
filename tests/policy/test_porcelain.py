"""Scripts that are nothing but plain git, and scripts that only look so."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.policy.porcelain import NotPlain, read_git
from octavo.policy.porcelain_options import READING, REMOTE, WRITING
from tests.sampling import sample

PLAIN = {
    'git add -A && git commit -m "hello world"': "git add -A && git commit -m 'hello world'",
    "git commit -am x 2>&1\ngit log -1 --oneline": "git commit -am x; git log -1 --oneline",
    "git commit -m one -m 'two  # not a comment' # a comment": (
        "git commit -m one -m 'two  # not a comment'"
    ),
    "git add -- -odd ; git stash show 'stash@{1}'": "git add -- -odd; git stash show 'stash@{1}'",
    "git merge side ||\n git merge --abort": "git merge side || git merge --abort",
    "git push -u origin HEAD": "git push -u origin HEAD",
    "git reset --soft HEAD~1": "git reset --soft 'HEAD~1'",
    "git log -5 --format=%s -- a/b.py": "git log -5 --format=%s -- a/b.py",
    "git --no-pager diff --stat": "git diff --stat",
    'git commit -m "a \\"b\\" \\$5 c"': "git commit -m 'a \"b\" $5 c'",
}


@pytest.mark.parametrize("script", PLAIN)
def test_plain_git_is_taken_apart(script: str) -> None:
    assert str(read_git(script)) == PLAIN[script]


def test_a_here_document_for_a_message_is_its_text() -> None:
    script = "git commit -m \"$(cat <<'EOF'\nIt's $(not run)\n\nbody\nEOF\n)\" && git status"

    commit, _ = read_git(script).steps

    assert commit.arguments == ("commit", "-m", "It's $(not run)\n\nbody")


def test_where_it_runs_is_known() -> None:
    script = read_git("cd a/b && git -C c status; git add .")

    assert [step.folder for step in script.steps] == ["a/b/c", "a/b"]


NOT_PLAIN = [
    "", "ls", "git", "git log | head", "git add x & git commit", "git add $(ls)", "git add `ls`",
    "git add *.py", "git commit -m $MESSAGE", 'git commit -m "$MESSAGE"', "(git add x)",
    "GIT_DIR=x git add y", "git add x > out", "git add x && rm y", "cd x; cd ..; git add . && cd z",
    "sudo git add x", "/usr/bin/git add x", "git -c core.pager=evil log", "git --exec-path=. log",
    "git --git-dir=x add y", "git rebase -i HEAD~2", "git rebase --exec make main",
    "git rebase -x make main", "git merge -s subtree x", "git merge -X subtree=a x",
    "git merge -Xsubtree=a x", "git log --ext-diff", "git log --output=x",
    "git diff --no-index a b",
    "git add x.git/../.git/config", "git rm .GIT/config", "git add ':(top).git/hooks'",
    "git checkout HEAD -- .git/config", "git fetch https://h.example/x", "git fetch ../other main",
    "git pull ext::sh", "git push 'ext::sh -c x' main", "git clone ../x", "git clone ext::sh",
    "git clone -u evil https://h.example/x", "git clone --template=x https://h.example/x",
    "git clone -c core.hooksPath=x https://h.example/x", "git fetch --upload-pack=x origin",
    "git push --receive-pack=x origin", "git push -o x origin", "git commit -S -m x",
    "git commit --gpg-sign=x -m y", "git commit -t file", "git tag -s x", "git stash foreach x",
    "git remote add x y", "git config a b", "git submodule update", "git bisect run x", "git gc",
    "git filter-branch", "git commit --amen", "git worktree move a b", "git reflog expire",
    "git add 'x", 'git add "x', "git add x &&", "&& git add x", "git add {a,b}", "git add ~/x",
    "!git add x", "git am x", "git apply x", "git init --template=x",
    "git init --separate-git-dir=x",
    "git commit -m x <<EOF\nEOF", "git add x\0", "git add \\\\x",
]  # fmt: skip


@pytest.mark.parametrize("script", NOT_PLAIN)
def test_anything_else_is_not_plain_git(script: str) -> None:
    with pytest.raises(NotPlain):
        read_git(script)


_WORDS = st.one_of(
    st.sampled_from(
        [
            *("git", "add", "commit", "-m", "x", ";", "&&", "||", "|", "&", ">", "<", "(", ")"),
            *("$(", "`", "'", '"', "\\", "\n", "#", "-c", "--exec=sh", "-C", ".git", "rm", "sh"),
            *("cd", "{a,b}", "$X", "~", ".."),
        ]
    ),
    st.text("ab-=./$`'\"\\;&| \n{}~", max_size=6),
)


@settings(max_examples=sample(20_000, 500), deadline=None)
@given(st.lists(_WORDS, max_size=12).map(" ".join))
def test_whatever_comes_out_is_git_with_listed_options(script: str) -> None:
    try:
        steps = read_git(script).steps
    except NotPlain:
        return
    known = WRITING | READING | REMOTE
    for step in steps:
        assert step.arguments[0] == step.subcommand
        options = known[step.subcommand]
        words = iter(step.arguments[1:])
        for word in words:
            if word == "--":
                break
            name = word.partition("=")[0]
            if word.startswith("--"):
                assert options.words & {name, f"{name}=", f"{name}?"}
            if word in ("-c", "--exec", "--exec=sh"):
                assert options.takes_value(word)
        assert shlex.split(step.text)[0] == "git"
    assert read_git(str(read_git(script))).steps
