"""One answer to one command: run it in the cage, ask a person, or refuse.

    forbidden by a rule                                → Deny
    a rule says prompt, or may say more                → Ask
    cannot be read, cannot be undone, leaves the cage  → Ask
    anything else                                      → Allow

The strictest answer over all the commands of a script holds. Where nobody may be asked, an Ask
becomes a Deny that tells the model what it can do instead. `Allow` means *in the cage*: a rule that
allows only spares the question about a command it names down to the words that make it dangerous.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from octavo.policy import Command, Reading, Shell, Word
from octavo.policy.builtins import assigned
from octavo.policy.commands import read
from octavo.policy.destructive import Finding, judge
from octavo.policy.rules import PrefixRule, Rules, matches
from octavo.policy.shell import Unreadable
from octavo.policy.wrappers import git_subcommand

SHOWN_CHARS = 200


class Call(msgspec.Struct, frozen=True):
    """A command that is to run.

    Attributes:
        script: as the shell gets it.
        cwd: where, absolute.
        escalated: whether it is to run outside the cage.
    """

    script: str
    cwd: str
    shell: Shell = "bash"
    escalated: bool = False


class Granular(msgspec.Struct, frozen=True):
    """Which kinds of question a person wants to be asked."""

    sandbox_approval: bool = True
    rules: bool = True


class Policy(msgspec.Struct, frozen=True):
    """What the person has settled.

    Attributes:
        roots: folders in whose inside forced deletion needs no question.
    """

    approval: Literal["on-request", "never"] | Granular = "on-request"
    roots: tuple[str, ...] = ()


class Allow(msgspec.Struct, frozen=True):
    """It may run in the cage. `by` are the rules that spared a question, as file and line."""

    by: tuple[str, ...] = ()


class Ask(msgspec.Struct, frozen=True):
    """A person decides.

    Attributes:
        reason: for the person, one sentence for each thing there is to know.
        rules: those that ask, as file and line.
        findings: what cannot be undone.
        kind: "rules" when only rules ask.
    """

    reason: str
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    kind: Literal["rules", "sandbox_approval"] = "sandbox_approval"


class Deny(msgspec.Struct, frozen=True):
    """It does not run. `reason` is for the model: what is wrong and what to do."""

    reason: str
    rule: str | None = None


Answer = Allow | Ask | Deny


def decide(
    call: Call,
    rules: Rules,
    policy: Policy,
    *,
    resolve: Callable[[str], str] = os.path.normpath,
) -> Answer:
    """Return what is to happen with a command.

    Args:
        call: the command.
        rules: all rules that count here.
        policy: what the person has settled.
        resolve: makes an absolute path the one that is meant, symlinks and all.
    """
    reading = read(call.script, shell=call.shell)
    if refused := _forbidden(reading, rules):
        return refused
    answer = _question(call, reading, rules, policy, resolve)
    if isinstance(answer, Ask) and not _may_ask(answer, policy):
        return _refused(answer, escalated=call.escalated)
    return answer


def _forbidden(reading: Reading, rules: Rules) -> Deny | None:
    for command in reading.commands:
        for rule, certain in _strict(command, rules):
            if rule.decision == "forbidden" and certain:
                why = f" {_sentence(rule.justification)}" if rule.justification else ""
                reason = (
                    f"`{_shown(str(command))}` is forbidden by a rule of the user ({rule.at}).{why}"
                    " Do not try to reach the same by other means."
                )
                return Deny(reason, rule.at)
    return None


def _question(
    call: Call,
    reading: Reading,
    rules: Rules,
    policy: Policy,
    resolve: Callable[[str], str],
) -> Allow | Ask:
    reasons: list[str] = []
    asking: list[str] = []
    for command in reading.commands:
        for rule, certain in _strict(command, rules):
            verb = "falls" if certain else "may fall"
            why = f": {_sentence(rule.justification)}" if rule.justification else "."
            reasons.append(f"`{_shown(str(command))}` {verb} under a rule ({rule.at}){why}")
            asking.append(rule.at)
    by_rules_alone = len(reasons)
    spared, findings = _findings(call, reading, rules, policy, resolve)
    reasons += [f"`{_shown(one.command)}`: {one.why}" for one in findings]
    reasons += [f"The command cannot be read whole: {one}." for one in reading.unreadable]
    if call.escalated:
        reasons.append("It is to run outside the sandbox.")
    if not reasons:
        return Allow(tuple(dict.fromkeys(spared)))
    kind = "rules" if len(reasons) == by_rules_alone else "sandbox_approval"
    told = " ".join(dict.fromkeys(reasons))
    return Ask(told, tuple(dict.fromkeys(asking)), tuple(findings), kind)  # type: ignore[arg-type]  # one of its two words


def _findings(
    call: Call,
    reading: Reading,
    rules: Rules,
    policy: Policy,
    resolve: Callable[[str], str],
) -> tuple[list[str], list[Finding]]:
    """Return the rules that spare a question, and what is left to be asked about."""
    spared: list[str] = []
    left: list[Finding] = []
    plain = reading.certain and not any(assigned(command) for command in reading.commands)
    for finding in judge(reading, cwd=call.cwd, roots=policy.roots, resolve=resolve):
        rule = _allowing(reading.commands[finding.index], finding, rules) if plain else None
        if rule is None:
            left.append(finding)
        else:
            spared.append(rule.at)
    return spared, left


def _allowing(command: Command, finding: Finding, rules: Rules) -> PrefixRule | None:
    """Return a rule that allows a command down to the words that make it dangerous."""
    if not command.plain or not finding.certain or command.elsewhere:
        return None
    argv = [word.text for word in command.argv]
    named = os.path.basename(argv[0]) in rules.executables
    for match in matches(rules, argv, resolve=named):
        if match.rule.decision == "allow" and len(match.prefix) >= finding.words:
            return match.rule
    return None


def _strict(command: Command, rules: Rules) -> Iterator[tuple[PrefixRule, bool]]:
    """Yield the rules that ask about or forbid a command, and whether they do for certain.

    More fits than for a rule that allows: the program by any path and in any case, git's
    subcommand behind git's options, and words that nobody knows yet.
    """
    ways = list(_ways(command))
    for rule in rules.prefixes:
        if rule.decision == "allow":
            continue
        fits = [_fits(rule, words) for words in ways]
        if any(fit is not None for fit in fits):
            yield rule, True in fits


def _ways(command: Command) -> Iterator[tuple[Word, ...]]:
    """Yield the ways a command may be written in a rule."""
    yield command.argv
    first = command.argv[0]
    if not first.literal and first.kind != "home":
        return
    name = os.path.basename(first.text)
    for text in {name, name.lower()}:
        yield (Word(text), *command.argv[1:])
    if command.program == "git":
        try:
            start = git_subcommand(command.argv[1:])
        except Unreadable:
            yield Word("git"), Word("…", "unknown", one=False)
            return
        yield Word("git"), *command.argv[1 + start :]


def _fits(rule: PrefixRule, words: tuple[Word, ...]) -> bool | None:
    """Return True when a rule fits, False when it may, None when it does not."""
    certain = True
    for index, fitting in enumerate(rule.pattern):
        if index >= len(words):
            return None
        word = words[index]
        if word.literal:
            if word.text not in fitting:
                return None
            continue
        certain = False
        if not word.one:
            return False
    return certain


def _may_ask(ask: Ask, policy: Policy) -> bool:
    match policy.approval:
        case "on-request":
            return True
        case "never":
            return False
        case Granular() as wanted:
            return wanted.rules if ask.kind == "rules" else wanted.sandbox_approval


def _refused(ask: Ask, *, escalated: bool) -> Deny:
    """Return an Ask that nobody may answer as a text the model can work from."""
    advice = "Do it another way that needs no approval, or leave it to the user and say so."
    if escalated and not (ask.rules or ask.findings):
        advice = "Run it without asking to leave the sandbox, or leave it to the user and say so."
    elif "cannot be read" in ask.reason:
        advice = (
            "Write it as plain commands: programs and options spelled out, without eval, functions"
            " or names held in variables."
        )
    rule = ask.rules[0] if ask.rules else None
    return Deny(f"This was not run, as nobody can be asked here. {ask.reason} {advice}", rule)


def _sentence(text: str | None) -> str:
    stripped = (text or "").strip()
    return stripped if stripped.endswith((".", "!", "?")) else stripped + "."


def _shown(text: str) -> str:
    """Return a command as one line in which nothing is invisible."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…"
