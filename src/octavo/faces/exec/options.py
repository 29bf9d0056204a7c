"""What `octavo exec` was asked for on its command line."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True):
    """One run. Settings (model, sandbox, …) are not here: the server was started with them."""

    cwd: Path
    prompt: str | None = None
    takes_stdin: bool = True
    """Standard input is the prompt, or part of it; False leaves it alone."""
    images: tuple[Path, ...] = ()
    json: bool = False
    output_file: Path | None = None
    output_schema: Path | None = None
    ephemeral: bool = False
    resume: str | None = None
    """The id of a thread to continue, or its beginning."""
    resume_last: bool = False
    goal: str | None = None
    """What the thread is to reach by itself, turn after turn; the prompt comes before it."""
    goal_tokens: int | None = None
    resume_all: bool = False
    """`resume_last` means the newest of any directory."""
