"""Git that runs nothing but itself, whatever the repository's configuration says.

A repository may be hostile: its hooks, filters, pagers and helpers are programs that git would
start. Here they are switched off by settings from the environment, which beat every file. What a
setting cannot switch off (filters, which have names of the repository's choosing) is found in a
listing of its configuration, which runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

_OFF = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.pager": "cat",
    "core.editor": ":",
    "sequence.editor": ":",
    "core.askPass": "",
    "core.gitProxy": "",
    "credential.helper": "",
    "credential.interactive": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "push.gpgSign": "false",
    "merge.verifySignatures": "false",
    "log.showSignature": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "status.submoduleSummary": "false",
    "diff.submodule": "short",
    "diff.ignoreSubmodules": "dirty",
    "merge.tool": "",
    "diff.tool": "",
    "column.ui": "never",
    "color.ui": "false",
    "advice.detachedHead": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
}
_IDENTITY = (
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE",
)  # fmt: skip
"""The only variables of git's that are passed on."""
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_ASKPASS": "",
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_PROTOCOL_FROM_USER": "0",
}
_TOO_FAR = ("SSH_ASKPASS", "EMAIL_HELPER", "VISUAL", "EDITOR", "PAGER", "LESSOPEN", "LESSCLOSE")
_LOADED = ("LD_", "DYLD_")
_PLAIN_DIFF = {"diff", "log", "show"}

LISTING = ("config", "--list", "--show-scope", "--null", "--includes")
"""Arguments that list the configuration, as `drivers` reads it."""


class Drivers(msgspec.Struct, frozen=True):
    """Programs by name that git would run on files.

    Attributes:
        repository: filters that the repository's own configuration defines.
        person: those that the person's or the machine's does, such as "lfs".
    """

    repository: tuple[str, ...]
    person: tuple[str, ...]


def hardened_env(
    env: Mapping[str, str], drivers: Drivers | None = None, settings: Mapping[str, str] = {}
) -> dict[str, str]:
    """Return the environment for a hardened git.

    Args:
        env: that of the command otherwise.
        drivers: what `drivers` found; filters by these names are switched off.
        settings: further settings, which come last.
    """
    kept = {
        name: value
        for name, value in env.items()
        if (not name.startswith("GIT_") or name in _IDENTITY)
        and name not in _TOO_FAR
        and not name.startswith(_LOADED)
    }
    all_settings = list(_OFF.items())
    for name in drivers.repository if drivers else ():
        all_settings += [(f"filter.{name}.{word}", "") for word in ("clean", "smudge", "process")]
        all_settings.append((f"filter.{name}.required", "false"))
    all_settings += settings.items()
    numbered = {"GIT_CONFIG_COUNT": str(len(all_settings))}
    for number, (name, value) in enumerate(all_settings):
        numbered[f"GIT_CONFIG_KEY_{number}"] = name
        numbered[f"GIT_CONFIG_VALUE_{number}"] = value
    return kept | _FIXED | numbered


def hardened_arguments(arguments: Iterable[str]) -> list[str]:
    """Return a call's arguments with what no setting switches off."""
    subcommand, *rest = arguments
    shows_diff = subcommand in _PLAIN_DIFF or (subcommand == "stash" and rest[:1] == ["show"])
    if not shows_diff:
        return [subcommand, *rest]
    at = 1 if subcommand == "stash" else 0
    return [subcommand, *rest[:at], "--no-ext-diff", "--no-textconv", *rest[at:]]


def drivers(listing: bytes) -> Drivers:
    """Return the filters that a listing of the configuration defines.

    Args:
        listing: what git prints for `LISTING`: scope, NUL, key, newline, value, NUL; and so on.
    """
    repository: dict[str, None] = {}
    person: dict[str, None] = {}
    for scope, key, _ in settings_of(listing):
        section, _, rest = key.partition(".")
        name, _, word = rest.rpartition(".")
        if section != "filter" or word not in ("clean", "smudge", "process") or not name:
            continue
        (person if scope in ("system", "global") else repository)[name] = None
    return Drivers(tuple(repository), tuple(name for name in person if name not in repository))


def changed_keys(before: bytes, after: bytes) -> tuple[str, ...]:
    """Return the keys of the repository's own configuration that differ between two listings."""
    was, now = (
        sorted((key, value) for scope, key, value in settings_of(listing) if scope == "local")
        for listing in (before, after)
    )
    different = {key for key, _ in set(was) ^ set(now)}
    return tuple(sorted(different))


def settings_of(listing: bytes) -> Iterable[tuple[str, str, str]]:
    """Yield scope, key (its section and last word in lower case) and value of each setting."""
    parts = listing.decode("utf-8", "surrogateescape").split("\0")
    for scope, entry in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = entry.partition("\n")
        yield scope, key, value
