"""What a user puts into a turn."""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

import msgspec


class _Input(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    pass


class Text(_Input, frozen=True, tag="text"):
    """Words."""

    text: str


class ImageUrl(_Input, frozen=True, tag="image"):
    """An image by URL, data URLs included."""

    url: str


class LocalImage(_Input, frozen=True, tag="localImage"):
    """An image file on this machine."""

    path: str


class Skill(_Input, frozen=True, tag="skill"):
    """A skill the user named."""

    name: str
    path: str


class Mention(_Input, frozen=True, tag="mention"):
    """A thing the user pointed at, such as a file."""

    name: str
    path: str


UserInput = Text | ImageUrl | LocalImage | Skill | Mention
