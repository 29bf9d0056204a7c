"""Rule files: what they can say, what they are held to, and what a hostile one cannot do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.policy.rules import (
    Match,
    NetworkRule,
    PrefixRule,
    Rules,
    RulesError,
    check,
    load,
    matches,
    network,
    parse,
)

GIT = """
prefix_rule(
    pattern = ["git", ["push", "fetch"]],
    decision = "prompt",
    justification = "It talks to the remote",
    match = ["git push origin main", ["git", "fetch"]],
    not_match = ["git status"],
)
prefix_rule(pattern = ["git", "push", "--force"], decision = "forbidden")
host_executable(name = "git", paths = ["/usr/bin/git"])
network_rule(host = "Example.ORG.", protocol = "https", decision = "allow")
"""


def test_a_file_is_read_with_the_line_of_every_rule() -> None:
    assert parse(GIT, "git.rules") == Rules(
        prefixes=(
            PrefixRule(
                (("git",), ("push", "fetch")), "prompt", "It talks to the remote", "git.rules:2"
            ),
            PrefixRule((("git",), ("push",), ("--force",)), "forbidden", None, "git.rules:9"),
        ),
        network=(NetworkRule("example.org", "https", "allow", None, "git.rules:11"),),
        executables={"git": ("/usr/bin/git",)},
    )


def test_the_strictest_rule_decides_and_the_report_is_codexs() -> None:
    rules = parse(GIT, "git.rules")

    assert check(rules, ["git", "push", "--force", "x"]) == {
        "matchedRules": [
            {
                "prefixRuleMatch": {
                    "matchedPrefix": ["git", "push"],
                    "decision": "prompt",
                    "justification": "It talks to the remote",
                }
            },
            {
                "prefixRuleMatch": {
                    "matchedPrefix": ["git", "push", "--force"],
                    "decision": "forbidden",
                }
            },
        ],
        "decision": "forbidden",
    }
    assert check(rules, ["git", "status"]) == {"matchedRules": []}
    assert check(rules, ["bash", "-lc", "git push"]) == {"matchedRules": []}


def test_a_path_stands_for_its_program_only_where_the_rules_agree() -> None:
    rules = parse(GIT, "git.rules")
    fetch = rules.prefixes[0]

    assert matches(rules, ["/usr/bin/git", "fetch"]) == []
    assert matches(rules, ["/usr/bin/git", "fetch"], resolve=True) == [
        Match(fetch, ("git", "fetch"), "/usr/bin/git")
    ]
    assert matches(rules, ["/tmp/git", "fetch"], resolve=True) == []
    assert matches(rules, ["./git", "fetch"], resolve=True) == []


def test_starlark_saves_repeating_oneself() -> None:
    source = """
READ = ["status", "log"] + [x for x in ["show", "no"] if x != "no"]
def allow(tool, subs, why = "read only"):
    for sub in subs:
        prefix_rule(pattern = [tool, sub], justification = f"{tool}: {why}")
allow("git", READ)
if len(READ) == 3:
    allow("hg", subs = sorted(READ)[:1], why = "x".upper())
"""
    rules = parse(source, "x").prefixes

    assert [(rule.pattern, rule.justification) for rule in rules] == [
        ((("git",), ("status",)), "git: read only"),
        ((("git",), ("log",)), "git: read only"),
        ((("git",), ("show",)), "git: read only"),
        ((("hg",), ("log",)), "hg: X"),
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("prefix_rule(pattern = [])", "f.rules:1: pattern must have at least one word."),
        ("prefix_rule(pattern = ['a', []])", "f.rules:1: a place of pattern has no words"),
        ("prefix_rule(pattern = 'a')", "f.rules:1: pattern must be a list."),
        ("prefix_rule(pattern = ['a', 1])", "f.rules:1: each place of pattern must be a list."),
        ("\nprefix_rule(pattern = ['a'], decision = 'no')", "f.rules:2: 'no' is not one of allow,"),
        ("prefix_rule(pattern = ['a'], justification = ' ')", "f.rules:1: justification must be"),
        ("prefix_rule(pattern = ['a\\x1b'])", "f.rules:1: pattern has control characters"),
        ("prefix_rule(pattern = ['a'], match = ['b'])", "f.rules:1: the rule does not match its"),
        (
            "\n\nprefix_rule(pattern = ['a'], not_match = ['a b'])",
            "f.rules:3: the rule matches its",
        ),
        ("prefix_rule(pattern = ['a'], match = [\"a 'b\"])", "f.rules:1: No closing quotation."),
        ("prefix_rule(patern = ['a'])", "f.rules:1: "),
        ("frob()", "f.rules:1: there is no 'frob'."),
        ("x = [\n1,\n", "f.rules:1: syntax error"),
        ("host_executable(name = 'a/b', paths = [])", "f.rules:1: name must be a bare program"),
        ("host_executable(name = 'a', paths = ['/x/b'])", "f.rules:1: '/x/b' is not an absolute"),
        ("load('x', 'y')", "f.rules:1: there is no 'load'."),
        ("while True: pass", "f.rules:1: rules cannot use while."),
        ("import os", "f.rules:1: rules cannot use import."),
        ("().__class__", "f.rules:1: rules cannot use attribute."),
        ("[].__len__()", "f.rules:1: there is no method '__len__' here."),
        ("'{}'.format(1)", "f.rules:1: there is no method 'format' here."),
        ("def f(): f()\nf()", "f.rules:1: a function of a rule file cannot call itself."),
        ("break", "f.rules:1: break or continue is outside a loop."),
        ("return 1", "f.rules:1: return is outside a function."),
        ("[i for i in 'ab']", "f.rules:1: this is nothing to go through"),
    ],
)
def test_a_mistake_refuses_the_file_with_its_line(source: str, said: str) -> None:
    with pytest.raises(RulesError) as error:
        parse(source, "f.rules")

    assert said in str(error.value)
    assert "no rule of it counts until then" in str(error.value)


@pytest.mark.parametrize(
    "host",
    [
        *("*", "*.example.org", "exa*mple.org", "https://example.org", "example.org:443", "a/b"),
        *("me@example.org", "", " ", "bücher.example", "a..b", "-a.b", "a b", "x" * 64, "a\x00b"),
    ],
)
def test_a_host_is_one_exact_name(host: str) -> None:
    with pytest.raises(RulesError):
        parse(f"network_rule(host={host!r}, protocol='https', decision='allow')", "x")


def test_deny_wins_over_allow_for_a_host() -> None:
    line = "network_rule(host='a.b', protocol='{}', decision='{}')\n"
    rules = parse(line.format("https", "deny") + line.format("https", "allow"), "x")

    assert network(rules, "A.B.", "https") == rules.network[0]
    assert network(rules, "c.a.b", "https") is None
    assert network(rules, "a.b", "http") is None


@pytest.mark.parametrize(
    "source",
    [
        *("'a' * 1000000000", "[0] * 10000000", "1 << 100", "2 ** 100", "range(10 ** 9)"),
        "[1 for a in range(9999) for b in range(9999)]",
        "x = 'a'\nfor i in range(60):\n    x = x + x",
        "x = [1]\ny = [1]\nfor i in range(60):\n    x = [x, x]\n    y = [y, y]\nx == y",
        "x = (1,)\nfor i in range(60):\n    x = (x, x)\n{x: 1}",
        "x = [1]\nfor i in range(60):\n    x = [x, x]\nf'{x}'",
        "k = []\nfor i in range(9999):\n    k.append([0] * 9999)",
        "x = 3\nfor i in range(99):\n    x = x * x",
        "'a' * 9000\nx = ('a' * 9000).replace('a', 'b' * 9000)",
        "','.join(['a' * 9000] * 9000)",
        *(
            "(" * 5_000,
            "-" * 4_000 + "1",
            "\n(" * 5_000,
            "-\\\n" * 30_000 + "1",
            "[" * 99 + "]" * 99,
        ),
        *("x" + "\\\n.a" * 30_000, "1" + "\\\n+1" * 30_000, "#" * 300_000, "a" + "()" * 2_000),
        *("not " * 1_200 + "1", "a if b else " * 400 + "c", "prefix_rule(['a'])\n" * 5_001),
        "for a in range(9999):\n    for b in range(9999):\n        pass",
    ],
    ids=range(27),
)
def test_a_hostile_file_ends_soon(source: str) -> None:
    started_at = time.monotonic()
    try:
        parse(source, "x")
    except RulesError:
        pass

    assert time.monotonic() - started_at < 3


@given(st.text(alphabet=st.sampled_from("ab'\"[](){}=,:\n .+-*%0_#\\frule"), max_size=60))
def test_any_text_is_rules_or_an_error(source: str) -> None:
    try:
        parse(source, "x")
    except RulesError:
        pass


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.rules"
    broken.write_bytes(b"\xff")

    for path in (tmp_path / "none.rules", tmp_path, broken):
        with pytest.raises(RulesError, match=path.name):
            load([path])
