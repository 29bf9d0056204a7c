"""What the user gave reaches the model whole and in order."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from octavo.context.images import LIMIT_BYTES, data_url
from octavo.context.user_message import encode_user_message
from octavo.protocol.errors import UsageError
from octavo.protocol.inputs import ImageUrl, LocalImage, Mention, Skill, Text, UserInput
from octavo.tools.builtin.view_image import image_type

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def parts(*inputs: UserInput, cwd: Path | None = None) -> list[dict[str, Any]]:
    message = json.loads(encode_user_message(inputs, cwd=cwd))
    assert (message["type"], message["role"]) == ("message", "user")
    content: list[dict[str, Any]] = message["content"]
    return content


def test_words_are_said_as_they_are() -> None:
    assert parts(Text("fix <it>\n\u202e"), Text("")) == [
        {"type": "input_text", "text": "fix <it>\n\u202e"}
    ]


def test_a_local_image_is_named_shown_and_closed(tmp_path: Path) -> None:
    (tmp_path / "shot.jpg").write_bytes(PNG)

    assert parts(
        Text("look"),
        ImageUrl("https://example.com/a.png"),
        LocalImage("shot.jpg"),
        cwd=tmp_path,
    ) == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_text", "text": f'<image name=[Image #2] path="{tmp_path}/shot.jpg">'},
        {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
        },
        {"type": "input_text", "text": "</image>"},
    ]


def test_a_skill_or_a_mention_says_where_to_read() -> None:
    assert [
        part["text"] for part in parts(Skill("tidy", "/s/SKILL.md"), Mention("a", "/a.py"))
    ] == [
        "Use the skill `tidy` (`/s/SKILL.md`).",
        "The user points to `a`: `/a.py`.",
    ]


@pytest.mark.parametrize("inputs", [[], [Text("")]])
def test_an_empty_message_is_refused(inputs: list[UserInput]) -> None:
    with pytest.raises(UsageError, match=r"^The message is empty"):
        encode_user_message(inputs)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:text/html,x", ""])
def test_only_images_come_by_url(url: str) -> None:
    with pytest.raises(UsageError, match="not an https or data URL"):
        encode_user_message([ImageUrl(url)])


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"<svg>", None),
        (b"", None),
    ],
)
def test_an_image_is_known_by_its_bytes(head: bytes, media_type: str | None) -> None:
    assert image_type(head) == media_type


def test_an_unusable_image_is_named_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.png").write_text("not an image")
    with (tmp_path / "large.png").open("wb") as file:
        file.write(PNG)
        file.truncate(LIMIT_BYTES + 1)

    reasons = {
        "missing.png": "there is no such file",
        "pipe": "it is not a file",
        ".": "it is not a file",
        "empty.png": "the file is empty",
        "notes.png": "it is not a PNG, JPEG, GIF or WebP file",
        "large.png": "it is larger than 20 MB",
        "nul\0.png": "the path holds a NUL character",
        "notes.png/x": "not a directory",
    }
    for name, reason in reasons.items():
        with pytest.raises(UsageError) as raised:
            data_url(tmp_path / name)
        assert f"Cannot attach the image {tmp_path / name}: {reason}. " in str(raised.value)


def test_an_image_of_the_largest_size_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.write(PNG)
        file.truncate(LIMIT_BYTES)

    assert data_url(tmp_path / "large.png").startswith("data:image/png;base64,iVBOR")
