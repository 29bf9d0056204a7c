"""A second opinion on a script: tree-sitter's grammar of bash.

`shell` and the grammar were written by different people; what the two do not read alike is not
certain. The grammar's words are compared by where they stand, never decoded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tree_sitter import Node, Parser

Spans = tuple[tuple[int, int], ...]

_parser: Parser | None = None
_NOT_WORDS = {"variable_assignment", "file_redirect", "heredoc_redirect", "herestring_redirect"}
_CHAINS = {"list", "pipeline", "negated_command"}
"""The grammar hangs a redirection on all of these; it belongs to the last command."""
_BUILTINS = {b"export", b"declare", b"typeset", b"local", b"readonly", b"unset", b"unsetenv"} | {
    *(b"test", b"["),
}
"""The grammar has shapes of their own for these."""


def agrees(text: str, spans: Iterable[Spans]) -> bool:
    """Return whether the grammar finds the same commands, each with its words at the same places.

    Args:
        text: the script.
        spans: for each command where its words start and end; empty for those in backticks.
    """
    source = text.encode()
    offsets: Sequence[int] = range(len(text) + 1)
    if not text.isascii():
        offsets = [0, *accumulate(len(char.encode()) for char in text)]
    ours = set()
    for words in spans:
        places = tuple((offsets[start], offsets[end]) for start, end in words)
        ours.add(_comparable(places, source))
    tree = _grammar().parse(source)
    if tree.root_node.has_error:
        return False
    theirs = {_comparable(words, source) for words in _commands(tree.root_node)}
    return ours - {()} == theirs - {()}


def _grammar() -> Parser:
    """Return the parser; loading it costs too much to do it before a command is judged."""
    global _parser
    if _parser is None:
        from tree_sitter import Language, Parser
        from tree_sitter_bash import language

        _parser = Parser(Language(language()))
    return _parser


def _comparable(words: Spans, source: bytes) -> Spans:
    """Return a command's words without what the grammar has shapes of its own for."""
    texts = [source[start:end] for start, end in words]
    while texts and texts[0] in (b"time", b"-p"):
        texts, words = texts[1:], words[1:]
    if texts and texts[0] in _BUILTINS:
        return ()
    return tuple(word for word, text in zip(words, texts, strict=True) if text != b"-")


def _commands(root: Node) -> Iterable[Spans]:
    """Yield the words' places of each command in the tree; those in backticks are not looked at."""
    waiting = [root]
    behind: dict[int, Spans] = {}
    while waiting:
        node = waiting.pop()
        if node.type == "command_substitution" and node.children[0].type == "`":
            continue
        if node.type == "command":
            yield (*_words(node), *behind.get(node.id, ()))
        elif node.type == "redirected_statement":
            first, *redirects = node.children
            while first.type in _CHAINS:
                first = first.children[-1]
            behind[first.id] = tuple(word for one in redirects for word in _behind(one))
        waiting += node.children


def _words(node: Node) -> Spans:
    """Return where a command's words stand; pieces that touch are one word."""
    pieces: list[tuple[int, int]] = []
    for child in node.children:
        if child.type == "file_redirect":
            pieces += _behind(child)
        elif child.type not in _NOT_WORDS:
            pieces.append((child.start_byte, child.end_byte))
    return _joined(pieces)


def _behind(redirect: Node) -> Spans:
    """Return the words that the grammar counts to a redirection, and that are the command's."""
    if redirect.type != "file_redirect":
        return ()
    children = [child for child in redirect.children if child.type != "file_descriptor"]
    closes = children[0].type in ("<&-", ">&-")
    places = _joined([(child.start_byte, child.end_byte) for child in children[1:]])
    return places if closes else places[1:]


def _joined(pieces: list[tuple[int, int]]) -> Spans:
    words: list[tuple[int, int]] = []
    for start, end in pieces:
        if words and words[-1][1] == start:
            words[-1] = (words[-1][0], end)
        else:
            words.append((start, end))
    return tuple(words)
