"""Permission profiles: what a person wrote under `[permissions.NAME]`, as a policy.

    default_permissions = "docs"

    [permissions.docs]
    extends = ":workspace"

    [permissions.docs.filesystem]
    "~/notes" = "write"
    "~/clients" = "deny"

    [permissions.docs.filesystem.":workspace_roots"]
    "vendor" = "read"
    "**/*.env" = "deny"

    [permissions.docs.network]
    enabled = true
    domains = { "docs.python.org" = "allow" }

The form is Codex's. The more specific entry wins; `":root"` is always readable. Patterns can only
deny, and are looked up when the cage is built: what appears later is not hidden.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.paths import expand
from octavo.config.settings import PermissionNetwork, PermissionProfile
from octavo.protocol.errors import ConfigError
from octavo.sandbox import OFF, OPEN, Mode, Network, Policy

Access = Literal["read", "write", "deny"]

ROOT, WORKSPACE, TMPDIR, SLASH_TMP = ":root", ":workspace_roots", ":tmpdir", ":slash_tmp"
BUILT_IN: dict[str, PermissionProfile] = {
    ":read-only": PermissionProfile(filesystem={ROOT: "read"}),
    ":workspace": PermissionProfile(
        filesystem={ROOT: "read", WORKSPACE: "write", TMPDIR: "write", SLASH_TMP: "write"}
    ),
}
"""Profiles that are always there; to be chosen, or extended."""
WALKED_ENTRIES = 20_000
"""How much of a tree one pattern is looked up in."""
_SPECIAL = (ROOT, WORKSPACE, TMPDIR, SLASH_TMP)
_GLOB = re.compile(r"[*?\[]")
_CHAIN = 16


def apply_profile(
    name: str, profiles: Mapping[str, PermissionProfile], policy: Policy, env: Mapping[str, str]
) -> Policy:
    """Return `policy` as the profile `name` has it; its limits, directory and extra roots stay.

    Raises:
        ConfigError: there is no such profile, or it says what no cage can do; nothing is run.
    """
    files, network = _flat(name, profiles)
    found = _Entries(name, policy.cwd, env)
    for path, access in files.items():
        found.add(path, access)
    writes = found.special.get(WORKSPACE) == "write"
    if not writes and found.writable:
        raise _wrong(
            name,
            f"it lets {found.writable[0]} be written and not {WORKSPACE}, which octavo cannot do",
            f'Give {WORKSPACE} = "write" as well.',
        )
    return msgspec.structs.replace(
        policy,
        mode=Mode.WORKSPACE_WRITE if writes else Mode.READ_ONLY,
        writable_roots=(*policy.writable_roots, *found.writable),
        write_tmp=found.special.get(SLASH_TMP) == "write",
        write_tmpdir=found.special.get(TMPDIR) == "write",
        read_only=(*policy.read_only, *found.read_only),
        deny_read=(*policy.deny_read, *found.denied),
        network=_network(name, network),
        sockets=(*policy.sockets, *_sockets(name, network, env)),
    )


def _flat(
    name: str, profiles: Mapping[str, PermissionProfile]
) -> tuple[dict[str, Access], PermissionNetwork]:
    """Return what a profile says with all that it extends."""
    chain: list[PermissionProfile] = []
    at: str | None = name
    seen: list[str] = []
    while at is not None:
        if at in seen or len(seen) > _CHAIN:
            raise _wrong(name, f"it extends itself: {' → '.join([*seen, at])}", "Cut the circle.")
        seen.append(at)
        profile = profiles.get(at) or BUILT_IN.get(at)
        if profile is None:
            there = ", ".join([*profiles, *BUILT_IN])
            raise ConfigError(
                f"There is no permission profile {at!r}.",
                hint=f"There are {there}; another is made under [permissions.{at}].",
            )
        chain.append(profile)
        at = profile.extends
    files: dict[str, Access] = {}
    network = PermissionNetwork()
    for profile in reversed(chain):
        files |= _paths(name, profile.filesystem)
        network = _over(network, profile.network)
    return files, network


def _paths(name: str, table: Mapping[str, object], below: str = "") -> dict[str, Access]:
    """Return entries by path; those of a table below `:workspace_roots` begin with it."""
    found: dict[str, Access] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and key == WORKSPACE and not below:
            found |= _paths(name, value, WORKSPACE)
        elif value in ("read", "write", "deny"):
            found[key if not below else below if key == "." else f"{below}/{key}"] = value
        else:
            raise _wrong(name, f"{key!r} is {value!r}", 'It can be "read", "write" or "deny".')
    return found


def _over(under: PermissionNetwork, over: PermissionNetwork) -> PermissionNetwork:
    return PermissionNetwork(
        enabled=under.enabled if over.enabled is None else over.enabled,
        mode=over.mode or under.mode,
        domains={**under.domains, **over.domains},
        unix_sockets={**under.unix_sockets, **over.unix_sockets},
    )


class _Entries:
    """The entries of one profile, sorted by what they do."""

    def __init__(self, name: str, cwd: Path, env: Mapping[str, str]) -> None:
        self.special: dict[str, Access] = {}
        self.writable: list[Path] = []
        self.read_only: list[Path] = []
        self.denied: list[Path] = []
        self._name, self._cwd, self._env = name, cwd, env

    def add(self, text: str, access: Access) -> None:
        if text in _SPECIAL:
            self._add_special(text, access)
            return
        if text.startswith(":") and not text.startswith(WORKSPACE + "/"):
            known = ", ".join(_SPECIAL)
            raise _wrong(self._name, f"{text!r} is no place it knows", f"There are {known}.")
        path = self._absolute(text)
        if _GLOB.search(path):
            if access != "deny":
                raise _wrong(
                    self._name, f"the pattern {text!r} is {access!r}", "A pattern can only deny."
                )
            self.denied += matching(path)
        elif access == "write":
            if path == "/":
                raise _wrong(
                    self._name,
                    "it lets / be written",
                    'Choose sandbox_mode = "danger-full-access" if that is what you want.',
                )
            self.writable.append(Path(path))
        else:
            (self.denied if access == "deny" else self.read_only).append(Path(path))

    def _add_special(self, text: str, access: Access) -> None:
        if text == ROOT and access != "read":
            raise _wrong(self._name, f"{ROOT} is {access!r}", f'{ROOT} can only be "read".')
        if access == "deny":
            raise _wrong(self._name, f"{text} is denied", "Leave it out, or deny what is in it.")
        self.special[text] = access

    def _absolute(self, text: str) -> str:
        if text.startswith(WORKSPACE + "/"):
            inside = text.removeprefix(WORKSPACE + "/")
            path = os.path.normpath(self._cwd / inside)
            if not path.startswith(f"{self._cwd}{os.sep}") and path != str(self._cwd):
                raise _wrong(
                    self._name, f"{inside!r} leads out of the workspace", "Name it by itself."
                )
            return path
        path = os.path.normpath(expand(text, self._env))
        if not os.path.isabs(path):
            raise _wrong(
                self._name,
                f"the path {text!r} is relative",
                f"Write it from / or ~, or under {WORKSPACE}.",
            )
        return path


def matching(pattern: str, limit_entries: int = WALKED_ENTRIES) -> list[Path]:
    """Return the files and folders that an absolute pattern fits now.

    `**/` is any number of folders, `*` and `?` stay within one name. At most `limit_entries` are
    looked at, nearest first; links are not followed.
    """
    parts = pattern.split("/")
    fixed = 0
    while not _GLOB.search(parts[fixed]):
        fixed += 1
    fits = re.compile(_expression(parts[fixed:]))
    found: list[Path] = []
    level = ["/".join(parts[:fixed]) or "/"]
    start = len(level[0].rstrip("/")) + 1
    while level:
        deeper: list[str] = []
        for folder in level:
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                limit_entries -= 1
                if limit_entries < 0:
                    return found
                if fits.fullmatch(entry.path[start:]):
                    found.append(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    deeper.append(entry.path)
        level = deeper
    return found


def _expression(parts: list[str]) -> str:
    out: list[str] = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            out.append(".*" if last else "(?:[^/]+/)*")
            continue
        out.append(re.sub(r"\\\*|\\\?|\\\[[^\]]*\\\]", _wildcard, re.escape(part)))
        out.append("" if last else "/")
    return "".join(out)


def _wildcard(match: re.Match[str]) -> str:
    text = match[0]
    if text == r"\*":
        return "[^/]*"
    if text == r"\?":
        return "[^/]"
    inside = text[2:-2].replace("\\", "")
    return f"[{'^' if inside[:1] == '!' else ''}{re.escape(inside.lstrip('!'))}]".replace(
        r"\-", "-"
    )


def _network(name: str, network: PermissionNetwork) -> Network:
    allow = tuple(host for host, said in network.domains.items() if said == "allow")
    deny = tuple(host for host, said in network.domains.items() if said == "deny")
    if not network.enabled:
        return OFF
    limited = network.mode == "limited"
    if not network.domains:
        if limited:
            raise _wrong(name, 'its network is "limited" to no host', "Name hosts under `domains`.")
        return OPEN
    return Network("hosts", allow=allow, deny=deny, reading_only=limited)


def _sockets(name: str, network: PermissionNetwork, env: Mapping[str, str]) -> list[Path]:
    found: list[Path] = []
    for text, said in network.unix_sockets.items():
        path = expand(text, env)
        if not os.path.isabs(path):
            raise _wrong(name, f"the unix socket {text!r} is relative", "Write it from / or ~.")
        if said == "allow":
            found.append(Path(path))
    return found


def _wrong(name: str, what: str, hint: str) -> ConfigError:
    return ConfigError(f"The permission profile {name!r} cannot be used: {what}.", hint=hint)
