"""Commands that no shell is given: those that are nothing but plain git, or calls of gh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from octavo.tools import ToolFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.policy.gh import GhScript
    from octavo.policy.porcelain import GitScript


def plain_git(script: str) -> GitScript | None:
    """Return what a script is if it is nothing but plain git, and is to write `.git`."""
    if "git" not in script:
        return None
    from octavo.policy.porcelain import NotPlain, read_git  # most commands are not git

    try:
        plain = read_git(script)
    except NotPlain:
        return None
    return plain if plain.writes else None


def plain_gh(script: str, env: Mapping[str, str], roots: Sequence[Path]) -> GhScript | None:
    """Return what a script is if it is nothing but calls of gh, and gh is there.

    Args:
        script: as a shell would get it.
        env: octavo's own.
        roots: where commands write; a gh there is none.

    Raises:
        ToolFailed: it is, and one of them is not possible.
    """
    if "gh" not in script:
        return None
    import shutil

    from octavo.agent.ssh_remote import path_without
    from octavo.policy.gh import NotPossible, read_gh  # most commands are not gh
    from octavo.policy.porcelain import NotPlain

    try:
        plain = read_gh(script)
    except NotPlain:
        return None
    except NotPossible as reason:
        raise ToolFailed(f"gh: {reason} Nothing was run.") from None
    return plain if shutil.which("gh", path=path_without(env.get("PATH", ""), roots)) else None
