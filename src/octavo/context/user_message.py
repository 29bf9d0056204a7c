"""What the user gave, as one message to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from octavo.context.encode import Part, message, text_part
from octavo.context.visible import visible_line
from octavo.protocol.errors import UsageError
from octavo.protocol.inputs import ImageUrl, LocalImage, Mention, Skill, Text, UserInput


def encode_user_message(inputs: Sequence[UserInput], *, cwd: Path | None = None) -> bytes:
    """Return `inputs` as a model item, in their order.

    Args:
        inputs: at least one, not all of them empty text.
        cwd: where relative image paths start; None is the process's own directory.

    Raises:
        UsageError: there is nothing in it, or an image cannot be used.
    """
    parts: list[Part] = []
    images = 0
    for given in inputs:
        match given:
            case Text(text):
                if text:
                    parts.append(text_part(text))
            case ImageUrl(url):
                images += 1
                parts.append({"type": "input_image", "image_url": _checked(url)})
            case LocalImage(path):
                from octavo.context.images import image_parts  # few messages have one

                images += 1
                file = Path(path).expanduser()
                parts += image_parts(cwd / file if cwd else file, images)
            case Skill(name, path):
                name, path = visible_line(name), visible_line(path)
                parts.append(text_part(f"Use the skill `{name}` (`{path}`)."))
            case Mention(name, path):
                name, path = visible_line(name), visible_line(path)
                parts.append(text_part(f"The user points to `{name}`: `{path}`."))
            case _:
                assert_never(given)
    if not parts:
        raise UsageError("The message is empty.", hint="Write what octavo should do.")
    return message("user", parts)


def _checked(url: str) -> str:
    if url.lower().startswith(("https://", "http://", "data:image/")):
        return url
    raise UsageError(
        f"Cannot attach the image {url[:80]}: it is not an https or data URL of an image.",
        hint="Send a file on this machine as a localImage with its path.",
    )
