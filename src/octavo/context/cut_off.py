"""What the model is told of calls that were open when octavo stopped: done, not done, or unknown.

The first words of each text are its verdict, so that a model (and a test) can go by them. What was
found is `agent.unfinished`'s to say; here are only the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Found = Literal["done", "not_done", "partly", "unknown"]

VERDICTS: dict[Found, str] = {
    "done": "Done",
    "not_done": "Not done",
    "partly": "Partly done",
    "unknown": "Unknown whether it was done",
}
SHOWN_PATHS = 20

_STOPPED = "octavo stopped unexpectedly"


def never_began() -> str:
    return f"{_said('not_done')}: {_STOPPED} before this call started. It had no effect."


def typed() -> str:
    return (
        f"{_said('unknown')}: {_STOPPED} while this call was open. What it was to type may have"
        " reached the command. The command was ended with octavo, and its session is gone."
    )


def command(output: str | None = None, kept_in: str | None = None) -> str:
    """Return what to say of a command whose end nobody saw.

    Args:
        output: the last of what it had written, where that was kept; already cut and redacted.
        kept_in: the file with all that it had written.
    """
    text = (
        f"{_said('unknown')}: {_STOPPED} while this command ran, and it was ended. It may have done"
        " all of it, a part, or nothing, and it was not run again. Look at what it should have"
        " changed before you repeat it."
    )
    if kept_in is None:
        return f"{text} Its output is lost."
    return f"{text} What it had written until then is in {kept_in}; it ends with:\n{output or ''}"


def server_call(server: str, tool: str) -> str:
    return (
        f"{_said('unknown')}: {_STOPPED} while MCP server {server} carried out {tool}. Its result"
        " is lost, and it was not called again. Look at what it should have changed before you"
        " repeat it."
    )


def reaching_out() -> str:
    """Return what to add where a command may have had an effect elsewhere."""
    return (
        " It could reach beyond this workspace, so ask the other side (the remote, the service)"
        " what arrived."
    )


def files_done(paths: Sequence[str]) -> str:
    return (
        f"{_said('done')}: {_STOPPED} before this could be said, but every file is as the patch"
        f" makes it: {_listed(paths)}. Do not apply it again."
    )


def files_not_done(paths: Sequence[str]) -> str:
    return (
        f"{_said('not_done')}: {_STOPPED} before the patch was applied. Every file is what it was"
        f" before: {_listed(paths)}. Apply it again if it is still wanted."
    )


def files_mixed(done: Sequence[str], not_done: Sequence[str], other: Sequence[str]) -> str:
    """Return what to say of a patch that is not all there; `other` are files of neither kind."""
    found: Found = "unknown" if other else "partly"
    parts = [f"{_said(found)}: {_STOPPED} while the patch was applied."]
    if done:
        parts.append(f"As the patch makes them: {_listed(done)}.")
    if not_done:
        parts.append(f"As they were before: {_listed(not_done)}.")
    if other:
        parts.append(f"Neither, or not to be read: {_listed(other)}.")
    parts.append("Read these files, then send a patch for what is missing only.")
    return " ".join(parts)


def files_unmarked() -> str:
    return (
        f"{_said('unknown')}: {_STOPPED} while the patch was applied. Read the files it names"
        " before you send it again."
    )


def remains(paths: Sequence[str]) -> str:
    """Return what to add where a stopped patch left files of its own."""
    return (
        f" It left behind {_listed(paths)}: copies of old or new content under a name of octavo's."
        " Nothing needs them once the files above are right; remove them then."
    )


def git_done(what: str) -> str:
    return (
        f"{_said('done')}: {_STOPPED} before this could be said, but {what}. Check it with `git log"
        " -1` and `git status` rather than doing it again."
    )


def git_not_done() -> str:
    return (
        f"{_said('not_done')}: {_STOPPED} before git had changed anything. HEAD, all refs and the"
        " index are what they were. Do it again if it is still wanted."
    )


def git_partly(what: str) -> str:
    return (
        f"{_said('partly')}: {_STOPPED} while git ran. {what} Look at `git status` and do only what"
        " is missing."
    )


def git_unknown(what: str) -> str:
    return (
        f"{_said('unknown')}: {_STOPPED} while git ran, and it was ended. {what} Look at `git"
        " status` and `git log` before you repeat it."
    )


def locked(paths: Sequence[str]) -> str:
    return (
        f" There is a lock now, {_listed(paths)}, and git refuses to write while it is there. If no"
        " other git is running, it was left by the one that was ended; you cannot remove it, so ask"
        " the user to."
    )


def _said(found: Found) -> str:
    return VERDICTS[found]


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN_PATHS} more" if len(paths) > SHOWN_PATHS else ""
    return ", ".join(paths[:SHOWN_PATHS]) + more
