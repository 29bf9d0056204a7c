"""Image files the user attaches, as parts of a message."""

from __future__ import annotations

import os
import stat
from binascii import b2a_base64
from pathlib import Path

from octavo.context.encode import Part, text_part
from octavo.context.visible import visible_line
from octavo.protocol.errors import UsageError
from octavo.tools.builtin.view_image import image_type

LIMIT_BYTES = 20_000_000


def image_parts(path: Path, number: int) -> list[Part]:
    """Return the image at `path` as three content parts: a name for it, itself, and its end.

    Args:
        path: the file.
        number: counts the message's images from 1; the model may call it [Image #1].

    Raises:
        UsageError: it is not a readable image of a known type and size.
    """
    shown = visible_line(str(path)).replace('"', "&quot;")
    return [
        text_part(f'<image name=[Image #{number}] path="{shown}">'),
        {"type": "input_image", "image_url": data_url(path)},
        text_part("</image>"),
    ]


def data_url(path: Path) -> str:
    """Return the image at `path` as a data URL. Its type is read from its bytes, not its name.

    Raises:
        UsageError: as `image_parts`.
    """
    data = _read(path)
    media_type = image_type(data)
    if media_type is None:
        raise _unusable(path, "it is not a PNG, JPEG, GIF or WebP file", "Convert it to PNG.")
    return f"data:{media_type};base64,{b2a_base64(data, newline=False).decode()}"


def _read(path: Path) -> bytes:
    try:
        # A named pipe or a device is recognised before it is opened, and never waited for.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise _unusable(path, "it is not a file", "Give the path of an image file.")
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(path, "there is no such file", "Check the path.") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise _unusable(path, why, "Check the path and its permissions.") from error
    except ValueError:
        raise _unusable(path, "the path holds a NUL character", "Check the path.") from None
    if len(data) > LIMIT_BYTES:
        limit = f"it is larger than {LIMIT_BYTES // 1_000_000} MB"
        raise _unusable(path, limit, "Scale it down first.")
    if not data:
        raise _unusable(path, "the file is empty", "Check the path.")
    return data


def _unusable(path: Path, why: str, hint: str) -> UsageError:
    return UsageError(f"Cannot attach the image {path}: {why}.", hint=hint)
