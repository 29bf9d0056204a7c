"""Put an image file before the model's eyes."""

from __future__ import annotations

import msgspec

from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.schema import obj, text

LIMIT_BYTES = 20 << 20


class ViewImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    path: str


SCHEMA = obj(
    {"path": text("Path of the image, relative to the working directory.")}, required=("path",)
)


async def view_image(args: ViewImage, hands: Hands) -> Outcome:
    """Return the image at `args.path` as a content part."""
    if not args.path.strip() or "\0" in args.path:
        raise ToolFailed(f"{args.path!r} is no path. Give the path of an image file.")
    path = hands.cwd / args.path
    [state] = await hands.look([path])
    match state.kind:
        case "file":
            pass
        case "missing":
            raise ToolFailed(f"There is no file {path}.")
        case "unreadable":
            raise ToolFailed(f"{path} cannot be read: {state.reason}")
        case _:
            raise ToolFailed(f"{path} is a {state.kind}, not an image file.")
    kind = image_type(state.data)
    if kind is None:
        raise ToolFailed(
            f"{path} is not an image that can be shown ({_describe(state.data)}). PNG, JPEG, GIF "
            "and WebP can; convert it with a command first, if there is one here."
        )
    if len(state.data) > LIMIT_BYTES:
        raise ToolFailed(
            f"{path} has {len(state.data) / (1 << 20):.1f} MiB; at most {LIMIT_BYTES >> 20} MiB "
            "can be shown. Make a smaller copy with a command first."
        )
    import binascii  # only a thread with images pays for it

    data = binascii.b2a_base64(state.data, newline=False).decode()
    return Outcome(content=[{"type": "input_image", "image_url": f"data:{kind};base64,{data}"}])


def image_type(data: bytes) -> str | None:
    """Return the media type that the first bytes tell; None for what no model takes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _describe(data: bytes) -> str:
    if not data:
        return "it is empty"
    start = data[:512].lstrip().lower()
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in data[:4096].lower():
        return "it is SVG, which is text"
    if start.startswith(b"bm") or data.startswith((b"II*\0", b"MM\0*")):
        return "it looks like BMP or TIFF"
    if data[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1"):
        return "it looks like HEIC or AVIF"
    if b"\0" not in data[:512]:
        return "it looks like text"
    return f"it begins with the bytes {data[:8].hex(' ')}"


TOOL = Tool(
    name="view_image",
    description="Look at an image file (PNG, JPEG, GIF or WebP).",
    params=ViewImage,
    run=view_image,
    effect=Effect.READ,
    schema=SCHEMA,
)
