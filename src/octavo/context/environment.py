"""Where the model finds itself: the facts of a turn, and no more than it needs.

No host name, user name or commit goes in, and the date but no clock: it is said again only when
the day, the directory or the shell changes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from octavo.context.visible import visible_line


def environment_text(
    cwd: Path, *, shell: str, date: str | None = None, timezone: str | None = None
) -> str:
    """Return the environment as the model reads it.

    Args:
        cwd: the working directory.
        shell: the shell that commands run in, name or path.
        date: today as YYYY-MM-DD; None asks the clock.
        timezone: None asks the system.
    """
    facts = {
        "cwd": str(cwd),
        "shell": os.path.basename(shell),
        "os": operating_system(),
        "current_date": date or time.strftime("%Y-%m-%d"),
        "timezone": timezone or local_timezone(),
    }
    lines = [f"  <{name}>{visible_line(fact)}</{name}>" for name, fact in facts.items()]
    return "\n".join(["<environment_context>", *lines, "</environment_context>"])


def operating_system() -> str:
    """Return the system and its processor, such as "Linux x86_64"."""
    if sys.platform == "win32":
        return "Windows"
    uname = os.uname()
    name = "macOS" if uname.sysname == "Darwin" else uname.sysname
    return f"{name} {uname.machine}"


def local_timezone(localtime: Path = Path("/etc/localtime")) -> str:
    """Return the zone's name, such as "Europe/Zurich", or its offset, such as "+01:00"."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name or name.startswith("/"):
        try:
            target = name or os.readlink(localtime)
        except OSError:
            target = ""
        name = target.partition("/zoneinfo/")[2]
    if name:
        return name
    offset = time.strftime("%z")
    return f"{offset[:3]}:{offset[3:]}" if offset.strip("+-0") else "UTC"
