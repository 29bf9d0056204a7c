"""What a person put into their editor's prompt, as octavo's inputs.

Files that are pointed to are named, not read: what octavo reads, it reads in the sandbox. Embedded
    text
comes between marks that name where it is from; it cannot end them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from acp import schema as acp

from octavo.protocol.inputs import ImageUrl, Mention, Text, UserInput
from octavo.protocol.visible import visible_line

_END = "</attached>"


class Unusable(ValueError):
    """A part that octavo cannot take, said in a sentence."""


def read_prompt(blocks: Sequence[Any]) -> tuple[UserInput, ...]:
    """Return the parts of a prompt. Raises Unusable."""
    return tuple(map(_read, blocks))


def _read(block: Any) -> UserInput:
    match block:
        case acp.TextContentBlock():
            return Text(block.text)
        case acp.ImageContentBlock():
            return ImageUrl(f"data:{block.mime_type};base64,{block.data}")
        case acp.ResourceContentBlock():
            path = _file(block.uri)
            if path is not None:
                return Mention(block.name, path)
            return Text(f"[{visible_line(block.name)}]({visible_line(block.uri)})")
        case acp.EmbeddedResourceContentBlock():
            return _embedded(block.resource)
        case _:
            raise Unusable("octavo takes text, images and files; it cannot hear audio.")


def _embedded(resource: acp.TextResourceContents | acp.BlobResourceContents) -> UserInput:
    if isinstance(resource, acp.TextResourceContents):
        where = visible_line(_file(resource.uri) or resource.uri).replace('"', "&quot;")
        text = resource.text.replace(_END, "<\\/attached>")
        return Text(f'<attached from="{where}">\n{text}\n{_END}')
    kind = resource.mime_type or ""
    if kind.startswith("image/"):
        return ImageUrl(f"data:{kind};base64,{resource.blob}")
    raise Unusable(f"octavo cannot read {resource.uri}: it is neither text nor an image.")


def _file(uri: str) -> str | None:
    """The path that a URI names on this machine; None where it names none."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return unquote(parts.path)
