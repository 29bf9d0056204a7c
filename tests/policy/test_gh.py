"""What is taken for a call of gh, and which calls are possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.policy.gh import NotPossible, read_gh
from octavo.policy.porcelain import NotPlain

WORDS = st.sampled_from(
    ("gh", "pr", "issue", "api", "auth", "token", "list", "view", "-R", "a/b", "--repo=c/d", "--",
     "-X", "POST", "graphql", "-f", "query=mutation{x}", "config", "set", "&&", ";", "repo")
)  # fmt: skip


@pytest.mark.parametrize(
    ("script", "reads"),
    [
        ("gh pr list", True),
        ("gh pr view 12 --comments --json title -q .title", True),
        ("gh run view 7 --log-failed", True),
        ("gh run watch 7", True),
        ("gh api repos/a/b/pulls --paginate", True),
        ("gh api -X GET search/issues -f q=x", True),
        ("gh api graphql -f query='{viewer{login}}'", True),
        ("gh api graphql -f query='mutation{x}'", False),
        ("gh api graphql -F query=@file", False),
        ("gh api graphql --input file", False),
        ("gh api graphql --input file -f query=1", False),
        ("gh api graphql --input=file -f query=1", False),
        ("gh api repos/a/b/issues -f title=x", False),
        ("gh api repos/a/b/issues -ftitle=x", False),
        ("gh api repos/a/b --method=PATCH", False),
        ("gh api -XDELETE repos/a/b", False),
        ("gh api repos/a/b --input=file", False),
        ("gh pr create --fill", False),
        ("gh pr merge 12 --squash", False),
        ("gh release create v1 dist/x", False),
    ],
)
def test_each_call_is_one_that_reads_or_one_that_may_change(script: str, reads: bool) -> None:
    [step] = read_gh(script).steps

    assert step.reads is reads


@pytest.mark.parametrize(
    "script",
    [
        "gh auth token", "gh auth status -t", "gh auth login", "gh config set pager x",
        "gh config get oauth_token", "gh alias set x '!sh'", "gh extension install a/b",
        "gh ssh-key add x", "gh gpg-key list", "gh secret set X", "gh variable list",
        "gh gist create x", "gh codespace ssh", "gh browse", "gh pr checkout 1", "gh pr co 1",
        "gh repo clone a/b", "gh repo delete a/b", "gh repo edit", "gh repo create x", "gh x",
        "gh", "gh pr", "gh pr evil", "gh -R a/b", "gh --help", "gh pr list --web", "gh pr list -w",
        "gh api --hostname evil.example user", "gh api user --hostname=evil.example",
        "gh pr list -wR a/b", "gh pr list -R a/b -R c/d", "gh pr list -R a", "gh pr list -R ''",
        "gh pr list -R 'a/b c'", "gh pr list -R evil.example/x/../y", "gh pr -R a/b",
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_refused_with_a_reason(script: str) -> None:
    with pytest.raises(NotPossible) as refused:
        read_gh(script)

    assert len(str(refused.value)) > 20


@pytest.mark.parametrize(
    "script",
    ["gh pr list | head", "gh pr view $N", "git push && gh pr create", "gh pr list > x",
     "GH_TOKEN=x gh pr list", "sudo gh pr list", "gh pr list & ", "bash -c 'gh pr list'",
     "gh pr list; ls", "echo gh", ""],
)  # fmt: skip
def test_anything_beside_calls_of_gh_is_an_ordinary_command(script: str) -> None:
    with pytest.raises(NotPlain):
        read_gh(script)


def test_the_repository_is_taken_out_of_the_words_wherever_it_is() -> None:
    for script in (
        "gh -R a/b pr list -L 3",
        "gh pr -R=a/b list -L 3",
        "gh pr list -L 3 --repo a/b",
    ):
        [step] = read_gh(script).steps
        assert (step.repository, step.arguments) == ("a/b", ("pr", "list", "-L", "3"))
    [step] = read_gh("gh pr create -t x -- -R a/b").steps
    assert step.repository == ""


def test_a_message_of_many_lines_is_one_word() -> None:
    script = "gh pr create -t New --body \"$(cat <<'EOF'\nIt's $HOME\n\n- `one`\nEOF\n)\""

    [step] = read_gh(script).steps

    assert step.arguments[-1] == "It's $HOME\n\n- `one`"


@given(st.lists(WORDS, min_size=1, max_size=12))
def test_whatever_the_words_no_call_is_about_tokens_or_settings(words: list[str]) -> None:
    try:
        script = read_gh(" ".join(words))
    except (NotPlain, NotPossible):
        return
    for step in script.steps:
        assert step.arguments[0] in ("pr", "issue", "api", "repo")
        before = (
            step.arguments[: step.arguments.index("--")]
            if "--" in step.arguments
            else step.arguments
        )
        assert "-R" not in before
        if "query=mutation{x}" in before and "graphql" in before:
            assert not step.reads
    assert read_gh(str(script)).steps == script.steps
