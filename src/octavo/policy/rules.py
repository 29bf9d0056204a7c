"""What a person wrote down about commands and hosts: `.rules` files, in Codex's form.

    prefix_rule(
        pattern = ["git", ["push", "fetch"]],
        decision = "prompt",
        justification = "It talks to the remote.",
        match = ["git push origin main"],
        not_match = ["git status"],
    )
    host_executable(name = "git", paths = ["/usr/bin/git"])
    network_rule(host = "example.org", protocol = "https", decision = "allow", justification = "…")

The examples are checked when the file is loaded. A file with any error is refused whole, so that a
rule that forbids is never lost to a slip of the pen: `RulesError`, and the caller runs nothing.
`load` reads the files it is given; nothing else here touches the disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from octavo.protocol.errors import ConfigError

Decision = Literal["allow", "prompt", "forbidden"]
Protocol = Literal["http", "https", "socks5_tcp", "socks5_udp"]
STRICTNESS: tuple[Decision, ...] = ("allow", "prompt", "forbidden")
RULE_LIMIT = 5_000
FILE_LIMIT_BYTES = 256 << 10

_HOST = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_IPV6 = re.compile(r"[0-9a-f:.]+:[0-9a-f:.]*")


class RulesError(ConfigError):
    """A rule file is wrong. No command may run on the rules that are left."""

    code = "rules"


class PrefixRule(msgspec.Struct, frozen=True):
    """What is decided for commands that start with these words.

    Attributes:
        pattern: for each place the words that fit there.
        at: file and line.
    """

    pattern: tuple[tuple[str, ...], ...]
    decision: Decision
    justification: str | None = None
    at: str = ""

    def matches(self, argv: Sequence[str]) -> bool:
        """Return whether the first words of a command fit, exactly and one by one."""
        return len(argv) >= len(self.pattern) and all(
            word in fitting for word, fitting in zip(argv, self.pattern, strict=False)
        )


class NetworkRule(msgspec.Struct, frozen=True):
    """What is decided for one host, by its exact name."""

    host: str
    protocol: Protocol
    decision: Literal["allow", "prompt", "deny"]
    justification: str | None = None
    at: str = ""


class Rules(msgspec.Struct, frozen=True):
    """Everything some rule files say.

    Attributes:
        executables: for a program's name the only paths at which it is taken for that program.
    """

    prefixes: tuple[PrefixRule, ...] = ()
    network: tuple[NetworkRule, ...] = ()
    executables: dict[str, tuple[str, ...]] = {}

    def __add__(self, other: Rules) -> Rules:
        return Rules(
            self.prefixes + other.prefixes,
            self.network + other.network,
            {**self.executables, **other.executables},
        )


class Match(msgspec.Struct, frozen=True):
    """A rule that fits a command.

    Attributes:
        prefix: the command's words that the rule named.
        program: the path the first word stands for, when the rule names it without folder.
    """

    rule: PrefixRule
    prefix: tuple[str, ...]
    program: str | None = None


def load(paths: Iterable[Path]) -> Rules:
    """Read rule files, in this order.

    Raises:
        RulesError: one cannot be read, or is wrong; the message has file and line.
    """
    rules = Rules()
    for path in paths:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_LIMIT_BYTES + 1)
            source = content.decode()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise RulesError(f"The rules in {path} cannot be read: {reason}.") from None
        rules += parse(source, str(path))
    return rules


def parse(source: str, name: str) -> Rules:
    """Evaluate the text of a rule file; `name` stands for it in errors.

    Raises:
        RulesError: it is wrong.
    """
    from octavo.policy.starlark import StarlarkError, run

    builder = _Builder(name)
    offered: dict[str, Callable[..., None]] = {
        "prefix_rule": builder.prefix_rule,
        "host_executable": builder.host_executable,
        "network_rule": builder.network_rule,
    }
    try:
        run(source, offered)
        if wrong := builder.wrong_example():
            raise StarlarkError(*wrong)
    except StarlarkError as error:
        raise RulesError(
            f"{name}:{error.line}: {error}.",
            hint="Correct the line or remove the file; no rule of it counts until then.",
        ) from None
    return builder.rules()


def matches(rules: Rules, argv: Sequence[str], *, resolve: bool = False) -> list[Match]:
    """Return the rules that fit a command, in their order.

    Args:
        rules: the rules.
        argv: the command; words that are known only when it runs must not be in it.
        resolve: also let a path fit the name of its program, where `host_executable` agrees.
    """
    if not argv:
        return []
    exact = [
        Match(rule, tuple(argv[: len(rule.pattern)]))
        for rule in rules.prefixes
        if rule.matches(argv)
    ]
    program = argv[0]
    name = os.path.basename(program)
    if exact or not resolve or not os.path.isabs(program) or not name:
        return exact
    if name in rules.executables and program not in rules.executables[name]:
        return []
    named = (name, *argv[1:])
    return [
        Match(rule, named[: len(rule.pattern)], program)
        for rule in rules.prefixes
        if rule.matches(named)
    ]


def network(rules: Rules, host: str, protocol: Protocol) -> NetworkRule | None:
    """Return the strictest rule for a host, by its exact name; None when no rule names it."""
    name = host.strip("[]").rstrip(".").lower()
    fitting = [one for one in rules.network if (one.host, one.protocol) == (name, protocol)]
    order = ("allow", "prompt", "deny")
    return max(fitting, key=lambda one: order.index(one.decision), default=None)


def strictest(decisions: Iterable[Decision]) -> Decision | None:
    """Return the strictest of some decisions; None when there are none."""
    return max(decisions, key=STRICTNESS.index, default=None)


def check(rules: Rules, argv: Sequence[str], *, resolve: bool = False) -> dict[str, Any]:
    """Return what the rules say of one command, in the form of `codex execpolicy check`."""
    found = matches(rules, argv, resolve=resolve)
    report: dict[str, Any] = {"matchedRules": [{"prefixRuleMatch": _told(one)} for one in found]}
    if found:
        report["decision"] = strictest(one.rule.decision for one in found)
    return report


def _told(match: Match) -> dict[str, Any]:
    told: dict[str, Any] = {
        "matchedPrefix": list(match.prefix),
        "decision": match.rule.decision,
    }
    if match.program is not None:
        told["resolvedProgram"] = match.program
    if match.rule.justification is not None:
        told["justification"] = match.rule.justification
    return told


class _Builder:
    """Collects what a file declares; what it raises gets the line of the call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._prefixes: list[PrefixRule] = []
        self._network: list[NetworkRule] = []
        self._executables: dict[str, tuple[str, ...]] = {}
        self._examples: list[tuple[PrefixRule, list[str], bool, int]] = []

    def rules(self) -> Rules:
        return Rules(tuple(self._prefixes), tuple(self._network), self._executables)

    def prefix_rule(
        self,
        pattern: object,
        decision: object = "allow",
        justification: object = None,
        match: object = (),
        not_match: object = (),
        *,
        line: int,
    ) -> None:
        places = tuple(_place(place) for place in _list(pattern, "pattern"))
        if not places:
            raise ValueError("pattern must have at least one word")
        rule = PrefixRule(places, _one_of(decision, Decision), _why(justification), self._at(line))
        self._add(self._prefixes, rule)
        for given, wanted in ((match, True), (not_match, False)):
            name = "match" if wanted else "not_match"
            for example in _list(given, name):
                self._examples.append((rule, _words(example, name), wanted, line))

    def host_executable(self, name: object, paths: object, *, line: int) -> None:
        text = _text(name, "name")
        if "/" in text:
            raise ValueError(f"name must be a bare program name, not {text!r}")
        found = tuple(_text(path, "paths") for path in _list(paths, "paths"))
        for path in found:
            if not os.path.isabs(path) or os.path.basename(path) != text:
                raise ValueError(f"{path!r} is not an absolute path of a program {text!r}")
        self._executables[text] = found

    def network_rule(
        self,
        host: object,
        protocol: object,
        decision: object,
        justification: object = None,
        *,
        line: int,
    ) -> None:
        words = {"https_connect": "https", "http-connect": "https"}
        kind = _one_of(words.get(str(protocol), protocol), Protocol)
        verdict = "deny" if decision == "forbidden" else decision
        allowed = _one_of(verdict, Literal["allow", "prompt", "deny"])
        rule = NetworkRule(_host(host), kind, allowed, _why(justification), self._at(line))
        self._add(self._network, rule)

    def wrong_example(self) -> tuple[str, int] | None:
        """Hold every rule to its examples, once all of the file is known; return what is wrong."""
        rules = self.rules()
        for rule, argv, wanted, line in self._examples:
            alone = Rules((rule,), (), rules.executables)
            if bool(matches(alone, argv, resolve=True)) != wanted:
                verb = "does not match its example" if wanted else "matches its counterexample"
                return f"the rule {verb} {' '.join(argv)!r}", line
        return None

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}"

    def _add(self, many: list[Any], rule: object) -> None:
        if len(self._prefixes) + len(self._network) >= RULE_LIMIT:
            raise ValueError(f"there are more than {RULE_LIMIT} rules")
        many.append(rule)


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list")
    return list(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be text that is not empty")
    if not value.isprintable():
        raise ValueError(f"{name} has control characters: {value!r}")
    return value


def _place(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(value, "pattern"),)
    fitting = tuple(_text(one, "pattern") for one in _list(value, "each place of pattern"))
    if not fitting:
        raise ValueError("a place of pattern has no words that fit")
    return fitting


def _words(example: object, name: str) -> list[str]:
    """Read an example: a command line, or a list of words."""
    if isinstance(example, str):
        import shlex

        words = shlex.split(example)
    else:
        words = [_text(word, name) for word in _list(example, f"an example of {name}")]
    if not words:
        raise ValueError(f"an example of {name} is empty")
    return words


def _why(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError("justification must be text that is not empty")
    return value


def _one_of(value: object, choices: Any) -> Any:
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{value!r} is not one of {', '.join(known)}")
    return value


def _host(value: object) -> str:
    host = _text(value, "host").strip().rstrip(".").lower()
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "*" in host:
        raise ValueError(f"host {host!r} has a wildcard; a rule names one host exactly")
    if "/" in host or "@" in host or (":" in host and not _IPV6.fullmatch(bare)):
        raise ValueError(f"host {host!r} must be a name alone, without scheme, port or path")
    if not host.isascii():
        raise ValueError(f"host {host!r} must be in its ASCII form (xn--…)")
    if not _HOST.fullmatch(host) and not _IPV6.fullmatch(bare):
        raise ValueError(f"host {host!r} is no host name")
    return bare
