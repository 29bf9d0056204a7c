"""Allow, ask or refuse: the strictest answer over all a script would run."""

from __future__ import annotations

import pytest

from octavo.policy.decide import Allow, Answer, Ask, Call, Deny, Granular, Policy, decide
from octavo.policy.rules import Rules, parse

ROOTS = ("/home/me/work",)
ASKING = Policy("on-request", ROOTS)
NEVER = Policy("never", ROOTS)

RULES = parse(
    """
prefix_rule(pattern=["deploy"], decision="forbidden", justification="Releases are made by CI")
prefix_rule(pattern=["git", "push"], decision="prompt", justification="It talks to the remote")
prefix_rule(pattern=["git", "reset", "--hard"], decision="allow")
prefix_rule(pattern=["git", "clean"], decision="allow")
prefix_rule(pattern=["rm", "-rf", "../dist"], decision="allow")
prefix_rule(pattern=["npm"], decision="allow")
""",
    "my.rules",
)


def answer(script: str, policy: Policy = ASKING, rules: Rules = RULES, **more: object) -> Answer:
    return decide(Call(script, "/home/me/work", **more), rules, policy)


@pytest.mark.parametrize("policy", [ASKING, NEVER], ids=["on-request", "never"])
@pytest.mark.parametrize(
    "script",
    [
        *("ls -la | head", "python -m pytest -q 2>&1 | tail -5", 'for f in *.py; do wc "$f"; done'),
        *('git commit -am "$MSG"', "X=$(git describe); echo $X", "rm -rf build", "cd a && make"),
        *("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done", "source .venv/bin/activate && pytest"),
        *("cat > x.py <<'E'\nimport os\nE\npython x.py", "python - <<'E'\nprint(1)\nE"),
        *(
            'ls *.py | while read -r f; do python "$f"; done',
            "curl -s localhost | jq .x",
            "time make",
        ),
    ],
)
def test_ordinary_work_is_allowed(script: str, policy: Policy) -> None:
    assert answer(script, policy) == Allow()


@pytest.mark.parametrize(
    "script",
    [
        *("deploy prod", "ls && deploy", "sudo deploy", "bash -c 'cd x; deploy'", "echo $(deploy)"),
        *("/usr/local/bin/deploy", "./deploy", "DEPLOY", "rm -rf /; deploy"),
    ],
)
def test_what_a_rule_forbids_is_refused_whoever_could_be_asked(script: str) -> None:
    for policy in (ASKING, NEVER):
        refused = answer(script, policy)
        assert isinstance(refused, Deny)
        assert refused.rule == "my.rules:2"
        assert "Releases are made by CI." in refused.reason


@pytest.mark.parametrize(
    "script",
    ["git push", "git -C sub push", "git --no-pager push -u", "true; env A=1 git push", "git $X"],
)
def test_a_rule_that_asks_asks_however_the_command_is_written(script: str) -> None:
    asked = answer(script)

    assert isinstance(asked, Ask)
    assert "my.rules:3" in asked.rules or "git` is to do" in asked.reason


def test_what_may_be_forbidden_is_asked() -> None:
    asked = answer("sudo -u x $(echo deploy) prod")

    assert isinstance(asked, Ask)


def test_a_rule_that_allows_spares_the_question_it_spells_out() -> None:
    assert answer("git reset --hard HEAD~1") == Allow(("my.rules:4",))
    assert answer("git reset --hard && rm -rf ../dist") == Allow(("my.rules:4", "my.rules:6"))


@pytest.mark.parametrize(
    "script",
    [
        *("git clean -fdx", "npm publish", "rm -rf ../dist ../src", "git reset HEAD --hard"),
        *(
            "A=1 git reset --hard",
            "git reset --hard > log",
            "./git reset --hard",
            "PATH=x; git reset --hard",
        ),
        *("git reset --hard $X", "ssh h git reset --hard", "eval x; git reset --hard"),
    ],
)
def test_a_rule_that_allows_less_than_is_dangerous_spares_nothing(script: str) -> None:
    assert isinstance(answer(script), Ask)


def test_no_rule_lets_a_command_out_of_the_cage() -> None:
    rules = parse("prefix_rule(pattern=['ls'], decision='allow')", "x")

    assert isinstance(answer("ls", rules=rules, escalated=True), Ask)
    refused = answer("ls", NEVER, rules, escalated=True)
    assert isinstance(refused, Deny)
    assert "without asking to leave the sandbox" in refused.reason


def test_where_nobody_can_be_asked_the_refusal_says_what_to_do() -> None:
    assert answer("ls; git push --force", NEVER, Rules()) == Deny(
        "This was not run, as nobody can be asked here. `git push --force`: It rewrites or deletes"
        " what others may have fetched from the remote. Do it another way that needs no approval,"
        " or leave it to the user and say so."
    )
    unread = answer("eval x", NEVER)
    assert isinstance(unread, Deny)
    assert "Write it as plain commands" in unread.reason


def test_a_person_may_be_asked_about_some_things_only() -> None:
    no_rules = Policy(Granular(rules=False), ROOTS)
    no_cage = Policy(Granular(sandbox_approval=False), ROOTS)

    assert isinstance(answer("git push", no_rules), Deny)
    assert isinstance(answer("git clean -f", no_rules), Ask)
    assert isinstance(answer("git push", no_cage), Ask)
    assert isinstance(answer("git clean -f", no_cage), Deny)


def test_nothing_invisible_is_shown() -> None:
    asked = answer("git reset --hard $'\\x1b[2J' '\u202egpj.x'", rules=Rules())

    assert isinstance(asked, Ask)
    assert asked.reason.isprintable()
    assert "\\x1b[2J \\u202egpj.x" in asked.reason
