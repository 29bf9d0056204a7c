"""A thread as Markdown: every text of it in a fence that it cannot close."""

from __future__ import annotations

from octavo.faces.export.blocks import Block, blocks, facts, headline, turn_title
from octavo.protocol import items as it

_LANGUAGES = {"answer": "markdown", "diff": "diff", "command": "console"}
_SPECIAL = "\\`*_{}[]()<>#+-.!|&~"


def markdown(thread: it.Thread) -> str:
    """Return the file."""
    lines = [f"# {_escaped(headline(thread))}", ""]
    lines += [f"- {name}: {_code(value)}" for name, value in facts(thread)]
    for number, turn in enumerate(thread.turns, 1):
        lines += ["", f"## {turn_title(number, turn)}"]
        for block in blocks(turn):
            lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def _block(block: Block) -> list[str]:
    if block.kind == "command":
        return _fenced(f"$ {block.title}\n{block.body}".rstrip("\n"), "console")
    title = f"**{_escaped(block.title)}**"
    if not block.body:
        return [title]
    return [title, "", *_fenced(block.body.rstrip("\n"), _LANGUAGES.get(block.kind, "text"))]


def _fenced(text: str, language: str) -> list[str]:
    fence = "`" * max(3, _longest_run(text) + 1)
    return [f"{fence}{language}", text, fence]


def _code(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{' '.join(text.split())}{pad}{ticks}"


def _escaped(text: str) -> str:
    """Text on one line in which nothing is markup."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in " ".join(text.split()))


def _longest_run(text: str) -> int:
    longest = run = 0
    for c in text:
        run = run + 1 if c == "`" else 0
        longest = max(longest, run)
    return longest
