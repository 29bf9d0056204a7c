"""What is offered to be remembered: a prefix only where it was tried out, and its examples hold."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.offers import is_banned, offers_for
from octavo.policy.commands import read
from octavo.policy.decide import Allow, Answer, Ask, Call, Policy, decide
from octavo.policy.rules import parse
from octavo.protocol.questions import Offer

CWD = "/home/me/work"
RULES = parse(
    """
prefix_rule(pattern=["make", "deploy"], decision="prompt")
prefix_rule(pattern=["git", "push"], decision="prompt")
prefix_rule(pattern=["npm", "publish"], decision="prompt")
""",
    "my.rules",
)

WORDS = st.one_of(
    st.sampled_from(
        "git reset push clean -C sub --hard -fdx make deploy npm publish rm -rf /x shred -u dd of=x"
        " sudo env -i bash -c python3 find . -delete chmod -R 777 kubectl delete pod".split()
    ),
    st.text("ab-/.='\" $", min_size=1, max_size=4),
)
COMMANDS = st.lists(WORDS, min_size=1, max_size=6).map(shlex.join)
SCRIPTS = st.lists(COMMANDS, min_size=1, max_size=3).map(" && ".join)


def judge(script: str, accepted: tuple[tuple[str, ...], ...] = ()) -> Answer:
    return decide(Call(script, CWD), RULES, Policy("on-request", (CWD,), accepted))


def prefix_for(script: str, proposed: tuple[str, ...] = ()) -> Offer | None:
    ask = judge(script)
    assert isinstance(ask, Ask), script
    offers = offers_for(ask, read(script), proposed, judge, script)
    return next((offer for offer in offers if offer.covers == "prefix"), None)


@given(SCRIPTS, COMMANDS)
def test_an_offered_prefix_does_what_its_examples_say(script: str, other: str) -> None:
    if not isinstance(judge(script), Ask):
        return
    offer = prefix_for(script)
    if offer is None:
        return
    accepted = (offer.words,)
    assert isinstance(judge(script, accepted), Allow)
    assert all(isinstance(judge(one, accepted), Allow) for one in offer.allows)
    assert all(isinstance(judge(one, accepted), Ask) for one in offer.refuses)
    assert offer.allows
    assert offer.refuses
    # Whatever else would be asked about still is, unless it begins with just these words.
    words = tuple(shlex.split(other))
    if isinstance(judge(other), Ask) and words[: len(offer.words)] != offer.words:
        assert isinstance(judge(other, accepted), Ask)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("git reset --hard HEAD~1", ("git", "reset", "--hard")),
        ("git -C sub push origin main", ("git", "-C", "sub", "push")),
        ("make deploy prod", ("make", "deploy")),
        ("cd sub && make deploy", ("make", "deploy")),
        ("rm -rf /opt/x", ("rm", "-rf", "/opt/x")),
        ("shred a b", ("shred", "a")),
    ],
)
def test_the_shortest_prefix_that_says_what_is_done_is_offered(
    script: str, words: tuple[str, ...]
) -> None:
    offer = prefix_for(script)
    assert offer is not None
    assert offer.words == words


@pytest.mark.parametrize(
    "script",
    [
        "git reset --hard $X",
        "make deploy > log",
        "A=1 make deploy",
        "sudo shred x",
        "eval make deploy",
        "make deploy && git reset --hard",
        "f() { make deploy; }; f",
    ],
)
def test_no_prefix_is_offered_that_could_not_say_what_is_done(script: str) -> None:
    assert prefix_for(script) is None


def test_a_prefix_that_the_model_proposes_has_to_fit_and_to_say_enough() -> None:
    longer = prefix_for("make deploy prod", ("make", "deploy", "prod"))
    shorter = prefix_for("make deploy prod", ("make",))
    other = prefix_for("make deploy prod", ("npm", "publish"))

    assert [one and one.words for one in (longer, shorter, other)] == [
        ("make", "deploy", "prod"),
        ("make", "deploy"),
        ("make", "deploy"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        "", "git", "git -C", "python3.12", "python3 -c", "bash -lc", "sh", "node -e", "/bin/bash",
        "env X=1 make", "sudo rm", "xargs rm", "find -delete", "timeout 5 make", "BASH -c",
    ],
)  # fmt: skip
def test_prefixes_that_say_next_to_nothing_are_banned(words: str) -> None:
    assert is_banned(words.split())
    assert not is_banned(["git", "push"])
    assert not is_banned(["python3", "setup.py"])
