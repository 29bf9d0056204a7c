"""The rules that hold for a thread's commands, loaded when the first command is judged.

They are read again when a file changes. While one of them has an error, no rule is known, and so no
command runs: a rule that forbids must not be lost to a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from octavo.config.load import Loaded
from octavo.config.rule_files import RuleFile, read_rule_files, rules_stamp
from octavo.policy.rules import Rules, RulesError, parse


def _parsed(file: RuleFile) -> Rules:
    try:
        source = file.content.decode()
    except UnicodeDecodeError:
        raise RulesError(f"The rules in {file.path} are not UTF-8 text.") from None
    return parse(source, str(file.path))


class Rulebook:
    """The rules of one thread.

    Args:
        loaded: where the thread's settings come from.
        env: says where the person's home is.
        notice: told of rules that do not count, for the person.
    """

    def __init__(
        self, loaded: Loaded, env: Mapping[str, str], notice: Callable[[str], None]
    ) -> None:
        self._loaded = loaded
        self._env = env
        self._notice = notice
        self._stamp: object = self
        self._rules = Rules()
        self._said: set[str] = set()

    def rules(self, cwd: Path) -> Rules:
        """Return the rules that hold in `cwd`.

        Raises:
            ConfigError: a file cannot be read, or has an error; the message has file and line.
        """
        stamp = (cwd, rules_stamp(self._loaded, cwd))
        if stamp != self._stamp:
            self._stamp = self  # until all of them are read
            self._rules = self._load(cwd)
            self._stamp = stamp
        return self._rules

    def _load(self, cwd: Path) -> Rules:
        found = read_rule_files(self._loaded, cwd, self._env)
        for path in found.ignored:
            self.tell(
                f"{path} is ignored: you have not agreed to what it says now. "
                f"`octavo trust {path.parents[2]}` shows it and asks."
            )
        rules = Rules()
        for file in found.own:
            rules += _parsed(file)
        for file in found.project:
            theirs = _parsed(file)
            # A project's file may close the network further; it opens nothing.
            stricter = tuple(rule for rule in theirs.network if rule.decision != "allow")
            rules += replace(theirs, network=stricter)
        return rules

    def tell(self, text: str) -> None:
        """Tell the person, once."""
        if text not in self._said:
            self._said.add(text)
            self._notice(text)
