"""What models are told is true."""

from __future__ import annotations

import re

from tests.tools.patch.folder import patched

from octavo.tools.patch.words import FREEFORM, FUNCTION, GRAMMAR


def test_the_example_is_a_patch_that_works() -> None:
    for words in (FREEFORM, FUNCTION):
        [example] = re.findall(
            r"^\*\*\* Begin Patch\n.*?^\*\*\* End Patch\n", words, re.MULTILINE | re.DOTALL
        )
        before = b"def total(items):\n    tax = 0\n    return sum(items)\n"
        assert patched({"src/shop.py": before, "old.txt": b""}, example) == {
            "src/shop.py": before.replace(b"sum(items)", b"sum(items) + tax"),
            "docs/new.md": b"# Every line of a new file starts with a plus\n",
        }


def test_the_grammar_has_a_rule_for_every_name_it_uses() -> None:
    rules = dict(re.findall(r"^(\w+): (.*)$", GRAMMAR, re.MULTILINE))
    used = set(re.findall(r"[A-Za-z_]+", " ".join(b for n, b in rules.items() if n.islower())))
    assert used | {"start"} == set(rules)


def test_the_grammar_knows_every_line_a_patch_is_made_of() -> None:
    rules = dict(re.findall(r"^([A-Z_]+): [/\"](.*)[/\"]$", GRAMMAR, re.MULTILINE))
    lines = {
        "ADD_FILE": "*** Add File: a b",
        "DELETE_FILE": "*** Delete File: a",
        "UPDATE_FILE": "*** Update File: a",
        "MOVE_TO": "*** Move to: a",
        "HEADER": "@@ def f():",
        "ADDED": "+",
        "REMOVED": "-x",
        "KEPT": " ",
    }
    for name, line in lines.items():
        assert [n for n in lines if re.fullmatch(rules[n], line + "\n")] == [name]
    assert re.fullmatch(rules["HEADER"], "@@\n")
