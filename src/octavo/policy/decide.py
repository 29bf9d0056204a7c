"""One answer to one command: run it in the cage, ask a person, or refuse.

    forbidden by a rule                                → Deny
    a rule says prompt, or may say more                → Ask
    cannot be read, cannot be undone, leaves the cage  → Ask
    anything else                                      → Allow

The strictest answer over all the commands of a script holds. Where nobody may be asked, an Ask
becomes a Deny that tells the model what it can do instead. `Allow` means *in the cage*: a rule that
allows, and a prefix that a person accepted, only spare the question about a command they name down
to the words that make it one.
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
        accepted: the first words of commands about which no question is asked again; () is all.
    """

    approval: Literal["on-request", "never"] | Granular = "on-request"
    roots: tuple[str, ...] = ()
    accepted: tuple[tuple[str, ...], ...] = ()


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
        needs: for each command asked about, which of the reading's it is and how many words of it
            a prefix has to name to spare the question; empty when no prefix could spare them all.
        forbidden: a rule that forbids may fit, so nobody but a person can say yes.
    """

    reason: str
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    kind: Literal["rules", "sandbox_approval"] = "sandbox_approval"
    needs: tuple[tuple[int, int], ...] = ()
    forbidden: bool = False


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
    reading: Reading | None = None,
) -> Answer:
    """Return what is to happen with a command.

    Args:
        call: the command.
        rules: all rules that count here.
        policy: what the person has settled.
        resolve: makes an absolute path the one that is meant, symlinks and all.
        reading: of the script, where the caller has it already.
    """
    reading = reading or read(call.script, shell=call.shell)
    if refused := _forbidden(reading, rules):
        return refused
    answer = _question(call, reading, rules, policy, resolve)
    if isinstance(answer, Ask) and not may_ask(answer, policy):
        return refusal(answer, escalated=call.escalated)
    return answer


def _forbidden(reading: Reading, rules: Rules) -> Deny | None:
    for command in reading.commands:
        for rule, certain, _ in _strict(command, rules):
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
    needs: list[tuple[int, int] | None] = []
    plain = reading.certain and not any(assigned(command) for command in reading.commands)
    forbidding = any(rule.decision == "forbidden" for rule in rules.prefixes)
    forbidden = forbidding and not reading.certain
    for index, command in enumerate(reading.commands):
        for rule, certain, words in _strict(command, rules):
            sparable = plain and certain and rule.decision == "prompt"
            if sparable and _accepted(command, words, policy):
                continue
            needs.append((index, words) if sparable and _nameable(command) else None)
            forbidden = forbidden or rule.decision == "forbidden"
            verb = "falls" if certain else "may fall"
            why = f": {_sentence(rule.justification)}" if rule.justification else "."
            reasons.append(f"`{_shown(str(command))}` {verb} under a rule ({rule.at}){why}")
            asking.append(rule.at)
    by_rules_alone = len(reasons)
    spared, findings = _findings(call, reading, rules, policy, resolve, plain=plain)
    for one in findings:
        reasons.append(f"`{_shown(one.command)}`: {one.why}")
        sparable = plain and one.certain and _nameable(reading.commands[one.index])
        needs.append((one.index, one.words) if sparable else None)
    reasons += [f"The command cannot be read whole: {one}." for one in reading.unreadable]
    if call.escalated:
        reasons.append("It is to run outside the sandbox.")
    if not reasons:
        return Allow(tuple(dict.fromkeys(spared)))
    kind = "rules" if len(reasons) == by_rules_alone else "sandbox_approval"
    told = " ".join(dict.fromkeys(reasons))
    named = () if None in needs or call.escalated else tuple(filter(None, needs))
    return Ask(told, tuple(dict.fromkeys(asking)), tuple(findings), kind, named, forbidden)  # type: ignore[arg-type]  # one of its two words


def _findings(
    call: Call,
    reading: Reading,
    rules: Rules,
    policy: Policy,
    resolve: Callable[[str], str],
    *,
    plain: bool,
) -> tuple[list[str], list[Finding]]:
    """Return the rules that spare a question, and what is left to be asked about."""
    spared: list[str] = []
    left: list[Finding] = []
    for finding in judge(reading, cwd=call.cwd, roots=policy.roots, resolve=resolve):
        command = reading.commands[finding.index]
        if plain and finding.certain and _accepted(command, finding.words, policy):
            continue
        rule = _allowing(command, finding, rules) if plain else None
        if rule is None:
            left.append(finding)
        else:
            spared.append(rule.at)
    return spared, left


def _nameable(command: Command) -> bool:
    """Return whether a prefix can say what a command does: its words are all there is to it."""
    return command.plain and not command.elsewhere


def _accepted(command: Command, words: int, policy: Policy) -> bool:
    """Return whether an accepted prefix names a command down to its first `words` words."""
    if not policy.accepted or not _nameable(command):
        return False
    argv = tuple(word.text for word in command.argv)
    return any(len(one) >= words and argv[: len(one)] == one for one in policy.accepted)


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


def _strict(command: Command, rules: Rules) -> Iterator[tuple[PrefixRule, bool, int]]:
    """Yield the rules that ask about or forbid a command, whether they do for certain, and by how
    many words of it.

    More fits than for a rule that allows: the program by any path and in any case, git's
    subcommand behind git's options, and words that nobody knows yet.
    """
    ways = list(_ways(command))
    for rule in rules.prefixes:
        if rule.decision == "allow":
            continue
        fits = [(_fits(rule, way), len(command.argv) - len(way)) for way in ways]
        if any(fit is not None for fit, _ in fits):
            # A way may leave words out at the front: git's own options.
            certain = [left_out for fit, left_out in fits if fit]
            yield rule, bool(certain), len(rule.pattern) + max(certain, default=0)


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


def may_ask(ask: Ask, policy: Policy) -> bool:
    """Return whether a person wants to be asked this."""
    match policy.approval:
        case "on-request":
            return True
        case "never":
            return False
        case Granular() as wanted:
            return wanted.rules if ask.kind == "rules" else wanted.sandbox_approval


def refusal(ask: Ask, *, escalated: bool) -> Deny:
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
