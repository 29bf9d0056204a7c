"""The base instructions: who the model is here and how it works."""

from __future__ import annotations

from pathlib import Path

from octavo.protocol.errors import ConfigError

LIMIT_BYTES = 1 << 20


def base_instructions(file: Path | None = None) -> str:
    """Return octavo's own instructions, or those in `file` (`model_instructions_file`).

    Raises:
        ConfigError: `file` cannot be read, is empty, too large or not text.
    """
    if file is None:
        return (Path(__file__).parent / "prompts" / "base.md").read_text(encoding="utf-8")
    try:
        # A pipe would be read for ever, so only a plain file is opened.
        if not file.is_file():
            raise _unusable(file, "is not a file" if file.exists() else "does not exist")
        with file.open("rb") as opened:
            data = opened.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise _unusable(file, f"cannot be read ({error.strerror})") from error
    if len(data) > LIMIT_BYTES:
        raise _unusable(file, f"is larger than {LIMIT_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _unusable(file, "is not UTF-8 text") from error
    if not text:
        raise _unusable(file, "is empty")
    return f"{text}\n"


def _unusable(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"model_instructions_file: {file} {why}.",
        hint="Give a readable text file, or remove the setting to use octavo's instructions.",
    )
