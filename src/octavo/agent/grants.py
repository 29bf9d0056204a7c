"""What a model asks for beyond the policy, made exact; and the policy that gives it.

A grant is for one call: the command runs in a cage of a wider policy, and nothing else does. What a
cage cannot give is refused with the reason, never rounded up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from octavo.agent.network import checked_hosts, reaching
from octavo.protocol.errors import ConfigError
from octavo.protocol.questions import Grant
from octavo.sandbox import OPEN, Mode, Policy, Sandbox
from octavo.sandbox.policy import PROTECTED_NAMES
from octavo.tools import Extra, ToolFailed


async def read_grant(
    extra: Extra, policy: Policy, roots: Sequence[Path], sandbox: Sandbox, home: Path
) -> Grant | None:
    """Return what of `extra` goes beyond `policy`; None when nothing does.

    Args:
        roots: where `policy` lets commands write.
        sandbox: the cage of `policy`, which shows what is readable there.
        home: octavo's own directory, which no grant opens.

    Raises:
        ToolFailed: it asks for something that no cage gives; the text says what to do.
    """
    await _check_readable(extra.read, sandbox)
    write = [real for path in extra.write if (real := _writable(path, roots, home))]
    _check_not_denied(write, policy)
    reached = policy.network
    if reached.access == "open" or not (extra.network or extra.hosts):
        hosts: tuple[str, ...] = ()
        network = False
    else:
        hosts, network = _hosts(extra.hosts, reached.allow), extra.network
    if not (write or hosts or network):
        return None
    return Grant(tuple(dict.fromkeys(write)), () if network else hosts, network)


def widened(policy: Policy, grant: Grant) -> Policy:
    """Return the policy of a cage that also gives `grant`."""
    roots = [Path(path) for path in grant.write]
    if roots and policy.mode is Mode.READ_ONLY:
        # What was read-only stays so: the only writable places are those of the grant.
        policy = replace(
            policy,
            mode=Mode.WORKSPACE_WRITE,
            cwd=roots[0],
            write_cwd=True,
            writable_roots=tuple(roots[1:]),
            write_tmp=False,
            write_tmpdir=False,
            tmp="private",
        )
    elif roots:
        policy = replace(policy, writable_roots=(*policy.writable_roots, *roots))
    if grant.network:
        return replace(policy, network=OPEN)
    return reaching(policy, grant.hosts)


def is_protected(path: Path, roots: Sequence[Path]) -> bool:
    """Return whether a real path in one of `roots` is, or is in, something that stays read-only."""
    return any(
        part in PROTECTED_NAMES
        for root in map(os.path.realpath, roots)
        if path.is_relative_to(root)
        for part in path.relative_to(root).parts
    )


def _writable(path: Path, roots: Sequence[Path], home: Path) -> str | None:
    """Return the real path to be granted; None when it is writable already."""
    if "\0" in str(path):
        raise _senseless("additional_permissions holds a NUL character.")
    real = Path(os.path.realpath(path))
    inside = any(real.is_relative_to(os.path.realpath(root)) for root in roots)
    protected = is_protected(real, roots)
    if real.is_relative_to(os.path.realpath(home)):
        raise _senseless(f"{real} holds octavo's own files, which no command may write.")
    if inside and not protected:
        return None
    if real == Path("/"):
        raise _senseless("The whole disk cannot be made writable. Name the directory you need.")
    if not protected and not real.is_dir():
        there = real.parent
        while not there.is_dir():
            there = there.parent
        what = "is a file" if real.exists() else "does not exist"
        raise _senseless(f"{real} {what}; only directories can be made writable. {there} is one.")
    return str(real)


def _check_not_denied(write: Sequence[str], policy: Policy) -> None:
    """Nothing that a person denied is opened by what is granted around or inside it."""
    if not write or not (policy.deny_read or policy.deny_globs):
        return
    from octavo.sandbox.globs import find

    hidden = [*map(os.path.realpath, policy.deny_read), *find(policy.deny_globs).paths]
    for path in map(Path, write):
        if any(path.is_relative_to(place) for place in hidden):
            raise _senseless(
                f"{path} is denied by the user's permission profile, and no grant changes that. "
                "Go on without it."
            )


async def _check_readable(paths: Sequence[Path], sandbox: Sandbox) -> None:
    for path, state in zip(paths, await sandbox.look(paths), strict=True):
        if state.kind == "unreadable":
            raise _senseless(
                f"{path} cannot be read in the sandbox, and no grant changes that: keys and "
                "credentials stay hidden. Go on without it."
            )


def _hosts(wanted: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    try:
        checked_hosts(wanted)
    except ConfigError as error:
        raise _senseless(f"additional_permissions.network.hosts: {error}") from None
    return tuple(host for host in dict.fromkeys(wanted) if host not in allowed)


def _senseless(text: str) -> ToolFailed:
    return ToolFailed(f"{text} Nothing was run.")
