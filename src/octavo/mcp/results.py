"""What a tool gave, as the model reads it: text first, then images, all of it bounded.

A server's text is a stranger's: nothing invisible is in it, and what is too long is kept in a file
as a command's output is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from octavo.mcp.words import CallResult
from octavo.protocol.visible import visible
from octavo.tools import OUTPUT_FILE_LIMIT_BYTES, Hands
from octavo.tools.builtin.view_image import LIMIT_BYTES, image_type
from octavo.tools.truncate import TOKEN_BYTES, truncate

IMAGES_LIMIT = 8
"""Of one result; more are only mentioned."""

Content = str | Sequence[Mapping[str, str]]


async def for_model(result: CallResult, hands: Hands, *, wall_s: float) -> Content:
    """Return a tool's result as the output of its call."""
    images: list[str] = []
    if result.structured_content is not None:
        shown = msgspec.json.encode(result.structured_content).decode()
        parts = [part for part in result.content if part.get("type") == "image"]
        pictures = [part_text(part, images) for part in parts]
        text = "\n".join([shown, *(line for line in pictures if line)])
    else:
        text = "\n".join(line for part in result.content if (line := part_text(part, images)))
    head = [f"Wall time: {wall_s:.4f} seconds"]
    if result.is_error:
        head.append("The tool says that it failed.")
    text = "\n".join([*head, "Output:", await bounded(visible(text) or "(nothing)", hands)])
    if not images:
        return text
    return [
        {"type": "input_text", "text": text},
        *({"type": "input_image", "image_url": url} for url in images),
    ]


async def bounded(text: str, hands: Hands) -> str:
    """Return a text, or its two ends where it is too long; then all of it is kept."""
    limit = hands.output_limit_tokens
    data = text.encode("utf-8", "replace")
    if len(data) <= limit * TOKEN_BYTES:
        return text
    try:
        file = await hands.keep_output()
        try:
            file.write(data[:OUTPUT_FILE_LIMIT_BYTES])
        finally:
            file.close()
        kept_in = f"all of it is in {file.path}"
    except OSError as error:
        kept_in = f"the rest could not be kept: {error.strerror}"
    return truncate(text, limit, kept_in=kept_in)


def contents(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return what a resource holds as text; what is no text is named."""
    return "\n".join(_resource(part) for part in parts) or "(nothing)"


def part_text(part: Mapping[str, Any], images: list[str]) -> str:
    """Return a part of a result as text; "" for an image, which is added to `images`."""
    match part.get("type"):
        case "text":
            return str(part.get("text", ""))
        case "image":
            return _image(str(part.get("data", "")), images)
        case "resource":
            inner = part.get("resource")
            return _resource(inner if isinstance(inner, dict) else {})
        case "resource_link":
            named = " ".join(str(part[key]) for key in ("name", "description") if part.get(key))
            return f"[resource {part.get('uri')}: {named}]"
        case "audio":
            return f"[audio, {part.get('mimeType')}, which cannot be played here]"
        case kind:
            return f"[a part of the kind {kind!r}, which octavo does not know]"


def _image(data: str, images: list[str]) -> str:
    import binascii

    if len(images) >= IMAGES_LIMIT:
        return "[one more image, not shown]"
    if len(data) > LIMIT_BYTES * 4 // 3 + 4:
        return f"[an image larger than {LIMIT_BYTES >> 20} MiB, not shown]"
    try:
        kind = image_type(binascii.a2b_base64(data, strict_mode=True))
    except ValueError:
        kind = None
    if kind is None:
        return "[an image that cannot be shown: it is no PNG, JPEG, GIF or WebP]"
    images.append(f"data:{kind};base64,{data}")
    return ""


def _resource(part: Mapping[str, Any]) -> str:
    text = part.get("text")
    if isinstance(text, str):
        return text
    blob = part.get("blob")
    size = len(blob) * 3 // 4 if isinstance(blob, str) else 0
    return f"[{part.get('uri')}: {size:,} bytes of {part.get('mimeType') or 'data'}, not shown]"
