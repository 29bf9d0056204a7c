"""What the turn is asked: the argument, standard input, images, a schema."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from octavo.faces.exec.options import Options
from octavo.protocol.errors import UsageError
from octavo.protocol.inputs import LocalImage, Text, UserInput

STDIN_LIMIT_BYTES = 16 << 20
SAY_WAITING_AFTER_S = 1.0
_NO_PROMPT = "Give it as an argument, or pipe it in: echo 'Fix the failing test.' | octavo exec"


async def inputs(options: Options) -> tuple[UserInput, ...]:
    """Return what the user puts into the turn; reads standard input where it is part of it.

    Raises:
        UsageError: there is no prompt, and no goal either.
    """
    text = options.prompt
    if text is None and options.goal is not None:
        return tuple(LocalImage(str(image)) for image in options.images)
    if text is None or text == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("There is no prompt.", hint=_NO_PROMPT)
        text = await _stdin()
        if not text.strip():
            raise UsageError("The prompt from standard input is empty.", hint=_NO_PROMPT)
    elif not text.strip():
        raise UsageError("The prompt is empty.", hint=_NO_PROMPT)
    elif options.takes_stdin and sys.stdin is not None and not sys.stdin.isatty():
        more = await _stdin()
        if more.strip():
            text = f"{text}\n\n<stdin>\n{more.rstrip(chr(10))}\n</stdin>"
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    pictures = [LocalImage(str(image)) for image in options.images]
    return (*pictures, Text(text))


def output_schema(file: Path | None) -> dict[str, Any] | None:
    """Read the JSON Schema of the last message.

    Raises:
        UsageError: it cannot be read, or is not a JSON object.
    """
    if file is None:
        return None
    try:
        schema = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"The output schema {file} cannot be read: {error.strerror}.",
            hint="Name a file with a JSON Schema.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise UsageError(
            f"The output schema {file} is not JSON: {why}.", hint="Mend the file."
        ) from None
    if not isinstance(schema, dict):
        raise UsageError(
            f"The output schema {file} is not a JSON object.",
            hint='A schema looks like {"type": "object", "properties": …}.',
        )
    return schema


async def _stdin() -> str:
    """Everything on standard input; says that it waits when that takes long."""
    data = bytearray()
    async with anyio.create_task_group() as group:
        group.start_soon(_say_waiting)
        while chunk := await _read_some():
            data += chunk
            if len(data) > STDIN_LIMIT_BYTES:
                break
        group.cancel_scope.cancel()
    if len(data) > STDIN_LIMIT_BYTES:
        raise UsageError(
            f"Standard input is longer than {STDIN_LIMIT_BYTES >> 20} MB.",
            hint="Put it into a file and name the file in the prompt.",
        )
    return data.decode("utf-8", "replace")


async def _read_some() -> bytes:
    """What standard input has next, at its end nothing. No thread: it could not be cancelled."""
    try:
        await anyio.wait_readable(0)
    except OSError:  # a file or /dev/null, which never makes anybody wait
        await anyio.lowlevel.checkpoint()
    try:
        return os.read(0, 1 << 16)
    except OSError as error:
        raise UsageError(
            f"Standard input cannot be read: {error.strerror}.", hint=_NO_PROMPT
        ) from None


async def _say_waiting() -> None:
    await anyio.sleep(SAY_WAITING_AFTER_S)
    sys.stderr.write("Reading the prompt from standard input, until it ends …\n")
