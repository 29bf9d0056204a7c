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
    hint = "Give a readable text file, or remove the setting to use octavo's instructions."
    return f"{own_text('model_instructions_file', file, LIMIT_BYTES, hint)}\n"


def own_text(setting: str, file: Path, limit_bytes: int, hint: str) -> str:
    """Return what is in a text file that a setting of the person's names.

    Args:
        setting: its name, for the error.
        hint: what to do where the file cannot be used.

    Raises:
        ConfigError: `file` cannot be read, is empty, too large or not text.
    """
    try:
        # A pipe would be read for ever, so only a plain file is opened.
        if not file.is_file():
            why = "is not a file" if file.exists() else "does not exist"
            raise _unusable(setting, file, why, hint)
        with file.open("rb") as opened:
            data = opened.read(limit_bytes + 1)
    except OSError as error:
        raise _unusable(setting, file, f"cannot be read ({error.strerror})", hint) from error
    if len(data) > limit_bytes:
        raise _unusable(setting, file, f"is larger than {limit_bytes} bytes", hint)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _unusable(setting, file, "is not UTF-8 text", hint) from error
    if not text:
        raise _unusable(setting, file, "is empty", hint)
    return text


def _unusable(setting: str, file: Path, why: str, hint: str) -> ConfigError:
    return ConfigError(f"{setting}: {file} {why}.", hint=hint)
