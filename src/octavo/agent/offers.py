"""What could be remembered of a yes to a command, each offer tried out before it is made.

A prefix is offered only if it would have spared this very question, and with examples of both
kinds that the decision itself was asked about. Prefixes that say next to nothing, such as the bare
name of an interpreter, are never offered.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence

from octavo.policy import Reading
from octavo.policy.decide import Allow, Answer, Ask
from octavo.protocol.questions import Offer

Decide = Callable[[str, tuple[tuple[str, ...], ...]], Answer]
"""What would be decided of a script if these prefixes were accepted, too."""

EXAMPLES = 3
_LEAST_WORDS, _LONGEST_WORDS = 2, 12
"""A program's bare name is no prefix, unless it is the whole command."""

_RUNS_ANYTHING = frozenset(
    """
    bash sh zsh dash ksh fish csh tcsh pwsh powershell python pypy node nodejs
    deno bun perl ruby php lua luajit tclsh osascript awk gawk mawk git npx pnpx bunx uvx pipx uv
    npm pnpm yarn cargo make just docker podman kubectl aws gcloud az terraform find ssh
    """.split()
)
"""Programs whose bare name, or that and an option, says nothing of what they would do."""
_WRAPPERS = frozenset(
    """
    env sudo doas su xargs nice ionice nohup timeout time setsid stdbuf watch parallel command exec
    eval builtin chroot unshare nsenter flock script strace ltrace busybox
    """.split()
)
"""Programs that only run another one: no prefix that begins with them is offered."""


def offers_for(
    ask: Ask | None, reading: Reading, prefix_rule: Sequence[str], decide: Decide, script: str
) -> tuple[Offer, ...]:
    """Return what can be remembered of a yes to a question about a command in the cage.

    Args:
        ask: what is asked about it; None when it is only a grant.
        prefix_rule: what the model proposes.
    """
    offers = [Offer("thread", "thread", "exact"), Offer("project", "project", "exact")]
    if ask is not None:
        prefix = _prefix(ask, reading, prefix_rule, decide, script)
        if prefix is not None:
            offers.append(prefix)
    return tuple(offers)


def flags_for(ask: Ask, reading: Reading, decide: Decide, script: str) -> str:
    """Return the flags of `octavo exec` with which this question is not asked; "" if none do."""
    prefixes = []
    for index in dict.fromkeys(at for at, _ in ask.needs):
        words = _shortest(ask, reading, index)
        if words is None or is_banned(words):
            return ""
        prefixes.append(words)
    if not prefixes or not isinstance(decide(script, tuple(prefixes)), Allow):
        return ""
    return " ".join(f"--allow-command {shlex.quote(shlex.join(words))}" for words in prefixes)


def is_banned(words: Sequence[str]) -> bool:
    """Return whether a prefix says too little about what it would let through."""
    if not words or len(words) > _LONGEST_WORDS or not all(word.isprintable() for word in words):
        return True
    name = os.path.basename(words[0]).lower()
    if name in _WRAPPERS:
        return True
    telling = [word for word in words[1:] if not word.startswith("-")]
    return name.rstrip("0123456789.") in _RUNS_ANYTHING and not telling


def _prefix(
    ask: Ask, reading: Reading, prefix_rule: Sequence[str], decide: Decide, script: str
) -> Offer | None:
    for words in _candidates(ask, reading, tuple(prefix_rule)):
        if is_banned(words) or not isinstance(decide(script, (words,)), Allow):
            continue
        allows = [one for one in _likely(words) if isinstance(decide(one, (words,)), Allow)]
        refuses = [one for one in _near(words) if not isinstance(decide(one, (words,)), Allow)]
        if allows and refuses:
            return Offer(
                "prefix",
                "project",
                "prefix",
                words,
                tuple(allows[:EXAMPLES]),
                tuple(refuses[:EXAMPLES]),
            )
    return None


def _candidates(ask: Ask, reading: Reading, proposed: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield prefixes that may spare the question: the model's, then the shortest that says much."""
    if not ask.needs:
        return
    index, _ = ask.needs[0]
    shortest = _shortest(ask, reading, index)
    if shortest is None:
        return
    argv = tuple(word.text for word in reading.commands[index].argv)
    if len(proposed) > 1 and argv[: len(proposed)] == proposed:
        yield proposed
    yield shortest


def _shortest(ask: Ask, reading: Reading, index: int) -> tuple[str, ...] | None:
    """Return the shortest prefix of a command that spares the question and says much."""
    command = reading.commands[index]
    if command.via:  # the words would not show what runs it
        return None
    argv = tuple(word.text for word in command.argv)
    return argv[: max(_LEAST_WORDS, *(words for at, words in ask.needs if at == index))]


def _likely(words: tuple[str, ...]) -> Iterator[str]:
    plain = shlex.join(words)
    yield plain
    yield f"{plain} x"
    yield f"{plain} --verbose"


def _near(words: tuple[str, ...]) -> Iterator[str]:
    """Yield commands that look alike and are others."""
    plain = shlex.join(words)
    yield f"{plain} && rm -rf ~"
    yield f'{plain} "$X"'
    yield f"X=1 {plain}"
    yield f"{plain} > ../out"
