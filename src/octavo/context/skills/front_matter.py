"""The YAML between the two `---` lines at the top of a SKILL.md, as strings, lists and mappings.

Whoever wrote it may be hostile. Every scalar stays the string it is written as: no numbers, dates
or truth values. Anchors and aliases (a small text that expands to a large one), tags (which ask
for an object), keys that stand twice and deep nesting are refused.

Front matter that is only `key: plain words` is read here, like most is; anything else needs PyYAML,
whose import takes longer than reading hundreds of skills does. Both agree on what both read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from octavo.context.skills import FILE, HEAD_LIMIT_BYTES, SkillError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml

Value: TypeAlias = Union[str, "list[Value]", "dict[str, Value]"]

DEPTH_LIMIT = 4
_MARK = "---"


def front_matter(head: bytes) -> tuple[str, int]:
    """Return the front matter's text and where in the file the rest begins, in bytes.

    Args:
        head: the file's beginning, more than `HEAD_LIMIT_BYTES` of it if there is more.

    Raises:
        SkillError: there is none, it does not end, or it is not UTF-8 text.
    """
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    lines = head[start : start + HEAD_LIMIT_BYTES].splitlines(keepends=True)
    if not lines or lines[0].rstrip() != b"---":
        if b"\0" in head:
            raise SkillError(f"{FILE} is a binary file, not text.")
        raise SkillError(f"{FILE} has no front matter: its first line must be ---.")
    at = start + len(lines[0])
    for line in lines[1:]:
        if line.rstrip() == b"---" and (line[-1:] in (b"\n", b"\r") or at + len(line) == len(head)):
            return _text(head[start + len(lines[0]) : at]), at + len(line)
        at += len(line)
    if len(head) > HEAD_LIMIT_BYTES:
        raise SkillError(
            f"The front matter of {FILE} does not end within {HEAD_LIMIT_BYTES >> 10} KiB."
        )
    raise SkillError(f"The front matter of {FILE} does not end: a second line --- is missing.")


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 2
        raise SkillError(f"{FILE} is not UTF-8 text (line {line}).") from None
    if "\0" in text:
        raise SkillError(f"{FILE} is a binary file, not text.")
    return text


def fields(text: str) -> dict[str, Value]:
    """Return the fields of a front matter.

    Raises:
        SkillError: it is not YAML, or more of YAML than is accepted; names the line in the file.
    """
    found = plain_fields(text)
    return yaml_fields(text) if found is None else found


def plain_fields(text: str) -> dict[str, Value] | None:
    """Return the fields if each is `key: words` on one line; None where that is not certain."""
    found: dict[str, Value] = {}
    for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        key, colon, value = line.partition(": ")
        if not colon or not _is_key(key) or not _is_plain(value) or key in found:
            return None
        found[key] = value
    return found or None


def _is_key(key: str) -> bool:
    return key.isascii() and key.replace("-", "").isalpha() and key[0] != "-"


def _is_plain(value: str) -> bool:
    """Whether YAML takes `value`, after a key, for exactly these characters."""
    return (
        value[:1].isalnum()
        and value[:1].isascii()
        and value.isprintable()
        and value[-1:] not in (" ", ":")
        and ": " not in value
        and " #" not in value
    )


def yaml_fields(text: str) -> dict[str, Value]:
    """Return the fields, read with PyYAML. Raises SkillError."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    events = yaml.parse(text, Loader=loader)
    try:
        found = _document(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused(error.problem or error.context or "it cannot be read", mark) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SkillError(f"The front matter of {FILE} is not YAML: {reason}.") from None
    if not isinstance(found, dict):
        raise SkillError(f"The front matter of {FILE} holds no fields: write `name: …` lines.")
    return found


def _document(events: Iterator[yaml.Event]) -> Value | None:
    import yaml

    found: Value | None = None
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            if found is not None:
                raise _refused("it holds a second document", event.start_mark)
            found = _node(event, events, DEPTH_LIMIT)
    return found


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Value:
    import yaml

    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _refused("anchors and aliases (& and *) are not allowed", event.start_mark)
    if getattr(event, "tag", None):
        raise _refused("tags (!) are not allowed", event.start_mark)
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    if not depth:
        raise _refused("it is nested too deeply", event.start_mark)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Value] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_node(event, events, depth - 1))
        return items
    mapping: dict[str, Value] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth - 1)
        if not isinstance(key, str):
            raise _refused("a field's name must be a word", event.start_mark)
        if key in mapping:
            raise _refused(f"the field {key[:64]!r} stands twice", event.start_mark)
        mapping[key] = _node(next(events), events, depth - 1)
    return mapping


class _Mark(Protocol):
    @property
    def line(self) -> int: ...


def _refused(reason: str, mark: _Mark | None) -> SkillError:
    where = "" if mark is None else f" (line {mark.line + 2})"
    hint = None
    if "mapping values" in reason:
        reason = "there is a second colon in a line"
        hint = "Put the text after the field's name in quotes."
    return SkillError(f"The front matter of {FILE} is not usable YAML{where}: {reason}.", hint=hint)
